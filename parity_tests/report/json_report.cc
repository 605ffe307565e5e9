#include "parity_tests/report/json_report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/replay_verdict.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/said_report.h"

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
  if (!result.partly.empty()) json["partly"] = result.partly;
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
    if (!result.at.empty()) json["positions"] = result.at;
    json["bit_identical_share"] = result.worst.identical_share();
    json["logits"] = result.worst.values();
    json["differing"] = result.worst.differing();
    json["furthest"] = Furthest(result.worst);
  }
  if (!result.top_candidate.empty()) json["top5"]["candidate"] = Top(result.top_candidate);
  if (!result.top_reference.empty()) json["top5"]["reference"] = Top(result.top_reference);
  return json;
}

Json StageNames(const std::vector<Rung>& rungs) {
  Json names = Json::array();
  for (const Rung rung : rungs) names.push_back(RungName(rung));
  return names;
}

// What was judged, and what the two sides show.
Json CoverageJson(const Verdict& verdict) {
  std::vector<Rung> judged, in_part, not_judged;
  for (const RungResult& r : verdict.rungs) {
    if (r.status == Status::kNotJudged) not_judged.push_back(r.rung);
    if (r.status != Status::kPass && r.status != Status::kFail) continue;
    (r.partly.empty() ? judged : in_part).push_back(r.rung);
  }
  return {{"limited", verdict.limited()},
          {"judged", StageNames(judged)},
          {"in_part", StageNames(in_part)},
          {"not_judged", StageNames(not_judged)},
          {"required", StageNames(verdict.required)},
          {"missing", StageNames(verdict.not_covered())},
          {"candidate_shows", verdict.candidate_shows},
          {"reference_shows", verdict.reference_shows}};
}

Json KnownFaultJson(const FoundFault& fault) {
  return {{"id", fault.id},
          {"what", fault.what},
          {"versions", fault.versions},
          {"link", fault.link},
          {"operation", PointText(fault.point)},
          {"proof", fault.proof},
          {"accepted", fault.accepted},
          {"failed_stage_without", fault.without ? Json(RungName(*fault.without)) : Json(nullptr)}};
}

Json OperationJson(const ReplayResult& r) {
  Json json = {{"stage", bitnet::PointName(r.place.point)},
               {"layer", r.place.layer},
               {"verdict", ReplayVerdictName(r.verdict)},
               {"elements", r.elements},
               {"differing", r.differing},
               {"max_abs", JsonNumber(r.max_abs)},
               {"error_over_tolerance", JsonNumber(r.max_error)},
               {"tolerance_units", r.tolerance_units}};
  if (r.index >= 0) {
    json["worst"] = {{"position", r.place.position},
                     {"index", r.index},
                     {"ours", JsonNumber(r.ours)},
                     {"reference", JsonNumber(r.reference)}};
  }
  if (!r.missing.empty()) json["missing"] = r.missing;
  return json;
}

}  // namespace

Json JsonNumber(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json JsonReport(const Verdict& verdict) {
  Json json = {
      {"schema", "bitnet-parity/verdict/1"},
      {"verdict", OutcomeName(verdict.outcome())},
      {"exit_code", ExitCode(verdict)},
      {"at_fault", AtFaultName(verdict.at_fault)},
      {"candidate", BackendJson(verdict.candidate)},
      {"reference", BackendJson(verdict.reference)},
      {"model",
       {{"path", verdict.model.path}, {"blake3", verdict.model.blake3}, {"architecture", verdict.model.architecture}}},
      {"prompt", verdict.request.prompt},
      {"prompt_template", verdict.request.prompt_template},
      {"schedule", ScheduleName(verdict.request.schedule)},
      {"profile", {{"name", verdict.profile.name}, {"overrides", verdict.profile.overrides}}},
      {"notes", verdict.notes}};
  json["said"] = SaidJson(SaidSidesOf(verdict), "candidate", "reference");
  json["coverage"] = CoverageJson(verdict);
  json["known_fault"] = verdict.known_fault ? KnownFaultJson(*verdict.known_fault) : Json(nullptr);
  const auto failed = verdict.failed_rung();
  json["failed_stage"] = failed ? Json(RungName(*failed)) : Json(nullptr);
  for (const RungResult& result : verdict.rungs) json["stages"].push_back(RungJson(result));
  if (failed && !verdict.rung(*failed).explains_itself) {
    for (const std::string_view cause : InfoOf(*failed).usual_causes()) json["usual_causes"].push_back(cause);
    json["next"] = InfoOf(*failed).next_step;
  }
  return json;
}

Json ReplayJson(const ReplayRun& run) {
  Json json = {{"schema", "bitnet-parity/replay/1"},
               {"reference", DescribeBackend(run.reference)},
               {"model", run.model.path},
               {"schedule", run.schedule},
               {"order", run.order},
               {"order_is_known", run.order_is_known},
               {"verdict", "parity"},
               {"operations", Json::array()}};
  for (const ReplayResult& r : run.results) {
    json["operations"].push_back(OperationJson(r));
    json["operations"].back()["fails"] = Fails(r, run.order_is_known);
    if (Fails(r, run.order_is_known)) json["verdict"] = "divergence";
  }
  return json;
}

Json BisectionJson(const Bisection& b) {
  return {{"schema", "bitnet-parity/bisect/1"},
          {"verdict", BisectVerdictName(b.verdict)},
          {"ladder_stage", b.failed_rung ? Json(RungName(*b.failed_rung)) : Json()},
          {"message", b.message},
          {"prompt_length", b.prompt_length},
          {"prefix_length", b.prefix_length},
          {"position", b.place.position},
          {"token", b.token},
          {"token_text", b.token_text},
          {"candidate_token", b.candidate_token},
          {"layer", b.place.layer},
          {"stage", PointText(b.place.point)},
          {"inputs_equal", b.inputs_equal},
          {"replay_candidate", OperationJson(b.replay_candidate)},
          {"replay_reference", OperationJson(b.replay_reference)},
          {"captures", b.captures},
          {"steps", b.steps}};
}

Json CausesJson(const Diagnosis& d) {
  Json causes = Json::array();
  for (const Cause& cause : d.causes) {
    causes.push_back({{"id", cause.id},
                      {"what", cause.what},
                      {"certainty", CertaintyName(cause.certainty)},
                      {"evidence", cause.evidence},
                      {"remedy", cause.remedy}});
  }
  return causes;
}

namespace {

Json SurveyJson(const Survey& survey) {
  Json json = {{"operations", survey.operations},
               {"exact", survey.exact},
               {"not_traced", survey.not_traced},
               {"habits", Json::array()},
               {"findings", Json::array()}};
  for (const Habit& h : survey.habits) {
    json["habits"].push_back({{"id", h.id}, {"what", h.what}, {"how", h.how}, {"stages", h.where}});
  }
  for (const SurveyFinding& f : survey.findings) {
    Json causes = Json::array();
    for (const Cause& c : f.causes) {
      causes.push_back({{"id", c.id}, {"certainty", CertaintyName(c.certainty)}, {"evidence", c.evidence}});
    }
    json["findings"].push_back({{"where", f.where},
                                {"stage", PointText(f.place.point)},
                                {"position", f.place.position},
                                {"layers", f.layers},
                                {"element", f.element},
                                {"found", JsonNumber(f.found)},
                                {"expected", JsonNumber(f.expected)},
                                {"times_the_limit", JsonNumber(f.times_the_limit)},
                                {"estimate", f.estimate},
                                {"causes", std::move(causes)}});
  }
  return json;
}

}  // namespace

Json ExplanationJson(const Explanation& e) {
  const Place at = e.location();
  Json json = {{"causes", CausesJson(e.diagnosis)},
               {"position", at.position},
               {"layer", at.layer},
               {"stage", PointText(at.point)},
               {"bisection", e.bisection ? BisectionJson(*e.bisection) : Json()}};
  if (e.candidate) json["survey"] = SurveyJson(*e.candidate);
  if (e.reference) json["survey_of_reference"] = SurveyJson(*e.reference);
  if (!e.not_surveyed.empty()) json["not_surveyed"] = e.not_surveyed;
  if (!e.not_bisected.empty()) json["not_bisected"] = e.not_bisected;
  if (!e.not_diagnosed.empty()) json["not_diagnosed"] = e.not_diagnosed;
  return json;
}

Json NoiseJson(const NoiseFloor& floor) {
  const auto figures = [](const WorstRows& worst) {
    Json json;
    for (const Metric metric : kMetrics) json[std::string(MetricName(metric))] = JsonNumber(worst.value(metric));
    json["identical_share"] = worst.identical_share();
    return json;
  };
  Json json = {{"schema", "bitnet-parity/noise/1"},
               {"reference", DescribeBackend(floor.backend)},
               {"model", floor.model.path},
               {"tokens", floor.n_tokens},
               {"captures", floor.captures},
               {"floor", figures(floor.All())},
               {"floor_like_schedules", figures(floor.Like())},
               {"rows", Json::array()}};
  for (const NoiseRow& row : floor.rows) {
    Json entry = figures(row.worst);
    entry["what"] = row.what;
    entry["like_schedules"] = row.like_schedules;
    entry["positions"] = row.worst.rows();
    entry["argmax_equal"] = row.argmax_equal;
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

Json TraceDiffJson(const TraceDiff& diff) {
  Json json = {{"schema", "bitnet-parity/trace-diff/1"},
               {"verdict", diff.equal() ? "equal" : "divergence"},
               {"a", diff.a},
               {"b", diff.b},
               {"first", diff.first ? Json(diff.tensors[*diff.first].name) : Json()},
               {"only_a", diff.only_a},
               {"only_b", diff.only_b},
               {"notes", diff.notes},
               {"said", SaidJson({.name_a = "a", .name_b = "b", .a = &diff.said_a, .b = &diff.said_b}, "a", "b")},
               {"tensors", Json::array()}};
  for (const TensorDifference& d : diff.tensors) {
    Json tensor = {{"name", d.name},
                   {"seq", d.place.position},
                   {"layer", d.place.layer},
                   {"stage", d.stage},
                   {"status", TensorStatusName(d.status)},
                   {"hash_equal", d.status == TensorStatus::kEqual},
                   {"blake3_a", d.blake3_a},
                   {"blake3_b", d.blake3_b},
                   {"shape_a", d.shape_a},
                   {"shape_b", d.shape_b},
                   {"dtype_a", d.dtype_a},
                   {"dtype_b", d.dtype_b},
                   {"rms_a", JsonNumber(d.rms_a)},
                   {"rms_b", JsonNumber(d.rms_b)},
                   {"rms_relative", JsonNumber(d.rms_relative)}};
    if (d.raw) {
      tensor["raw"] = {{"max_abs", JsonNumber(d.raw->max_abs)}, {"mse", JsonNumber(d.raw->mse)},
                       {"cosine", JsonNumber(d.raw->cosine)},   {"worst_index", d.raw->worst_index},
                       {"worst_a", JsonNumber(d.raw->worst_a)}, {"worst_b", JsonNumber(d.raw->worst_b)},
                       {"differing", d.raw->differing}};
    }
    json["tensors"].push_back(std::move(tensor));
  }
  return json;
}

}  // namespace parity
