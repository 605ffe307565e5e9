#include "engine/model/kv_cache.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "engine/kernels/elementwise.h"

namespace bitnet {

void KvCache::Free::operator()(uint16_t* p) const { std::free(p); }

KvCache::KvCache(const Hyperparameters& h, size_t n_ctx)
    : width_(size_t{h.n_head_kv} * h.n_embd_head), n_cells_((n_ctx + 255) / 256 * 256) {
  const size_t cells = size_t{h.n_layer} * n_cells_;
  k_.reset(static_cast<uint16_t*>(std::calloc(cells, width_ * sizeof(uint16_t))));
  v_.reset(static_cast<uint16_t*>(std::calloc(cells, width_ * sizeof(uint16_t))));
  if (k_ == nullptr || v_ == nullptr) {
    throw std::runtime_error(fmt::format("no memory for a KV cache of {} positions ({} MB); use a smaller n_ctx",
                                         n_cells_, cells * width_ * 4 >> 20));
  }
}

KvView KvCache::Layer(size_t layer) const {
  const size_t at = layer * n_cells_ * width_;
  return {.k = k_.get() + at, .v = v_.get() + at, .n_cells = n_cells_};
}

void KvCache::Store(size_t layer, size_t first, size_t n, const float* k, const float* v) {
  const size_t at = layer * n_cells_ * width_;
  RoundToF16(k, n * width_, k_.get() + at + first * width_);
  std::vector<uint16_t> rows(n * width_);
  RoundToF16(v, n * width_, rows.data());
  uint16_t* out = v_.get() + at + first;
  for (size_t d = 0; d < width_; ++d) {
    for (size_t i = 0; i < n; ++i) out[d * n_cells_ + i] = rows[i * width_ + d];
  }
}

}  // namespace bitnet
