// The C header, the Python module and EngineCapture answer the same request with the same capture.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bitnet_parity_capture.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int kPrompt = 3, kGenerated = 2, kVocab = 5;

// Half a character, quotes, a control character, text.
const std::vector<std::string> kPieces = {"\xe2\x98", "\"\\\n\x01", "\xe2\x98\x83 snow"};

std::vector<float> Row(int seed, int n) {
  std::vector<float> row;
  for (int i = 0; i < n; ++i) row.push_back(static_cast<float>((seed * 37 + i * 11) % 64) / 8.0f - 4.0f);
  return row;
}
std::vector<float> LogitsAt(int i) {
  std::vector<float> row = Row(i, kVocab);
  if (i == 1) row[2] = INFINITY;
  return row;
}
std::vector<float> TensorAt(int position, int layer, const bitnet::PointInfo& p) {
  const int seed = position * 100 + (layer + 1) * 10 + static_cast<int>(p.point);
  return Row(seed, p.width == bitnet::Width::kKeys ? 2 * (position + 1) : 7);
}

// Calls f(position, layer, point) for all that an engine of two layers could trace.
template <class F>
void ForEachTensor(const F& f) {
  for (int position = 0; position < kPrompt + kGenerated - 1; ++position) {
    for (int layer = -1; layer < 2; ++layer) {
      for (const bitnet::PointInfo& p : bitnet::kGraph) {
        if (p.in_layer == (layer >= 0)) f(position, layer, p);
      }
    }
  }
}

void WriteInC(const std::string& request_path, const std::string& out) {
  parity_request request = parity_read_request(request_path.c_str());
  parity_capture* capture = parity_begin(&request, out.c_str());
  ForEachTensor([&](int position, int layer, const bitnet::PointInfo& p) {
    const std::vector<float> data = TensorAt(position, layer, p);
    const std::string stage(p.name);
    if (p.width == bitnet::Width::kKeys) {
      const size_t keys = data.size() / 2;
      std::vector<float> apart = data;  // rows with room behind them
      apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(keys), 9, -1.0f);
      parity_heads(capture, position, layer, stage.c_str(), apart.data(), 2, keys, keys + 9);
    } else {
      parity_tensor(capture, position, layer, stage.c_str(), data.data(), data.size());
    }
  });
  const auto piece = [](int i) { return kPieces[static_cast<size_t>(i) % kPieces.size()]; };
  for (int i = 0; i < kPrompt; ++i) {
    parity_prompt_token(capture, i, piece(i).data(), piece(i).size(), LogitsAt(i).data(), kVocab);
  }
  for (int i = 0; i < kGenerated; ++i) {
    parity_generated_token(capture, 4, piece(i).data(), piece(i).size(), LogitsAt(kPrompt - 1 + i).data(), kVocab);
  }
  parity_note(capture, "a \"note\"");
  parity_engine engine = {};
  engine.name = "mine \xe2\x98\x83";
  engine.version = "1";
  engine.architecture = "bitnet";
  engine.n_vocab = kVocab;
  engine.n_head_kv = 2;
  engine.n_embd_head = 16;
  engine.rms_norm_eps = 1e-5f;
  engine.n_ctx = parity_context_size(&request, kPrompt);
  engine.n_ubatch = 8;
  engine.kv_cells = engine.n_ctx;
  parity_finish(capture, &engine);
  parity_free_request(&request);
}

json Hyperparameters() { return {{"n_vocab", kVocab}, {"n_head_kv", 2}, {"n_embd_head", 16}, {"rms_norm_eps", 1e-5f}}; }

void WriteInCpp(const std::string& request_path, const std::string& out) {
  const Request request = ReadRequest(request_path);
  EngineCapture capture(request, out);
  ForEachTensor([&](int position, int layer, const bitnet::PointInfo& p) {
    capture.Tensor(position, layer, p.name, TensorAt(position, layer, p), 2 - (p.width != bitnet::Width::kKeys));
  });
  for (int i = 0; i < kPrompt; ++i) capture.PromptToken(i, kPieces[static_cast<size_t>(i)], LogitsAt(i));
  for (int i = 0; i < kGenerated; ++i) {
    capture.GeneratedToken(4, kPieces[static_cast<size_t>(i)], LogitsAt(kPrompt - 1 + i));
  }
  capture.Note("a \"note\"");
  const int n_ctx = ContextSize(request, kPrompt);
  capture.Finish(
      {"mine \xe2\x98\x83", "1", "", "", 3}, {request.model, "", "bitnet", Hyperparameters()},
      {.n_ctx = n_ctx, .n_ubatch = 8, .kv_cells = n_ctx, .n_embd_k = 0, .n_embd_v = 0, .logits = {}, .attends = {}});
}

constexpr char kPython[] = R"(
import sys, math
sys.path.insert(0, sys.argv[1])
import bitnet_parity_capture as parity
request = parity.Request(sys.argv[2])
capture = parity.Capture(request, sys.argv[3])
row = lambda seed, n: [(seed * 37 + i * 11) % 64 / 8 - 4 for i in range(n)]
def logits(i):
    return [math.inf if i == 1 and k == 2 else x for k, x in enumerate(row(i, 5))]
for position in range(4):
    for layer in (-1, 0, 1):
        for index, stage in enumerate(parity.STAGES):
            if (stage in ("embeddings", "output_norm", "logits")) == (layer < 0):
                heads = stage.startswith("attn_scores")
                seed = position * 100 + (layer + 1) * 10 + index
                capture.tensor(position, layer, stage, row(seed, 2 * (position + 1) if heads else 7), heads=2 if heads else 1)
pieces = [b"\xe2\x98", '"\\\n\x01', "\u2603 snow"]
for i in range(3):
    capture.prompt_token(i, pieces[i], logits(i))
for i in range(2):
    capture.generated_token(4, pieces[i], logits(2 + i))
capture.notes.append('a "note"')
capture.finish(backend={"name": "mine \u2603", "version": "1"}, architecture="bitnet", n_ctx=request.context_size(3), n_ubatch=8,
               hyperparameters={"n_vocab": 5, "n_head_kv": 2, "n_embd_head": 16, "rms_norm_eps": 1e-5})
)";

ProcessResult RunPython(const std::string& script, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"python3", "-c", script, PARITY_SOURCE_DIR "/reference/writers"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunProcess(arguments, std::chrono::seconds(60));
}

bool HavePython() { return RunProcess({"python3", "--version"}, std::chrono::seconds(20)).ok(); }

class WritersTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return root_.path() + "/" + name; }
  // A request that JSON writers and people write in several ways.
  void WriteRequest(const std::string& trace, const json& more = json::object()) const {
    json request = {{"schema", "bitnet-parity/request/1"},
                    {"model", "m \xe2\x98\x83 \"q\".gguf"},
                    {"text", "caf\xc3\xa9 \xf0\x9f\x98\x80 \t\"x\"\\"},
                    {"max_tokens", kGenerated},
                    {"threads", 3},
                    {"seed", ~uint64_t{0}},
                    {"n_ubatch", 8},
                    {"trace", trace},
                    {"unknown", {{"a", {1, 2.5e3, false, nullptr}}}}};
    request.update(more);
    std::ofstream(Path("request.json")) << request.dump(2, ' ', /*ensure_ascii=*/true);
  }
  TemporaryDirectory root_;
};

void ExpectSame(const Capture& a, const Capture& b) {
  EXPECT_EQ(a.backend.name, b.backend.name);
  EXPECT_EQ(a.backend.threads, b.backend.threads);
  EXPECT_EQ(a.model.path, b.model.path);
  EXPECT_EQ(ToJson(a.request), ToJson(b.request));
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.pieces, b.pieces);
  EXPECT_EQ(a.generated, b.generated);
  EXPECT_EQ(a.generated_pieces, b.generated_pieces);
  EXPECT_EQ(a.notes, b.notes);
  EXPECT_EQ(a.shapes.n_ctx, b.shapes.n_ctx);
  EXPECT_EQ(a.shapes.n_ubatch, b.shapes.n_ubatch);
  EXPECT_EQ(a.shapes.n_embd_k, b.shapes.n_embd_k);
  EXPECT_EQ(a.shapes.logits, b.shapes.logits);
  EXPECT_EQ(a.shapes.attends, b.shapes.attends);
  EXPECT_EQ(a.logits.data, b.logits.data);
  EXPECT_EQ(a.decode_logits.data, b.decode_logits.data);
  ASSERT_EQ(a.traces.size(), b.traces.size());
  const auto sorted = [](std::vector<TraceRecord> records) {
    std::sort(records.begin(), records.end(),
              [](const TraceRecord& x, const TraceRecord& y) { return ComputationOrder(x) < ComputationOrder(y); });
    return records;
  };
  const std::vector<TraceRecord> of_a = sorted(a.traces), of_b = sorted(b.traces);
  for (size_t i = 0; i < of_a.size(); ++i) {
    EXPECT_EQ(of_a[i].name, of_b[i].name);
    EXPECT_EQ(of_a[i].shape, of_b[i].shape);
    EXPECT_EQ(of_a[i].blake3, of_b[i].blake3);
    EXPECT_NEAR(of_a[i].rms, of_b[i].rms, 1e-9);
  }
}

// The trace of a request, and other keys of it.
using WritersRequest = std::pair<const char*, const char*>;

class WritersAnswerTest : public WritersTest, public testing::WithParamInterface<WritersRequest> {};

TEST_P(WritersAnswerTest, Alike) {
  WriteRequest(GetParam().first, json::parse(GetParam().second));
  WriteInCpp(Path("request.json"), Path("cpp"));
  const Capture cpp = ReadCapture(Path("cpp"));
  WriteInC(Path("request.json"), Path("c"));
  ExpectSame(cpp, ReadCapture(Path("c")));
  if (!HavePython()) return;
  const ProcessResult result = RunPython(kPython, {Path("request.json"), Path("python")});
  ASSERT_TRUE(result.ok()) << result.last_words;
  ExpectSame(cpp, ReadCapture(Path("python")));
}

INSTANTIATE_TEST_SUITE_P(
    Requests, WritersAnswerTest,
    testing::Values(WritersRequest{"none", "{}"}, WritersRequest{"core", R"({"positions": 2})"},
                    WritersRequest{"full", R"({"raw_tensors": true})"}, WritersRequest{"attn_*", "{}"},
                    WritersRequest{"blk1/ffn_*,logits", R"({"schedule": "token-by-token"})"},
                    WritersRequest{"core;seq=0-1", R"({"token_ids": [0, 1, 2], "n_ctx": 77})"},
                    WritersRequest{"full;layer=-1,1", R"({"text": {"bytes_hex": "e298"}})"},
                    WritersRequest{"seq=2;stage=ffn_*,q_proj", R"({"add_special": false, "ignore_eos": false})"},
                    WritersRequest{"[qk]_rope;seq=0,2-3", R"({"override_kv": ["a.b=int:3"], "i2s_layout": "arm"})"}),
    [](const auto& info) { return std::to_string(info.index); });

TEST(CWriterTest, HashesAreBlake3) {
  std::string data;
  for (int i = 0; i < 40000; ++i) data += static_cast<char>(i * 251 % 256);
  for (const size_t size : {0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 5000, 16384, 31744, 40000}) {
    char hex[65];
    parity_hash(data.data(), size, hex);
    EXPECT_EQ(std::string(hex), HashBytes(data.data(), size)) << size;
  }
}

using WritersDeathTest = WritersTest;

TEST_F(WritersDeathTest, BadRequestsAreErrorsInC) {
  const auto expect = [&](const std::string& text, const std::string& words) {
    std::ofstream(Path("bad.json")) << text;
    EXPECT_EXIT(parity_read_request(Path("bad.json").c_str()), testing::ExitedWithCode(1), words) << text;
  };
  const std::string head = R"({"schema": "bitnet-parity/request/1", )";
  expect("", "a JSON object");
  expect("[1]", "a JSON object");
  expect(R"({"schema": "other"})", "schema: found 'other'");
  expect(head + R"("text": "x"})", "model: missing key");
  expect(head + R"("model": "m"})", "text: missing key");
  expect(head + R"("model": 3, "text": ""})", "expected a text");
  expect(head + R"("model": "m", "text": "x", "max_tokens": -1})", "whole number");
  expect(head + R"("model": "m", "text": "x", "n_ubatch": 0})", "above 0");
  expect(head + R"("model": "m", "text": "x", "raw_tensors": 1})", "true or false");
  expect(head + R"("model": "m", "text": "x", "schedule": "all"})", "schedule: found 'all'");
  expect(head + R"("model": "m", "text": "x", "token_ids": [1, "2"]})", "whole number");
  expect(head + R"("model": "m", "text": "x")", "a comma");
  expect(head + R"("model": "m", "text": "x)", "the end of a text");
  EXPECT_EXIT(parity_read_request(Path("none").c_str()), testing::ExitedWithCode(1), "none: cannot read");
}

TEST_F(WritersDeathTest, AStageThatIsNoneIsAnError) {
  WriteRequest("none");
  parity_request request = parity_read_request(Path("request.json").c_str());
  parity_capture* capture = parity_begin(&request, Path("out").c_str());
  const float x = 0;
  EXPECT_EXIT(parity_tensor(capture, 0, 0, "q_pro", &x, 1), testing::ExitedWithCode(1), "stage: found 'q_pro'");
  EXPECT_EXIT(parity_tensor(capture, 0, 0, "", &x, 1), testing::ExitedWithCode(1), "stage: found ''");
  parity_engine engine = {};
  parity_finish(capture, &engine);
  parity_free_request(&request);
  EngineCapture cpp(ReadRequest(Path("request.json")), Path("cpp"));
  EXPECT_THROW(cpp.Tensor(0, 0, "q_pro", std::vector<float>{0}), std::runtime_error);
  if (!HavePython()) return;
  const ProcessResult result = RunPython(R"(
import sys
sys.path.insert(0, sys.argv[1])
import bitnet_parity_capture as parity
parity.Capture(parity.Request(sys.argv[2]), sys.argv[3]).tensor(0, 0, "q_pro", [0])
)",
                                         {Path("request.json"), Path("python")});
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(result.last_words, HasSubstr("stage: found 'q_pro'"));
}

}  // namespace
}  // namespace parity
