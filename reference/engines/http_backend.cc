#include "reference/engines/http_backend.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostBytes = size_t{64} << 20;  // of an answer
constexpr int kTopLogprobs = 5;                  // that a server is asked for; OpenAI's API gives no more

struct Api {
  std::string_view path;
  std::string_view words;
};
constexpr Api kLlamaServer = {"/completion", "llama-server's /completion"};
constexpr Api kCompletions = {"/v1/completions", "OpenAI's /v1/completions"};
constexpr Api kChat = {"/v1/chat/completions", "OpenAI's /v1/chat/completions"};
constexpr const Api* kApis[] = {&kChat, &kCompletions, &kLlamaServer};

struct Url {
  std::string origin;  // "http://127.0.0.1:8080"
  std::string path;    // "/v1/completions"; "" where there is none
};

Url ParseUrl(const std::string& url, bool allow_remote) {
  const size_t host_at = url.find("://") + 3, path_at = std::min(url.find('/', host_at), url.size());
  std::string host = url.find("://") == std::string::npos ? "" : url.substr(host_at, path_at - host_at);
  if (host.starts_with('[')) {
    host = host.substr(0, host.find(']') + 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (host.empty() || url.find_first_of(" \t\r\n@?#") != std::string::npos) {
    throw std::runtime_error(fmt::format("{}: is no address, expected http://HOST:PORT or http://HOST:PORT/PATH", url));
  }
  const bool local = host == "localhost" || host == "[::1]" || host.starts_with("127.");
  if (!local && !allow_remote) {
    throw std::runtime_error(fmt::format(
        "{}: {} is another machine; --allow-remote sends it the prompt (localhost, 127.x.x.x and [::1] are this one)",
        url, host));
  }
  std::string path = url.substr(path_at);
  while (path.ends_with('/')) path.pop_back();
  return {url.substr(0, path_at), path};
}

struct Answer {
  int status = 0;
  std::string body;
};

class Server {
 public:
  explicit Server(std::string origin) : origin_(std::move(origin)) {}

  const std::string& origin() const { return origin_; }

  // `body` null: GET. Throws where there is no answer.
  Answer Ask(const std::string& path, const Json* body = nullptr) const {
    const std::chrono::seconds limit = TimeLimit();
    const Clock::time_point deadline = Clock::now() + limit;
    httplib::Client client(origin_);
    client.set_connection_timeout(std::min(limit, std::chrono::seconds(10)));
    client.set_read_timeout(limit);
    client.set_write_timeout(limit);
    Answer answer;
    httplib::Request request;
    request.method = body != nullptr ? "POST" : "GET";
    request.path = path;
    if (body != nullptr) {
      request.body = body->dump(-1, ' ', false, Json::error_handler_t::replace);
      request.set_header("Content-Type", "application/json");
    }
    request.content_receiver = [&](const char* data, size_t n, uint64_t, uint64_t) {
      if (answer.body.size() + n > kMostBytes || Clock::now() > deadline) return false;
      answer.body.append(data, n);
      return true;
    };
    const httplib::Result result = client.send(request);
    if (!result) {
      throw std::runtime_error(
          fmt::format("{}: {}", Place(path, body), Describe(result.error(), answer, Clock::now() > deadline, limit)));
    }
    answer.status = result->status;
    return answer;
  }

  // The object that a request is answered with.
  JsonFields Object(const std::string& path, const Json* body = nullptr) const {
    const Answer answer = Ask(path, body);
    const std::string place = Place(path, body);
    if (answer.status != 200) {
      throw std::runtime_error(fmt::format("{}: found status {} ({}), expected 200", place, answer.status,
                                           Quote(answer.body.substr(0, 300))));
    }
    return JsonFields::Parse(answer.body, place + ": the answer");
  }

 private:
  std::string Place(const std::string& path, const Json* body) const {
    return fmt::format("{} {}{}", body != nullptr ? "POST" : "GET", origin_, path);
  }

  static std::string Describe(httplib::Error error, const Answer& answer, bool late, std::chrono::seconds limit) {
    if (late) return fmt::format("no whole answer in {} s (--timeout, CROSSVAL_TIMEOUT_SECS)", limit.count());
    if (error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout) {
      return "nobody answers there; start the server, or name its port";
    }
    if (answer.body.size() > kMostBytes / 2) return fmt::format("the answer is longer than {} MiB", kMostBytes >> 20);
    return fmt::format("the connection ended before the answer did ({})", httplib::to_string(error));
  }

  std::string origin_;
};

// The text of a token of an answer: its bytes where they are given, since half a character has no text.
std::string TokenText(JsonFields& token, const char* key) {
  std::string text;
  JsonValue bytes;
  token.ReadIfPresent(key, &text);
  if (!token.ReadIfPresent("bytes", &bytes) || !bytes->is_array()) return text;
  std::string raw;
  for (const Json& byte : *bytes) {
    if (!byte.is_number_unsigned() || byte.get<unsigned>() > 255) return text;
    raw += static_cast<char>(byte.get<unsigned>());
  }
  return raw;
}

// The prompt's ids, or those of an answer.
std::vector<int32_t> IdsOf(JsonFields& fields, const char* key, std::vector<std::string>* pieces) {
  std::vector<int32_t> ids;
  JsonValue array;
  fields.Read(key, &array);
  if (!array->is_array()) fields.Fail(key, "expected an array of token ids");
  for (const Json& entry : *array) {
    if (entry.is_number_integer()) {
      ids.push_back(entry.get<int32_t>());
      continue;
    }
    // With its text, which is an array of bytes where it is no UTF-8.
    if (!entry.is_object() || !entry.contains("id") || !entry["id"].is_number_integer()) {
      fields.Fail(key, fmt::format("found {}, expected a token id", entry.dump(-1, ' ', true)));
    }
    ids.push_back(entry["id"].get<int32_t>());
    std::string& piece = pieces->emplace_back();
    const Json text = entry.value("piece", Json());
    if (text.is_string()) piece = text.get<std::string>();
    for (size_t i = 0; text.is_array() && i < text.size(); ++i) {
      if (text[i].is_number_unsigned()) piece += static_cast<char>(text[i].get<unsigned>());
    }
  }
  return ids;
}

// Log-probabilities as llama-server and OpenAI's chat give them: an object a generated token, with those that were
// likely beside it.
void ReadLogprobs(std::vector<JsonFields> steps, Capture* capture) {
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
  for (JsonFields& step : steps) {
    int32_t id = -1;
    step.ReadIfPresent("id", &id);
    ids.push_back(id);
    pieces.push_back(TokenText(step, "token"));
    if (!step.Has("top_logprobs")) continue;
    std::vector<TokenLogprob>& top = capture->top_logprobs.emplace_back();
    for (JsonFields& entry : step.Objects("top_logprobs")) {
      TokenLogprob& token = top.emplace_back();
      entry.ReadIfPresent("id", &token.id);
      token.text = TokenText(entry, "token");
      entry.Read("logprob", &token.logprob);
    }
  }
  if (capture->top_logprobs.size() != steps.size()) capture->top_logprobs.clear();
  if (steps.empty() || std::find(ids.begin(), ids.end(), -1) != ids.end()) return;
  capture->generated = std::move(ids);
  capture->generated_pieces = std::move(pieces);
  capture->shown.generated = true;
}

// The older form of OpenAI's completions: arrays beside each other.
void ReadLogprobArrays(JsonFields logprobs, Capture* capture) {
  JsonValue top;
  if (!logprobs.ReadIfPresent("top_logprobs", &top) || !top->is_array()) return;
  for (const Json& step : *top) {
    std::vector<TokenLogprob>& tokens = capture->top_logprobs.emplace_back();
    if (!step.is_object()) continue;
    for (const auto& [text, logprob] : step.items()) {
      if (logprob.is_number()) tokens.push_back({-1, text, logprob.get<double>()});
    }
    std::sort(tokens.begin(), tokens.end(),
              [](const TokenLogprob& a, const TokenLogprob& b) { return a.logprob > b.logprob; });
  }
}

// ---- llama-server ----

// The ids that the server makes of the prompt; nothing where it has no /tokenize.
std::optional<std::vector<int32_t>> Tokenize(const Server& server, const std::string& base, const Request& request,
                                             Capture* capture) {
  if (request.token_ids) {
    capture->tokens = *request.token_ids;
  } else {
    const Json body = {{"content", request.text},
                       {"add_special", request.add_special},
                       {"parse_special", request.parse_special},
                       {"with_pieces", true}};
    if (server.Ask(base + "/tokenize", &body).status == 404) {
      capture->notes.push_back("the server has no /tokenize: it got the prompt as text");
      return std::nullopt;
    }
    JsonFields answer = server.Object(base + "/tokenize", &body);
    capture->tokens = IdsOf(answer, "tokens", &capture->pieces);
  }
  capture->pieces.resize(capture->tokens.size());
  capture->shown.tokens = true;
  return capture->tokens;
}

void AskLlamaServer(const Server& server, const std::string& base, const Request& request, Capture* capture) {
  const std::optional<std::vector<int32_t>> ids = Tokenize(server, base, request, capture);
  if (request.max_tokens == 0) return;
  Json body = {{"n_predict", request.max_tokens},
               {"temperature", 0.0},
               {"repeat_penalty", 1.0},
               {"seed", request.seed},
               {"n_probs", kTopLogprobs},
               {"ignore_eos", false},
               {"cache_prompt", false},
               {"return_tokens", true},
               {"stream", false}};
  body["prompt"] = ids ? Json(*ids) : Json(request.text);
  JsonFields answer = server.Object(base + "/completion", &body);
  answer.Read("content", &capture->text);
  capture->shown.text = true;
  bool truncated = false;
  answer.ReadIfPresent("truncated", &truncated);
  if (truncated) capture->notes.push_back("the server cut the prompt to fit its context");
  if (answer.Has("completion_probabilities")) {
    std::vector<JsonFields> steps = answer.Objects("completion_probabilities");
    const bool older = std::any_of(steps.begin(), steps.end(), [](const JsonFields& s) { return s.Has("probs"); });
    if (older) {
      capture->notes.push_back("the server's probabilities are those behind its sampler: not compared");
    } else {
      ReadLogprobs(std::move(steps), capture);
    }
  }
}

// ---- OpenAI ----

std::string ModelName(const Server& server, const std::string& base, const Request& request) {
  const Answer answer = server.Ask(base + "/v1/models");
  const Json json = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (answer.status == 200 && json.is_object() && json.contains("data") && json["data"].is_array() &&
      !json["data"].empty() && json["data"][0].is_object() && json["data"][0].value("id", Json()).is_string()) {
    return json["data"][0]["id"];
  }
  return std::filesystem::path(request.model).filename().string();
}

void AskOpenAi(const Server& server, const std::string& base, const Api& api, const Request& request,
               Capture* capture) {
  const bool chat = &api == &kChat;
  if (chat && request.token_ids) throw std::runtime_error("a chat takes text, found a prompt of token ids");
  if (request.max_tokens == 0) return;
  Json body = {{"model", ModelName(server, base, request)},
               {"max_tokens", request.max_tokens},
               {"temperature", 0.0},
               {"seed", request.seed},
               {"stream", false}};
  if (chat) {
    body["messages"] = {{{"role", "user"}, {"content", request.prompt}}};
    body["logprobs"] = true;
    body["top_logprobs"] = kTopLogprobs;
    capture->notes.push_back("a chat: the server puts the prompt into a template of its own");
  } else {
    body["prompt"] = request.token_ids ? Json(*request.token_ids) : Json(request.text);
    body["logprobs"] = kTopLogprobs;
    if (!request.add_special) {
      capture->notes.push_back("the template writes BOS into the prompt: the server must not add another");
    }
  }
  JsonFields answer = server.Object(base + std::string(api.path), &body);
  std::vector<JsonFields> choices = answer.Objects("choices");
  if (choices.empty()) answer.Fail("choices", "found none, expected one");
  if (chat) {
    choices[0].Object("message").Read("content", &capture->text);
  } else {
    choices[0].Read("text", &capture->text);
  }
  capture->shown.text = true;
  JsonValue given;
  if (!choices[0].ReadIfPresent("logprobs", &given) || !given->is_object()) return;
  JsonFields logprobs = choices[0].Object("logprobs");
  if (logprobs.Has("content")) {
    ReadLogprobs(logprobs.Objects("content"), capture);
  } else {
    ReadLogprobArrays(std::move(logprobs), capture);
  }
}

class HttpBackend : public Backend {
 public:
  HttpBackend(std::string url, bool allow_remote)
      : url_(std::move(url)), parsed_(ParseUrl(url_, allow_remote)), server_(parsed_.origin) {
    if (!parsed_.path.empty()) FromPath();
  }

  std::string name() const override { return url_; }
  bool stops_at_end() const override { return true; }
  bool goes_on_with_text() const override { return api_ != &kChat; }

  ProbeResult Probe() override {
    ProbeResult result;
    result.looked_in = {url_};
    try {
      Find();
      result.available = true;
      result.version = version_;
      result.found = {url_};
      result.details.push_back(fmt::format("api: {}", api_->words));
    } catch (const std::exception& error) {
      result.problem = error.what();
    }
    return result;
  }

  std::string Identity(const FileHasher&) override {
    Find();
    return fmt::format("{} {} {}", url_, api_->words, version_);
  }

  Capture Run(const Request& request) override {
    if (!request.override_kv.empty() || !request.i2s_layout.empty()) {
      throw std::runtime_error("--override-kv and --i2s-layout cannot be passed on: start the server with them");
    }
    Find();
    Capture capture;
    capture.backend = {.name = url_, .version = version_, .build = std::string(api_->words), .simd = "", .threads = 0};
    capture.model.path = request.model;
    capture.request = request;
    capture.shown = kNothingShown;
    capture.notes.push_back(fmt::format("asked by {}", api_->words));
    if (api_ == &kLlamaServer) {
      AskLlamaServer(server_, base_, request, &capture);
    } else {
      AskOpenAi(server_, base_, *api_, request, &capture);
    }
    return capture;
  }

 private:
  void FromPath() {
    for (const Api* api : kApis) {
      if (!parsed_.path.ends_with(api->path)) continue;
      api_ = api;
      base_ = parsed_.path.substr(0, parsed_.path.size() - api->path.size());
      return;
    }
    throw std::runtime_error(fmt::format(
        "{}: found the path {}, expected one that ends with /completion, /v1/completions or /v1/chat/completions, or "
        "none",
        url_, parsed_.path));
  }

  // Asks the server which API it speaks, unless the address says so, and who it is. Throws where nobody answers.
  void Find() {
    if (asked_) return;
    const Answer props = server_.Ask(base_ + "/props");
    const Json json = Json::parse(props.body, nullptr, /*allow_exceptions=*/false);
    const bool llama = props.status == 200 && json.is_object() && json.contains("default_generation_settings");
    if (llama && json.value("build_info", Json()).is_string()) version_ = json["build_info"];
    if (api_ == nullptr && llama) api_ = &kLlamaServer;
    if (api_ == nullptr) {
      const Answer models = server_.Ask("/v1/models");
      const Json list = Json::parse(models.body, nullptr, /*allow_exceptions=*/false);
      if (models.status != 200 || !list.is_object() || !list.contains("data")) {
        throw std::runtime_error(fmt::format(
            "{}: speaks no API that is known: GET /props (llama-server) was answered {}, GET /v1/models (OpenAI) {}; "
            "name the API by its path, as {}/v1/completions",
            url_, props.status, models.status, url_));
      }
      api_ = &kCompletions;
    }
    asked_ = true;
  }

  std::string url_;
  Url parsed_;
  Server server_;
  const Api* api_ = nullptr;
  std::string base_;  // in front of the API's path
  std::string version_;
  bool asked_ = false;
};

}  // namespace

std::unique_ptr<Backend> MakeHttpBackend(const std::string& url, bool allow_remote) {
  return std::make_unique<HttpBackend>(url, allow_remote);
}

}  // namespace parity
