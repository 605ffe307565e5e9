// Files written, read back, and asked for what they hold.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>

#include "engine/formats/format.h"
#include "engine/gguf/gguf.h"
#include "engine/gguf/gguf_bytes.h"

namespace bitnet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Action>
std::string ErrorOf(Action&& action) {
  try {
    action();
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

template <typename T>
std::shared_ptr<MetadataArray> Array(std::vector<T> values) {
  return std::make_shared<MetadataArray>(MetadataArray{std::move(values)});
}

// A folder of the test's own, gone afterwards.
class GgufFileTest : public ::testing::Test {
 protected:
  GgufFileTest()
      : folder_(std::filesystem::path(testing::TempDir()) /
                (std::string("gguf_file_test.") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~GgufFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(std::string_view name) const { return (folder_ / name).string(); }
  std::string WriteBytes(std::string_view name, std::span<const std::byte> bytes) const {
    std::ofstream(Path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return Path(name);
  }
  size_t FilesInFolder() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  const std::filesystem::path folder_;
};

TEST_F(GgufFileTest, KeysThatNobodyAskedFor) {
  GgufWriter writer(Path("keys.gguf"));
  for (const char* key : {"a", "b", "c", "d"}) writer.Set(key, uint32_t{1});
  writer.WriteHeader();
  writer.Finish();
  const GgufFile file = GgufFile::Open(Path("keys.gguf"));
  EXPECT_THAT(file.UnreadKeys(), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(file.Get<uint32_t>("b"), 1u);
  EXPECT_TRUE(file.Has("d"));
  EXPECT_THAT(file.UnreadKeys(), ElementsAre("a", "c"));
}

TEST_F(GgufFileTest, OverriddenKeys) {
  GgufWriter writer(Path("keys.gguf"));
  writer.Set("a", uint32_t{1});
  writer.WriteHeader();
  writer.Finish();
  GgufFile file = GgufFile::Open(Path("keys.gguf"));
  file.Override("a", int64_t{7});
  for (int i = 0; i < 20; ++i) file.Override(fmt::format("new{}", i), i + 0.5);
  EXPECT_EQ(file.Get<uint32_t>("a"), 7u);
  EXPECT_EQ(file.Get<float>("new0"), 0.5f);
  EXPECT_EQ(file.metadata().size(), 21u);
  EXPECT_THAT(ErrorOf([&] { file.Get<uint32_t>("new1"); }), HasSubstr("found float64 1.5"));
}

// Shards of one tensor each, of a model split in `count`.
class SplitFileTest : public GgufFileTest {
 protected:
  std::string Shard(int number, int count) const {
    return Path(fmt::format("m-{:05}-of-{:05}.gguf", number + 1, count));
  }
  void WriteShard(const std::string& path, int number, int count, const std::string& tensor) const {
    GgufWriter writer(path);
    if (number == 0) writer.Set("general.architecture", std::string("bitnet"));
    writer.Set("split.no", static_cast<uint16_t>(number));
    writer.Set("split.count", static_cast<uint16_t>(count));
    writer.Set("split.tensors.count", int32_t{count});
    writer.DeclareTensor(tensor, TensorType::kF32, {4});
    writer.WriteHeader();
    const std::vector<float> values(4, static_cast<float>(number));
    writer.WriteTensor(std::as_bytes(std::span(values)));
    writer.Finish();
  }
  void WriteAll(int count) const {
    for (int i = 0; i < count; ++i) WriteShard(Shard(i, count), i, count, fmt::format("t{}", i));
  }
  std::string Error(const std::string& path) const {
    return ErrorOf([&] { GgufFile::Open(path); });
  }
};

TEST_F(SplitFileTest, IsReadAsOne) {
  WriteAll(3);
  const GgufFile file = GgufFile::Open(Shard(0, 3));
  ASSERT_EQ(file.tensors().size(), 3u);
  for (int i = 0; i < 3; ++i) {
    float value = -1;
    std::memcpy(&value, file.Data(file.Tensor(fmt::format("t{}", i))).data(), sizeof(value));
    EXPECT_EQ(value, static_cast<float>(i));
  }
  EXPECT_EQ(file.Get<std::string>("general.architecture"), "bitnet");
  EXPECT_EQ(file.file_bytes(), std::filesystem::file_size(Shard(0, 3)) + 2 * std::filesystem::file_size(Shard(1, 3)));
  TensorInfo beyond = file.tensors().back();
  beyond.shard = 3;
  EXPECT_THAT(ErrorOf([&] { file.Data(beyond); }), HasSubstr("are not in this file"));
}

TEST_F(SplitFileTest, SaysWhatIsWrongWithItsShards) {
  WriteAll(3);
  EXPECT_THAT(Error(Shard(1, 3)), AllOf(HasSubstr("shard 2 of 3, expected the first; give"), HasSubstr(Shard(0, 3))));
  std::filesystem::rename(Shard(2, 3), Path("third"));
  EXPECT_THAT(Error(Shard(0, 3)), AllOf(HasSubstr("shard 3 is missing"), HasSubstr(Shard(2, 3))));
  std::filesystem::copy_file(Shard(1, 3), Shard(2, 3));
  EXPECT_THAT(Error(Shard(0, 3)), AllOf(HasSubstr(Shard(2, 3)), HasSubstr("shard 2 of 3 inside, expected 3 of 3")));
  WriteShard(Shard(2, 3), 2, 3, "t1");
  EXPECT_THAT(Error(Shard(0, 3)), HasSubstr("tensor 't1': found in two shards"));
  std::filesystem::copy_file(Shard(0, 3), Path("model.gguf"));
  EXPECT_THAT(Error(Path("model.gguf")), HasSubstr("expected a name that ends in -00001-of-00003.gguf"));
  WriteShard(Shard(0, 2), 0, 2, "t0");
  GgufWriter writer(Shard(1, 2));
  writer.Set("split.no", uint16_t{1});
  writer.Set("split.count", uint16_t{2});
  writer.WriteHeader();
  writer.Finish();
  EXPECT_THAT(Error(Shard(0, 2)), HasSubstr("found 1 tensors in 2 shards, expected 2 (split.tensors.count)"));
}

TEST_F(GgufFileTest, MetadataOfEveryTypeComesBack) {
  GgufWriter writer(Path("m.gguf"));
  writer.Set("u8", uint8_t{255});
  writer.Set("i8", int8_t{-128});
  writer.Set("u16", uint16_t{65535});
  writer.Set("i16", int16_t{-32768});
  writer.Set("u32", uint32_t{0xffffffff});
  writer.Set("i32", std::numeric_limits<int32_t>::min());
  writer.Set("f32", 1e-5f);
  writer.Set("bool", true);
  writer.Set("string", std::string("with \0 and \xff", 12));
  writer.Set("array", Array<std::shared_ptr<MetadataArray>>({Array<uint16_t>({1, 2}), Array<std::string>({})}));
  writer.Set("u64", ~uint64_t{0});
  writer.Set("i64", std::numeric_limits<int64_t>::min());
  writer.Set("f64", 0.1);
  writer.Set("flags", Array<bool>({true, false, true}));
  writer.Set("floats", Array<float>({1.5f, -2}));
  writer.Set("empty", Array<int32_t>({}));
  writer.Set("u32", uint32_t{7});  // replaces
  writer.WriteHeader();
  writer.Finish();

  const GgufFile file = GgufFile::Open(Path("m.gguf"));
  EXPECT_EQ(file.version(), 3u);
  ASSERT_EQ(file.metadata().size(), 16u);
  EXPECT_EQ(file.metadata()[4].first, "u32") << "the order is the writer's";
  EXPECT_EQ(file.Get<uint8_t>("u8"), 255);
  EXPECT_EQ(file.Get<int8_t>("i8"), -128);
  EXPECT_EQ(file.Get<uint16_t>("u16"), 65535);
  EXPECT_EQ(file.Get<int16_t>("i16"), -32768);
  EXPECT_EQ(file.Get<uint32_t>("u32"), 7u);
  EXPECT_EQ(file.Get<int32_t>("i32"), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(file.Get<float>("f32"), 1e-5f);
  EXPECT_EQ(file.Get<bool>("bool"), true);
  EXPECT_EQ(file.Get<std::string>("string"), std::string("with \0 and \xff", 12));
  EXPECT_EQ(file.Get<uint64_t>("u64"), ~uint64_t{0});
  EXPECT_EQ(file.Get<int64_t>("i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(file.Get<double>("f64"), 0.1);
  EXPECT_THAT(file.Get<std::vector<bool>>("flags"), ElementsAre(true, false, true));
  EXPECT_THAT(file.Get<std::vector<float>>("floats"), ElementsAre(1.5f, -2.0f));
  EXPECT_TRUE(file.Get<std::vector<int32_t>>("empty").empty());
  const auto& array = std::get<std::shared_ptr<MetadataArray>>(*file.Find("array"));
  const auto& inner = std::get<std::vector<std::shared_ptr<MetadataArray>>>(array->values);
  ASSERT_EQ(inner.size(), 2u);
  EXPECT_THAT(std::get<std::vector<uint16_t>>(inner[0]->values), ElementsAre(1, 2));
  EXPECT_TRUE(std::get<std::vector<std::string>>(inner[1]->values).empty());
}

TEST_F(GgufFileTest, IntegersConvertWhereTheyFitAndNothingElseDoes) {
  GgufWriter writer(Path("m.gguf"));
  writer.Set("small", uint8_t{200});
  writer.Set("negative", int32_t{-1});
  writer.Set("large", uint64_t{1} << 40);
  writer.Set("float", 2.0f);
  writer.Set("bool", true);
  writer.Set("name", std::string("x\n"));
  writer.Set("ints", Array<int32_t>({1, -1}));
  writer.Set("none", Array<float>({}));
  writer.WriteHeader();
  writer.Finish();
  const GgufFile file = GgufFile::Open(Path("m.gguf"));
  EXPECT_EQ(file.Get<uint64_t>("small"), 200u);
  EXPECT_EQ(file.Get<int32_t>("small"), 200);
  EXPECT_EQ(file.Get<double>("float"), 2.0);
  EXPECT_THAT(file.Get<std::vector<int64_t>>("ints"), ElementsAre(1, -1));
  EXPECT_EQ(file.GetOr<uint32_t>("absent", 3), 3u);
  EXPECT_EQ(file.GetOr<uint32_t>("small", 3), 200u);
  EXPECT_TRUE(file.Has("small"));
  EXPECT_FALSE(file.Has("absent"));

  EXPECT_THAT(ErrorOf([&] { file.Get<uint32_t>("absent"); }),
              AllOf(HasSubstr(Path("m.gguf")), HasSubstr("'absent': not found"), HasSubstr("uint of 32 bits")));
  EXPECT_THAT(ErrorOf([&] { file.Get<int8_t>("small"); }), HasSubstr("found uint8 200"));
  EXPECT_THAT(ErrorOf([&] { file.Get<uint64_t>("negative"); }), HasSubstr("found int32 -1"));
  EXPECT_THAT(ErrorOf([&] { file.Get<uint32_t>("large"); }), HasSubstr("found uint64 1099511627776"));
  EXPECT_THAT(ErrorOf([&] { file.Get<uint32_t>("float"); }), HasSubstr("found float32 2"));
  EXPECT_THAT(ErrorOf([&] { file.Get<float>("small"); }), HasSubstr("expected float32"));
  EXPECT_THAT(ErrorOf([&] { file.Get<uint32_t>("bool"); }), HasSubstr("found bool true"));
  EXPECT_THAT(ErrorOf([&] { file.Get<bool>("small"); }), HasSubstr("expected bool"));
  EXPECT_THAT(ErrorOf([&] { file.Get<float>("name"); }), HasSubstr("found string 'x\\x0a', expected float32"));
  EXPECT_THAT(ErrorOf([&] { file.Get<std::string>("ints"); }), HasSubstr("found array of int32, expected string"));
  EXPECT_THAT(ErrorOf([&] { file.Get<std::vector<uint32_t>>("ints"); }),
              HasSubstr("expected array of uint of 32 bits"));
  EXPECT_THAT(ErrorOf([&] { file.Get<std::vector<std::string>>("none"); }), HasSubstr("found array of float32"));
  EXPECT_THAT(ErrorOf([&] { file.Get<std::vector<float>>("float"); }), HasSubstr("expected array of float32"));
  EXPECT_THAT(ErrorOf([&] { file.GetOr<uint32_t>("name", 1); }), HasSubstr("found string"));
}

TEST_F(GgufFileTest, TensorsOfEveryTypeComeBack) {
  std::mt19937_64 random(7);
  std::vector<std::vector<std::byte>> contents;
  GgufWriter writer(Path("m.gguf"));
  writer.Set("general.alignment", uint32_t{128});
  for (const Format& t : AllFormats()) {
    writer.DeclareTensor(std::string(t.name), t.type, {512, 3, 2});
    auto& data = contents.emplace_back(TensorBytes(t.type, 6, 512));
    for (std::byte& b : data) b = static_cast<std::byte>(random());
  }
  writer.DeclareTensor("scalar", TensorType::kF32, {});
  contents.emplace_back(4, std::byte{1});
  writer.WriteHeader();
  for (const auto& data : contents) writer.WriteTensor(data);
  EXPECT_FALSE(std::filesystem::exists(Path("m.gguf"))) << "the file appears when it is whole";
  writer.Finish();
  EXPECT_EQ(FilesInFolder(), 1u);

  GgufFile opened = GgufFile::Open(Path("m.gguf"));
  const GgufFile file = std::move(opened);
  EXPECT_EQ(file.alignment(), 128u);
  EXPECT_EQ(file.path(), Path("m.gguf"));
  EXPECT_EQ(file.file_bytes(), std::filesystem::file_size(Path("m.gguf")));
  EXPECT_EQ(file.file_bytes() % 128, 0u);
  ASSERT_EQ(file.tensors().size(), contents.size());
  for (size_t i = 0; i < AllFormats().size(); ++i) {
    const Format& t = AllFormats()[i];
    const TensorInfo& tensor = file.Tensor(t.name);
    EXPECT_EQ(tensor.type, t.type);
    EXPECT_EQ(tensor.cols(), 512u);
    EXPECT_EQ(tensor.rows(), 6u);
    const auto data = file.Data(tensor);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data.data()) % 128, 0u);
    EXPECT_TRUE(std::equal(data.begin(), data.end(), contents[i].begin(), contents[i].end())) << t.name;
  }
  EXPECT_EQ(file.Tensor("scalar").rows() * file.Tensor("scalar").cols(), 1u);
  EXPECT_EQ(file.FindTensor("absent"), nullptr);
  EXPECT_THAT(ErrorOf([&] { file.Tensor("absent"); }),
              AllOf(HasSubstr("m.gguf"), HasSubstr("tensor 'absent': not found")));
  TensorInfo foreign = file.Tensor("F32");
  foreign.offset = file.file_bytes();
  EXPECT_THAT(ErrorOf([&] { file.Data(foreign); }), HasSubstr("not in this file"));
}

TEST_F(GgufFileTest, Version2IsTheSameLayout) {
  GgufBytes bytes(1, 1, 2);
  bytes.Key("k", 4).Put<uint32_t>(5).Tensor("t", {2}, 0, 0).Data(0).Put(1.0f).Put(2.0f);
  const GgufFile file = GgufFile::Open(WriteBytes("v2.gguf", bytes.bytes()));
  EXPECT_EQ(file.version(), 2u);
  EXPECT_EQ(file.Get<uint32_t>("k"), 5u);
  float values[2];
  std::memcpy(values, file.Data(file.Tensor("t")).data(), sizeof(values));
  EXPECT_THAT(values, ElementsAre(1.0f, 2.0f));
}

TEST_F(GgufFileTest, WhatIsNoFileIsSaidPlainly) {
  EXPECT_THAT(ErrorOf([&] { GgufFile::Open(Path("absent.gguf")); }),
              AllOf(HasSubstr("absent.gguf"), HasSubstr("No such file")));
  EXPECT_THAT(ErrorOf([&] { GgufFile::Open(folder_.string()); }), HasSubstr("no regular file"));
  EXPECT_THAT(ErrorOf([&] { GgufFile::Open(WriteBytes("empty.gguf", {})); }), HasSubstr("empty file"));
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf([&] { GgufFile::Open(Path("fifo")); }), HasSubstr("no regular file"));
  EXPECT_THAT(ErrorOf([&] { GgufFile::Open("/dev/null"); }), HasSubstr("no regular file"));
}

TEST_F(GgufFileTest, TheWriterRefusesMisuse) {
  GgufWriter writer(Path("m.gguf"));
  EXPECT_THAT(ErrorOf([&] { writer.WriteTensor({}); }), HasSubstr("before WriteHeader"));
  EXPECT_THAT(ErrorOf([&] { writer.Set("", true); }), HasSubstr("empty key"));
  EXPECT_THAT(ErrorOf([&] { writer.Set("k", std::shared_ptr<MetadataArray>()); }), HasSubstr("null array"));
  EXPECT_THAT(ErrorOf([&] { writer.Set("general.alignment", uint32_t{24}); }), HasSubstr("power of two"));
  EXPECT_THAT(ErrorOf([&] { writer.DeclareTensor("t", TensorType::kTQ2_0, {128, 2}); }), HasSubstr("block of 256"));
  EXPECT_THAT(ErrorOf([&] {
                writer.DeclareTensor("t", TensorType::kF32, {1, 1, 1, 1, 1});
              }),
              HasSubstr("5 dimensions"));
  EXPECT_THAT(ErrorOf([&] { writer.DeclareTensor("t", TensorType::kF32, {4, 0}); }), HasSubstr("dimension of 0"));
  writer.DeclareTensor("t", TensorType::kF32, {4});
  EXPECT_THAT(ErrorOf([&] { writer.DeclareTensor("t", TensorType::kF32, {4}); }), HasSubstr("declared twice"));
  EXPECT_THAT(ErrorOf([&] { writer.Set("general.alignment", uint32_t{64}); }), HasSubstr("after DeclareTensor"));
  EXPECT_THAT(ErrorOf([&] { writer.Finish(); }), HasSubstr("expected 1"));
  writer.WriteHeader();
  EXPECT_THAT(ErrorOf([&] { writer.WriteHeader(); }), HasSubstr("twice"));
  EXPECT_THAT(ErrorOf([&] { writer.Set("k", true); }), HasSubstr("after WriteHeader"));
  EXPECT_THAT(ErrorOf([&] { writer.DeclareTensor("u", TensorType::kF32, {4}); }), HasSubstr("after WriteHeader"));
  EXPECT_THAT(ErrorOf([&] { writer.WriteTensor(std::vector<std::byte>(15)); }),
              HasSubstr("found 15 bytes of data, expected 16"));
  EXPECT_THAT(ErrorOf([&] { writer.Finish(); }), HasSubstr("found data of 0 tensors, expected 1"));
  writer.WriteTensor(std::vector<std::byte>(16));
  EXPECT_THAT(ErrorOf([&] { writer.WriteTensor(std::vector<std::byte>(16)); }),
              HasSubstr("one tensor more than the 1 declared"));
  writer.Finish();
  EXPECT_THAT(ErrorOf([&] { writer.Finish(); }), HasSubstr("twice"));
}

TEST_F(GgufFileTest, AnUnfinishedFileLeavesNothing) {
  {
    GgufWriter writer(Path("m.gguf"));
    writer.DeclareTensor("t", TensorType::kF32, {4});
    writer.WriteHeader();
    EXPECT_EQ(FilesInFolder(), 1u);
  }
  EXPECT_EQ(FilesInFolder(), 0u);
}

TEST_F(GgufFileTest, AFullDiskIsReportedAndLeavesNothing) {
  EXPECT_THAT(ErrorOf([&] { GgufWriter(Path("absent/m.gguf")); }),
              AllOf(HasSubstr("absent/m.gguf"), HasSubstr("No such file")));
  // A limit on the size of files stands in for the disk.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  for (const size_t limit : {0, 10, 4096, 70000, 100000}) {
    rlimit small = before;
    small.rlim_cur = limit;
    std::string error;
    {
      GgufWriter writer(Path("m.gguf"));
      writer.DeclareTensor("t", TensorType::kF32, {25000});
      ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
      error = ErrorOf([&] {
        writer.WriteHeader();
        writer.WriteTensor(std::vector<std::byte>(100000));
        writer.Finish();
      });
      ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    }
    EXPECT_THAT(error, AllOf(HasSubstr("m.gguf"), HasSubstr("failed"), HasSubstr("File too large"))) << limit;
    EXPECT_EQ(FilesInFolder(), 0u) << limit;
  }
}

}  // namespace
}  // namespace bitnet
