#include "reference/capture/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/capture/json_fields.h"
#include "reference/capture/kv_override.h"

namespace parity {
namespace {

constexpr char kSchema[] = "bitnet-parity/request/1";

void CheckAtLeast(const JsonFields& fields, const char* key, int64_t value, int64_t minimum) {
  if (value < minimum) fields.Fail(key, fmt::format("found {}, expected at least {}", value, minimum));
}

}  // namespace

nlohmann::json ToJson(const Request& request) {
  nlohmann::json json = request.extra->is_object() ? *request.extra : nlohmann::json::object();
  json["schema"] = kSchema;
  json["model"] = TextToJson(request.model);
  json["tokenizer"] = TextToJson(request.tokenizer);
  json["prompt"] = TextToJson(request.prompt);
  json["prompt_template"] = request.prompt_template;
  json["text"] = TextToJson(request.text);
  json["add_special"] = request.add_special;
  json["parse_special"] = request.parse_special;
  if (request.token_ids) json["token_ids"] = *request.token_ids;
  json["positions"] = request.positions;
  json["max_tokens"] = request.max_tokens;
  json["ignore_eos"] = request.ignore_eos;
  json["schedule"] = request.schedule == Schedule::kBatch ? "batch" : "token-by-token";
  json["n_ctx"] = request.n_ctx;
  json["n_ubatch"] = request.n_ubatch;
  json["threads"] = request.threads;
  json["seed"] = request.seed;
  json["trace"] = request.trace;
  json["raw_tensors"] = request.raw_tensors;
  json["cpu_variant"] = request.cpu_variant;
  if (!request.i2s_layout.empty()) json["i2s_layout"] = request.i2s_layout;
  for (const std::string& text : request.override_kv) json["override_kv"].push_back(TextToJson(text));
  return json;
}

Request RequestFromJson(const nlohmann::json& json, const std::string& origin) {
  Request request;
  JsonFields fields(json, origin);
  fields.Expect("schema", kSchema);
  fields.Read("model", &request.model);
  fields.ReadIfPresent("tokenizer", &request.tokenizer);
  fields.ReadIfPresent("prompt", &request.prompt);
  fields.ReadIfPresent("prompt_template", &request.prompt_template);
  const bool has_text = fields.ReadIfPresent("text", &request.text);
  fields.ReadIfPresent("add_special", &request.add_special);
  fields.ReadIfPresent("parse_special", &request.parse_special);
  std::vector<int> ids;
  if (fields.ReadIfPresent("token_ids", &ids)) {
    for (size_t i = 0; i < ids.size(); ++i) CheckAtLeast(fields, fmt::format("token_ids[{}]", i).c_str(), ids[i], 0);
    request.token_ids = ids;
  } else if (!has_text) {
    fields.Fail("text", "missing key (a request gives text, or token_ids)");
  }
  fields.ReadIfPresent("positions", &request.positions);
  fields.ReadIfPresent("max_tokens", &request.max_tokens);
  fields.ReadIfPresent("ignore_eos", &request.ignore_eos);
  std::string schedule = "batch";
  fields.ReadIfPresent("schedule", &schedule);
  fields.ReadIfPresent("n_ctx", &request.n_ctx);
  fields.ReadIfPresent("n_ubatch", &request.n_ubatch);
  fields.ReadIfPresent("threads", &request.threads);
  fields.ReadIfPresent("seed", &request.seed);
  fields.ReadIfPresent("trace", &request.trace);
  fields.ReadIfPresent("raw_tensors", &request.raw_tensors);
  fields.ReadIfPresent("cpu_variant", &request.cpu_variant);
  fields.ReadIfPresent("override_kv", &request.override_kv);
  fields.ReadIfPresent("i2s_layout", &request.i2s_layout);
  request.extra = fields.Unknown();

  if (schedule == "batch") {
    request.schedule = Schedule::kBatch;
  } else if (schedule == "token-by-token") {
    request.schedule = Schedule::kTokenByToken;
  } else {
    fields.Fail("schedule", fmt::format("found '{}', expected batch or token-by-token", schedule));
  }
  if (request.prompt_template.empty() || request.prompt_template == "auto") {
    fields.Fail("prompt_template",
                fmt::format("found '{}', expected the template that made the text: raw, instruct, llama3-chat, ...",
                            request.prompt_template));
  }
  CheckAtLeast(fields, "positions", request.positions, 0);
  CheckAtLeast(fields, "max_tokens", request.max_tokens, 0);
  CheckAtLeast(fields, "n_ctx", request.n_ctx, 0);
  CheckAtLeast(fields, "n_ubatch", request.n_ubatch, 1);
  CheckAtLeast(fields, "threads", request.threads, 1);
  for (const std::string& text : request.override_kv) {
    try {
      ParseKvOverride(text);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(fmt::format("{}: {}", origin, error.what()));
    }
  }
  return request;
}

Request ReadRequest(const std::string& path) { return RequestFromJson(ReadJsonFile(path), path); }

int ContextSize(const Request& request, size_t n_prompt_tokens) {
  const int64_t needed = static_cast<int64_t>(n_prompt_tokens) + request.max_tokens;
  if (request.n_ctx > 0) {
    if (needed <= request.n_ctx) return request.n_ctx;
    throw std::runtime_error(fmt::format("request: n_ctx: found {}, but {} prompt tokens and {} to generate need {}",
                                         request.n_ctx, n_prompt_tokens, request.max_tokens, needed));
  }
  if (needed > INT_MAX - 256) {
    throw std::runtime_error(fmt::format("request: max_tokens: {} positions are too many", needed));
  }
  return static_cast<int>((std::max<int64_t>(needed, 1) + 255) / 256 * 256);
}

}  // namespace parity
