#include "reference/capture/trace_directory.h"
#include "reference/capture/error_for_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const std::vector<float> kData = {3, 4, 0, 0};

class TraceDirectoryTest : public testing::Test {
 protected:
  std::string Path(const std::string& name = "") const {
    return root_.path() + "/traces" + (name.empty() ? "" : "/" + name);
  }
  void Write(bool raw = true) const {
    TraceDirectory traces(Path());
    traces.Add(1, -1, Point::kLogits, {4}, kData, raw);
    traces.Add(0, 0, Point::kAttnNorm, {2, 2}, kData, raw);
    traces.Add(0, -1, Point::kEmbeddings, {4}, kData, raw);
    Capture run;
    run.model.blake3 = std::string(64, 'b');
    run.tokens = {7, 8};
    run.request.trace = "core";
    traces.Finish(run);
  }
  static void Edit(const std::string& path, const std::function<void(nlohmann::json&)>& edit) {
    nlohmann::json json = ReadJsonFile(path);
    edit(json);
    WriteJsonFile(path, json);
  }
  void ExpectRefused(const testing::Matcher<std::string>& message) const {
    EXPECT_THAT(ErrorOf([this] { ReadTraces(Path()); }), message);
  }
  TemporaryDirectory root_;
};

TEST_F(TraceDirectoryTest, OneFileATensorInTheOrderOfTheComputation) {
  Write();
  const nlohmann::json json = ReadJsonFile(Path("t0_blk0_attn_norm.trace"));
  EXPECT_EQ(json["name"], "t0/blk0/attn_norm");
  EXPECT_EQ(json["shape"], (std::vector<int>{2, 2}));
  EXPECT_EQ(json["dtype"], "F32");
  EXPECT_EQ(json["rms"], 2.5);
  EXPECT_EQ(json["num_elements"], 4);
  EXPECT_EQ(json["blake3"].get<std::string>().size(), 64u);
  const Capture back = ReadTraces(Path());
  ASSERT_EQ(back.traces.size(), 3u);
  EXPECT_EQ(back.traces[0].name, "t0/embeddings");
  EXPECT_EQ(back.traces[1].name, "t0/blk0/attn_norm");
  EXPECT_EQ(back.traces[2].name, "t1/logits");
  EXPECT_EQ(back.tokens, (std::vector<int32_t>{7, 8}));
  EXPECT_EQ(back.model.blake3, std::string(64, 'b'));
  EXPECT_EQ(ReadTensor(back, back.traces[1]), kData);
}

// Other tracers write no more than the name.
TEST_F(TraceDirectoryTest, TheNameAloneSaysThePlace) {
  Write(false);
  fs::remove(Path("trace.json"));
  for (const char* file : {"t1_logits.trace", "t0_blk0_attn_norm.trace"}) {
    Edit(Path(file), [](nlohmann::json& json) {
      for (const char* key : {"seq", "layer", "stage"}) json.erase(key);
    });
  }
  const Capture read = ReadTraces(Path());
  ASSERT_EQ(read.traces.size(), 3u);
  EXPECT_EQ(read.traces[1].layer, 0);
  EXPECT_EQ(read.traces[1].point, Point::kAttnNorm);
  EXPECT_EQ(read.traces[2].position, 1);
  EXPECT_EQ(read.traces[2].layer, -1);
  EXPECT_EQ(read.traces[2].point, Point::kLogits);
  Edit(Path("t1_logits.trace"), [](nlohmann::json& json) { json["seq"] = 1; });  // some of them are too few
  ExpectRefused(HasSubstr("layer: missing key"));
  Edit(Path("t1_logits.trace"), [](nlohmann::json& json) {
    json.erase("seq");
    json["name"] = "logits";
  });
  ExpectRefused(HasSubstr("seq: missing key"));
}

TEST_F(TraceDirectoryTest, NoRawTensorsUnlessAskedFor) {
  Write(/*raw=*/false);
  for (const auto& entry : fs::directory_iterator(Path())) EXPECT_NE(entry.path().extension(), ".npy");
  const Capture back = ReadTraces(Path());
  EXPECT_THROW(ReadTensor(back, back.traces[0]), std::runtime_error);
}

TEST_F(TraceDirectoryTest, ALaterRunReplacesAnEarlierOne) {
  Write();
  TraceDirectory(Path()).Finish({});
  EXPECT_FALSE(fs::exists(Path("t0_embeddings.trace")));
  EXPECT_FALSE(fs::exists(Path("t0_embeddings.npy")));
  ExpectRefused(HasSubstr("holds no traces"));
}

TEST_F(TraceDirectoryTest, RecordsOfARunThatWasNotFinishedStayUnlessRemoved) {
  Write();
  fs::remove(Path("trace.json"));
  EXPECT_THROW(TraceDirectory{Path()}, std::runtime_error);
  EXPECT_THAT(ReadTraces(Path()).notes, testing::ElementsAre(HasSubstr("no trace.json")));
}

TEST_F(TraceDirectoryTest, ManyThreads) {
  constexpr int kThreads = 4, kEach = 200;
  {
    TraceDirectory traces(Path());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&traces, t] {
        for (int i = 0; i < kEach; ++i) traces.Add(i, t, Point::kQProj, {4}, kData, i % 2 == 0);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(traces.size(), size_t{kThreads * kEach});
    traces.Finish({});
  }
  EXPECT_EQ(ReadTraces(Path()).traces.size(), size_t{kThreads * kEach});
}

TEST_F(TraceDirectoryTest, ATensorTracedTwiceIsAnError) {
  TraceDirectory traces(Path());
  traces.Add(0, 0, Point::kQProj, {4}, kData, false);
  traces.Add(0, 0, Point::kQProj, {4}, kData, false);
  EXPECT_THROW(traces.Finish({}), std::runtime_error);
}

TEST_F(TraceDirectoryTest, BrokenDirectories) {
  const auto broken = [&](const std::function<void()>& breaking, const testing::Matcher<std::string>& message) {
    fs::remove_all(Path());
    Write();
    breaking();
    ExpectRefused(message);
  };
  const std::string record = Path("t0_blk0_attn_norm.trace");
  broken([&] { fs::remove(record); }, AllOf(HasSubstr(record), HasSubstr("no such file")));
  broken([&] { fs::resize_file(record, 40); }, HasSubstr(record));
  broken([&] { fs::copy_file(record, Path("t9_blk0_attn_norm.trace")); },
         AllOf(HasSubstr("t9_blk0_attn_norm.trace"), HasSubstr("another run")));
  broken([&] { fs::rename(record, Path("t1_logits.trace")); }, HasSubstr("no such file"));
  broken([&] { fs::copy_file(record, Path("t1_logits.trace"), fs::copy_options::overwrite_existing); },
         AllOf(HasSubstr("t1_logits.trace"), HasSubstr("t0/blk0/attn_norm")));
  broken([&] { Edit(record, [](auto& j) { j["num_elements"] = 5; }); }, HasSubstr("num_elements"));
  broken([&] { Edit(record, [](auto& j) { j["blake3"] = "xyz"; }); }, HasSubstr("blake3"));
  broken([&] { Edit(record, [](auto& j) { j["tensor_file"] = "../x.npy"; }); }, HasSubstr("tensor_file"));
  broken([&] { Edit(record, [](auto& j) { j.erase("rms"); }); }, HasSubstr("rms"));
  broken([&] { Edit(Path("trace.json"), [](auto& j) { j["schema"] = "other"; }); }, HasSubstr("schema"));
  broken([&] { fs::resize_file(Path("trace.json"), 10); }, HasSubstr("trace.json"));
  fs::remove_all(Path());
  ExpectRefused(HasSubstr("no such directory"));
  fs::create_directories(Path());
  ExpectRefused(HasSubstr("holds no traces"));
}

}  // namespace
}  // namespace parity
