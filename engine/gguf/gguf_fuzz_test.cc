// A whole file, truncated and damaged everywhere: accepted or refused, but never a crash, never memory beyond a small
// multiple of the file, never a tensor outside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <string>

#include "engine/formats/format.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/gguf_parser.h"

namespace {
std::atomic<size_t> g_largest_allocation = 0;
}

// Every allocation of this program passes here; the array and sized forms end in these. (Inlined, the pairs look
// mismatched to GCC.)
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  size_t largest = g_largest_allocation;
  while (bytes > largest && !g_largest_allocation.compare_exchange_weak(largest, bytes)) {
  }
  return std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(size_t bytes) {
  if (void* memory = operator new(bytes, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace bitnet {
namespace {

using ::testing::HasSubstr;

template <typename T>
std::shared_ptr<MetadataArray> Array(std::vector<T> values) {
  return std::make_shared<MetadataArray>(MetadataArray{std::move(values)});
}

// A file with every kind of value and a tensor of every type.
class GgufFuzz : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string path = testing::TempDir() + "gguf_fuzz_test.gguf";
    GgufWriter writer(path);
    writer.Set("general.architecture", std::string("bitnet"));
    writer.Set("general.alignment", uint32_t{64});
    writer.Set("u8", uint8_t{1});
    writer.Set("i16", int16_t{-2});
    writer.Set("f32", 1.5f);
    writer.Set("bool", true);
    writer.Set("f64", 2.5);
    writer.Set("tokens", Array<std::string>({"a", "bc", "", "def"}));
    writer.Set("types", Array<int32_t>({1, 2, 3}));
    writer.Set("flags", Array<bool>({true, false}));
    writer.Set("nested", Array<std::shared_ptr<MetadataArray>>({Array<float>({1, 2}), Array<std::string>({"x"})}));
    for (const Format& t : AllFormats()) writer.DeclareTensor(std::string(t.name) + ".weight", t.type, {256, 3});
    writer.WriteHeader();
    for (const Format& t : AllFormats()) {
      writer.WriteTensor(std::vector<std::byte>(TensorBytes(t.type, 3, 256), std::byte{0x55}));
    }
    writer.Finish();
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    file_.resize(text.size());
    std::memcpy(file_.data(), text.data(), text.size());
    std::remove(path.c_str());
    header_ = ParseGgufHeader(file_, "whole");
    ASSERT_EQ(header_.tensors.size(), AllFormats().size());
  }

  // Parses, and checks whatever was accepted. Returns the error, or "".
  static std::string Try(std::span<const std::byte> bytes) {
    g_largest_allocation = 0;
    std::string error;
    try {
      const GgufHeader header = ParseGgufHeader(bytes, "broken.gguf");
      unsigned sum = 0;
      for (const TensorInfo& t : header.tensors) {
        EXPECT_EQ(t.offset % header.alignment, 0u);
        EXPECT_LE(header.data_start, bytes.size());
        EXPECT_LE(t.offset, bytes.size() - header.data_start);
        EXPECT_LE(t.bytes, bytes.size() - header.data_start - t.offset);
        if (t.bytes > 0) sum += static_cast<unsigned>(bytes[header.data_start + t.offset + t.bytes - 1]);
      }
      EXPECT_LE(sum, 255u * header.tensors.size());
    } catch (const std::runtime_error& e) {
      error = e.what();
      EXPECT_THAT(error, HasSubstr("broken.gguf: "));
      EXPECT_LT(error.size(), 1000u);
    }
    // The largest element (a metadata entry) takes 72 bytes for at least 13 in the file.
    EXPECT_LE(g_largest_allocation, 16 * file_.size());
    return error;
  }

  static std::vector<std::byte> file_;
  static GgufHeader header_;
};
std::vector<std::byte> GgufFuzz::file_;
GgufHeader GgufFuzz::header_;

TEST_F(GgufFuzz, EveryTruncationIsRefused) {
  const TensorInfo& last = header_.tensors.back();
  const size_t end = header_.data_start + last.offset + last.bytes;
  std::vector<size_t> lengths;
  for (size_t length = 0; length <= header_.data_start; ++length) lengths.push_back(length);
  for (size_t percent = 0; percent <= 100; ++percent) lengths.push_back(file_.size() * percent / 100);
  lengths.push_back(end - 1);
  lengths.push_back(end);
  for (const size_t length : lengths) {
    // A copy of its own, so that the address sanitizer sees a read past its end.
    const std::vector<std::byte> part(file_.begin(), file_.begin() + static_cast<ptrdiff_t>(length));
    const std::string error = Try(part);
    if (length >= end) {
      EXPECT_EQ(error, "") << length;
    } else {
      EXPECT_THAT(error, HasSubstr("truncated")) << length;
      EXPECT_THAT(error, HasSubstr("bytes missing")) << length;
    }
  }
}

TEST_F(GgufFuzz, ExtremesAnywhereInTheHeader) {
  constexpr uint64_t kExtremes[] = {0,          1,          0x7f,       0xff,       0x7fffffff, 0x80000000,
                                    0xffffffff, 1ull << 32, 1ull << 62, 1ull << 63, ~0ull};
  size_t refused = 0, tried = 0;
  for (size_t at = 0; at + 8 <= header_.data_start; ++at) {
    for (const uint64_t value : kExtremes) {
      for (const size_t width : {1, 4, 8}) {
        std::vector<std::byte> broken = file_;
        std::memcpy(broken.data() + at, &value, width);
        refused += Try(broken) != "";
        ++tried;
      }
    }
  }
  EXPECT_GT(refused, tried / 2);
}

TEST_F(GgufFuzz, RandomBytes) {
  std::mt19937_64 random(20240229);
  size_t refused = 0;
  constexpr size_t kTries = 20000;
  for (size_t i = 0; i < kTries; ++i) {
    std::vector<std::byte> broken = file_;
    const size_t flips = 1 + random() % 8;
    for (size_t f = 0; f < flips; ++f) broken[random() % header_.data_start] = static_cast<std::byte>(random());
    if (random() % 8 == 0) broken.resize(random() % broken.size());
    refused += Try(broken) != "";
  }
  EXPECT_GT(refused, kTries / 2);
}

}  // namespace
}  // namespace bitnet
