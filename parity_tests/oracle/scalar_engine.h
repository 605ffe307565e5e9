// A forward pass on the kernels' scalar definitions, position by position as the formulas are written, with room for
// one fault. Independent of engine/model/forward.cc.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_SCALAR_ENGINE_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_SCALAR_ENGINE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernels/order.h"
#include "engine/model/trace.h"
#include "parity_tests/mistakes/fault.h"
#include "parity_tests/oracle/scalar_model.h"

namespace parity {

class ScalarEngine {
 public:
  // `model` must outlive this; a fault in the weights is already in it. n_cells: of the KV cache.
  ScalarEngine(const ScalarModel& model, const bitnet::ArithmeticOrder& order, size_t n_cells, const FaultSpec& fault,
               bitnet::TraceSink* trace);
  ~ScalarEngine();

  // The next positions as one batch. Returns logits [n, n_vocab].
  std::vector<float> Forward(std::span<const int32_t> tokens);

  // One bit of the F16 in the cache at that cell and column (of n_head_kv * head_dim), turned over whenever the cell
  // has been written.
  struct CacheBit {
    int layer = 0;
    bool key = true;  // false: value
    size_t cell = 0;
    size_t column = 0;
    int bit = 0;
  };
  void FlipWhenStored(const CacheBit& bit);

  // By position: one more than the last key that a query of some layer attended.
  const std::vector<int>& keys_attended() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_SCALAR_ENGINE_H_
