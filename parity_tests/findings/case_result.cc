#include "parity_tests/findings/case_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "reference/capture/json_fields.h"

namespace parity {
namespace {

using nlohmann::json;

constexpr std::string_view kStatuses[] = {"parity", "divergence", "error", "skipped", "candidate_only"};

// JSON has no infinities and no NaN.
json Number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double ReadNumber(JsonFields& fields, const std::string& key) {
  JsonValue value;
  fields.Read(key, &value);
  if (value->is_number()) return value->get<double>();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (*value == "inf" || *value == "-inf") return *value == "inf" ? kInfinity : -kInfinity;
  if (*value != "nan") fields.Fail(key, fmt::format("found {}, expected a number, inf, -inf or nan", value->dump()));
  return std::nan("");
}

// Texts may hold bytes that are no UTF-8.
json Texts(const std::vector<std::string>& texts) {
  json array = json::array();
  for (const std::string& text : texts) array.push_back(TextToJson(text));
  return array;
}

json RowsToJson(const WorstRows& rows) {
  const WorstRows::Parts& p = rows.parts();
  json out = {{"rows", p.rows},
              {"values", p.values},
              {"differing", p.differing},
              {"non_finite", p.non_finite},
              {"furthest",
               {{"column", p.furthest.column},
                {"candidate", Number(p.furthest.candidate)},
                {"reference", Number(p.furthest.reference)},
                {"ulp", Number(p.furthest_ulp)},
                {"position", p.furthest_position}}}};
  for (const Metric metric : kMetrics) {
    out["worst"][std::string(MetricName(metric))] = {{"value", Number(rows.value(metric))},
                                                     {"position", rows.position(metric)}};
  }
  return out;
}

WorstRows RowsFromJson(JsonFields fields) {
  WorstRows::Parts p;
  fields.Read("rows", &p.rows);
  fields.Read("values", &p.values);
  fields.Read("differing", &p.differing);
  fields.Read("non_finite", &p.non_finite);
  JsonFields furthest = fields.Object("furthest");
  furthest.Read("column", &p.furthest.column);
  p.furthest.candidate = static_cast<float>(ReadNumber(furthest, "candidate"));
  p.furthest.reference = static_cast<float>(ReadNumber(furthest, "reference"));
  p.furthest_ulp = ReadNumber(furthest, "ulp");
  furthest.Read("position", &p.furthest_position);
  JsonFields worst = fields.Object("worst");
  for (const Metric metric : kMetrics) {
    JsonFields of = worst.Object(std::string(MetricName(metric)));
    p.worst[static_cast<size_t>(metric)] = ReadNumber(of, "value");
    of.Read("position", &p.position[static_cast<size_t>(metric)]);
  }
  return WorstRows(p);
}

json SideToJson(const CaseSide& side) {
  const BackendInfo& b = side.backend;
  return {{"name", TextToJson(b.name)},   {"version", TextToJson(b.version)},
          {"build", TextToJson(b.build)}, {"simd", TextToJson(b.simd)},
          {"threads", b.threads},         {"generated", side.generated},
          {"pieces", Texts(side.pieces)}, {"traces", side.traces},
          {"kernels", side.kernels}};
}

CaseSide SideFromJson(JsonFields fields) {
  CaseSide side;
  fields.Read("name", &side.backend.name);
  fields.Read("version", &side.backend.version);
  fields.Read("build", &side.backend.build);
  fields.Read("simd", &side.backend.simd);
  fields.Read("threads", &side.backend.threads);
  fields.Read("generated", &side.generated);
  fields.Read("pieces", &side.pieces);
  fields.Read("traces", &side.traces);
  JsonFields kernels = fields.Object("kernels");
  for (const std::string& name : kernels.Keys()) kernels.Read(name, &side.kernels[name]);
  return side;
}

json NamesToJson(const CaseNames& n) {
  return {{"id", n.id}, {"reference", n.reference}, {"model", n.model}, {"prompt", n.prompt}, {"schedule", n.schedule}};
}

CaseNames NamesFromJson(JsonFields& fields) {
  CaseNames names;
  fields.Read("id", &names.id);
  fields.Read("reference", &names.reference);
  fields.Read("model", &names.model);
  fields.Read("prompt", &names.prompt);
  fields.Read("schedule", &names.schedule);
  return names;
}

CaseStatus ReadStatus(JsonFields& fields) {
  std::string name;
  fields.Read("status", &name);
  const auto* found = std::find(std::begin(kStatuses), std::end(kStatuses), name);
  if (found == std::end(kStatuses)) {
    fields.Fail("status",
                fmt::format("found \"{}\", expected parity, divergence, error, skipped or candidate_only", name));
  }
  return static_cast<CaseStatus>(found - std::begin(kStatuses));
}

void ReadAsked(JsonFields asked, CaseResult& r) {
  asked.Read("model", &r.model_path);
  asked.Read("model_blake3", &r.model_blake3);
  asked.Read("architecture", &r.architecture);
  asked.Read("tokenizer", &r.tokenizer);
  asked.Read("prompt", &r.prompt);
  asked.Read("template", &r.prompt_template);
  asked.Read("profile", &r.profile);
  asked.Read("max_tokens", &r.max_tokens);
  asked.Read("threads", &r.threads);
  asked.Read("seed", &r.seed);
  asked.Read("prompt_tokens", &r.prompt_tokens);
}

}  // namespace

std::string_view CaseStatusName(CaseStatus status) { return kStatuses[static_cast<size_t>(status)]; }

std::string CaseSide::Text() const {
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  return text;
}

int CaseResult::exit_code() const {
  return status == CaseStatus::kDivergence ? 1 : status == CaseStatus::kError ? 2 : 0;
}

json ToJson(const RunPlan& plan) {
  json out = {{"schema", "bitnet-parity/run/1"},
              {"command", plan.command},
              {"candidate", plan.candidate},
              {"limits", plan.limits},
              {"cases", json::array()}};
  for (const PlannedCase& c : plan.cases) {
    json entry = NamesToJson(c.names);
    entry["model_blake3"] = c.model_blake3;
    entry["content"] = c.content;
    out["cases"].push_back(std::move(entry));
  }
  return out;
}

RunPlan ReadRunPlan(const std::string& file) {
  JsonFields fields = JsonFields::ReadFile(file, "bitnet-parity/run/1");
  RunPlan plan;
  fields.Read("command", &plan.command);
  fields.Read("candidate", &plan.candidate);
  fields.Read("limits", &plan.limits);
  for (JsonFields& entry : fields.Objects("cases")) {
    PlannedCase& c = plan.cases.emplace_back();
    c.names = NamesFromJson(entry);
    if (c.names.id.empty() || c.names.id.find('/') != std::string::npos || c.names.id.starts_with('.')) {
      entry.Fail("id", fmt::format("found \"{}\", expected the name of a folder", c.names.id));
    }
    entry.Read("model_blake3", &c.model_blake3);
    entry.Read("content", &c.content);
  }
  return plan;
}

json ToJson(const CaseResult& r) {
  json out = {{"schema", "bitnet-parity/case/1"},
              {"content", r.content},
              {"engines", r.engines},
              {"status", CaseStatusName(r.status)},
              {"exit_code", r.exit_code()},
              {"machine", {{"cpu", r.cpu}, {"libc", r.libc}}},
              {"asked",
               {{"model", TextToJson(r.model_path)},
                {"model_blake3", r.model_blake3},
                {"architecture", TextToJson(r.architecture)},
                {"tokenizer", TextToJson(r.tokenizer)},
                {"prompt", TextToJson(r.prompt)},
                {"template", r.prompt_template},
                {"profile", r.profile},
                {"max_tokens", r.max_tokens},
                {"threads", r.threads},
                {"seed", r.seed},
                {"prompt_tokens", r.prompt_tokens}}},
              {"candidate", SideToJson(r.candidate)},
              {"reference_engine", SideToJson(r.reference)},
              {"failed_stage", r.failed_stage},
              {"message", TextToJson(r.message)},
              {"known_fault", r.known_fault},
              {"notes", Texts(r.notes)},
              {"where", Texts(r.where)},
              {"causes", Texts(r.causes)},
              {"advice", Texts(r.advice)},
              {"first_difference", TextToJson(r.first_difference)},
              {"prompt_figures", RowsToJson(r.prompt_rows)},
              {"decode_figures", RowsToJson(r.decode_rows)},
              {"tokens_equal", r.tokens_equal},
              {"ties", r.ties},
              {"tensors", json::array()}};
  out.update(NamesToJson(r.names));
  for (const TensorFigures& t : r.tensors) {
    out["tensors"].push_back({{"stage", TextToJson(t.stage)},
                              {"layer", t.layer},
                              {"tensors", t.tensors},
                              {"equal", t.equal},
                              {"rms_candidate", Number(t.rms_candidate)},
                              {"rms_reference", Number(t.rms_reference)},
                              {"worst_relative", Number(t.worst_relative)}});
  }
  return out;
}

CaseResult ReadCaseResult(const std::string& file) {
  JsonFields fields = JsonFields::ReadFile(file, "bitnet-parity/case/1");
  CaseResult r;
  r.names = NamesFromJson(fields);
  fields.Read("content", &r.content);
  fields.Read("engines", &r.engines);
  r.status = ReadStatus(fields);
  JsonFields machine = fields.Object("machine");
  machine.Read("cpu", &r.cpu);
  machine.Read("libc", &r.libc);
  ReadAsked(fields.Object("asked"), r);
  r.candidate = SideFromJson(fields.Object("candidate"));
  r.reference = SideFromJson(fields.Object("reference_engine"));
  fields.Read("failed_stage", &r.failed_stage);
  fields.Read("message", &r.message);
  fields.ReadIfPresent("known_fault", &r.known_fault);
  fields.Read("notes", &r.notes);
  fields.Read("where", &r.where);
  fields.Read("causes", &r.causes);
  fields.Read("advice", &r.advice);
  fields.Read("first_difference", &r.first_difference);
  r.prompt_rows = RowsFromJson(fields.Object("prompt_figures"));
  r.decode_rows = RowsFromJson(fields.Object("decode_figures"));
  fields.Read("tokens_equal", &r.tokens_equal);
  fields.Read("ties", &r.ties);
  for (JsonFields& entry : fields.Objects("tensors")) {
    TensorFigures& t = r.tensors.emplace_back();
    entry.Read("stage", &t.stage);
    entry.Read("layer", &t.layer);
    entry.Read("tensors", &t.tensors);
    entry.Read("equal", &t.equal);
    t.rms_candidate = ReadNumber(entry, "rms_candidate");
    t.rms_reference = ReadNumber(entry, "rms_reference");
    t.worst_relative = ReadNumber(entry, "worst_relative");
  }
  return r;
}

std::string Difference(const RunPlan& there, const RunPlan& here) {
  const auto differs = [](std::string_view what, const std::string& a, const std::string& b) {
    return a == b ? "" : fmt::format("{}: found {}, here it is {}", what, a, b);
  };
  for (const std::string& text :
       {differs("command", there.command, here.command), differs("candidate", there.candidate, here.candidate),
        differs("limits", there.limits, here.limits),
        differs("cases", std::to_string(there.cases.size()), std::to_string(here.cases.size()))}) {
    if (!text.empty()) return text;
  }
  for (size_t i = 0; i < here.cases.size(); ++i) {
    const PlannedCase &a = there.cases[i], &b = here.cases[i];
    std::string text = differs("case", a.names.id, b.names.id);
    if (text.empty()) text = differs("model of case " + b.names.id, a.model_blake3, b.model_blake3);
    if (text.empty() && a != b)
      text = fmt::format("request of case {}: another prompt, schedule or option", b.names.id);
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace parity
