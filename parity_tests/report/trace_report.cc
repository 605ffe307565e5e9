#include "parity_tests/report/trace_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "parity_tests/report/color.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "parity_tests/report/said_report.h"

namespace parity {
namespace {

std::string Side(const std::string& directory, const BackendInfo& backend) {
  return backend.name.empty() ? directory : fmt::format("{}  {}", directory, DescribeBackend(backend));
}

std::string Shape(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Color ColorOf(TensorStatus status) {
  return status == TensorStatus::kEqual     ? Color::kGreen
         : status == TensorStatus::kDiffers ? Color::kYellow
                                            : Color::kRed;
}

// What is known of one tensor, in words.
std::string Describe(const TensorDifference& d) {
  if (d.status == TensorStatus::kShape) {
    return fmt::format("  a is {} {}, b is {} {}\n", d.dtype_a, Shape(d.shape_a), d.dtype_b, Shape(d.shape_b));
  }
  std::string out = fmt::format("  {} {}; rms {:.9g} and {:.9g}, a relative difference of {:.3g}{}\n", d.dtype_a,
                                Shape(d.shape_a), d.rms_a, d.rms_b, d.rms_relative,
                                d.status == TensorStatus::kSuspicious ? " (over 1 %: more than rounding)" : "");
  if (d.raw) {
    out += fmt::format(
        "  {} of {} elements differ; max abs {:.3g} at element {}: {:.9g} and {:.9g}; mse {:.3g}, cosine {}\n",
        d.raw->differing, d.num_elements, d.raw->max_abs, d.raw->worst_index, d.raw->worst_a, d.raw->worst_b,
        d.raw->mse, FormatMetric(Metric::kCosine, d.raw->cosine));
  } else {
    out += "  by how much, raw tensors would say\n";
  }
  out += fmt::format("  blake3 {:.16}... and {:.16}...\n", d.blake3_a, d.blake3_b);
  return out;
}

std::string Row(const TensorDifference& d) {
  std::string row = fmt::format("{:<34} {:<10} {:>9.3g}", d.name, TensorStatusName(d.status), d.rms_relative);
  if (d.raw) {
    row += fmt::format(" {:>13} {:>9.3g} {:>9.3g} {:>11} {:>8}", fmt::format("{}/{}", d.raw->differing, d.num_elements),
                       d.raw->max_abs, d.raw->mse, FormatMetric(Metric::kCosine, d.raw->cosine), d.raw->worst_index);
  }
  return row;
}

}  // namespace

std::string TraceDiffText(const TraceDiff& diff, const TraceTextOptions& options) {
  std::string out;
  if (diff.first) {
    const TensorDifference& d = diff.tensors[*diff.first];
    out += Paint(fmt::format("DIVERGENCE at {}", d.name), Color::kRed, options.color) + "\n" + Describe(d);
  } else {
    out += Paint("EQUAL", Color::kGreen, options.color) + "\n";
  }
  out +=
      fmt::format("  {:<10} {}\n  {:<10} {}\n", "a", Side(diff.a, diff.backend_a), "b", Side(diff.b, diff.backend_b));
  out += fmt::format("  {:<10} {} in both: {} equal, {} differ, {} suspicious, {} of another shape\n", "tensors",
                     diff.tensors.size(), diff.count(TensorStatus::kEqual), diff.count(TensorStatus::kDiffers),
                     diff.count(TensorStatus::kSuspicious), diff.count(TensorStatus::kShape));
  for (const auto& [side, names] : {std::pair{"a", &diff.only_a}, std::pair{"b", &diff.only_b}}) {
    if (names->empty()) continue;
    out += fmt::format("  {:<10} only in {}: {} tensors, the first {}\n", "note", side, names->size(), names->front());
  }
  for (const std::string& note : diff.notes) out += fmt::format("  {:<10} {}\n", "note", note);
  const auto name = [](const char* side, const BackendInfo& backend) {
    return backend.name.empty() ? std::string(side) : fmt::format("{} ({})", side, backend.name);
  };
  out += SaidText({name("a", diff.backend_a), name("b", diff.backend_b), &diff.said_a, &diff.said_b}, options.color);
  if (!diff.first && options.rows > 0) return out;

  out += Paint(fmt::format("\n  {:<34} {:<10} {:>9} {:>13} {:>9} {:>9} {:>11} {:>8}", "tensor", "", "rms diff",
                           "differing", "max abs", "mse", "cosine", "worst at"),
               Color::kBold, options.color) +
         "\n";
  size_t shown = 0, left = 0;
  for (const TensorDifference& d : diff.tensors) {
    if (d.status == TensorStatus::kEqual && options.rows > 0) continue;
    if (options.rows > 0 && shown == options.rows) {
      ++left;
      continue;
    }
    const bool first = diff.first && &d == &diff.tensors[*diff.first];
    out += (first ? "> " : "  ") + Paint(Row(d), ColorOf(d.status), options.color) + "\n";
    ++shown;
  }
  if (left > 0) out += fmt::format("... and {} more\n", left);
  return out;
}

}  // namespace parity
