#include "reference/capture/hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

// Test vectors of BLAKE3: the input is bytes 0, 1, ... 250, 0, 1, ...
std::string Pattern(size_t n) {
  std::string text;
  for (size_t i = 0; i < n; ++i) text += static_cast<char>(i % 251);
  return text;
}

TEST(HashTest, IsBlake3) {
  EXPECT_EQ(HashText(""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(HashText(Pattern(1)), "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213");
  EXPECT_EQ(HashText(Pattern(1024)), "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7");
}

TEST(HashTest, OfAFileIsThatOfItsBytes) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/f", text = Pattern((1 << 20) + 17);
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(HashFile(path), HashText(text));
}

TEST(HashTest, OfASplitFileIsThatOfAllShards) {
  const TemporaryDirectory directory;
  const std::string first = directory.path() + "/m-00001-of-00002.gguf",
                    second = directory.path() + "/m-00002-of-00002.gguf";
  std::ofstream(first, std::ios::binary) << "one";
  EXPECT_THROW(HashFile(first), std::runtime_error);
  std::ofstream(second, std::ios::binary) << "two";
  EXPECT_EQ(HashFile(first), HashText("onetwo"));
  EXPECT_EQ(HashFile(second), HashText("two"));
}

TEST(HashTest, FilesThatCannotBeReadAreErrors) {
  const TemporaryDirectory directory;
  EXPECT_THROW(HashFile(directory.path() + "/none"), std::runtime_error);
  EXPECT_THROW(HashFile(directory.path()), std::runtime_error);
}

}  // namespace
}  // namespace parity
