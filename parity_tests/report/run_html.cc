// The page of a matrix or a sweep: every case, what the engines said, and where inside the model they differ.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/report/case_report.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/html_style.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/run_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

std::string_view StatusClass(CaseStatus status) {
  constexpr std::string_view kClasses[] = {"pass", "fail", "fail", "skip", "none"};
  return kClasses[static_cast<size_t>(status)];
}

// How far the reference is from itself: of the same prompt, the same tensor, in the other schedule.
class Noise {
 public:
  Noise(const RunReport& report, const CaseResult& of) {
    for (const CaseResult& r : report.results) {
      const CaseNames &a = r.names, &b = of.names;
      if (a.prompt == b.prompt && a.model == b.model && a.reference == b.reference && a.schedule != b.schedule &&
          !r.tensors.empty()) {
        other_ = &r;
      }
    }
  }

  bool known() const { return other_ != nullptr; }
  // The reference's RMS there; NaN where it is not known.
  double Rms(const TensorFigures& t) const {
    if (other_ == nullptr) return std::nan("");
    const auto found = std::find_if(other_->tensors.begin(), other_->tensors.end(),
                                    [&t](const TensorFigures& o) { return o.stage == t.stage && o.layer == t.layer; });
    return found == other_->tensors.end() ? std::nan("") : found->rms_reference;
  }
  double Relative(const TensorFigures& t) const {
    const double here = t.rms_reference, there = Rms(t), larger = std::max(std::fabs(here), std::fabs(there));
    return larger > 0 ? std::fabs(here - there) / larger : 0;
  }

 private:
  const CaseResult* other_ = nullptr;
};

std::string CasesTable(const RunReport& report) {
  std::string rows;
  for (const CaseResult& r : report.results) {
    const bool compared = r.prompt_rows.rows() > 0;
    const std::string stage = r.failed_stage.empty() ? "" : " at " + r.failed_stage;
    rows += Tag("tr", Tag("td", Tag(fmt::format("a href=\"{}/report.html\"", Escape(r.names.id)), Escape(r.names.id))) +
                          Tag("td", Tag(fmt::format("span class=\"state {}\"", StatusClass(r.status)),
                                        Escape(std::string(CaseStatusName(r.status)) + stage))) +
                          Tag("td", Escape(TokenMatch(r))) +
                          Tag("td class=\"num\"",
                              compared ? FormatMetric(Metric::kCosine, r.prompt_rows.value(Metric::kCosine)) : "") +
                          Tag("td", Escape(Band(r))) +
                          Tag("td class=\"num\"", compared ? FormatShare(r.prompt_rows.identical_share()) : "") +
                          Tag("td", Escape(r.where.empty() ? r.first_difference : r.where.front()))) +
            "\n";
  }
  std::string head;
  for (const char* name :
       {"case", "status", "token match", "worst cosine", "band", "bit-identical", "first difference"}) {
    head += Tag("th", name);
  }
  return Tag("h3", "Cases") +
         Tag("div class=\"wide\"", Tag("table", Tag("thead", Tag("tr", head)) + Tag("tbody", rows)));
}

// What an engine said; the tokens from the first that differs on are marked.
std::string Said(std::string_view side, const CaseSide& s, int64_t equal) {
  if (s.backend.name.empty()) return Tag("p", Tag(fmt::format("b class=\"{}\"", side), "no answer"));
  std::string same, rest;
  for (size_t i = 0; i < s.pieces.size(); ++i) (static_cast<int64_t>(i) < equal ? same : rest) += s.pieces[i];
  return Tag("p class=\"lines\"", Tag(fmt::format("b class=\"{}\"", side), Escape(DescribeBackend(s.backend))) + "\n" +
                                      Escape(same) + (rest.empty() ? "" : Tag("mark", Escape(rest))));
}

std::string Texts(const RunReport& report) {
  std::string cards;
  for (const CaseResult& r : report.results) {
    const bool alone = r.status == CaseStatus::kCandidateOnly;
    const auto all = static_cast<int64_t>(r.candidate.pieces.size());
    cards += Tag("div class=\"card\"", Tag("h4", Escape(r.names.id)) + Tag("p class=\"dim\"", Escape(Quote(r.prompt))) +
                                           Said("cand", r.candidate, alone ? all : r.tokens_equal) +
                                           (alone ? "" : Said("ref", r.reference, r.tokens_equal)));
  }
  return Tag("h3", "What each engine said") + Tag("div class=\"cards plots\"", cards) + "\n";
}

// Stages in the order of the computation, and how many layers there are.
std::vector<std::string> StagesOf(const CaseResult& r) {
  std::vector<std::string> stages;
  for (const TensorFigures& t : r.tensors) {
    if (std::find(stages.begin(), stages.end(), t.stage) == stages.end()) stages.push_back(t.stage);
  }
  return stages;
}
int LayersOf(const CaseResult& r) {
  int layers = 0;
  for (const TensorFigures& t : r.tensors) layers = std::max(layers, t.layer + 1);
  return layers;
}

// A step of colour is a factor of ten from the reference's own noise, or, where that is not known, below 1.
std::string CellClass(const TensorFigures& t, const Noise& noise) {
  const double d = t.worst_relative;
  if (!std::isfinite(d)) return "inf";
  if (t.equal == t.tensors) return "z";
  const auto level = [](double step, int last) { return static_cast<int>(std::clamp<double>(step, 0, last)); };
  const double floor = noise.known() ? noise.Relative(t) : 0;
  if (d > kSuspiciousRms) return fmt::format("o{}", level(std::log10(d / kSuspiciousRms) + 2, 3));
  if (floor > 0 && d <= floor) return fmt::format("w{}", level(4 + std::log10(std::max(d, 1e-12) / floor), 4));
  return fmt::format("n{}", d == 0 ? 0 : level(std::log10(d) + 7, 4));
}

std::string CellTitle(const TensorFigures& t, const Noise& noise) {
  std::string text = fmt::format("{}{}\n{} of {} tensors equal\nRMS {:.6g}, reference {:.6g}\nworst relative {:.3g}",
                                 t.stage, t.layer < 0 ? "" : fmt::format(", layer {}", t.layer), t.equal, t.tensors,
                                 t.rms_candidate, t.rms_reference, t.worst_relative);
  if (noise.known()) text += fmt::format("\nthe reference against itself {:.3g}", noise.Relative(t));
  return Tag("title", Escape(text));
}

std::string LayerMap(const CaseResult& r, const Noise& noise) {
  constexpr int kLabels = 128, kTop = 16, kHeight = 16, kWidth = 15;
  const std::vector<std::string> stages = StagesOf(r);
  const int layers = std::max(1, LayersOf(r));
  std::string out;
  for (size_t row = 0; row < stages.size(); ++row) {
    const int y = kTop + kHeight * static_cast<int>(row);
    out += Tag(fmt::format("text class=\"dim\" x=\"{}\" y=\"{}\" text-anchor=\"end\"", kLabels - 6, y + 11),
               Escape(Shorten(stages[row], 20)));
    for (const TensorFigures& t : r.tensors) {
      if (t.stage != stages[row]) continue;
      const int x = kLabels + kWidth * std::max(0, t.layer);
      out += Tag(
          "g", CellTitle(t, noise) + fmt::format("<rect class=\"c {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                                                 CellClass(t, noise), x, y, kWidth - 1, kHeight - 1));
    }
  }
  for (int layer = 0; layer < layers; layer += 4) {
    out += Tag(fmt::format("text class=\"dim\" x=\"{}\" y=\"11\"", kLabels + kWidth * layer), std::to_string(layer));
  }
  const int width = kLabels + kWidth * layers, height = kTop + kHeight * static_cast<int>(stages.size());
  return Tag(
      fmt::format("svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"stages down, "
                  "layers across\"",
                  width, height),
      out + "\n");
}

// Of one stage: RMS over layers, on a logarithmic scale; dotted where the reference stands in the other schedule.
std::string RmsPlot(const CaseResult& r, const std::string& stage, const Noise& noise) {
  constexpr double kWidth = 240, kHeight = 90, kLeft = 44;
  struct Line {
    const char* name;
    std::function<double(const TensorFigures&)> value;
  };
  const Line lines[] = {{"noise", [&](const TensorFigures& t) { return noise.Rms(t); }},
                        {"ref", [](const TensorFigures& t) { return t.rms_reference; }},
                        {"cand", [](const TensorFigures& t) { return t.rms_candidate; }}};
  double low = 0, high = 0;
  bool some = false;
  for (const TensorFigures& t : r.tensors) {
    for (const Line& line : lines) {
      if (t.stage != stage || !(line.value(t) > 0) || !std::isfinite(line.value(t))) continue;
      const double v = std::log10(line.value(t));
      low = some ? std::min(low, v) : v;
      high = some ? std::max(high, v) : v;
      some = true;
    }
  }
  if (!some) return "";
  const double range = std::max(high - low, 0.05);
  const int layers = std::max(2, LayersOf(r));
  std::string out;
  for (const Line& line : lines) {
    std::string points;
    for (const TensorFigures& t : r.tensors) {
      if (t.stage != stage || !(line.value(t) > 0) || !std::isfinite(line.value(t))) continue;
      points += fmt::format("{:.1f},{:.1f} ", kLeft + (kWidth - kLeft - 4) * std::max(0, t.layer) / (layers - 1),
                            kHeight - 6 - (kHeight - 14) * (std::log10(line.value(t)) - low) / range);
    }
    if (!points.empty()) out += fmt::format("<polyline class=\"line {}\" points=\"{}\"/>", line.name, points);
  }
  out += Tag(fmt::format("text class=\"dim\" x=\"0\" y=\"{}\"", kHeight - 4), fmt::format("{:.3g}", std::pow(10, low)));
  out += Tag("text class=\"dim\" x=\"0\" y=\"11\"", fmt::format("{:.3g}", std::pow(10, low + range)));
  return Tag("div class=\"card\"",
             Tag("h4", Escape(stage)) + Tag(fmt::format("svg class=\"plot\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
                                                        "aria-label=\"RMS over layers\"",
                                                        kWidth, kHeight),
                                            out));
}

std::string Inside(const RunReport& report) {
  std::string out;
  for (const CaseResult& r : report.results) {
    if (r.tensors.empty()) continue;
    const Noise noise(report, r);
    const bool alone = r.status == CaseStatus::kCandidateOnly;
    out += Tag("h3", Escape(r.names.id));
    if (!alone) out += Tag("h4", "Stages and layers") + Tag("div class=\"heat\"", LayerMap(r, noise));
    std::string plots;
    for (const std::string& stage : StagesOf(r)) {
      const auto in_layers = std::count_if(r.tensors.begin(), r.tensors.end(),
                                           [&](const TensorFigures& t) { return t.stage == stage && t.layer >= 0; });
      if (in_layers > 0) plots += RmsPlot(r, stage, noise);
    }
    out += Tag("details", Tag("summary", "RMS along the layers") + Tag("div class=\"cards plots\"", plots)) + "\n";
  }
  if (out.empty()) return "";
  return Tag("h2 class=\"none\"", "Inside the model") +
         Key({{{"z"}, "every bit equal"},
              {{"w0", "w1", "w2", "w3", "w4"},
               "within the reference's own noise (the other schedule), a factor of ten each"},
              {{"n0", "n1", "n2", "n3", "n4"}, "beyond it, or it is not known: RMS differ by 1e-7 to 1e-2"},
              {{"o2", "o3"}, "RMS differ by more than 1 %"},
              {{"inf"}, "NaN or infinity"}}) +
         Key({{{"cand"}, "candidate"}, {{"ref"}, "reference"}}) + out;
}

std::string Environment(const RunReport& report) {
  std::string out;
  std::vector<std::string> seen;
  const auto fact = [&](std::string_view key, const std::string& value) {
    std::string entry = Tag("dt", key) + Tag("dd", Escape(value));
    if (value.empty() || std::find(seen.begin(), seen.end(), entry) != seen.end()) return;
    out += entry;
    seen.push_back(std::move(entry));
  };
  for (const CaseResult& r : report.results) {
    fact("candidate", DescribeBackend(r.candidate.backend));
    fact("reference", DescribeBackend(r.reference.backend));
    fact("model", fmt::format("{} (blake3 {})", r.model_path, r.model_blake3));
    fact("machine", fmt::format("{}, {}", r.cpu, r.libc));
    fact("profile", r.profile);
    for (const std::string& note : r.notes) fact("note", note);
  }
  return Tag("dl", out);
}

// What this page has beside the ladder's.
constexpr std::string_view kStyle = R"(
.wide { overflow-x: auto; }
mark { background: color-mix(in srgb, var(--fail) 22%, transparent); color: inherit; }
.line { fill: none; stroke-width: 1.5; } .line.cand { stroke: var(--cand); }
.line.ref { stroke: var(--ref); stroke-width: 3; opacity: .6; }
.line.noise { stroke: var(--dim); stroke-dasharray: 2 3; }
details { margin: .5rem 0 1rem; } summary { cursor: pointer; color: var(--dim); }
@media print { details::details-content { content-visibility: visible; } }
)";

}  // namespace

std::string RunHtml(const RunReport& report) {
  const Summary summary = report.summary();
  const int code = report.exit_code();
  const bool alone = std::all_of(report.results.begin(), report.results.end(),
                                 [](const CaseResult& r) { return r.status == CaseStatus::kCandidateOnly; });
  const std::string title = "bitnet-parity " + report.plan.command;
  const std::string body = Tag("h1", Escape(title)) +
                           Tag(fmt::format("h2 class=\"{}\"", code != 0 ? "fail"
                                                              : alone   ? "none"
                                                                        : "pass"),
                               Escape(summary.Closing())) +
                           Environment(report) + CasesTable(report) + Texts(report) + Inside(report);
  const std::string head =
      "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>" +
      Tag("title", Escape(title)) + Tag("style", std::string(kHtmlStyle) + std::string(kStyle));
  return "<!DOCTYPE html>\n" + Tag("html lang=\"en\"", Tag("head", head) + "\n" + Tag("body", body)) + "\n";
}

}  // namespace parity
