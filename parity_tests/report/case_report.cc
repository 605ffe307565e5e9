#include "parity_tests/report/case_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

CaseSide SideOf(const Capture& capture) {
  CaseSide side = {.backend = capture.backend,
                   .generated = capture.generated,
                   .pieces = capture.generated_pieces,
                   .traces = static_cast<int64_t>(capture.traces.size())};
  if (side.pieces.empty() && !GeneratedText(capture).empty()) side.pieces = {GeneratedText(capture)};
  if (!capture.extra->is_object() || !capture.extra->contains("kernels")) return side;
  for (const auto& [name, calls] : capture.extra->at("kernels").items()) {
    if (calls.is_number_unsigned()) side.kernels[name] = calls;
  }
  return side;
}

void AddRequest(const Verdict& verdict, CaseResult& r) {
  r.model_path = verdict.request.model;
  r.model_blake3 = verdict.model.blake3;
  r.architecture = verdict.model.architecture;
  r.tokenizer = verdict.request.tokenizer;
  r.prompt = verdict.request.prompt;
  r.prompt_template = verdict.request.prompt_template;
  r.profile = DescribeProfile(verdict.profile);
  r.max_tokens = verdict.request.max_tokens;
  r.threads = verdict.request.threads;
  r.seed = verdict.request.seed;
}

TensorFigures& FiguresOf(const std::string& stage, int layer, std::vector<TensorFigures>& tensors) {
  for (TensorFigures& t : tensors) {
    if (t.layer == layer && t.stage == stage) return t;
  }
  return tensors.emplace_back(TensorFigures{.stage = stage, .layer = layer});
}

// From sums of squares to roots of means.
void TakeRoots(std::vector<TensorFigures>& tensors) {
  for (TensorFigures& t : tensors) {
    t.rms_candidate = std::sqrt(t.rms_candidate / static_cast<double>(t.tensors));
    t.rms_reference = std::sqrt(t.rms_reference / static_cast<double>(t.tensors));
  }
}

// The figures of every stage and layer, from the traces that both sides have.
void AddTensors(const Captures& captures, CaseResult& r) {
  if (captures.candidate.traces.empty() || captures.reference.traces.empty()) return;
  TraceDiff diff;
  try {
    diff = DiffTraces(captures.candidate, captures.reference,
                      {.raw = RawTensors::kNo, .check_complete = false, .check_model = false});
  } catch (const std::exception& error) {
    r.notes.push_back(fmt::format("the traces cannot be compared: {}", error.what()));
    return;
  }
  if (diff.first) r.first_difference = diff.tensors[*diff.first].name;
  r.tensors = FiguresOf(diff);
}

// One side shows its text, and not of which tokens it is.
bool TextAlone(const CaseResult& r) {
  return r.candidate.generated.empty() != r.reference.generated.empty() && !r.candidate.pieces.empty() &&
         !r.reference.pieces.empty();
}

void AddCaptures(const Captures& captures, CaseResult& r) {
  r.candidate = SideOf(captures.candidate);
  r.reference = SideOf(captures.reference);
  r.prompt_tokens = static_cast<int64_t>(captures.reference.tokens.size());
  const std::vector<int32_t>&a = r.candidate.generated, &b = r.reference.generated;
  r.tokens_equal = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  if (TextAlone(r) && r.candidate.Text() == r.reference.Text())
    r.tokens_equal = static_cast<int64_t>(r.candidate.pieces.size());
  AddTensors(captures, r);
}

void AddAdvice(const Verdict& verdict, const Explanation* explanation, CaseResult& r) {
  if (explanation != nullptr) {
    r.where = WhereLines(*explanation);
    for (const Cause& cause : explanation->diagnosis.causes) {
      r.causes.push_back(fmt::format("{} ({}): {}", cause.what, CertaintyName(cause.certainty), cause.evidence));
      r.advice.push_back(cause.remedy);
    }
  }
  const std::optional<Rung> failed = verdict.failed_rung();
  if (failed && r.causes.empty() && *failed != Rung::kPreflight) r.advice.emplace_back(InfoOf(*failed).next_step);
  if (failed == Rung::kPreflight)
    r.advice.emplace_back("make both engines answer: the message says what is in the way");
  if (!failed && r.status == CaseStatus::kParity) {
    r.advice.emplace_back(
        "none: both engines compute the same; where their text is nonsense, it is the model or the prompt");
  }
}

std::string Lines(const std::vector<std::string>& lines, std::string_view none = "") {
  if (lines.empty()) return none.empty() ? "" : fmt::format("  {}\n", none);
  return fmt::format("  {}\n", fmt::join(lines, "\n  "));
}

std::string SideText(std::string_view name, const CaseSide& side) {
  if (side.backend.name.empty()) return fmt::format("  {}: no answer\n", name);
  return fmt::format("  {}: {}, {} threads; answered, {} generated tokens, {} traces\n", name,
                     DescribeBackend(side.backend), side.backend.threads, side.generated.size(), side.traces);
}

std::string MetricsText(const CaseResult& r) {
  const WorstRows& p = r.prompt_rows;
  if (p.rows() == 0) return "  no logits were compared\n";
  std::string text = fmt::format("  worst of {} positions:", p.rows());
  for (const Metric metric : {Metric::kCosine, Metric::kMse, Metric::kMaxAbs, Metric::kKl, Metric::kTop5Overlap}) {
    text += fmt::format(" {} {};", MetricName(metric), FormatMetric(metric, p.value(metric)));
  }
  return text + fmt::format(" {} bit-identical\n  band: {}\n", FormatShare(p.identical_share()), Band(r));
}

}  // namespace

CaseResult MakeCaseResult(const CaseNames& names, const Verdict& verdict, const Captures* captures,
                          const Explanation* explanation) {
  CaseResult r;
  r.names = names;
  const RungResult& preflight = verdict.rung(Rung::kPreflight);
  // What must be judged and was not is an error.
  r.status = preflight.status == Status::kSkip ? CaseStatus::kSkipped
             : ExitCode(verdict) == 0          ? CaseStatus::kParity
             : ExitCode(verdict) == 1          ? CaseStatus::kDivergence
                                               : CaseStatus::kError;
  AddRequest(verdict, r);
  r.notes = verdict.notes;
  if (verdict.known_fault && verdict.known_fault->accepted) r.known_fault = verdict.known_fault->id;
  if (verdict.limited()) r.notes.push_back("limited coverage: " + DescribeCoverage(verdict));
  if (captures != nullptr) AddCaptures(*captures, r);
  if (r.status == CaseStatus::kSkipped) r.message = preflight.message;
  if (const std::optional<Rung> failed = verdict.failed_rung()) {
    r.failed_stage = RungName(*failed);
    r.message = verdict.rung(*failed).message;
  } else if (r.status == CaseStatus::kError) {
    r.failed_stage = "coverage";
    r.message = CoverageProblem(verdict);
  }
  r.prompt_rows = Figures(verdict);
  const RungResult& decode = verdict.rung(Rung::kDecode);
  r.decode_rows = decode.worst;
  if (decode.status == Status::kPass) r.ties = static_cast<int64_t>(decode.notes.size());
  AddAdvice(verdict, explanation, r);
  return r;
}

std::vector<TensorFigures> FiguresOf(const TraceDiff& diff) {
  std::vector<TensorFigures> tensors;
  for (const TensorDifference& d : diff.tensors) {
    TensorFigures& t = FiguresOf(d.stage, d.place.layer, tensors);
    ++t.tensors;
    t.equal += d.status == TensorStatus::kEqual ? 1 : 0;
    t.rms_candidate += d.rms_a * d.rms_a;
    t.rms_reference += d.rms_b * d.rms_b;
    t.worst_relative = std::max(t.worst_relative, d.rms_relative);
  }
  TakeRoots(tensors);
  return tensors;
}

CaseResult CandidateOnly(const CaseNames& names, const Capture& candidate, const Profile& profile) {
  CaseResult r;
  r.names = names;
  r.status = CaseStatus::kCandidateOnly;
  Verdict asked;
  asked.request = candidate.request;
  asked.model = candidate.model;
  asked.profile = profile;
  AddRequest(asked, r);
  r.candidate = SideOf(candidate);
  r.prompt_tokens = static_cast<int64_t>(candidate.tokens.size());
  for (const TraceRecord& record : candidate.traces) {
    TensorFigures& t = FiguresOf(record.stage, record.layer, r.tensors);
    ++t.tensors;
    t.rms_candidate += record.rms * record.rms;
    t.rms_reference = std::nan("");
  }
  TakeRoots(r.tensors);
  return r;
}

std::string_view Band(const CaseResult& r) {
  if (r.prompt_rows.rows() == 0) return "";
  const double cosine = r.prompt_rows.value(Metric::kCosine);
  return cosine >= 0.99   ? "excellent (cosine >= 0.99)"
         : cosine >= 0.95 ? "minor divergence (cosine 0.95 to 0.99)"
                          : "significant divergence (cosine < 0.95)";
}

std::string TokenMatch(const CaseResult& r) {
  if (r.status == CaseStatus::kCandidateOnly) return "candidate_only";
  if (r.candidate.backend.name.empty() || r.reference.backend.name.empty()) return "not compared";
  if (TextAlone(r)) return r.candidate.Text() == r.reference.Text() ? "ok" : "the texts differ";
  const auto all = static_cast<int64_t>(std::max(r.candidate.generated.size(), r.reference.generated.size()));
  return r.tokens_equal == all ? "ok" : fmt::format("differs at generated token {}", r.tokens_equal);
}

std::string CaseText(const CaseResult& r) {
  std::string out = fmt::format("{}: {}{}\n", r.names.id, CaseStatusName(r.status),
                                r.failed_stage.empty() ? "" : " at " + r.failed_stage);
  out += fmt::format(
      "\nConfiguration\n  model: {} (blake3 {})\n  tokenizer: {}\n  prompt: {} ({}), {} tokens\n"
      "  max tokens: {}, greedy; schedule: {}; threads: {}; seed: {}; profile: {}\n",
      r.model_path, r.model_blake3.empty() ? "unknown" : r.model_blake3,
      r.tokenizer.empty() ? "in the model's file" : r.tokenizer, Quote(r.prompt), r.prompt_template, r.prompt_tokens,
      r.max_tokens, r.names.schedule, r.threads, r.seed, r.profile);
  out += fmt::format("\nExecution\n  exit code: {}\n", r.exit_code());
  out += SideText("candidate", r.candidate);
  if (r.status != CaseStatus::kCandidateOnly) out += SideText("reference " + r.names.reference, r.reference);
  out += fmt::format("\nOutput\n  candidate: {}\n", Quote(r.candidate.Text()));
  if (r.status != CaseStatus::kCandidateOnly) out += fmt::format("  reference: {}\n", Quote(r.reference.Text()));
  out += fmt::format("  token match: {}\n\nParity\n{}", TokenMatch(r), MetricsText(r));
  if (!r.message.empty()) out += fmt::format("  what differs: {}\n", r.message);
  out += Lines(r.notes);
  out += fmt::format("\nFirst differing component\n  trace: {}\n{}",
                     r.first_difference.empty() ? "none" : r.first_difference, Lines(r.where));
  if (!r.causes.empty()) out += "\nCauses\n" + Lines(r.causes);
  out += "\nRecommendations\n" + Lines(r.advice, "none");
  return out;
}

}  // namespace parity
