#include "reference/capture/capture.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/capture/capture_writer.h"
#include "reference/capture/error_for_test.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/npy.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Capture SampleCapture() {
  Capture c;
  c.backend = {"llama.cpp", "v0.5.0", "libllama.so", "zen4", 2};
  c.model = {"m.gguf", std::string(64, 'a'), "bitnet", json{{"n_layer", 2}, {"rms_norm_eps", 1e-5}}};
  c.request.model = "m.gguf";
  c.request.text = "Hi";
  c.tokens = {1, 2, 3};
  c.pieces = {"<s>", "\xe2\x98", "\x83"};
  c.shapes = {256, 128, 256, 64, 64, {3, 4}, {{{0, 0}}, {{0, 1}}, {{0, 0}, {2, 2}}}};
  c.logits = {3, 4, {1, 2, 3, 4, NAN, INFINITY, -INFINITY, 0, 5, 6, 7, 8}};
  c.generated = {3, 0};
  c.generated_pieces = {"\x83", ""};
  c.decode_logits = {2, 4, {1, 2, 3, 4, 9, 8, 7, 6}};
  c.notes = {"a note"};
  c.timings = {1.5, 2.5, 3.5, 1 << 20};
  c.extra = json{{"colour", "red"}, {"backend", {{"owner", "me"}}}};
  return c;
}

class CaptureTest : public testing::Test {
 protected:
  std::string Dir(const std::string& name = "capture") const { return root_.path() + "/" + name; }

  json Document() const { return ReadJsonFile(Dir() + "/capture.json"); }
  void SetDocument(const json& document) const { WriteJsonFile(Dir() + "/capture.json", document); }

  std::string ErrorOfReading() const {
    return ErrorOf([this] { ReadCapture(Dir()); });
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& item : fs::directory_iterator(root_.path())) names.push_back(item.path().filename().string());
    return names;
  }

  TemporaryDirectory root_;
};

TEST_F(CaptureTest, EverythingSurvives) {
  const Capture c = SampleCapture();
  WriteCapture(c, Dir());
  const Capture r = ReadCapture(Dir());
  EXPECT_EQ(r.backend.name, c.backend.name);
  EXPECT_EQ(r.backend.version, c.backend.version);
  EXPECT_EQ(r.backend.build, c.backend.build);
  EXPECT_EQ(r.backend.simd, c.backend.simd);
  EXPECT_EQ(r.backend.threads, c.backend.threads);
  EXPECT_EQ(r.model.path, c.model.path);
  EXPECT_EQ(r.model.blake3, c.model.blake3);
  EXPECT_EQ(r.model.architecture, c.model.architecture);
  EXPECT_EQ(r.model.hyperparameters, c.model.hyperparameters);
  EXPECT_EQ(ToJson(r.request), ToJson(c.request));
  EXPECT_EQ(r.tokens, c.tokens);
  EXPECT_EQ(r.pieces, c.pieces);  // the halves of a character too
  EXPECT_EQ(r.shapes.n_ctx, c.shapes.n_ctx);
  EXPECT_EQ(r.shapes.n_ubatch, c.shapes.n_ubatch);
  EXPECT_EQ(r.shapes.kv_cells, c.shapes.kv_cells);
  EXPECT_EQ(r.shapes.n_embd_k, c.shapes.n_embd_k);
  EXPECT_EQ(r.shapes.n_embd_v, c.shapes.n_embd_v);
  EXPECT_EQ(r.shapes.logits, c.shapes.logits);
  EXPECT_EQ(r.shapes.attends, c.shapes.attends);
  EXPECT_EQ(r.logits.rows, 3);
  EXPECT_EQ(r.logits.cols, 4);
  EXPECT_EQ(std::memcmp(r.logits.data.data(), c.logits.data.data(), 12 * sizeof(float)), 0);
  EXPECT_EQ(r.generated, c.generated);
  EXPECT_EQ(r.generated_pieces, c.generated_pieces);
  EXPECT_EQ(r.decode_logits.data, c.decode_logits.data);
  EXPECT_EQ(r.notes, c.notes);
  EXPECT_EQ(r.timings.load_ms, c.timings.load_ms);
  EXPECT_EQ(r.timings.prompt_ms, c.timings.prompt_ms);
  EXPECT_EQ(r.timings.decode_ms, c.timings.decode_ms);
  EXPECT_EQ(r.timings.peak_rss_bytes, c.timings.peak_rss_bytes);
  EXPECT_EQ(r.extra, c.extra);
  EXPECT_EQ(r.directory, Dir());
  // Written again it is the same, unknown keys and all.
  WriteCapture(r, Dir("again"));
  EXPECT_EQ(ReadJsonFile(Dir("again") + "/capture.json"), Document());
}

// Of an engine that shows less than an adapter does.
TEST_F(CaptureTest, WhatIsShownSurvives) {
  Capture c;
  c.backend.name = "text:cat";
  c.request.model = c.model.path = "m.gguf";
  c.request.text = "Hi";
  c.shown = kNothingShown;
  c.shown.text = true;
  c.text = " there \x83";
  c.top_logprobs = {{{7, " there", -0.25}, {-1, "\x83", -3}}, {}};
  WriteCapture(c, Dir());
  EXPECT_FALSE(fs::exists(Dir() + "/logits.npy"));
  const Capture r = ReadCapture(Dir());
  EXPECT_TRUE(r.shown.text);
  EXPECT_FALSE(r.shown.tokens || r.shown.shapes || r.shown.logits || r.shown.generated || r.shown.decode_logits);
  EXPECT_EQ(GeneratedText(r), c.text);
  ASSERT_EQ(r.top_logprobs.size(), 2u);
  EXPECT_EQ(r.top_logprobs[0][1].text, "\x83");
  EXPECT_EQ(r.top_logprobs[0][0].logprob, -0.25);

  c.shown = kNothingShown;
  c.shown.logits = true;
  c.positions = {0, -1};
  c.logits = {2, 3, {1, 2, 3, 4, 5, 6}};
  c.shapes.logits = {2, 3};
  WriteCapture(c, Dir("logits"));
  const Capture some = ReadCapture(Dir("logits"));
  EXPECT_EQ(some.positions, c.positions);
  EXPECT_EQ(some.logits.data, c.logits.data);
  EXPECT_EQ(RowPositions(some, 9), (std::vector<int64_t>{0, 8}));
}

TEST_F(CaptureTest, WhatIsShownIsChecked) {
  Capture c = SampleCapture();
  c.shown.decode_logits = false;
  c.positions = {0, 1, 2};
  WriteCapture(c, Dir());
  const nlohmann::json good = Document();
  for (const auto& [key, value, words] :
       {std::tuple("shows", nlohmann::json{"tokens", "smells"}, "shows: found 'smells', expected tokens, shapes"),
        std::tuple("positions", nlohmann::json{0, 1}, "3 rows, but the capture names 2 positions"),
        std::tuple("top_logprobs", nlohmann::json(3), "top_logprobs: expected an array"),
        std::tuple("top_logprobs", nlohmann::json{{{{"id", 1}}}}, "top_logprobs[0]: text: missing key")}) {
    nlohmann::json bad = good;
    bad[key] = value;
    WriteJsonFile(Dir() + "/capture.json", bad);
    EXPECT_THAT(ErrorOf([&] { ReadCapture(Dir()); }), HasSubstr(words));
  }
}

TEST_F(CaptureTest, TensorsAreRecordedHashedAndReadBack) {
  const std::vector<float> q = {3, -4}, scores = {1, 2, 3, 4, 5, 6};
  {
    CaptureWriter writer(Dir());
    writer.AddTensor(1, 0, Point::kAttnScores, {2, 3}, scores, /*keep_raw=*/true);
    writer.AddTensor(1, 0, Point::kQProj, {2}, std::vector<float>{9, 9}, true);
    writer.AddTensor(1, 0, Point::kQProj, {2}, q, true);  // replaces
    writer.AddTensor(1, -1, Point::kLogits, {2}, q, false);
    writer.AddTensor(0, -1, Point::kEmbeddings, {1}, std::vector<float>{NAN}, false);
    writer.Finish(SampleCapture());
  }
  Capture c = ReadCapture(Dir());
  std::vector<std::string> names;
  for (const TraceRecord& record : c.traces) names.push_back(record.name);
  EXPECT_THAT(names, ElementsAre("t0/embeddings", "t1/blk0/q_proj", "t1/blk0/attn_scores", "t1/logits"));
  EXPECT_TRUE(std::isnan(c.traces[0].rms));
  EXPECT_DOUBLE_EQ(c.traces[1].rms, std::sqrt(12.5));
  EXPECT_EQ(c.traces[1].blake3, HashBytes(q.data(), 8));
  EXPECT_EQ(c.traces[1].num_elements, 2);
  EXPECT_EQ(ReadTensor(c, c.traces[1]), q);
  EXPECT_THAT(c.traces[2].shape, ElementsAre(2, 3));
  EXPECT_EQ(ReadTensor(c, c.traces[2]), scores);
  EXPECT_THROW(ReadTensor(c, c.traces[3]), std::runtime_error);

  // A copy of the capture carries the tensors, and a changed tensor is noticed.
  c.traces[1].extra = json{{"unit", "none"}};
  WriteCapture(c, Dir("copy"));
  const Capture copy = ReadCapture(Dir("copy"));
  EXPECT_EQ(ReadTensor(copy, copy.traces[1]), q);
  EXPECT_EQ(copy.traces[1].extra, c.traces[1].extra);
  WriteNpy(Dir("copy") + "/" + copy.traces[1].tensor_file, std::vector<int64_t>{2}, std::vector<float>{3, -5});
  EXPECT_THROW(ReadTensor(copy, copy.traces[1]), std::runtime_error);
}

TEST_F(CaptureTest, AWriterThatDoesNotFinishLeavesNothing) {
  {
    CaptureWriter writer(Dir());
    writer.AddTensor(0, 0, Point::kQProj, {1}, std::vector<float>{1}, true);
  }
  EXPECT_THAT(Names(), ElementsAre());
  Capture broken = SampleCapture();
  broken.logits.data.pop_back();
  EXPECT_THROW(WriteCapture(broken, Dir()), std::runtime_error);
  EXPECT_THAT(Names(), ElementsAre());
}

TEST_F(CaptureTest, ReplacesACaptureAndNothingElse) {
  Capture c = SampleCapture();
  WriteCapture(c, Dir());
  c.notes = {"second"};
  WriteCapture(c, Dir() + "/");
  EXPECT_THAT(ReadCapture(Dir()).notes, ElementsAre("second"));
  EXPECT_THAT(Names(), ElementsAre("capture"));

  fs::remove(Dir() + "/capture.json");
  EXPECT_THROW(WriteCapture(c, Dir()), std::runtime_error);
  EXPECT_TRUE(fs::exists(Dir() + "/logits.npy"));
  EXPECT_THAT(Names(), ElementsAre("capture"));
}

TEST_F(CaptureTest, AMissingKeyIsNamed) {
  WriteCapture(SampleCapture(), Dir());
  const json whole = Document();
  std::vector<json::json_pointer> keys;
  for (const char* key : {"schema", "backend", "model", "request", "tokens", "pieces", "shapes", "generated",
                          "generated_pieces", "timings", "files"}) {
    keys.push_back(json::json_pointer(fmt::format("/{}", key)));
  }
  for (const char* key :
       {"backend/name",       "backend/version", "backend/build",      "backend/simd",          "backend/threads",
        "model/path",         "model/blake3",    "model/architecture", "model/hyperparameters", "request/schema",
        "request/model",      "request/text",    "shapes/n_ctx",       "shapes/n_ubatch",       "shapes/kv_cells",
        "shapes/n_embd_k",    "shapes/n_embd_v", "shapes/logits",      "shapes/attends",        "files/logits",
        "files/decode_logits"}) {
    keys.push_back(json::json_pointer(fmt::format("/{}", key)));
  }
  for (const auto& key : keys) {
    json document = whole;
    document[key.parent_pointer()].erase(key.back());
    SetDocument(document);
    EXPECT_THAT(ErrorOfReading(), AllOf(HasSubstr("capture.json"), HasSubstr(key.back()), HasSubstr("missing key")))
        << key;
    // And a value of a type that none of them has.
    document[key] = true;
    SetDocument(document);
    EXPECT_THAT(ErrorOfReading(), AllOf(HasSubstr("capture.json"), HasSubstr(key.back()))) << key;
  }
}

TEST_F(CaptureTest, WhatDoesNotFitTogetherIsAnError) {
  const struct {
    const char* key;
    json value;
    const char* says;
  } cases[] = {
      {"/schema", "bitnet-parity/capture/2", "expected 'bitnet-parity/capture/1'"},
      {"/model/blake3", "abc", "64 lower-case hex digits"},
      {"/pieces", {"a"}, "one a token (3)"},
      {"/generated_pieces", {"a"}, "one a generated token (2)"},
      {"/tokens/0", 4, "expected an id below n_vocab (4)"},
      {"/generated/1", -1, "generated[1]"},
      {"/shapes/logits", {3}, "expected [positions, n_vocab]"},
      {"/shapes/logits/0", 2, "logits.npy: shape is (3, 4), expected (2, 4)"},
      {"/shapes/logits/0", 4, "there are only 3 tokens"},
      {"/shapes/logits/1", 5, "logits.npy: shape is (3, 4), expected (3, 5)"},
      {"/shapes/attends", {{{0, 0}}}, "one a token (3), or none"},
      {"/shapes/attends/2", {{1, 0}}, "not an ascending range"},
      {"/shapes/attends/2", {{2, 2}, {2, 3}}, "not an ascending range"},
      {"/shapes/attends/2", {{1}}, "expected 2"},
      {"/generated", {1}, "expected one a generated token (1)"},
      {"/files/logits", "../capture/logits.npy", "inside the capture"},
      {"/files/logits", "/etc/passwd", "inside the capture"},
      {"/files/logits", "none.npy", "none.npy: no such file"},
      {"/files/traces", {"traces/t0.trace"}, "traces/t0.trace: no such file"},
      {"/request/schedule", "never", "request: schedule"},
  };
  for (const auto& c : cases) {
    WriteCapture(SampleCapture(), Dir());
    json document = Document();
    document[json::json_pointer(c.key)] = c.value;
    SetDocument(document);
    EXPECT_THAT(ErrorOfReading(), HasSubstr(c.says)) << c.key;
  }
}

TEST_F(CaptureTest, BadTraceLinesAreNamedByFileAndLine) {
  {
    CaptureWriter writer(Dir());
    writer.AddTensor(0, 1, Point::kQProj, {2}, std::vector<float>{1, 2}, true);
    writer.Finish(SampleCapture());
  }
  const std::string path = Dir() + "/traces/t0.trace";
  json line;
  std::ifstream(path) >> line;
  const auto expect = [&](const std::string& text, const char* says) {
    std::ofstream(path) << "\n" << text << "\n";
    EXPECT_THAT(ErrorOfReading(), AllOf(HasSubstr("t0.trace:2"), HasSubstr(says))) << text;
  };
  const auto with = [&](const char* key, json value) {
    json changed = line;
    changed[key] = std::move(value);
    return changed.dump();
  };
  expect("{", "not valid JSON");
  expect("[]", "expected an object");
  expect(with("dtype", "F64"), "expected 'F32'");
  expect(with("num_elements", 3), "num_elements");
  expect(with("shape", {2, -1}), "shape");
  expect(with("shape", {4294967296, 4294967296}), "shape");
  expect(with("layer", 2), "name");
  expect(with("blake3", "x"), "blake3");
  expect(with("tensor_file", "../x.npy"), "inside the capture");
  json unhashed = line;
  unhashed.erase("blake3");
  unhashed.erase("tensor_file");
  expect(unhashed.dump(), "only a record with a tensor_file");
  for (const auto& [key, value] : line.items()) {
    if (key == "tensor_file" || key == "blake3") continue;
    json without = line;
    without.erase(key);
    expect(without.dump(), key.c_str());
  }
  std::ofstream(path) << line.dump() << "\n" << line.dump() << "\n";
  EXPECT_THAT(ErrorOfReading(), AllOf(HasSubstr("t0.trace:2"), HasSubstr("occurs twice")));
}

TEST_F(CaptureTest, WhatARecordLeavesOutIsMadeFromItsTensor) {
  {
    CaptureWriter writer(Dir());
    writer.AddTensor(0, 1, Point::kQProj, {2}, std::vector<float>{1, 2}, true);
    writer.Finish(SampleCapture());
  }
  const std::string path = Dir() + "/traces/t0.trace";
  const TraceRecord written = ReadCapture(Dir()).traces.at(0);
  json line;
  std::ifstream(path) >> line;
  line.erase("blake3");
  line.erase("rms");
  std::ofstream(path) << line.dump() << "\n";
  const TraceRecord read = ReadCapture(Dir()).traces.at(0);
  EXPECT_EQ(read.blake3, written.blake3);
  EXPECT_EQ(read.rms, written.rms);
}

TEST_F(CaptureTest, AFileCutAnywhereIsAnError) {
  WriteCapture(SampleCapture(), Dir());
  for (const char* name : {"capture.json", "logits.npy", "decode_logits.npy"}) {
    const std::string path = Dir() + "/" + name;
    const auto size = fs::file_size(path);
    const fs::path backup = Dir() + "/backup";
    fs::copy_file(path, backup, fs::copy_options::overwrite_existing);
    for (int percent = 0; percent < 100; percent += 3) {
      fs::resize_file(path, size * static_cast<uintmax_t>(percent) / 100);
      EXPECT_THAT(ErrorOfReading(), HasSubstr(path)) << percent;
    }
    fs::copy_file(backup, path, fs::copy_options::overwrite_existing);
  }
  EXPECT_EQ(ErrorOfReading(), "no error");
  EXPECT_THROW(ReadCapture(Dir("none")), std::runtime_error);
}

TEST_F(CaptureTest, AnEmptyPromptIsACapture) {
  Capture c = SampleCapture();
  c.tokens.clear();
  c.pieces.clear();
  c.generated.clear();
  c.generated_pieces.clear();
  c.shapes.attends.clear();
  c.shapes.logits = {0, 4};
  c.logits = c.decode_logits = {0, 4, {}};
  WriteCapture(c, Dir());
  EXPECT_EQ(ReadCapture(Dir()).logits.cols, 4);
}

}  // namespace
}  // namespace parity
