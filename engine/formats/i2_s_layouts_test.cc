#include "engine/formats/i2_s_layouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "engine/formats/codec.h"

namespace bitnet {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kRows = 4, kCols = 256;

std::vector<float> Read(const std::vector<std::byte>& tensor, const char* layout) {
  std::vector<float> values(kRows * kCols);
  DequantizeTensor(TensorType::kI2_S, RewriteI2s(tensor, kRows, kCols, ParseI2sLayout(layout)), kRows, kCols, values);
  return values;
}

// All zeros but for one byte of four codes, and a scale of 1.
std::vector<std::byte> OneByte(size_t at, uint8_t byte) {
  std::vector<std::byte> tensor(kRows * kCols / 4 + 32, std::byte{0b01'01'01'01});
  tensor[at] = std::byte{byte};
  const float scale = 1;
  std::memcpy(tensor.data() + kRows * kCols / 4, &scale, sizeof(scale));
  return tensor;
}

// The weights that are not 0: place and value.
using Found = std::vector<std::pair<size_t, float>>;
Found NonZero(const std::vector<float>& values) {
  Found found;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) found.emplace_back(i, values[i]);
  }
  return found;
}

TEST(I2sLayouts, PlaceTheCodesOfAByte) {
  // Byte 70 is the seventh of row 1.
  const std::vector<std::byte> tensor = OneByte(70, 0b10'01'00'10);
  const size_t row = kCols;
  EXPECT_EQ(NonZero(Read(tensor, "x86")), (Found{{row + 6, 1}, {row + 70, -1}, {row + 102, 1}}));
  EXPECT_EQ(NonZero(Read(tensor, "arm")), (Found{{row + 6, 1}, {row + 38, -1}, {row + 54, 1}}));
  EXPECT_EQ(NonZero(Read(tensor, "neighbours")), (Found{{row + 24, 1}, {row + 26, -1}, {row + 27, 1}}));
  EXPECT_EQ(NonZero(Read(tensor, "neighbours-low")), (Found{{row + 24, 1}, {row + 25, -1}, {row + 27, 1}}));
  EXPECT_EQ(NonZero(Read(tensor, "four-rows")), (Found{{70, 1}, {2 * row + 70, -1}, {3 * row + 70, 1}}));
}

TEST(I2sLayouts, MapTheCodes) {
  const std::vector<std::byte> tensor = OneByte(0, 0b10'01'00'01);
  const std::vector<float> w = Read(tensor, "x86/0+-");
  EXPECT_EQ(w[0], -1);
  EXPECT_EQ(w[32], 1);
  EXPECT_EQ(w[64], 0);
  EXPECT_EQ(w[1], 1);
  EXPECT_EQ(Read(tensor, "x86/+0-")[0], -1);
  EXPECT_EQ(RewriteI2s(tensor, kRows, kCols, AllI2sLayouts().front()), tensor);
}

TEST(I2sLayouts, AreWrittenAsTheyAreRead) {
  std::vector<std::byte> tensor = OneByte(0, 0);
  for (size_t i = 0; i < kRows * kCols / 4; ++i) tensor[i] = static_cast<std::byte>(i * 37 + i / 64);
  for (const I2sLayout& layout : AllI2sLayouts()) {
    for (const char* codes : {"/-0+", "/0+-"}) {
      const I2sLayout l = ParseI2sLayout(std::string(layout.name) + codes);
      const std::vector<std::byte> written = WriteI2sAs(tensor, kRows, kCols, l);
      EXPECT_EQ(written == tensor, l == AllI2sLayouts().front()) << l.name << codes;
      EXPECT_EQ(RewriteI2s(written, kRows, kCols, l), tensor) << l.name << codes;
    }
  }
}

TEST(I2sLayouts, RefuseWhatTheyAreNot) {
  for (const char* text : {"x87", "x86/", "x86/-00", "x86/-0+1", ""}) {
    EXPECT_THROW(ParseI2sLayout(text), std::runtime_error) << text;
  }
  try {
    ParseI2sLayout("mips");
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("arm (64 weights in 16 bytes"));
  }
  const std::vector<std::byte> three_rows(3 * kCols / 4 + 32);
  EXPECT_THROW(RewriteI2s(three_rows, 3, kCols, ParseI2sLayout("four-rows")), std::runtime_error);
  EXPECT_THROW(RewriteI2s(three_rows, 4, kCols, ParseI2sLayout("arm")), std::runtime_error);
}

}  // namespace
}  // namespace bitnet
