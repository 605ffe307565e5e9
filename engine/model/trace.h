// Tracepoints: where the forward pass shows its intermediate tensors. One vocabulary of stages for every engine
// (docs/capture-format.md).
#ifndef BITNET_PARITY_ENGINE_MODEL_TRACE_H_
#define BITNET_PARITY_ENGINE_MODEL_TRACE_H_

#include <cstddef>
#include <span>

#include "engine/graph/graph.h"

namespace bitnet {

// False where the tracepoints were compiled away (CMake: PARITY_TRACEPOINTS=OFF); a sink is then never called.
#ifdef BITNET_NO_TRACEPOINTS
inline constexpr bool kTracepoints = false;
#else
inline constexpr bool kTracepoints = true;
#endif

// One tensor of one position.
struct TracedTensor {
  Point point;
  int layer;     // -1 outside the layers
  int position;  // in the sequence
  // [cols], or [rows, cols] for attn_scores and attn_scores_softmax: [n_head, keys attended].
  size_t rows;
  size_t cols;
  std::span<const float> data;
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // Asked before a tensor is gathered: the attention's insides cost a copy.
  virtual bool Wants(Point point, int layer) const = 0;
  virtual void OnTensor(const TracedTensor& tensor) = 0;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_TRACE_H_
