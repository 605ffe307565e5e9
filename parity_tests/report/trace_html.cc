// The page of trace-diff.
#include <fmt/format.h>

#include <vector>

#include "parity_tests/report/case_report.h"
#include "parity_tests/report/html_layers.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/said_report.h"
#include "parity_tests/report/trace_report.h"

namespace parity {
namespace {

constexpr size_t kMostRows = 200;  // of tensors that differ

std::string Facts(const TraceDiff& diff) {
  std::string out;
  const auto fact = [&out](const char* key, const std::string& value) {
    out += Tag("dt", key) + Tag("dd", Escape(value));
  };
  const auto side = [](const std::string& directory, const BackendInfo& backend) {
    return backend.name.empty() ? directory : fmt::format("{} ({})", DescribeBackend(backend), directory);
  };
  fact("a", side(diff.a, diff.backend_a));
  fact("b", side(diff.b, diff.backend_b));
  fact("tensors", fmt::format("{} in both: {} equal, {} differ, {} suspicious, {} of another shape",
                              diff.tensors.size(), diff.count(TensorStatus::kEqual), diff.count(TensorStatus::kDiffers),
                              diff.count(TensorStatus::kSuspicious), diff.count(TensorStatus::kShape)));
  for (const auto& [name, only] : {std::pair{"a", &diff.only_a}, std::pair{"b", &diff.only_b}}) {
    if (!only->empty()) {
      fact("note", fmt::format("only in {}: {} tensors, the first {}", name, only->size(), only->front()));
    }
  }
  for (const std::string& note : diff.notes) fact("note", note);
  return Tag("dl", out);
}

std::string Row(const TensorDifference& d) {
  std::string cells = Tag("td", Escape(d.name)) + Tag("td", std::string(TensorStatusName(d.status)));
  std::vector<std::string> figures = {fmt::format("{:.6g}", d.rms_a), fmt::format("{:.6g}", d.rms_b),
                                      fmt::format("{:.3g}", d.rms_relative)};
  if (d.raw) {
    figures.insert(figures.end(),
                   {fmt::format("{} of {}", d.raw->differing, d.num_elements), fmt::format("{:.3g}", d.raw->max_abs),
                    fmt::format("{:.3g}", d.raw->mse), FormatMetric(Metric::kCosine, d.raw->cosine)});
  } else {
    figures.resize(7);
  }
  for (const std::string& figure : figures) cells += Tag("td class=\"num\"", figure);
  return Tag("tr", cells) + "\n";
}

std::string Differing(const TraceDiff& diff) {
  std::string rows, head;
  size_t differing = 0;
  for (const TensorDifference& d : diff.tensors) {
    if (d.status != TensorStatus::kEqual && ++differing <= kMostRows) rows += Row(d);
  }
  if (differing == 0) return "";
  for (const char* name :
       {"tensor", "", "RMS of a", "RMS of b", "difference", "elements", "max abs", "MSE", "cosine"}) {
    head += Tag(std::string_view(name) == "tensor" || *name == '\0' ? "th" : "th class=\"num\"", name);
  }
  const std::string more =
      differing <= kMostRows
          ? ""
          : Tag("p class=\"dim\"", fmt::format("The first {} of {}; --format json has all.", kMostRows, differing));
  return Tag("h3", "Tensors that differ, in the order of the computation") + more +
         Tag("div class=\"wide\"", Tag("table", Tag("thead", Tag("tr", head)) + Tag("tbody", rows)));
}

}  // namespace

std::string TraceDiffHtml(const TraceDiff& diff) {
  const std::string headline = diff.first ? "DIVERGENCE at " + diff.tensors[*diff.first].name : "EQUAL";
  const std::vector<TensorFigures> figures = FiguresOf(diff);
  const auto name = [](const char* side, const BackendInfo& backend) {
    return backend.name.empty() ? std::string(side) : fmt::format("{} ({})", side, backend.name);
  };
  std::string body = Tag("h1", "bitnet-parity trace-diff");
  body += Tag(diff.first ? "h2 class=\"fail\"" : "h2 class=\"pass\"", Escape(headline)) + Facts(diff);
  body += Tag("h3", "Inside the model") + LayersKey(false) +
          Key({{{"cand"}, name("a", diff.backend_a)}, {{"ref"}, name("b", diff.backend_b)}}) + LayersHtml(figures, {});
  body += Differing(diff);
  body += SaidHtml({name("a", diff.backend_a), name("b", diff.backend_b), &diff.said_a, &diff.said_b});
  return Page("bitnet-parity trace-diff: " + headline, kLayersStyle, body);
}

}  // namespace parity
