#include "engine/formats/k_quants.h"

#include <algorithm>
#include <cmath>

namespace bitnet {
namespace {

void PackTwoBits(const uint8_t* q, uint8_t* qs) {
  std::fill_n(qs, 64, uint8_t{0});
  for (size_t i = 0; i < 256; ++i) {
    uint8_t& to = qs[i / 128 * 32 + i % 32];
    to = static_cast<uint8_t>(to | (q[i] & 3) << (i / 32 % 4 * 2));
  }
}

void PackFourBits(const uint8_t* q, uint8_t* qs) {
  std::fill_n(qs, 128, uint8_t{0});
  for (size_t i = 0; i < 256; ++i) {
    uint8_t& to = qs[i / 64 * 32 + i % 32];
    to = static_cast<uint8_t>(to | (q[i] & 15) << (i % 64 < 32 ? 0 : 4));
  }
}

void PackHighBits(const uint8_t* q, uint8_t value, uint8_t* high) {
  std::fill_n(high, 32, uint8_t{0});
  for (size_t i = 0; i < 256; ++i) {
    high[i % 32] = static_cast<uint8_t>(high[i % 32] | ((q[i] & value) != 0 ? 1 : 0) << (i / 32));
  }
}

void PackSixteenScales(const int* scales, uint8_t* bytes) {
  std::fill_n(bytes, 12, uint8_t{0});
  for (size_t g = 0; g < 16; ++g) {
    const int v = scales[g] + 32;
    bytes[g % 8] = static_cast<uint8_t>(bytes[g % 8] | (v & 15) << (g < 8 ? 0 : 4));
    bytes[8 + g % 4] = static_cast<uint8_t>(bytes[8 + g % 4] | v >> 4 << (g / 4 * 2));
  }
}

void PackEightPairs(const int* scales, const int* mins, uint8_t* bytes) {
  for (size_t g = 0; g < 4; ++g) {
    bytes[g] = static_cast<uint8_t>(scales[g] | scales[g + 4] >> 4 << 6);
    bytes[g + 4] = static_cast<uint8_t>(mins[g] | mins[g + 4] >> 4 << 6);
    bytes[g + 8] = static_cast<uint8_t>((scales[g + 4] & 15) | (mins[g + 4] & 15) << 4);
  }
}

template <class Block>
void DecodeBlock(const Block& block, float* out) {
  KQuants k;
  block.Unpack(k);
  for (size_t i = 0; i < 256; ++i) {
    out[i] = k.d * k.scales[i / 16] * static_cast<float>(k.q[i] - Block::kOffset);
    if constexpr (Block::kHasMins) out[i] -= k.dmin * k.mins[i / 16];
  }
}

// Groups of values between a min of 0 or less and a max, on kSteps steps; scales and mins are whole numbers up to kMost
// times d and dmin. Picks the steps by the extremes, without ggml's search for better ones.
template <int kGroups, int kSteps, int kMost>
struct MinGroups {
  int scales[kGroups], mins[kGroups];
  uint16_t d, dmin;
  uint8_t q[256];

  explicit MinGroups(std::span<const float> in) {
    constexpr size_t kSize = 256 / kGroups;
    MaxMagnitude(in);
    float steps[kGroups], lows[kGroups];
    for (size_t g = 0; g < kGroups; ++g) {
      const auto [least, most] = std::minmax_element(in.begin() + g * kSize, in.begin() + (g + 1) * kSize);
      lows[g] = -std::min(*least, 0.0f);
      steps[g] = (std::max(*most, 0.0f) + lows[g]) / kSteps;
    }
    d = F16Scale(*std::max_element(steps, steps + kGroups) / kMost);
    dmin = F16Scale(*std::max_element(lows, lows + kGroups) / kMost);
    const float unit = F32FromF16(d), min_unit = F32FromF16(dmin);
    for (size_t g = 0; g < kGroups; ++g) {
      scales[g] = InUnits(steps[g], unit);
      mins[g] = InUnits(lows[g], min_unit);
      const float step = unit * static_cast<float>(scales[g]), low = min_unit * static_cast<float>(mins[g]);
      for (size_t i = g * kSize; i < (g + 1) * kSize; ++i) {
        const float steps_up = step != 0 ? std::round((in[i] + low) / step) : 0.0f;
        q[i] = static_cast<uint8_t>(std::clamp(steps_up, 0.0f, static_cast<float>(kSteps)));
      }
    }
  }
  static int InUnits(float value, float unit) {
    return unit != 0 ? static_cast<int>(std::clamp(std::round(value / unit), 0.0f, static_cast<float>(kMost))) : 0;
  }
};

}  // namespace

void BlockQ2_K::Decode(float* out) const { DecodeBlock(*this, out); }
void BlockQ3_K::Decode(float* out) const { DecodeBlock(*this, out); }
void BlockQ4_K::Decode(float* out) const { DecodeBlock(*this, out); }
void BlockQ5_K::Decode(float* out) const { DecodeBlock(*this, out); }

void BlockQ2_K::Encode(std::span<const float> in) {
  const MinGroups<16, 3, 15> groups(in);
  d = groups.d;
  dmin = groups.dmin;
  for (size_t g = 0; g < 16; ++g) scales[g] = static_cast<uint8_t>(groups.scales[g] | groups.mins[g] << 4);
  PackTwoBits(groups.q, qs);
}

void BlockQ3_K::Encode(std::span<const float> in) {
  MaxMagnitude(in);
  // q - 4 reaches from -4 to 3: each group's largest value becomes -4, so its step has the opposite sign.
  float steps[16], largest = 0;
  for (size_t g = 0; g < 16; ++g) {
    steps[g] = *std::max_element(in.begin() + g * 16, in.begin() + (g + 1) * 16, [](float a, float b) {
      return std::fabs(a) < std::fabs(b);
    }) / -4;
    largest = std::max(largest, std::fabs(steps[g]));
  }
  d = F16Scale(largest / 31);
  const float unit = F32FromF16(d);
  int whole[16];
  uint8_t q[256];
  for (size_t i = 0; i < 256; ++i) {
    const size_t g = i / 16;
    if (i % 16 == 0) {
      whole[g] = unit != 0 ? static_cast<int>(std::clamp(std::round(steps[g] / unit), -32.0f, 31.0f)) : 0;
    }
    const float step = unit * static_cast<float>(whole[g]);
    q[i] = static_cast<uint8_t>((step != 0 ? std::clamp(std::round(in[i] / step), -4.0f, 3.0f) : 0.0f) + 4);
  }
  PackSixteenScales(whole, scales);
  PackTwoBits(q, qs);
  PackHighBits(q, 4, high);
}

void BlockQ4_K::Encode(std::span<const float> in) {
  const MinGroups<8, 15, 63> groups(in);
  d = groups.d;
  dmin = groups.dmin;
  PackEightPairs(groups.scales, groups.mins, scales);
  PackFourBits(groups.q, qs);
}

void BlockQ5_K::Encode(std::span<const float> in) {
  const MinGroups<8, 31, 63> groups(in);
  d = groups.d;
  dmin = groups.dmin;
  PackEightPairs(groups.scales, groups.mins, scales);
  PackFourBits(groups.q, qs);
  PackHighBits(groups.q, 16, high);
}

}  // namespace bitnet
