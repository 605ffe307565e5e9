// Turns over one bit at a time, in 1,000 random places or as many as are asked for, and prints by kind of place how
// many flips changed a logit, how many of those profile `exact` found, and for how many the operation was named that
// reads the place.
//
//   TMPDIR=/dev/shm bit_flips [N]      each flip is traced whole, into hundreds of small files
#include <fmt/format.h>

#include <cstdlib>

#include "parity_tests/suites/bit_flip.h"

namespace parity {
namespace {

struct Counts {
  int flips = 0, silent = 0, found = 0, right = 0;
};

int Main(int n) {
  BitFlips flips(PARITY_BINARY_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf",
                 PARITY_SOURCE_DIR "/fixtures/thresholds.json");
  std::mt19937 random(1);
  std::array<Counts, kPlaceKinds.size()> by_kind;
  bool all_right = true;
  for (int i = 0; i < n; ++i) {
    const PlaceKind kind = kPlaceKinds[static_cast<size_t>(i) % kPlaceKinds.size()];
    const BitFlip flip = flips.Random(kind, random);
    const FlipFinding finding = flips.Try(flip);
    Counts& counts = by_kind[static_cast<size_t>(kind)];
    ++counts.flips;
    const bool changed = finding.differing > 0;
    counts.silent += !changed;
    counts.found += changed && finding.found;
    counts.right += changed && finding.named_right;
    if (finding.found == changed && (!changed || finding.named_right)) continue;
    all_right = false;
    fmt::print("wrong: {}: {} logits differ, {}; named {} at position {}, layer {}; guilty: {}\n", flip.Name(),
               finding.differing, finding.found ? "found" : "not found", PointText(finding.named.point),
               finding.named.position, finding.named.layer, finding.guilty);
  }
  fmt::print(
      "| place | flips | changed no logit | changed and found | operation named right |\n"
      "| --- | --- | --- | --- | --- |\n");
  Counts all;
  const auto row = [](std::string_view name, const Counts& c) {
    fmt::print("| {} | {} | {} | {} of {} | {} |\n", name, c.flips, c.silent, c.found, c.flips - c.silent, c.right);
  };
  for (const PlaceKind kind : kPlaceKinds) {
    const Counts& c = by_kind[static_cast<size_t>(kind)];
    row(PlaceKindName(kind), c);
    all = {all.flips + c.flips, all.silent + c.silent, all.found + c.found, all.right + c.right};
  }
  row("all", all);
  return all_right ? 0 : 1;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) { return parity::Main(argc > 1 ? std::atoi(argv[1]) : 1000); }
