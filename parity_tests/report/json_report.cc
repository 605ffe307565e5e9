#include <nlohmann/json.hpp>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/report.h"

namespace parity {
namespace {

using Json = nlohmann::json;

Json Top(const std::vector<TopToken>& top) {
  Json json = Json::array();
  for (const TopToken& token : top) {
    json.push_back({{"id", token.id}, {"text", token.text}, {"logit", JsonNumber(token.logit)}});
  }
  return json;
}

// The two values with the largest distance in ULP; null where no bit differs.
Json Furthest(const WorstRows& worst) {
  const ValuePair& pair = worst.furthest();
  if (pair.column < 0) return nullptr;
  return {{"ulp", JsonNumber(worst.value(Metric::kMaxUlp))},
          {"position", worst.furthest_position()},
          {"token", pair.column},
          {"candidate", JsonNumber(pair.candidate)},
          {"reference", JsonNumber(pair.reference)}};
}

Json BackendJson(const BackendInfo& backend) {
  return {{"name", backend.name},
          {"version", backend.version},
          {"build", backend.build},
          {"simd", backend.simd},
          {"threads", backend.threads}};
}

Json RungJson(const RungResult& result) {
  Json json = {{"stage", RungName(result.rung)}, {"status", StatusName(result.status)}};
  if (!result.compared.empty()) json["compared"] = result.compared;
  if (!result.message.empty()) json["message"] = result.message;
  if (!result.notes.empty()) json["notes"] = result.notes;
  if (!result.hints.empty()) json["hints"] = result.hints;
  if (result.position >= 0) {
    json["position"] = result.position;
    json["token"] = {{"id", result.token}, {"text", result.token_text}};
  }
  if (result.first_over >= 0) json["first_over"] = result.first_over;
  for (const Check& check : result.checks) {
    json["checks"].push_back({{"metric", MetricName(check.metric)},
                              {"limit", check.limit},
                              {"worst", JsonNumber(check.worst)},
                              {"position", check.position},
                              {"pass", check.pass}});
  }
  if (result.worst.rows() > 0) {
    for (const Metric metric : kMetrics) {
      const std::string name(MetricName(metric));
      json["worst"][name] = {{"value", JsonNumber(result.worst.value(metric))},
                             {"position", result.worst.position(metric)}};
      for (const RowMetrics& row : result.rows)
        json["per_position"][name].push_back(JsonNumber(MetricValue(row, metric)));
    }
    json["bit_identical_share"] = result.worst.identical_share();
    json["logits"] = result.worst.values();
    json["differing"] = result.worst.differing();
    json["furthest"] = Furthest(result.worst);
  }
  if (!result.top_candidate.empty()) json["top5"]["candidate"] = Top(result.top_candidate);
  if (!result.top_reference.empty()) json["top5"]["reference"] = Top(result.top_reference);
  return json;
}

}  // namespace

Json JsonReport(const Verdict& verdict) {
  const RungResult& preflight = verdict.rung(Rung::kPreflight);
  Json json = {
      {"schema", "bitnet-parity/verdict/1"},
      {"verdict", verdict.parity()                    ? "parity"
                  : preflight.status == Status::kSkip ? "skipped"
                  : preflight.status == Status::kFail ? "error"
                                                      : "divergence"},
      {"exit_code", ExitCode(verdict)},
      {"candidate", BackendJson(verdict.candidate)},
      {"reference", BackendJson(verdict.reference)},
      {"model",
       {{"path", verdict.model.path}, {"blake3", verdict.model.blake3}, {"architecture", verdict.model.architecture}}},
      {"prompt", verdict.request.prompt},
      {"prompt_template", verdict.request.prompt_template},
      {"schedule", ScheduleName(verdict.request.schedule)},
      {"profile", {{"name", verdict.profile.name}, {"overrides", verdict.profile.overrides}}},
      {"notes", verdict.notes}};
  const auto failed = verdict.failed_rung();
  json["failed_stage"] = failed ? Json(RungName(*failed)) : Json(nullptr);
  for (const RungResult& result : verdict.rungs) json["stages"].push_back(RungJson(result));
  if (failed) {
    json["usual_causes"] = InfoOf(*failed).usual_causes;
    json["next"] = InfoOf(*failed).next_step;
  }
  return json;
}

}  // namespace parity
