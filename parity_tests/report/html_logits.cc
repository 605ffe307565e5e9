// The largest logits of one position: a table of both sides, and bars of their probabilities.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "parity_tests/judge/metrics.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/numbers.h"

namespace parity {
namespace {

constexpr int kTopTable = 10;  // of either side

// A row of logits as probabilities, in double. NaN all over where a logit is NaN or +inf.
class Probabilities {
 public:
  explicit Probabilities(std::span<const float> row) : row_(row), max_(*std::max_element(row.begin(), row.end())) {
    for (const float x : row) sum_ += std::exp(x - max_);
  }
  double operator()(int32_t id) const { return std::exp(row_[static_cast<size_t>(id)] - max_) / sum_; }

 private:
  std::span<const float> row_;
  double max_, sum_ = 0;
};

// The k largest of the reference, then those of the candidate that are not among them.
std::vector<int32_t> UnionOfTop(const std::vector<int32_t>& candidate, const std::vector<int32_t>& reference) {
  std::vector<int32_t> ids = reference;
  std::copy_if(candidate.begin(), candidate.end(), std::back_inserter(ids), [&reference](int32_t id) {
    return std::find(reference.begin(), reference.end(), id) == reference.end();
  });
  return ids;
}

std::string Rank(const std::vector<int32_t>& top, int32_t id) {
  const auto at = std::find(top.begin(), top.end(), id);
  return at == top.end() ? "–" : std::to_string(at - top.begin() + 1);
}

std::string PositionFigures(const RowMetrics* row) {
  if (row == nullptr) return "";
  return Tag("p class=\"dim\"",
             Escape(fmt::format("max_abs {}, kl {}, {} of the logits bit-identical",
                                FormatMetric(Metric::kMaxAbs, row->max_abs), FormatMetric(Metric::kKl, row->kl),
                                FormatShare(row->bit_identical))));
}

// One position: its name, its figures, and what is said of it.
std::string Card(const Positions& at, size_t i, const std::string& content) {
  const bool failed = at.result().status == Status::kFail && at.result().position == static_cast<int64_t>(i);
  return Tag(failed ? "div class=\"card worst\"" : "div class=\"card\"",
             Tag("h4", Escape(at.Name(i))) + PositionFigures(at.metrics(i)) + content) +
         "\n";
}

std::string Head() {
  std::string columns, head;
  for (const char* name : {"id", "", "rank", "logit", "share", "rank", "logit", "share", "gap"}) {
    columns += fmt::format("<col class=\"{}\"/>", name);
  }
  for (const char* name : {"id", "token", "#", "logit", "prob.", "#", "logit", "prob.", "diff."}) {
    head += Tag(name == std::string_view("token") ? "th" : "th class=\"num\"", name);
  }
  return Tag("colgroup", columns) +
         Tag("thead", Tag("tr", Tag("th colspan=\"2\"", "") + Tag("th class=\"num cand\" colspan=\"3\"", "candidate") +
                                    Tag("th class=\"num ref\" colspan=\"3\"", "reference") + Tag("th", "")) +
                          Tag("tr", head));
}

}  // namespace

std::string TopTable(const Positions& at, size_t i) {
  const std::span<const float> candidate = at.Candidate(i), reference = at.Reference(i);
  const Probabilities candidate_p(candidate), reference_p(reference);
  const std::vector<int32_t> candidate_top = TopK(candidate, kTopTable), reference_top = TopK(reference, kTopTable);
  std::string rows;
  for (const int32_t id : UnionOfTop(candidate_top, reference_top)) {
    const float c = candidate[static_cast<size_t>(id)], r = reference[static_cast<size_t>(id)];
    const double gap = static_cast<double>(c) - r;
    std::string cells = Tag("td class=\"num\"", std::to_string(id));
    cells += Tag(fmt::format("td class=\"text\" title=\"{}\"", Escape(at.Piece(id))), Escape(at.Piece(id)));
    const auto side = [&](const std::vector<int32_t>& top, float logit, double p) {
      for (const std::string& text : {Rank(top, id), fmt::format("{:.6g}", logit), FormatShare(p)}) {
        cells += Tag("td class=\"num\"", text);
      }
    };
    side(candidate_top, c, candidate_p(id));
    side(reference_top, r, reference_p(id));
    cells += Tag("td class=\"num\"", gap == 0 ? "0" : fmt::format("{:+.2e}", gap));
    const bool moved = Rank(candidate_top, id) != Rank(reference_top, id);
    rows += Tag(moved ? "tr class=\"moved\"" : "tr", cells) + "\n";
  }
  return Card(at, i, Tag("table", Head() + Tag("tbody", rows)));
}

std::string TopPlot(const Positions& at, size_t i) {
  constexpr int kBars = 106, kBarWidth = 110, kWidth = 270, kHeight = 28;
  const std::span<const float> candidate = at.Candidate(i), reference = at.Reference(i);
  const Probabilities candidate_p(candidate), reference_p(reference);
  std::string out;
  int y = 0;
  for (const int32_t id : UnionOfTop(TopK(candidate, kTopK), TopK(reference, kTopK))) {
    std::string row = Tag("title", Escape(fmt::format("token {} {}\ncandidate {}\nreference {}", id, at.Piece(id),
                                                      candidate_p(id), reference_p(id))));
    row += Tag(fmt::format("text x=\"{}\" y=\"{}\" text-anchor=\"end\"", kBars - 6, y + 15),
               Escape(Shorten(at.Piece(id), 14)));
    const auto bar = [&](std::string_view side, double p, int top) {
      row += fmt::format("<rect class=\"track\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"10\"/>", kBars, top, kBarWidth);
      row += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"10\"/>", side, kBars, top,
                         std::isfinite(p) ? p * kBarWidth : 0);
      row += Tag(fmt::format("text x=\"{}\" y=\"{}\" text-anchor=\"end\"", kWidth, top + 9), FormatShare(p));
    };
    bar("cand", candidate_p(id), y);
    bar("ref", reference_p(id), y + 11);
    out += Tag("g", row) + "\n";
    y += kHeight;
  }
  return Card(at, i,
              Tag(fmt::format("svg class=\"plot\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\"",
                              kWidth, y),
                  out));
}

}  // namespace parity
