// What the kernels' tests share: every instruction set of this machine, inputs, and equality of bits.
#ifndef BITNET_PARITY_ENGINE_KERNELS_KERNEL_TEST_H_
#define BITNET_PARITY_ENGINE_KERNELS_KERNEL_TEST_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/order.h"
#include "engine/kernels/targets.h"

namespace bitnet {

// Calls f() once for each instruction set, with the kernels bound to it, and once for plain loops.
template <class F>
void OnEveryTarget(const F& f) {
  for (const std::string& target : AvailableTargets()) {
    UseTarget(target);
    SCOPED_TRACE(target);
    f();
    UseTarget("");
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// The same for what depends on an order: plain loops alone where no vectors follow it.
template <class F>
void OnEveryTarget(const ArithmeticOrder& order, const F& f) {
  order.has_vectors ? OnEveryTarget(f) : f();
}

// Numbers of rows, positions and elements around the widths of vectors and tiles.
inline const std::vector<size_t> kOddSizes = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33};

enum class Values { kNormal, kHuge, kTiny, kSubnormal, kZeros, kMixed };
inline constexpr Values kAllValues[] = {Values::kNormal,    Values::kHuge,  Values::kTiny,
                                        Values::kSubnormal, Values::kZeros, Values::kMixed};

// Seeded; the same numbers on every machine up to the C++ library's normal_distribution.
inline std::vector<float> RandomFloats(size_t n, uint32_t seed, Values values = Values::kNormal) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) {
    v = normal(generator);
    const Values kind = values == Values::kMixed ? kAllValues[generator() % 5] : values;
    if (kind == Values::kHuge) v *= 1e18f;
    if (kind == Values::kTiny) v *= 1e-30f;
    if (kind == Values::kSubnormal) v *= 1e-41f;
    if (kind == Values::kZeros) v = std::copysign(0.0f, v);
  }
  return x;
}

// The same bits, or both not a number.
inline bool SameBits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

inline ::testing::AssertionResult SameBits(std::span<const float> found, std::span<const float> expected) {
  if (found.size() != expected.size()) {
    return ::testing::AssertionFailure() << found.size() << " numbers, expected " << expected.size();
  }
  size_t different = 0;
  size_t first = 0;
  for (size_t i = found.size(); i-- > 0;) {
    if (SameBits(found[i], expected[i])) continue;
    ++different;
    first = i;
  }
  if (different == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << fmt::format("{} of {} differ, first at {}: {:a} ({}), expected {:a} ({})",
                                                      different, found.size(), first, found[first], found[first],
                                                      expected[first], expected[first]);
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_KERNEL_TEST_H_
