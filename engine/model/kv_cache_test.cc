#include "engine/model/kv_cache.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "engine/formats/codec.h"

namespace bitnet {
namespace {

Hyperparameters Shape() {
  Hyperparameters h;
  h.n_layer = 3;
  h.n_head_kv = 2;
  h.n_embd_head = 6;
  return h;
}
constexpr size_t kWidth = 12;

// Numbers that F16 must round.
std::vector<float> Rows(size_t n, float base) {
  std::vector<float> x(n * kWidth);
  for (size_t i = 0; i < x.size(); ++i) x[i] = base + 0.0001f * static_cast<float>(i);
  return x;
}

TEST(KvCache, StoresKeysByRowAndValuesTransposed) {
  KvCache cache(Shape(), 300);
  ASSERT_EQ(cache.n_cells(), 512u);
  const size_t first = 250, n = 9;
  const std::vector<float> k = Rows(n, 1.0f), v = Rows(n, -3.0f);
  cache.Store(1, first, n, k.data(), v.data());
  const KvView view = cache.Layer(1);
  EXPECT_EQ(view.n_cells, 512u);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < kWidth; ++d) {
      EXPECT_EQ(view.k[(first + i) * kWidth + d], F16FromF32(k[i * kWidth + d]));
      EXPECT_EQ(view.v[d * 512 + first + i], F16FromF32(v[i * kWidth + d]));
    }
  }
}

TEST(KvCache, IsZeroWhereNothingWasStored) {
  KvCache cache(Shape(), 256);
  const std::vector<float> k = Rows(2, 1.0f), v = Rows(2, -3.0f);
  cache.Store(1, 0, 1, k.data(), v.data());
  cache.Store(1, 1, 1, k.data() + kWidth, v.data() + kWidth);
  for (size_t layer = 0; layer < 3; ++layer) {
    const KvView view = cache.Layer(layer);
    for (size_t i = 0; i < 256; ++i) {
      for (size_t d = 0; d < kWidth; ++d) {
        const bool stored = layer == 1 && i < 2;
        EXPECT_EQ(view.k[i * kWidth + d] != 0, stored) << layer << " " << i;
        EXPECT_EQ(view.v[d * 256 + i] != 0, stored) << layer << " " << i;
      }
    }
  }
}

TEST(KvCache, RoundsTheNumberOfCellsUp) {
  EXPECT_EQ(KvCache(Shape(), 1).n_cells(), 256u);
  EXPECT_EQ(KvCache(Shape(), 256).n_cells(), 256u);
  EXPECT_EQ(KvCache(Shape(), 257).n_cells(), 512u);
}

TEST(KvCache, SaysThatThereIsNoMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer ends the process where malloc returns null";
#endif
  EXPECT_THROW(KvCache(Shape(), size_t{1} << 46), std::runtime_error);
}

}  // namespace
}  // namespace bitnet
