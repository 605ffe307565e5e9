// Differences of two traces, tensor by tensor. parity_tests/judge/trace_diff.h finds them.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_TRACE_DIFF_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_TRACE_DIFF_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/place.h"
#include "parity_tests/findings/said.h"
#include "reference/capture/capture.h"

namespace parity {

enum class TensorStatus {
  kEqual,       // same hash
  kDiffers,     // other bits; the RMS differ by at most kSuspiciousRms
  kSuspicious,  // the RMS differ by more, or one of them is not finite
  kShape,       // other shape or type
};
std::string_view TensorStatusName(TensorStatus status);  // "equal", "differs", "suspicious", "shape"

// From both raw tensors. A NaN or an infinity on either side makes max_abs and mse infinite and cosine -1.
struct RawDifference {
  double max_abs = 0;
  double mse = 0;
  double cosine = 1;
  int64_t worst_index = 0;  // of max_abs, in the flat tensor
  float worst_a = 0;
  float worst_b = 0;
  int64_t differing = 0;  // elements with other bits
};

struct TensorDifference {
  std::string name;  // "t0/blk0/attn_norm"
  Place place;
  std::string stage;  // the point's name; set for kUnknown too: a tensor that only another engine has
  TensorStatus status = TensorStatus::kEqual;
  std::vector<int64_t> shape_a, shape_b;
  std::string dtype_a, dtype_b;
  std::string blake3_a, blake3_b;
  double rms_a = 0, rms_b = 0;
  double rms_relative = 0;  // |a - b| / max(a, b); 0 if both are 0, infinite if one is not finite
  int64_t num_elements = 0;
  std::optional<RawDifference> raw;
};

struct TraceDiff {
  std::string a, b;  // directories
  BackendInfo backend_a, backend_b;
  std::vector<TensorDifference> tensors;  // both have them
  std::vector<std::string> only_a, only_b;
  std::optional<size_t> first;  // index of the first that is not equal
  std::vector<std::string> notes;
  Said said_a, said_b;

  bool equal() const { return !first; }
  int64_t count(TensorStatus status) const;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_TRACE_DIFF_H_
