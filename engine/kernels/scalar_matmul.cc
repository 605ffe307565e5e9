#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <stdexcept>

#include "engine/formats/half.h"
#include "engine/formats/k_quants.h"
#include "engine/formats/low_bits.h"
#include "engine/formats/nibbles.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"
#include "engine/kernels/scalar.h"

namespace bitnet::scalar {
namespace {

float ZeroIfSubnormal(float v) { return std::fabs(v) < 0x1p-126f ? std::copysign(0.0f, v) : v; }

// Rounded towards zero, and odd where something was cut off: a number that is rounded again to fewer bits is rounded
// once.
float TruncatedToOdd(double v) {
  const auto f = static_cast<float>(v);
  if (static_cast<double>(f) == v || std::isnan(f)) return f;
  const uint32_t bits = std::bit_cast<uint32_t>(f) - (std::fabs(static_cast<double>(f)) > std::fabs(v) ? 1 : 0);
  return std::bit_cast<float>(bits | 1);
}

// a * b + sum in F16, rounded once.
float FusedInF16(float a, float b, float sum) {
  const double product = static_cast<double>(a) * b, exact = product + sum;
  if (!std::isfinite(exact)) return F32FromF16(F16FromF32(static_cast<float>(exact)));
  const double left = std::fabs(product) > std::fabs(sum) ? (product - exact) + sum : (sum - exact) + product;
  uint64_t bits = std::bit_cast<uint64_t>(exact);
  if (left != 0 && bits % 2 == 0) bits += (left > 0) == (exact > 0) ? 1 : -1;
  return F32FromF16(F16FromF32(TruncatedToOdd(std::bit_cast<double>(bits))));
}

template <class LoadA, class Tail>
float DotLanes(const LoadA& a, const float* b, size_t n, const DotOrder& order, const Tail& tail) {
  float acc[4][16] = {};
  const size_t per_lane = order.pairs ? 2 : 1;
  const size_t step = order.lanes * order.accumulators * per_lane;
  const size_t whole = step == 0 ? 0 : n / step * step;
  for (size_t at = 0; at < whole; at += per_lane) {
    const size_t place = at % step / per_lane;
    float& lane = acc[place / order.lanes][place % order.lanes];
    if (order.pairs) {
      for (const size_t i : {at + 1, at}) {
        lane = ZeroIfSubnormal(std::fma(ZeroIfSubnormal(a(i)), ZeroIfSubnormal(b[i]), lane));
      }
    } else {
      lane = order.f16_sums ? FusedInF16(a(at), b[at], lane) : std::fma(a(at), b[at], lane);
    }
  }
  if (order.accumulators == 2)
    return tail(static_cast<double>(FoldLanes(acc[0], order.lanes, order.adjacent_fold)) +
                    FoldLanes(acc[1], order.lanes, order.adjacent_fold),
                whole);
  for (int half = order.accumulators / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) {
      for (int l = 0; l < order.lanes; ++l) {
        acc[k][l] += acc[k + half][l];
        if (order.f16_sums) acc[k][l] = F32FromF16(F16FromF32(acc[k][l]));
      }
    }
  }
  return tail(FoldLanes(acc[0], order.lanes, order.adjacent_fold), whole);
}

// The tail of F16 and BF16.
template <class LoadA>
float DotTailInDouble(const LoadA& a, const float* b, size_t n, const DotOrder& order) {
  return DotLanes(a, b, n, order, [&](double total, size_t i) {
    for (; i < n; ++i) total += static_cast<double>(a(i) * b[i]);
    return static_cast<float>(total);
  });
}

}  // namespace

float DotF32(const float* a, const float* b, size_t n, const DotOrder& order) {
  return DotLanes([a](size_t i) { return a[i]; }, b, n, order,
                  [&](float sum, size_t i) {
                    const size_t rounded = order.rounded_tail ? (n - i) / (order.lanes / 2) * (order.lanes / 2) : 0;
                    for (const size_t end = i + rounded; i < end; ++i) sum += a[i] * b[i];
                    for (; i < n; ++i) sum = std::fma(a[i], b[i], sum);
                    return sum;
                  });
}

float DotF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order) {
  return DotTailInDouble([a](size_t i) { return F32FromF16(a[i]); }, b, n, order);
}

float DotBF16(const uint16_t* a, const float* b, size_t n, const DotOrder& order) {
  return DotTailInDouble([a](size_t i) { return F32FromBf16(a[i]); }, b, n, order);
}

namespace {

float FoldEight(float* lane) { return FoldLanes(lane, 8, false); }

}  // namespace

float DotBlocksOf32(const int8_t* w, const float* d_w, const float* m_w, const int8_t* q, const float* d,
                    const float* scaled_sums, size_t cols, bool repacked) {
  const auto in_f16 = [](float v) { return F32FromF16(F16FromF32(v)); };
  float lane[8] = {};
  float min = 0, chain = 0;
  for (size_t b = 0; b < cols / 32; ++b) {
    int32_t sum[8] = {}, sum_q = 0;
    for (size_t i = 0; i < 32; ++i) {
      sum[i / 4] += w[b * 32 + i] * q[b * 32 + i];
      sum_q += q[b * 32 + i];
    }
    const float scale = d_w[b] * in_f16(d[b]);
    for (size_t l = 0; l < 8; ++l) lane[l] = std::fma(scale, static_cast<float>(sum[l]), lane[l]);
    chain = std::fma(static_cast<float>(std::accumulate(sum, sum + 8, 0)), scale, chain);
    if (m_w == nullptr) continue;
    const float s = scaled_sums != nullptr ? scaled_sums[b] : in_f16(d[b] * static_cast<float>(sum_q));
    min = std::fma(m_w[b], s, min);
  }
  if (repacked) return chain;
  return m_w != nullptr ? FoldEight(lane) + min : FoldEight(lane);
}

float DotQ80OfNeon(const int8_t* w, const float* d_w, const int8_t* q, const float* d, size_t cols, Q80Lanes lanes,
                   bool batch) {
  float lane[2][4] = {};
  const size_t blocks = cols / 32, in_lanes = batch ? blocks : blocks / 2 * 2;
  for (size_t b = 0; b < blocks; ++b) {
    int32_t sum[4] = {};
    for (size_t i = 0; i < 32; ++i)
      sum[lanes == Q80Lanes::kNeon ? i % 8 / 2 : i % 16 / 4] += w[b * 32 + i] * q[b * 32 + i];
    const float scale = d_w[b] * d[b];
    if (b >= in_lanes) {
      const float own = FoldLanes(lane[0], 4, true) + FoldLanes(lane[1], 4, true);
      return std::fma(static_cast<float>(std::accumulate(sum, sum + 4, 0)), scale, own);
    }
    float* to = lane[batch ? 0 : b % 2];
    for (size_t l = 0; l < 4; ++l) to[l] = std::fma(static_cast<float>(sum[l]), scale, to[l]);
  }
  return batch ? FoldLanes(lane[0], 4, true) : FoldLanes(lane[0], 4, true) + FoldLanes(lane[1], 4, true);
}

float DotLowBits(const int8_t* w, const float* d_w, const int8_t* q, const float* d, size_t cols, size_t block) {
  float lane[8] = {}, chain = 0;
  for (size_t at = 0; at < cols; at += block) {
    float block_lane[8] = {}, block_chain = 0;
    for (size_t i = at; i < at + block; i += 4) {
      const int32_t sum = w[i] * q[i] + w[i + 1] * q[i + 1] + w[i + 2] * q[i + 2] + w[i + 3] * q[i + 3];
      float& l = block_lane[i % 32 / 4];
      l = std::fma(d[i / 32], static_cast<float>(sum), l);
    }
    for (size_t i = at; i < at + block; i += 32) {
      int32_t sum = 0;
      for (size_t k = 0; k < 32; ++k) sum += w[i + k] * q[i + k];
      block_chain = std::fma(d[i / 32], static_cast<float>(sum), block_chain);
    }
    for (size_t l = 0; l < 8; ++l) lane[l] = std::fma(d_w[at / block], block_lane[l], lane[l]);
    chain = std::fma(d_w[at / block], block_chain, chain);
  }
  return block == BlockQ2_0::kWeights ? chain : FoldEight(lane);
}

namespace {

// The mins of a block times the sums of q, of each 32.
std::array<int32_t, 8> MinProducts(const KQuants& block, const int8_t* q) {
  std::array<int32_t, 8> m = {};
  for (size_t i = 0; i < 256; ++i) m[i / 32] += block.mins[i / 16] * q[i];
  return m;
}

float DotRepacked(const KQuants* blocks, const int8_t* q, const float* d, size_t cols, size_t parts) {
  float products = 0, mins = 0;
  for (size_t b = 0; b < cols / 256; ++b, q += 256) {
    const std::array<int32_t, 8> m = MinProducts(blocks[b], q);
    for (size_t part = 0; part < parts; ++part) {
      int32_t sum = 0, min = 0;
      for (size_t i = part * 256 / parts; i < (part + 1) * 256 / parts; ++i) {
        sum += blocks[b].scales[i / 16] * blocks[b].q[i] * q[i];
        if (i % 32 == 0) min += m[i / 32];
      }
      products = std::fma(static_cast<float>(sum), blocks[b].d * d[b], products);
      mins = std::fma(static_cast<float>(min), blocks[b].dmin * d[b], mins);
    }
  }
  return products - mins;
}

}  // namespace

float DotKQuants(TensorType type, const KQuants* blocks, int offset, const int8_t* q, const float* d, size_t cols,
                 size_t parts) {
  if (parts != 0) return DotRepacked(blocks, q, d, cols, parts);
  float lane[8] = {}, mins[4] = {};
  for (size_t b = 0; b < cols / 256; ++b, q += 256) {
    const KQuants& block = blocks[b];
    int32_t sum[8] = {};
    for (size_t i = 0; i < 256; ++i) sum[i % 32 / 4] += block.scales[i / 16] * (block.q[i] - offset) * q[i];
    const std::array<int32_t, 8> m = type == TensorType::kQ3_K ? std::array<int32_t, 8>{} : MinProducts(block, q);
    const float e = -(d[b] * block.dmin);
    for (size_t l = 0; l < 8; ++l) {
      if (type == TensorType::kQ2_K) lane[l] = std::fma(e, static_cast<float>(m[l]), lane[l]);
      if (type == TensorType::kQ4_K && l % 2 == 0) {
        mins[l / 2] = std::fma(e, static_cast<float>(m[l] + m[l + 1]), mins[l / 2]);
      }
      lane[l] = std::fma(d[b] * block.d, static_cast<float>(sum[l]), lane[l]);
    }
    if (type == TensorType::kQ5_K)
      mins[0] = std::fma(e, static_cast<float>(std::accumulate(m.begin(), m.end(), 0)), mins[0]);
  }
  const float sum = FoldEight(lane);
  if (type == TensorType::kQ4_K) return sum + ((mins[0] + mins[2]) + (mins[1] + mins[3]));
  return type == TensorType::kQ5_K ? sum + mins[0] : sum;
}

float DotTernaryQ8K(const uint8_t* codes, const float* d_w, const int8_t* q, const float* d, size_t cols,
                    bool rounds_products, bool one_sum_a_block) {
  float lane[8] = {}, chain = 0;
  for (size_t b = 0; b < cols / 256; ++b, codes += 256, q += 256) {
    // Of each byte of a chunk; lane l has bytes 4l .. 4l+3.
    int32_t column[32] = {};
    for (size_t i = 0; i < 256; i += 32) {
      for (size_t k = 0; k < 32; ++k) column[k] += codes[i + k] * q[i + k];
    }
    const float scale = d[b] * d_w[b];
    int32_t total = 0;
    for (size_t l = 0; l < 8; ++l) {
      int32_t sum = column[4 * l] + column[4 * l + 1] + column[4 * l + 2] + column[4 * l + 3];
      for (size_t i = 0; i < 32; ++i) sum -= q[l * 32 + i];
      total += sum;
      lane[l] = rounds_products ? static_cast<float>(sum) * scale + lane[l]
                                : std::fma(static_cast<float>(sum), scale, lane[l]);
    }
    chain = std::fma(static_cast<float>(total), scale, chain);
  }
  return one_sum_a_block ? chain : FoldEight(lane);
}

float DotQ6K(const uint8_t* codes, const int8_t* scales, const float* d_w, const int8_t* q, const float* d, size_t cols,
             bool offset_apart, bool one_sum_a_block, bool rounds_products) {
  float lane[8] = {}, chain = 0;
  for (size_t b = 0; b < cols / 256; ++b) {
    int32_t sum[8] = {};
    for (size_t i = 0; i < 256; ++i) {
      const size_t at = b * 256 + i;
      sum[i % 32 / 4] += scales[at / 16] * codes[at] * q[at];
      sum[offset_apart ? i / 32 : i % 32 / 4] -= scales[at / 16] * 32 * q[at];
    }
    for (size_t l = 0; l < 8; ++l) lane[l] = std::fma(d[b] * d_w[b], static_cast<float>(sum[l]), lane[l]);
    const auto total = static_cast<float>(std::accumulate(sum, sum + 8, 0));
    chain = rounds_products ? chain + d[b] * d_w[b] * total : std::fma(d[b] * d_w[b], total, chain);
  }
  return one_sum_a_block ? chain : FoldEight(lane);
}

float DotTernaryI8(const uint8_t* codes, float scale, const int8_t* q, float s, size_t cols) {
  int32_t dot = 0;
  int32_t sum = 0;
  for (size_t i = 0; i < cols; ++i) {
    dot += codes[i] * q[i];
    sum += q[i];
  }
  return (static_cast<float>(dot) - static_cast<float>(sum)) / s * scale;
}

namespace {

using Row = std::span<const std::byte>;

// The functions below call f(the product with x), decoding the row once.
using Dots = std::function<void(const std::function<float(const InputView&, size_t position)>& dot)>;

void FloatDots(const WeightMatrix& w, Row row, size_t n, const ArithmeticOrder& order, const Dots& dots) {
  const DotOrder& dot = DotOrderFor(w, n, order);
  const auto* halves = reinterpret_cast<const uint16_t*>(row.data());
  const auto* floats = reinterpret_cast<const float*>(row.data());
  dots([&](const InputView& x, size_t) {
    return w.type == TensorType::kF16    ? DotF16(halves, x.f32, w.cols, dot)
           : w.type == TensorType::kBF16 ? DotBF16(halves, x.f32, w.cols, dot)
                                         : DotF32(floats, x.f32, w.cols, dot);
  });
}

void Q80Dots(const WeightMatrix& w, Row row, size_t n, const ArithmeticOrder& order, const Dots& dots) {
  std::vector<int8_t> codes;
  std::vector<float> d;
  ForBlocks<BlockQ8_0>(row, [&](const BlockQ8_0& block, size_t) {
    codes.insert(codes.end(), block.q, block.q + BlockQ8_0::kWeights);
    d.push_back(F32FromF16(block.d));
  });
  const bool repacked = IsRepacked(w, order), batch = order.q8_0_batch && n >= 2;
  dots([&](const InputView& x, size_t) {
    return order.q8_0_lanes != Q80Lanes::kEight && !repacked
               ? DotQ80OfNeon(codes.data(), d.data(), x.q, x.d, w.cols, order.q8_0_lanes, batch)
               : DotBlocksOf32(codes.data(), d.data(), nullptr, x.q, x.d, nullptr, w.cols, repacked);
  });
}

template <class Block>
void NibbleDots(const WeightMatrix& w, Row row, bool repacked, const Dots& dots) {
  std::vector<int8_t> codes(w.cols);
  std::vector<float> d, m;
  ForBlocks<Block>(row, [&](const Block& block, size_t i) {
    block.Unpack(codes.data() + i * Block::kWeights);
    d.push_back(F32FromF16(block.d));
    if constexpr (requires { block.m; }) m.push_back(F32FromF16(block.m));
  });
  dots([&](const InputView& x, size_t) {
    return DotBlocksOf32(codes.data(), d.data(), m.empty() ? nullptr : m.data(), x.q, x.d, x.scaled_sums, w.cols,
                         repacked);
  });
}

template <class Block>
void LowBitsDots(const WeightMatrix& w, Row row, const Dots& dots) {
  std::vector<int8_t> codes(w.cols);
  std::vector<float> d;
  ForBlocks<Block>(row, [&](const Block& block, size_t i) {
    block.Unpack(codes.data() + i * Block::kWeights);
    d.push_back(F32FromF16(block.d));
  });
  dots([&](const InputView& x, size_t) {
    return DotLowBits(codes.data(), d.data(), x.q, x.d, w.cols, Block::kWeights);
  });
}

// in_fours: parts of a block for the first positions of a batch, as many as make whole fours.
template <class Block>
void KQuantsDots(const WeightMatrix& w, Row row, size_t n, bool repacked, size_t in_fours, const Dots& dots) {
  std::vector<KQuants> blocks(w.cols / 256);
  ForBlocks<Block>(row, [&](const Block& block, size_t i) { block.Unpack(blocks[i]); });
  dots([&](const InputView& x, size_t position) {
    const size_t parts = !repacked ? 0 : position < n - n % 4 ? in_fours : 1;
    return DotKQuants(w.type, blocks.data(), Block::kOffset, x.q, x.d, w.cols, parts);
  });
}

// Repacked rows round one position's products, and those of what a batch has beyond whole fours.
void Q6KDots(const WeightMatrix& w, Row row, size_t n, bool repacked, const ArithmeticOrder& order, const Dots& dots) {
  std::vector<uint8_t> codes(w.cols);
  std::vector<int8_t> scales;
  std::vector<float> d;
  ForBlocks<BlockQ6_K>(row, [&](const BlockQ6_K& block, size_t i) {
    block.Unpack(codes.data() + i * BlockQ6_K::kWeights);
    scales.insert(scales.end(), block.scales, block.scales + 16);
    d.push_back(F32FromF16(block.d));
  });
  dots([&](const InputView& x, size_t position) {
    return DotQ6K(codes.data(), scales.data(), d.data(), x.q, x.d, w.cols, order.q6_k_offset_apart,
                  order.one_sum_a_block, repacked && position >= n - n % 4);
  });
}

void TernaryDots(const WeightMatrix& w, Row row, const ArithmeticOrder& order, const Dots& dots) {
  const Format& format = FormatOf(w.type);
  std::vector<uint8_t> codes(w.cols);
  std::vector<float> d;
  for (size_t b = 0; b < w.cols / format.block_weights; ++b) {
    const std::byte* block = row.data() + b * format.block_bytes;
    format.ternary->unpack(block, codes.data() + b * format.block_weights);
    if (format.ternary->scale_at >= 0) d.push_back(BlockScale(*format.ternary, block));
  }
  dots([&](const InputView& x, size_t) {
    return d.empty() ? DotTernaryI8(codes.data(), w.scale, x.q, x.d[0], w.cols)
                     : DotTernaryQ8K(codes.data(), d.data(), x.q, x.d, w.cols, order.tq_rounds_products,
                                     order.one_sum_a_block);
  });
}

}  // namespace

void MatMulRows(const WeightMatrix& w, std::span<const InputView> x, const ArithmeticOrder& order, size_t row_begin,
                size_t row_end, float* y) {
  const size_t bytes = RowBytes(w.type, w.cols);
  const bool repacked = IsRepacked(w, order);
  for (size_t r = row_begin; r < row_end; ++r) {
    const Row row(w.data + r * bytes, bytes);
    const Dots dots = [&](const auto& dot) {
      for (size_t p = 0; p < x.size(); ++p) y[p * w.rows + r] = dot(x[p], p);
    };
    switch (w.type) {
      case TensorType::kF32:
      case TensorType::kF16:
      case TensorType::kBF16:
        FloatDots(w, row, x.size(), order, dots);
        break;
      case TensorType::kQ8_0:
        Q80Dots(w, row, x.size(), order, dots);
        break;
      case TensorType::kQ4_0:
        NibbleDots<BlockQ4_0>(w, row, repacked, dots);
        break;
      case TensorType::kQ4_1:
        NibbleDots<BlockQ4_1>(w, row, repacked, dots);
        break;
      case TensorType::kQ5_0:
        NibbleDots<BlockQ5_0>(w, row, repacked, dots);
        break;
      case TensorType::kQ5_1:
        NibbleDots<BlockQ5_1>(w, row, repacked, dots);
        break;
      case TensorType::kQ2_K:
        KQuantsDots<BlockQ2_K>(w, row, x.size(), repacked, 2, dots);
        break;
      case TensorType::kQ3_K:
        KQuantsDots<BlockQ3_K>(w, row, x.size(), repacked, 0, dots);
        break;
      case TensorType::kQ4_K:
        KQuantsDots<BlockQ4_K>(w, row, x.size(), repacked, 4, dots);
        break;
      case TensorType::kQ5_K:
        KQuantsDots<BlockQ5_K>(w, row, x.size(), repacked, 0, dots);
        break;
      case TensorType::kQ1_0:
        LowBitsDots<BlockQ1_0>(w, row, dots);
        break;
      case TensorType::kQ2_0:
        LowBitsDots<BlockQ2_0>(w, row, dots);
        break;
      case TensorType::kQ6_K:
        Q6KDots(w, row, x.size(), repacked, order, dots);
        break;
      case TensorType::kTQ1_0:
      case TensorType::kTQ2_0:
      case TensorType::kI2_S:
        TernaryDots(w, row, order, dots);
        break;
      default:
        throw std::logic_error("no definition of a product with " + TypeName(w.type));
    }
  }
}

void MatMul(const WeightMatrix& w, const std::vector<Input>& x, const ArithmeticOrder& order, float* y) {
  std::vector<InputView> views;
  for (const Input& in : x) {
    views.push_back(
        {in.f32.data(), in.q.data(), in.d.data(), in.scaled_sums.empty() ? nullptr : in.scaled_sums.data()});
  }
  MatMulRows(w, views, order, 0, w.rows, y);
  for (size_t i = 0; i < x.size() * w.rows; ++i) {
    y[i] *= w.side_scale;
    if (w.bias != nullptr) y[i] += w.bias[i % w.rows];
  }
}

void MatMul(const WeightMatrix& w, const float* x, size_t n, const ArithmeticOrder& order, float* y) {
  std::vector<Input> inputs;
  for (size_t p = 0; p < n; ++p) {
    inputs.push_back(Prepare(x + p * w.cols, w.cols, ActivationKindFor(w, n, order)));
  }
  MatMul(w, inputs, order, y);
}

}  // namespace bitnet::scalar
