#include "parity_tests/report/noise_report.h"

#include <fmt/format.h>

#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/quote.h"

namespace parity {

std::string NoiseText(const NoiseFloor& floor) {
  std::string out =
      fmt::format("Noise floor of {}\n  {:<10} {}\n  {:<10} {}\n  {:<10} {} tokens{}\n\n",
                  DescribeBackend(floor.backend), "model", floor.model.path, "architecture", floor.model.architecture,
                  "prompt", floor.n_tokens, floor.request.prompt.empty() ? "" : ", " + Quote(floor.request.prompt));
  out += fmt::format("{:<36} {:>9} {:>9} {:>12} {:>13} {:>9} {:>10}\n", "two runs", "mse", "max abs", "min cosine",
                     "argmax equal", "identical", "ULP");
  for (const NoiseRow& row : floor.rows) {
    out +=
        fmt::format("{:<36} {:>9} {:>9} {:>12} {:>13} {:>9} {:>10}\n", row.what,
                    FormatMetric(Metric::kMse, row.worst.value(Metric::kMse)),
                    FormatMetric(Metric::kMaxAbs, row.worst.value(Metric::kMaxAbs)),
                    FormatMetric(Metric::kCosine, row.worst.value(Metric::kCosine)),
                    fmt::format("{}/{}", row.argmax_equal, row.worst.rows()), FormatShare(row.worst.identical_share()),
                    FormatMetric(Metric::kMaxUlp, row.worst.value(Metric::kMaxUlp)));
  }
  const WorstRows like = floor.Like(), all = floor.All();
  out += fmt::format(
      "\nFloor: mse {}, max abs {}, cosine {} between schedules; mse {}, max abs {} between like schedules.\n",
      FormatMetric(Metric::kMse, all.value(Metric::kMse)), FormatMetric(Metric::kMaxAbs, all.value(Metric::kMaxAbs)),
      FormatMetric(Metric::kCosine, all.value(Metric::kCosine)), FormatMetric(Metric::kMse, like.value(Metric::kMse)),
      FormatMetric(Metric::kMaxAbs, like.value(Metric::kMaxAbs)));
  out += like.identical_share() == 1
             ? "Like schedules agree bit for bit: a difference between like schedules is no noise of this engine.\n"
             : "Like schedules do not agree with themselves: limits below this floor judge rounding.\n";
  for (const std::string& note : floor.notes) out += "note: " + note + "\n";
  return out + fmt::format("({} captures)\n", floor.captures);
}

}  // namespace parity
