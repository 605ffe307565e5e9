// Keys and values of the positions seen so far, F16, zero where nothing was written.
#ifndef BITNET_PARITY_ENGINE_MODEL_KV_CACHE_H_
#define BITNET_PARITY_ENGINE_MODEL_KV_CACHE_H_

#include <cstdint>
#include <memory>

#include "engine/kernels/attention.h"
#include "engine/model/hyperparameters.h"

namespace bitnet {

class KvCache {
 public:
  // Room for n_ctx positions, rounded up to a multiple of 256. Pages that are never written take no memory.
  KvCache(const Hyperparameters& h, size_t n_ctx);

  size_t n_cells() const { return n_cells_; }
  KvView Layer(size_t layer) const;

  // k, v: [n, n_head_kv * n_embd_head], for positions first .. first + n - 1, rounded to F16.
  void Store(size_t layer, size_t first, size_t n, const float* k, const float* v);

 private:
  struct Free {
    void operator()(uint16_t* p) const;
  };
  size_t width_;
  size_t n_cells_;
  std::unique_ptr<uint16_t[], Free> k_;  // [n_layer, n_cells, width]
  std::unique_ptr<uint16_t[], Free> v_;  // [n_layer, width, n_cells]
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_KV_CACHE_H_
