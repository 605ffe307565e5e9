// A server in this process that answers as llama-server or OpenAI's API does, with what an engine computes.
//
//   ServedEngine server(*MakeBackend("exec:..."), "model.gguf");
//   ... server.url() ...
#ifndef BITNET_PARITY_REFERENCE_ENGINES_SERVED_FOR_TEST_H_
#define BITNET_PARITY_REFERENCE_ENGINES_SERVED_FOR_TEST_H_

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "reference/engines/backend.h"

namespace parity {

// Any server on a free port of this machine.
class LocalServer {
 public:
  LocalServer() = default;
  ~LocalServer() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  httplib::Server& routes() { return server_; }
  void Start() {
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }

 private:
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
};

enum class ServedApi { kLlamaServer, kOpenAi };

class ServedEngine {
 public:
  ServedEngine(Backend& engine, std::string model, ServedApi api) : engine_(engine), model_(std::move(model)) {
    using Handler = nlohmann::json (ServedEngine::*)(const nlohmann::json&);
    const auto post = [this](const char* path, Handler handler) {
      server_.routes().Post(path, [this, handler](const httplib::Request& request, httplib::Response& response) {
        try {
          const nlohmann::json answer = (this->*handler)(nlohmann::json::parse(request.body));
          response.set_content(answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                               "application/json");
        } catch (const std::exception& error) {
          response.status = 500;
          response.set_content(error.what(), "text/plain");
        }
      });
    };
    const auto get = [this](const char* path, const nlohmann::json& answer) {
      server_.routes().Get(path, [answer](const httplib::Request&, httplib::Response& response) {
        response.set_content(answer.dump(), "application/json");
      });
    };
    if (api == ServedApi::kLlamaServer) {
      get("/props", {{"default_generation_settings", {{"n_ctx", 256}}}, {"build_info", "b1-test"}});
      post("/tokenize", &ServedEngine::Tokenize);
      post("/completion", &ServedEngine::Completion);
    } else {
      get("/v1/models", {{"object", "list"}, {"data", {{{"id", "the-model"}}}}});
      post("/v1/completions", &ServedEngine::OpenAiCompletion);
      post("/v1/chat/completions", &ServedEngine::ChatCompletion);
    }
    server_.Start();
  }
  std::string url() const { return server_.url(); }

 private:
  Capture Run(const nlohmann::json& prompt, int max_tokens) {
    Request request;
    request.model = model_;
    request.max_tokens = max_tokens;
    request.ignore_eos = false;
    request.threads = 1;
    if (prompt.is_array()) {
      request.token_ids = prompt.get<std::vector<int32_t>>();
    } else {
      request.prompt = request.text = prompt;
    }
    return engine_.Run(request);
  }

  nlohmann::json Tokenize(const nlohmann::json& asked) {
    const Capture c = Run(asked.at("content"), 0);
    nlohmann::json tokens = nlohmann::json::array();
    for (size_t i = 0; i < c.tokens.size(); ++i) tokens.push_back({{"id", c.tokens[i]}, {"piece", c.pieces[i]}});
    return {{"tokens", std::move(tokens)}};
  }

  // The k likeliest tokens of each step.
  static nlohmann::json Logprobs(const Capture& c, int k) {
    nlohmann::json steps = nlohmann::json::array();
    for (size_t i = 0; i < c.generated.size(); ++i) {
      const float* row = c.decode_logits.row(static_cast<int64_t>(i));
      std::vector<int32_t> ids(static_cast<size_t>(c.decode_logits.cols));
      for (size_t id = 0; id < ids.size(); ++id) ids[id] = static_cast<int32_t>(id);
      std::stable_sort(ids.begin(), ids.end(), [row](int32_t a, int32_t b) { return row[a] > row[b]; });
      double sum = 0;
      for (const int32_t id : ids) sum += std::exp(static_cast<double>(row[id]) - row[ids[0]]);
      nlohmann::json top = nlohmann::json::array();
      for (int n = 0; n < k; ++n) {
        const int32_t id = ids[static_cast<size_t>(n)];
        top.push_back({{"id", id}, {"token", ""}, {"logprob", row[id] - row[ids[0]] - std::log(sum)}});
      }
      steps.push_back({{"id", c.generated[i]}, {"token", c.generated_pieces[i]}, {"top_logprobs", std::move(top)}});
    }
    return steps;
  }

  nlohmann::json Completion(const nlohmann::json& asked) {
    const Capture c = Run(asked.at("prompt"), asked.at("n_predict"));
    return {{"content", GeneratedText(c)}, {"completion_probabilities", Logprobs(c, asked.at("n_probs"))}};
  }

  nlohmann::json OpenAiCompletion(const nlohmann::json& asked) {
    const Capture c = Run(asked.at("prompt"), asked.at("max_tokens"));
    return {{"choices", {{{"text", GeneratedText(c)}, {"index", 0}, {"logprobs", nullptr}}}}};
  }

  nlohmann::json ChatCompletion(const nlohmann::json& asked) {
    const Capture c = Run(asked.at("messages").at(0).at("content"), asked.at("max_tokens"));
    return {{"choices", {{{"message", {{"role", "assistant"}, {"content", GeneratedText(c)}}}}}}};
  }

  Backend& engine_;
  std::string model_;
  LocalServer server_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_SERVED_FOR_TEST_H_
