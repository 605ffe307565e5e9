// A few of the flips that bit_flips makes a thousand of.
#include "parity_tests/suites/bit_flip.h"

#include <gtest/gtest.h>

namespace parity {
namespace {

TEST(BitFlip, IsFoundWhereverALogitChangesAndItsReaderIsNamed) {
  BitFlips flips(PARITY_BINARY_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf",
                 PARITY_SOURCE_DIR "/fixtures/thresholds.json");
  std::mt19937 random(7);
  for (const PlaceKind kind : kPlaceKinds) {
    int changed = 0;
    for (int i = 0; i < 4; ++i) {
      const BitFlip flip = flips.Random(kind, random);
      const FlipFinding finding = flips.Try(flip);
      EXPECT_EQ(finding.found, finding.differing > 0) << flip.Name();
      if (finding.differing == 0) continue;
      ++changed;
      EXPECT_TRUE(finding.named_right) << flip.Name() << ": named " << PointName(finding.named.point) << " of layer "
                                       << finding.named.layer << "; guilty " << finding.guilty;
    }
    EXPECT_GT(changed, 0) << PlaceKindName(kind);
  }
}

}  // namespace
}  // namespace parity
