// Broken headers: each gives one clear error, without a crash and without an allocation by a number from the file.
#include "engine/gguf/gguf_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/gguf/gguf_bytes.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint32_t kUint32 = 4, kBool = 7, kString = 8, kArray = 9;
constexpr uint32_t kF32 = 0, kI2S = 36;

// The error's text, or "" if the bytes were accepted.
std::string ErrorOf(std::span<const std::byte> bytes) {
  try {
    ParseGgufHeader(bytes, "m.gguf");
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}
std::string ErrorOf(const GgufBytes& file) { return ErrorOf(file.bytes()); }

std::string MagicError(std::string_view magic) {
  const std::string text = std::string(magic) + std::string(20, '\0');
  return ErrorOf(std::as_bytes(std::span(text)));
}

TEST(GgufParser, AcceptsTheSmallestFile) {
  const GgufHeader header = ParseGgufHeader(GgufBytes(0, 0).bytes(), "m.gguf");
  EXPECT_EQ(header.version, 3u);
  EXPECT_EQ(header.alignment, 32u);
  EXPECT_EQ(header.data_start, 32u);
  EXPECT_TRUE(header.metadata.empty());
  EXPECT_TRUE(header.tensors.empty());
}

TEST(GgufParser, NamesWhatAFileIsInsteadOfGguf) {
  EXPECT_THAT(MagicError("abcd"), AllOf(HasSubstr("m.gguf: magic"), HasSubstr("'abcd'"), HasSubstr("expected 'GGUF'")));
  EXPECT_THAT(MagicError(std::string_view("\0\1\2\3", 4)), HasSubstr("'\\x00\\x01\\x02\\x03'"));
  EXPECT_THAT(MagicError("FUGG"), HasSubstr("big-endian"));
  EXPECT_THAT(MagicError("version https"), HasSubstr("Git LFS"));
  EXPECT_THAT(MagicError("tjgg"), HasSubstr("older than GGUF"));
  EXPECT_THAT(MagicError("PK\3\4"), HasSubstr("zip archive"));
  EXPECT_THAT(ErrorOf(std::span<const std::byte>()), AllOf(HasSubstr("magic"), HasSubstr("4 bytes missing")));
}

TEST(GgufParser, RefusesOtherVersions) {
  EXPECT_EQ(ErrorOf(GgufBytes(0, 0, 2)), "");
  EXPECT_THAT(ErrorOf(GgufBytes(0, 0, 1)), AllOf(HasSubstr("version: found 1, expected 2 or 3"), HasSubstr("convert")));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 0, 4)), HasSubstr("version: found 4, expected 2 or 3"));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 0, 0)), HasSubstr("version: found 0, expected 2 or 3"));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 0, 0x03000000)), HasSubstr("big-endian"));
}

TEST(GgufParser, SaysWhereTheFileEndsAndHowMuchIsMissing) {
  GgufBytes file(0, 1);
  file.Key("general.name", kString).Put<uint64_t>(10).Raw("abc");
  EXPECT_THAT(ErrorOf(file), AllOf(HasSubstr("metadata key 'general.name'"),
                                   HasSubstr("expected 10 bytes at offset 56, found 3"), HasSubstr("7 bytes missing")));
  GgufBytes data(1, 0);
  data.Tensor("t", {8, 2}, kF32, 0).Data(60);
  EXPECT_THAT(ErrorOf(data),
              AllOf(HasSubstr("tensor 't'"), HasSubstr("expected 64 bytes of F32"), HasSubstr("4 bytes missing")));
}

TEST(GgufParser, RefusesAbsurdCounts) {
  constexpr uint64_t kHuge[] = {100, 0x7fffffff, 0xffffffff, 1ull << 63, ~0ull};
  for (const uint64_t count : kHuge) {
    EXPECT_THAT(ErrorOf(GgufBytes(count, 0)), AllOf(HasSubstr("tensor count"), HasSubstr("bytes missing")));
    EXPECT_THAT(ErrorOf(GgufBytes(0, count)), AllOf(HasSubstr("metadata count"), HasSubstr("bytes missing")));
    GgufBytes key(0, 1);
    key.Put(count).Data(32);
    EXPECT_THAT(ErrorOf(key), AllOf(HasSubstr("metadata entry 1 of 1"), HasSubstr("bytes missing")));
    GgufBytes string(0, 1);
    string.Key("k", kString).Put(count).Data(32);
    EXPECT_THAT(ErrorOf(string), AllOf(HasSubstr("metadata key 'k'"), HasSubstr("bytes missing")));
    for (uint32_t type = 0; type <= 12; ++type) {
      GgufBytes array(0, 1);
      array.Key("k", kArray).Put(type).Put(count).Data(32);
      EXPECT_THAT(ErrorOf(array), AllOf(HasSubstr("metadata key 'k'"), HasSubstr("bytes missing"))) << type;
    }
  }
}

TEST(GgufParser, RefusesWrongMetadata) {
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key("k", 13).Data(64)),
              AllOf(HasSubstr("'k'"), HasSubstr("found value type 13")));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key("k", kArray).Put<uint32_t>(99).Put<uint64_t>(1).Data(64)),
              HasSubstr("value type 99"));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key("k", kBool).Put<uint8_t>(2)), HasSubstr("found bool 2"));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key("k", kArray).Put(kBool).Put<uint64_t>(2).Put<uint8_t>(1).Put<uint8_t>(255)),
              HasSubstr("found bool 255"));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key("", kBool).Put<uint8_t>(1)), HasSubstr("the key is empty"));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 2).Key("k", kUint32).Put(1u).Key("k", kUint32).Put(1u)),
              HasSubstr("'k': found twice"));
  const std::string long_key(1000, 'x');
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key(long_key, 77).Data(64)),
              HasSubstr("'" + std::string(80, 'x') + "...' (1000 bytes)"));
}

TEST(GgufParser, ReadsNestedArraysOnlyToTheLimit) {
  const auto nested = [](int depth) {
    GgufBytes file(0, 1);
    file.Key("k", kArray);
    for (int i = 1; i < depth; ++i) file.Put(kArray).Put<uint64_t>(1);
    file.Put(kUint32).Put<uint64_t>(1).Put<uint32_t>(42);
    return file;
  };
  const GgufHeader header = ParseGgufHeader(nested(kGgufMaxArrayDepth).bytes(), "m.gguf");
  const MetadataArray* array = std::get<std::shared_ptr<MetadataArray>>(header.metadata[0].second).get();
  for (int i = 1; i < kGgufMaxArrayDepth; ++i) {
    array = std::get<std::vector<std::shared_ptr<MetadataArray>>>(array->values).at(0).get();
  }
  EXPECT_EQ(std::get<std::vector<uint32_t>>(array->values), std::vector<uint32_t>{42});
  EXPECT_THAT(ErrorOf(nested(kGgufMaxArrayDepth + 1)), HasSubstr("nested deeper than 4"));
  EXPECT_THAT(ErrorOf(nested(1'000'000)), HasSubstr("nested deeper than 4"));
}

TEST(GgufParser, ChecksTheAlignment) {
  const auto with = [](uint32_t alignment) {
    GgufBytes file(1, 1);
    file.Key("general.alignment", kUint32).Put(alignment).Tensor("t", {4}, kF32, 0).Data(16, 64);
    return file;
  };
  EXPECT_EQ(ErrorOf(with(64)), "");
  EXPECT_EQ(ParseGgufHeader(with(64).bytes(), "m.gguf").alignment, 64u);
  for (const uint32_t wrong : {0u, 1u, 4u, 12u, 0xffffffffu}) {
    EXPECT_THAT(ErrorOf(with(wrong)), AllOf(HasSubstr("'general.alignment'"), HasSubstr("power of two")));
  }
  EXPECT_THAT(ErrorOf(with(0x80000000u)), AllOf(HasSubstr("tensor 't'"), HasSubstr("bytes missing")));
  EXPECT_THAT(ErrorOf(GgufBytes(0, 1).Key("general.alignment", kString).String("32")),
              HasSubstr("found string, expected uint32"));
}

TEST(GgufParser, RefusesWrongTensors) {
  const auto with = [](std::vector<uint64_t> shape, uint32_t type, uint64_t offset) {
    return ErrorOf(GgufBytes(1, 0).Tensor("t", std::move(shape), type, offset).Data(4096));
  };
  EXPECT_EQ(with({8, 2, 3, 4}, kF32, 32), "");
  EXPECT_EQ(with({}, kF32, 0), "");
  EXPECT_THAT(with({1, 1, 1, 1, 1}, kF32, 0), AllOf(HasSubstr("tensor 't'"), HasSubstr("found 5 dimensions")));
  EXPECT_THAT(with({4, 0}, kF32, 0), HasSubstr("found a size of 0 in dimension 1"));
  EXPECT_THAT(with({4, 1ull << 33, 1ull << 33}, kF32, 0), HasSubstr("dimension 2"));
  EXPECT_THAT(with({1ull << 63, 4}, kF32, 0), HasSubstr("more bytes than 64 bits count"));
  EXPECT_THAT(with({256, 1ull << 60}, 35, 0), HasSubstr("more bytes than 64 bits count"));
  EXPECT_THAT(with({1ull << 40}, kF32, 0), HasSubstr("bytes missing"));
  EXPECT_THAT(with({100}, 35, 0), AllOf(HasSubstr("TQ2_0"), HasSubstr("multiple of its block of 256")));
  EXPECT_THAT(with({4}, kF32, 33), AllOf(HasSubstr("offset 33"), HasSubstr("alignment 32")));
  EXPECT_THAT(with({4}, kF32, 8192), AllOf(HasSubstr("offset 8192"), HasSubstr("4096 bytes missing")));
  EXPECT_THAT(with({4}, kF32, ~0ull - 31), HasSubstr("bytes missing"));
  EXPECT_THAT(with({1024, 2}, kF32, 0), HasSubstr("4096 bytes missing"));
}

// A tensor of that type with `room` bytes up to the next one.
TensorInfo Described(uint32_t type, std::vector<uint64_t> shape, size_t room) {
  GgufBytes bytes(2, 0);
  bytes.Tensor("t", std::move(shape), type, 0).Tensor("next", {8}, kF32, room).Data(room + 32);
  return ParseGgufHeader(bytes.bytes(), "m.gguf").tensors.at(0);
}

TEST(GgufParser, DescribesTypesThatItDoesNotRun) {
  const TensorInfo unknown = Described(999, {100}, 4096);
  EXPECT_EQ(unknown.type_name(), "type 999");
  EXPECT_EQ(unknown.bytes, 4096u);
  EXPECT_FALSE(unknown.is_own());
  EXPECT_THAT(RemedyFor(unknown), HasSubstr("no engine that we know"));
  EXPECT_EQ(Described(20, {64, 3}, 128).bytes, 3u * 36);
  EXPECT_EQ(Described(20, {64, 3}, 128).type_name(), "IQ4_NL");
  EXPECT_TRUE(Described(35, {256, 2}, 160).is_own());
}

TEST(GgufParser, TheRoomTellsTheMeaningsOfANumberApart) {
  EXPECT_EQ(Described(39, {256, 2}, 2 * 8 * 17 + 16).type_name(), "MXFP4");
  EXPECT_EQ(Described(39, {256, 2}, 2 * 8 * 17 + 16).bytes, 2u * 8 * 17);
  EXPECT_EQ(Described(39, {256, 2}, 128).type_name(), "TL2");
  EXPECT_EQ(Described(39, {100, 2}, 128).type_name(), "TL2") << "no whole number of MXFP4's blocks";
  EXPECT_EQ(Described(42, {512, 4}, 4 * 8 * 18).bytes, 4u * 8 * 18);
  EXPECT_EQ(Described(42, {512, 4}, 4 * 4 * 34).type_name(), "Q2_0 (128 weights in 34 bytes)");
  EXPECT_EQ(Described(42, {512, 4}, 512).type_name(), "TL2");
  EXPECT_EQ(Described(142, {512, 4}, 512).type_name(), "IQ2_TN or PQ2_0");
  EXPECT_THAT(RemedyFor(Described(142, {512, 4}, 512)), HasSubstr("if PQ2_0: "));
  // I2_S of 256 x 4: bitnet.cpp's 288 bytes, and others' room.
  EXPECT_TRUE(Described(36, {256, 4}, 288).is_own());
  EXPECT_EQ(Described(36, {256, 4}, 256).type_name(), "I2_S (codes alone, with no scale behind them)");
  EXPECT_THAT(Described(36, {256, 4}, 320).type_name(), HasSubstr("32 weights in 10 bytes"));
  EXPECT_EQ(Described(36, {256, 4}, 576).type_name(), "IQ4_NL_4_4");
}

TEST(GgufParser, RefusesTensorsThatShareANameOrBytes) {
  EXPECT_THAT(ErrorOf(GgufBytes(2, 0).Tensor("t", {4}, kF32, 0).Tensor("t", {4}, kF32, 32).Data(64)),
              HasSubstr("tensor 't': found twice"));
  EXPECT_THAT(ErrorOf(GgufBytes(2, 0).Tensor("b", {4}, kF32, 32).Tensor("a", {9}, kF32, 0).Data(64)),
              AllOf(HasSubstr("tensor 'a'"), HasSubstr("36 bytes reach into tensor 'b'")));
  EXPECT_THAT(ErrorOf(GgufBytes(2, 0).Tensor("a", {4}, kF32, 0).Tensor("b", {4}, kF32, 0).Data(64)),
              HasSubstr("reach into"));
}

TEST(GgufParser, RoomThatSaysNothingLeavesTheEnginesOwnLayout) {
  EXPECT_TRUE(Described(kI2S, {128, 32}, 2048).is_own()) << "a gap";
  const auto last = [](size_t bytes) { return GgufBytes(1, 0).Tensor("a", {128, 32}, kI2S, 0).Data(bytes); };
  EXPECT_THAT(ParseGgufHeader(last(1280).bytes(), "m").tensors[0].type_name(), HasSubstr("blocks of 32 weights"));
  EXPECT_TRUE(ParseGgufHeader(last(1056).bytes(), "m").tensors[0].is_own());
  EXPECT_THAT(ErrorOf(last(1000)), HasSubstr("56 bytes missing"));
}

}  // namespace
}  // namespace bitnet
