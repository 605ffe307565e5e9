// I2_S is a name for several layouts of the same size: four codes of two bits in a byte, one float32 scale behind the
// tensor. Nothing in a file says which it is. This engine multiplies with that of bitnet.cpp on x86 (i2_s.h), and
// rewrites the others to it.
//
//   const I2sLayout layout = ParseI2sLayout("arm");            // or "x86/0+-": other meanings of the codes
//   std::vector<std::byte> x86 = RewriteI2s(data, rows, cols, layout);
#ifndef BITNET_PARITY_ENGINE_FORMATS_I2_S_LAYOUTS_H_
#define BITNET_PARITY_ENGINE_FORMATS_I2_S_LAYOUTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

struct I2sLayout {
  std::string_view name;
  std::string_view words;
  // Weights i, g+i, 2g+i, 3g+i of a row's 4g are in byte i of g, the first in the high bits. 0: weight c of rows 4r,
  // 4r+1, 4r+2, 4r+3 is in byte c of `cols`.
  uint32_t group = 32;
  bool low_bits_first = false;
  std::array<int8_t, 3> codes = {-1, 0, 1};  // what 0, 1 and 2 mean

  bool operator==(const I2sLayout&) const = default;
};

std::span<const I2sLayout> AllI2sLayouts();  // the first is this engine's own

// "x86", "arm", ..., with "/" and three of -0+ behind it where codes 0, 1, 2 do not mean -1, 0, +1. Throws
// std::runtime_error that lists what there is.
I2sLayout ParseI2sLayout(std::string_view text);

// From the layout to this engine's own. Throws std::runtime_error if rows and columns do not fit it.
std::vector<std::byte> RewriteI2s(std::span<const std::byte> tensor, uint64_t rows, uint64_t cols,
                                  const I2sLayout& layout);
// ... and back.
std::vector<std::byte> WriteI2sAs(std::span<const std::byte> tensor, uint64_t rows, uint64_t cols,
                                  const I2sLayout& layout);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_I2_S_LAYOUTS_H_
