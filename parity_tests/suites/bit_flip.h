// One bit turned over in one place of a sound engine, and what the harness says of it.
//
//   BitFlips flips(model_path, thresholds_path);
//   const BitFlip flip = flips.Random(PlaceKind::kGamma, random);
//   const FlipFinding finding = flips.Try(flip);
//   if (finding.differing > 0) ... finding.found, finding.named_right ...
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_BIT_FLIP_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_BIT_FLIP_H_

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/trace.h"
#include "parity_tests/diagnose/diagnosis.h"

namespace parity {

enum class PlaceKind { kWeight, kScale, kGamma, kEmbedding, kKey, kValue };
inline constexpr std::array<PlaceKind, 6> kPlaceKinds = {PlaceKind::kWeight,    PlaceKind::kScale, PlaceKind::kGamma,
                                                         PlaceKind::kEmbedding, PlaceKind::kKey,   PlaceKind::kValue};
std::string_view PlaceKindName(PlaceKind kind);  // "ternary weight", "scale of a block", ...

struct BitFlip {
  PlaceKind kind = PlaceKind::kWeight;
  int layer = -1;              // -1: outside the layers
  size_t cell = 0;             // key, value: position
  size_t byte = 0;             // within the tensor; key, value: column
  int bit = 0;                 // within the byte; key, value: within the F16
  std::vector<Point> read_by;  // the operations that read the place

  std::string Name() const;  // "gamma of layer 3 ffn_norm, byte 12, bit 5"
};

struct FlipFinding {
  int64_t differing = 0;  // logits with other bits
  bool found = false;     // profile `exact` says divergence
  Place named;            // the first operation that differs
  std::string guilty;     // what replay finds guilty: "layer 3 ffn_norm", joined by ", "
  // Both name an operation that reads the place, in its layer, and replay names no other.
  bool named_right = false;
};

class BitFlips {
 public:
  // `model`: a GGUF file with TQ2_0 projections and a head tied to its embeddings.
  BitFlips(const std::string& model, const std::string& thresholds);
  ~BitFlips();

  BitFlip Random(PlaceKind kind, std::mt19937& random) const;
  FlipFinding Try(const BitFlip& flip);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_BIT_FLIP_H_
