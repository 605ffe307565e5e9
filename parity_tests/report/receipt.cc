#include "parity_tests/report/receipt.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/hash.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json Kernels(const Capture& capture) {
  return capture.extra->is_object() && capture.extra->contains("kernels") ? capture.extra->at("kernels")
                                                                          : Json::object();
}

// Tokens in a time, and the rate.
Json Rate(size_t tokens, double ms) {
  return {{"tokens", tokens},
          {"ms", JsonNumber(ms)},
          {"per_second", JsonNumber(ms > 0 ? 1e3 * static_cast<double>(tokens) / ms : 0)}};
}

Json EngineJson(const BackendInfo& backend, const Capture* capture) {
  Json json = {{"name", Utf8(backend.name)}, {"version", Utf8(backend.version)}, {"build", Utf8(backend.build)},
               {"simd", Utf8(backend.simd)}, {"threads", backend.threads},       {"kernels", Json::object()}};
  if (capture == nullptr) return json;
  json["kernels"] = Kernels(*capture);
  json["prompt"] = Rate(capture->tokens.size(), capture->timings.prompt_ms);
  // The first generated token comes from the prompt's logits.
  json["decode"] = Rate(capture->generated.empty() ? 0 : capture->generated.size() - 1, capture->timings.decode_ms);
  json["load_ms"] = JsonNumber(capture->timings.load_ms);
  json["peak_rss_bytes"] = capture->timings.peak_rss_bytes;
  return json;
}

Json StageJson(const RungResult& result) {
  Json json = {{"stage", RungName(result.rung)},
               {"status", StatusName(result.status)},
               {"checks", Json::array()},
               {"rows", Json::array()}};
  if (!result.message.empty()) json["message"] = Utf8(result.message);
  for (const Check& check : result.checks) {
    json["checks"].push_back({{"metric", MetricName(check.metric)},
                              {"limit", check.limit},
                              {"worst", JsonNumber(check.worst)},
                              {"pass", check.pass}});
  }
  for (const RowMetrics& row : result.rows) {
    Json entry;
    for (const Metric metric : kMetrics) entry[std::string(MetricName(metric))] = JsonNumber(MetricValue(row, metric));
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

Json ProfileJson(const Profile& profile) {
  Json json = {{"name", profile.name},
               {"overrides", profile.overrides},
               {"decode_tie", profile.decode_tie},
               {"decode_tie_cosine", profile.decode_tie_cosine},
               {"limits", Json::object()}};
  for (const auto& [rung, limits] : profile.limits) {
    for (const auto& [metric, limit] : limits) {
      json["limits"][std::string(RungName(rung))][std::string(MetricName(metric))] = limit;
    }
  }
  return json;
}

// Names of fields in which two receipts of one run differ.
const std::set<std::string>& Times() {
  static const std::set<std::string> times = {"time",       "blake3_of_receipt", "ms",
                                              "per_second", "load_ms",           "peak_rss_bytes"};
  return times;
}

void Compare(const Json& a, const Json& b, const std::string& place, std::vector<std::string>& lines) {
  if (a == b) return;
  if (a.is_object() && b.is_object()) {
    std::set<std::string> keys;
    for (const auto& [key, value] : a.items()) keys.insert(key);
    for (const auto& [key, value] : b.items()) keys.insert(key);
    for (const std::string& key : keys) {
      if (Times().contains(key)) continue;
      const Json none;
      Compare(a.contains(key) ? a[key] : none, b.contains(key) ? b[key] : none, place.empty() ? key : place + "." + key,
              lines);
    }
  } else if (a.is_array() && b.is_array()) {
    if (a.size() != b.size()) lines.push_back(fmt::format("{}: {} entries / {}", place, a.size(), b.size()));
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      Compare(a[i], b[i], fmt::format("{}[{}]", place, i), lines);
    }
  } else {
    lines.push_back(fmt::format("{}: {} / {}", place, Dump(a), Dump(b)));
  }
}

}  // namespace

Json ReceiptRun(const Verdict& verdict, const Captures* captures, const ReceiptFacts& facts) {
  const Request& request = verdict.request;
  const Capture* candidate = captures == nullptr ? nullptr : &captures->candidate;
  const Capture* reference = captures == nullptr ? nullptr : &captures->reference;
  Json json = {{"model",
                {{"path", Utf8(request.model)},
                 {"blake3", verdict.model.blake3},
                 {"architecture", Utf8(verdict.model.architecture)},
                 {"bytes", facts.model_bytes},
                 {"layer_bytes", facts.layer_bytes},
                 {"layer_weights", facts.layer_weights}}},
               {"tokenizer", {{"path", Utf8(request.tokenizer)}, {"blake3", facts.tokenizer_blake3}}},
               {"prompt",
                {{"template", request.prompt_template},
                 {"formatted_blake3", request.token_ids ? "" : HashText(request.text)},
                 {"tokens", candidate == nullptr ? 0 : candidate->tokens.size()}}},
               {"seed", request.seed},
               {"threads", request.threads},
               {"n_ctx", candidate == nullptr ? request.n_ctx : candidate->shapes.n_ctx},
               {"n_ubatch", request.n_ubatch},
               {"max_tokens", request.max_tokens},
               {"schedule", ScheduleName(request.schedule)},
               {"candidate", EngineJson(verdict.candidate, candidate)},
               {"reference", EngineJson(verdict.reference, reference)},
               {"profile", ProfileJson(verdict.profile)},
               {"stages", Json::array()},
               {"verdict", Headline(verdict)},
               {"exit_code", ExitCode(verdict)}};
  for (const RungResult& result : verdict.rungs) json["stages"].push_back(StageJson(result));
  return json;
}

Json MakeReceipt(const ReceiptHeader& header, std::vector<Json> runs) {
  int exit_code = 0;
  for (const Json& run : runs) exit_code = std::max(exit_code, run.value("exit_code", 2));
  Json json = {{"schema", "bitnet-parity/receipt/1"},
               {"time", header.time},
               {"command", header.command},
               {"program", {{"version", header.version}, {"commit", header.commit}}},
               {"machine", {{"cpu", header.cpu}, {"libc", header.libc}}},
               {"exit_code", exit_code},
               {"runs", std::move(runs)}};
  json["blake3_of_receipt"] = HashText(Dump(json));
  return json;
}

std::vector<std::string> ReceiptDifferences(const Json& a, const Json& b) {
  std::vector<std::string> lines;
  Compare(a, b, "", lines);
  return lines;
}

}  // namespace parity
