// Q2_K, Q3_K, Q4_K, Q5_K: 256 weights in 84, 110, 144, 176 bytes, in groups of 16 (Q2_K, Q3_K) or 32 that each have a
// scale of a few bits. Q2_K, Q4_K, Q5_K: w = d * scale * q - dmin * min; Q3_K: w = d * (scale - 32) * (q - 4).
// (block_q2_K and the others in ggml-common.h)
//
// Two bits of q: bits 2k, 2k+1 of qs[32h + l] are of weight 128h + 32k + l. Four bits: the low half of qs[32c + l] is
// weight 64c + l, the high half 64c + 32 + l. One high bit: bit i/32 of high[i % 32]. Q2_K's scales[g] has the scale in
// its low half and the min in its high half; the six bits of Q3_K's 16 scales and of the 8 scales and 8 mins of Q4_K
// and Q5_K are spread over 12 bytes as said below.
#ifndef BITNET_PARITY_ENGINE_FORMATS_K_QUANTS_H_
#define BITNET_PARITY_ENGINE_FORMATS_K_QUANTS_H_

#include "engine/formats/block_codec.h"
#include "engine/formats/format.h"

namespace bitnet {

// A block spread out. w[i] = d * scales[i/16] * (q[i] - kOffset) - dmin * mins[i/16]; Q3_K leaves dmin and mins alone.
struct KQuants {
  uint8_t q[256];
  int8_t scales[16];
  uint8_t mins[16];
  float d, dmin;
};

namespace k_quants {

inline void UnpackTwoBits(const uint8_t* qs, uint8_t* q) {
  for (size_t half = 0; half < 2; ++half) {
    for (int k = 0; k < 4; ++k, q += 32) {
      for (size_t l = 0; l < 32; ++l) q[l] = qs[half * 32 + l] >> (2 * k) & 3;
    }
  }
}

inline void UnpackFourBits(const uint8_t* qs, uint8_t* q) {
  for (size_t c = 0; c < 4; ++c, q += 64, qs += 32) {
    for (size_t l = 0; l < 32; ++l) q[l] = qs[l] & 15;
    for (size_t l = 0; l < 32; ++l) q[32 + l] = qs[l] >> 4;
  }
}

// Adds bit i/32 of high[i % 32] as `value`.
inline void UnpackHighBits(const uint8_t* high, uint8_t value, uint8_t* q) {
  for (int k = 0; k < 8; ++k, q += 32) {
    for (size_t l = 0; l < 32; ++l) q[l] = static_cast<uint8_t>(q[l] + (high[l] >> k & 1) * value);
  }
}

// Q3_K: the low four bits of scale g are in bytes[g % 8], in the low half for g < 8; the high two are bits 2(g/4),
// 2(g/4)+1 of bytes[8 + g % 4].
inline void UnpackSixteenScales(const uint8_t* bytes, int8_t* scales) {
  for (size_t g = 0; g < 16; ++g) {
    const int low = bytes[g % 8] >> (g < 8 ? 0 : 4) & 15;
    const int high = bytes[8 + g % 4] >> (g / 4 * 2) & 3;
    scales[g] = static_cast<int8_t>((low | high << 4) - 32);
  }
}
// Q4_K, Q5_K: groups 0 to 3 have their scale in the low six bits of bytes[g] and their min in those of bytes[4 + g];
// the others four bits each in bytes[4 + g], the scale's lower, and the high two bits on top of bytes[g - 4] and
// bytes[g].
inline void UnpackEightPairs(const uint8_t* bytes, KQuants& out) {
  for (size_t g = 0; g < 8; ++g) {
    const int scale = g < 4 ? bytes[g] & 63 : (bytes[g + 4] & 15) | bytes[g - 4] >> 6 << 4;
    const int min = g < 4 ? bytes[g + 4] & 63 : bytes[g + 4] >> 4 | bytes[g] >> 6 << 4;
    out.scales[2 * g] = out.scales[2 * g + 1] = static_cast<int8_t>(scale);
    out.mins[2 * g] = out.mins[2 * g + 1] = static_cast<uint8_t>(min);
  }
}
}  // namespace k_quants

struct BlockQ2_K {
  static constexpr size_t kWeights = 256;
  static constexpr int kOffset = 0;
  static constexpr bool kHasMins = true;
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d, dmin;  // F16

  void Unpack(KQuants& out) const {
    k_quants::UnpackTwoBits(qs, out.q);
    for (size_t g = 0; g < 16; ++g) {
      out.scales[g] = static_cast<int8_t>(scales[g] & 15);
      out.mins[g] = scales[g] >> 4;
    }
    out.d = F32FromF16(d);
    out.dmin = F32FromF16(dmin);
  }
  void Decode(float* out) const;
  void Encode(std::span<const float> in);
};

struct BlockQ3_K {
  static constexpr size_t kWeights = 256;
  static constexpr int kOffset = 4;
  static constexpr bool kHasMins = false;
  uint8_t high[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;  // F16

  void Unpack(KQuants& out) const {
    k_quants::UnpackTwoBits(qs, out.q);
    k_quants::UnpackHighBits(high, 4, out.q);
    k_quants::UnpackSixteenScales(scales, out.scales);
    out.d = F32FromF16(d);
  }
  void Decode(float* out) const;
  void Encode(std::span<const float> in);
};

struct BlockQ4_K {
  static constexpr size_t kWeights = 256;
  static constexpr int kOffset = 0;
  static constexpr bool kHasMins = true;
  uint16_t d, dmin;  // F16
  uint8_t scales[12];
  uint8_t qs[128];

  void Unpack(KQuants& out) const {
    k_quants::UnpackFourBits(qs, out.q);
    k_quants::UnpackEightPairs(scales, out);
    out.d = F32FromF16(d);
    out.dmin = F32FromF16(dmin);
  }
  void Decode(float* out) const;
  void Encode(std::span<const float> in);
};

struct BlockQ5_K {
  static constexpr size_t kWeights = 256;
  static constexpr int kOffset = 0;
  static constexpr bool kHasMins = true;
  uint16_t d, dmin;  // F16
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t qs[128];

  void Unpack(KQuants& out) const {
    k_quants::UnpackFourBits(qs, out.q);
    k_quants::UnpackHighBits(high, 16, out.q);
    k_quants::UnpackEightPairs(scales, out);
    out.d = F32FromF16(d);
    out.dmin = F32FromF16(dmin);
  }
  void Decode(float* out) const;
  void Encode(std::span<const float> in);
};
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 &&
              sizeof(BlockQ5_K) == 176);

inline constexpr Format kQ2_KFormat = BlockFormat<BlockQ2_K>(
    {.type = TensorType::kQ2_K, .name = "Q2_K", .file_type = 10, .activations = ActivationKind::kQ8K});
inline constexpr Format kQ3_KFormat = BlockFormat<BlockQ3_K>(
    {.type = TensorType::kQ3_K, .name = "Q3_K", .file_type = 11, .activations = ActivationKind::kQ8K});
inline constexpr Format kQ4_KFormat = BlockFormat<BlockQ4_K>(
    {.type = TensorType::kQ4_K, .name = "Q4_K", .file_type = 14, .activations = ActivationKind::kQ8K});
inline constexpr Format kQ5_KFormat = BlockFormat<BlockQ5_K>(
    {.type = TensorType::kQ5_K, .name = "Q5_K", .file_type = 16, .activations = ActivationKind::kQ8K});

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_K_QUANTS_H_
