#include "parity_tests/report/replay_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "parity_tests/judge/replay_verdict.h"
#include "parity_tests/report/color.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"

namespace parity {
namespace {

std::string Operation(const ReplayResult& r) {
  const std::string name(bitnet::PointName(r.place.point));
  return r.place.layer < 0 ? name : fmt::format("layer {} {}", r.place.layer, name);
}

// Results of one operation in all its layers.
struct OverLayers {
  bitnet::Point point = bitnet::Point::kEmbeddings;
  std::vector<const ReplayResult*> results;

  const ReplayResult& worst() const {
    return **std::max_element(results.begin(), results.end(),
                              [](const ReplayResult* a, const ReplayResult* b) { return a->max_error < b->max_error; });
  }
  int64_t sum(int64_t ReplayResult::*member) const {
    int64_t sum = 0;
    for (const ReplayResult* r : results) sum += r->*member;
    return sum;
  }
};

std::vector<OverLayers> ByOperation(const ReplayRun& run) {
  std::vector<OverLayers> rows;
  for (const ReplayResult& r : run.results) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const OverLayers& o) { return o.point == r.place.point; });
    if (row == rows.end()) row = rows.insert(rows.end(), {r.place.point, {}});
    row->results.push_back(&r);
  }
  std::sort(rows.begin(), rows.end(), [](const OverLayers& a, const OverLayers& b) { return a.point < b.point; });
  return rows;
}

// One operation in all its layers.
std::string Row(const OverLayers& row, bool order_is_known, bool color) {
  const auto count = [&](ReplayVerdict v) {
    return std::count_if(row.results.begin(), row.results.end(),
                         [=](const ReplayResult* r) { return r->verdict == v; });
  };
  double max_abs = 0;
  for (const ReplayResult* r : row.results) max_abs = std::max(max_abs, r->max_abs);
  std::vector<std::string> verdicts;
  for (const ReplayVerdict v :
       {ReplayVerdict::kExact, ReplayVerdict::kWithin, ReplayVerdict::kGuilty, ReplayVerdict::kNotTraced}) {
    if (const auto n = count(v); n == static_cast<int64_t>(row.results.size())) {
      verdicts.emplace_back(ReplayVerdictName(v));
    } else if (n > 0) {
      verdicts.push_back(fmt::format("{} {}", n, ReplayVerdictName(v)));
    }
  }
  const bool fails = std::any_of(row.results.begin(), row.results.end(),
                                 [&](const ReplayResult* r) { return Fails(*r, order_is_known); });
  return fmt::format("{:<20} {:>6} {:>10} {:>9} {:>10.3g} {:>12.3g} {:>10.3g}  {}\n", bitnet::PointName(row.point),
                     row.results.size(), row.sum(&ReplayResult::elements), row.sum(&ReplayResult::differing), max_abs,
                     row.worst().max_error, row.worst().tolerance_units,
                     Paint(fmt::format("{}", fmt::join(verdicts, ", ")), fails ? Color::kRed : Color::kGreen, color));
}

}  // namespace

std::string ReplayText(const ReplayRun& run, bool color) {
  std::vector<const ReplayResult*> failed;
  for (const ReplayResult& r : run.results) {
    if (Fails(r, run.order_is_known)) failed.push_back(&r);
  }
  std::string out = failed.empty() ? Paint("PARITY of every operation", Color::kGreen, color) + "\n"
                                   : Paint(fmt::format("DIVERGENCE: {} of {} operations, the first {}", failed.size(),
                                                       run.results.size(), Operation(*failed.front())),
                                           Color::kRed, color) +
                                         "\n";
  out += fmt::format("  {:<10} {}\n  {:<10} {}\n  {:<10} {}\n  {:<10} {}\n\n", "reference",
                     DescribeBackend(run.reference), "model", run.model.path, "schedule", run.schedule, "order",
                     run.order_is_known
                         ? fmt::format("{}, that of the reference's build: every operation must be exact", run.order)
                         : fmt::format("{}; that of the reference's build is not known: tolerances judge", run.order));
  out += Paint(fmt::format("{:<20} {:>6} {:>10} {:>9} {:>10} {:>12} {:>10}  {}", "operation", "layers", "elements",
                           "differing", "max abs", "of tolerance", "tolerance", "verdict"),
               Color::kBold, color) +
         "\n";
  for (const OverLayers& row : ByOperation(run)) out += Row(row, run.order_is_known, color);
  out += "(tolerance: in units of 2^-23 times the largest magnitude of the row)\n";
  for (const ReplayResult* r : failed) {
    if (r->verdict == ReplayVerdict::kNotTraced) {
      out += fmt::format("{}: not traced: {} is missing\n", Operation(*r), r->missing);
    } else {
      out +=
          fmt::format("{}: {}, position {}, element {}: {:.9g} follows from the inputs, the reference has {:.9g}\n",
                      Operation(*r), ReplayVerdictName(r->verdict), r->place.position, r->index, r->ours, r->reference);
    }
  }
  return out;
}

}  // namespace parity
