// The runner as a program, against models that generate_model makes: RUNNER, GENERATE_MODEL and LLAMA_SOURCE are set by
// CMake.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/capture/trace_selection.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kLayers = 2;

std::vector<float> Row(const Matrix& m, int64_t i) { return {m.row(i), m.row(i) + m.cols}; }

class RunnerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { root_ = new TemporaryDirectory; }
  static void TearDownTestSuite() {
    delete root_;
    root_ = nullptr;
  }

  static std::string Path(const std::string& name) { return root_->path() + "/" + name; }

  // A model of this type, made once.
  static std::string Model(const std::string& type, const std::string& architecture = "bitnet") {
    const std::string path = Path(architecture + "." + type + ".gguf");
    if (fs::exists(path)) return path;
    const ProcessResult r =
        RunProcess({GENERATE_MODEL, path, "--type", type, "--arch", architecture, "--n-embd", "256", "--n-head", "4",
                    "--n-head-kv", "2", "--n-ff", "512", "--n-layer", std::to_string(kLayers), "--n-vocab", "300"},
                   seconds(60));
    EXPECT_TRUE(r.ok()) << r.Describe() << r.last_words;
    return path;
  }

  static Request BaseRequest(const std::string& model = Model("TQ2_0")) {
    Request request;
    request.model = model;
    request.token_ids = {5, 17, 299, 0, 123, 5, 77, 8, 250, 31};
    // Two threads that wait for each other in a loop take minutes where somebody else has a processor.
    request.threads = 1;
    return request;
  }

  static ProcessResult Serve(const Request& request, const std::string& out, const std::string& flag = "") {
    WriteJsonFile(Path("request.json"), ToJson(request));
    std::vector<std::string> argv = {RUNNER, "run", "--request", Path("request.json"), "--out", Path(out)};
    if (!flag.empty()) argv.push_back(flag);
    return RunProcess(argv, seconds(120));
  }

  static Capture Run(const Request& request, const std::string& out = "capture", const std::string& flag = "") {
    const ProcessResult r = Serve(request, out, flag);
    if (!r.ok()) throw std::runtime_error(r.Describe() + "\n" + r.last_words);
    EXPECT_EQ(r.output, "");
    return ReadCapture(Path(out));
  }

  static void ExpectSameLogits(const Capture& a, const Capture& b) {
    ASSERT_EQ(a.logits.data.size(), b.logits.data.size());
    EXPECT_EQ(std::memcmp(a.logits.data.data(), b.logits.data.data(), a.logits.data.size() * sizeof(float)), 0);
    ASSERT_EQ(a.decode_logits.data.size(), b.decode_logits.data.size());
    EXPECT_EQ(std::memcmp(a.decode_logits.data.data(), b.decode_logits.data.data(),
                          a.decode_logits.data.size() * sizeof(float)),
              0);
  }

  static TemporaryDirectory* root_;
};

TemporaryDirectory* RunnerTest::root_ = nullptr;

TEST_F(RunnerTest, TellsVersionLibrariesAndKernels) {
  const ProcessResult r = RunProcess({RUNNER, "info"}, seconds(60));
  ASSERT_TRUE(r.ok()) << r.last_words;
  const json info = json::parse(r.output);
  EXPECT_EQ(info["name"], "llama.cpp");
  EXPECT_FALSE(info["version"].get<std::string>().empty());
  EXPECT_FALSE(info["cpu_variant"].get<std::string>().empty());
  EXPECT_GE(info["libraries"].size(), 2u);
  for (const auto& library : info["libraries"]) EXPECT_TRUE(fs::exists(library.get<std::string>()));
}

TEST_F(RunnerTest, TheCaptureTellsShapesMasksAndHyperparameters) {
  const Capture c = Run(BaseRequest());
  EXPECT_EQ(c.tokens, BaseRequest().token_ids);
  EXPECT_EQ(c.model.architecture, "bitnet");
  EXPECT_EQ(c.model.blake3, HashFile(Model("TQ2_0")));
  const json& h = *c.model.hyperparameters;
  EXPECT_EQ(h["n_layer"], kLayers);
  EXPECT_EQ(h["n_embd"], 256);
  EXPECT_EQ(h["n_head"], 4);
  EXPECT_EQ(h["n_head_kv"], 2);
  EXPECT_EQ(h["n_embd_head"], 64);
  EXPECT_EQ(h["n_rot"], 64);
  EXPECT_EQ(h["n_ff"], 512);
  EXPECT_EQ(h["n_vocab"], 300);
  for (const char* key : {"rope_freq_base", "rms_norm_eps", "n_ctx_train", "file_type"})
    EXPECT_TRUE(h.contains(key)) << key;
  EXPECT_EQ(c.shapes.n_ctx, 256);
  EXPECT_EQ(c.shapes.kv_cells, 256);
  EXPECT_EQ(c.shapes.n_embd_k, 128);
  EXPECT_EQ(c.shapes.n_embd_v, 128);
  EXPECT_THAT(c.shapes.logits, testing::ElementsAre(10, 300));
  ASSERT_EQ(c.shapes.attends.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(c.shapes.attends[static_cast<size_t>(i)], (std::vector<std::pair<int, int>>{{0, i}}));
  }
  EXPECT_TRUE(c.traces.empty());
  EXPECT_TRUE(c.notes.empty()) << fmt::format("{}", fmt::join(c.notes, "\n"));
  EXPECT_GT(c.timings.peak_rss_bytes, 1 << 20);
}

TEST_F(RunnerTest, WatchingAndThreadsChangeNoBit) {
  Request request = BaseRequest();
  request.max_tokens = 4;
  for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
    request.schedule = schedule;
    const Capture plain = Run(request, "plain", "--unobserved");
    EXPECT_TRUE(plain.shapes.attends.empty());
    ExpectSameLogits(plain, Run(request));
    request.trace = "full";
    ExpectSameLogits(plain, Run(request));
    request.trace = "none";
  }
  request.schedule = Schedule::kBatch;
  request.max_tokens = 0;
  const Capture one = Run(request);
  request.threads = 2;
  ExpectSameLogits(one, Run(request));
}

TEST_F(RunnerTest, SchedulesAgreeOnAllButRounding) {
  Request request = BaseRequest(Model("F32"));
  const Capture batch = Run(request, "batch");
  request.n_ubatch = 4;
  const Capture chunks = Run(request, "chunks");
  request.schedule = Schedule::kTokenByToken;
  const Capture single = Run(request, "single");
  EXPECT_EQ(chunks.shapes.n_ubatch, 4);
  for (const Capture* other : {&chunks, &single}) {
    EXPECT_EQ(other->shapes.attends, batch.shapes.attends);
    ASSERT_EQ(other->logits.data.size(), batch.logits.data.size());
    for (size_t i = 0; i < batch.logits.data.size(); ++i)
      ASSERT_NEAR(other->logits.data[i], batch.logits.data[i], 2e-2) << i;
  }
}

TEST_F(RunnerTest, DecodingIsGreedyAndGoesOnFromThePrompt) {
  Request request = BaseRequest();
  request.schedule = Schedule::kTokenByToken;
  request.max_tokens = 5;
  const Capture c = Run(request);
  ASSERT_EQ(c.generated.size(), 5u);
  EXPECT_EQ(Row(c.decode_logits, 0), Row(c.logits, c.logits.rows - 1));
  std::vector<int32_t> all = c.tokens;
  for (int i = 0; i < 5; ++i) {
    const std::vector<float> row = Row(c.decode_logits, i);
    EXPECT_EQ(c.generated[static_cast<size_t>(i)], std::max_element(row.begin(), row.end()) - row.begin());
    all.push_back(c.generated[static_cast<size_t>(i)]);
  }
  // The same tokens as a prompt give the same logits.
  request.token_ids = all;
  request.max_tokens = 0;
  const Capture replay = Run(request, "replay");
  EXPECT_EQ(replay.generated.size(), 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Row(c.decode_logits, i), Row(replay.logits, 9 + i)) << i;
}

TEST_F(RunnerTest, PositionsLimitsTheLogitsAndNothingElse) {
  Request request = BaseRequest();
  const Capture whole = Run(request);
  request.positions = 3;
  request.max_tokens = 1;
  const Capture c = Run(request);
  ASSERT_EQ(c.logits.rows, 3);
  EXPECT_EQ(Row(c.logits, 2), Row(whole.logits, 2));
  EXPECT_EQ(Row(c.decode_logits, 0), Row(whole.logits, 9));
  request.positions = 99;
  EXPECT_EQ(Run(request).logits.rows, 10);
}

TEST_F(RunnerTest, TracedTensorsAreTheStagesTheyAreNamedAfter) {
  Request request = BaseRequest();
  request.trace = "full";
  request.raw_tensors = true;
  request.max_tokens = 2;
  for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
    request.schedule = schedule;
    const Capture c = Run(request);
    std::map<std::string, const TraceRecord*> records;
    for (const TraceRecord& record : c.traces) records[record.name] = &record;
    const int positions = 10 + 1;
    EXPECT_EQ(c.traces.size(), static_cast<size_t>(positions * (3 + 19 * kLayers)));
    const auto tensor = [&](int seq, int layer, const char* point) {
      const auto it = records.find(TraceName(seq, layer, point));
      if (it == records.end()) throw std::runtime_error("no record " + TraceName(seq, layer, point));
      return ReadTensor(c, *it->second);
    };
    for (int seq = 0; seq < positions; ++seq) {
      const auto logits = tensor(seq, -1, "logits");
      EXPECT_EQ(logits, seq < 10 ? Row(c.logits, seq) : Row(c.decode_logits, 1));
      std::vector<float> residual = tensor(seq, -1, "embeddings");
      for (int layer = 0; layer < kLayers; ++layer) {
        const auto o = tensor(seq, layer, "attn_o_proj"), ffn_inp = tensor(seq, layer, "ffn_inp"),
                   down = tensor(seq, layer, "ffn_down"), out = tensor(seq, layer, "layer_out");
        ASSERT_EQ(residual.size(), 256u);
        for (size_t i = 0; i < 256; ++i) {
          EXPECT_EQ(o[i] + residual[i], ffn_inp[i]);
          EXPECT_EQ(down[i] + ffn_inp[i], out[i]);
        }
        residual = out;

        const auto gate = tensor(seq, layer, "ffn_gate"), up = tensor(seq, layer, "ffn_up"),
                   act = tensor(seq, layer, "ffn_act");
        ASSERT_EQ(act.size(), 512u);
        for (size_t i = 0; i < act.size(); ++i) {
          ASSERT_NEAR(gate[i] / (1 + std::exp(-gate[i])) * up[i], act[i], 1e-4 + 1e-4 * std::abs(act[i]));
        }

        const auto q = tensor(seq, layer, "q_proj"), q_rope = tensor(seq, layer, "q_rope");
        ASSERT_EQ(q.size(), 256u);
        EXPECT_EQ(tensor(seq, layer, "k_proj").size(), 128u);
        EXPECT_EQ(q == q_rope, seq == 0);  // a rotation by no angle
        // Scores against the rotated keys of every position up to this one, head by head.
        const auto scores = tensor(seq, layer, "attn_scores"), weights = tensor(seq, layer, "attn_scores_softmax");
        const size_t keys = static_cast<size_t>(seq) + 1;
        ASSERT_EQ(records.at(TraceName(seq, layer, "attn_scores"))->shape, (std::vector<int64_t>{4, seq + 1}));
        for (size_t head = 0; head < 4; ++head) {
          double sum = 0;
          for (size_t key = 0; key < keys; ++key) {
            const auto k = tensor(static_cast<int>(key), layer, "k_rope");
            double dot = 0;
            for (size_t i = 0; i < 64; ++i) dot += static_cast<double>(q_rope[head * 64 + i]) * k[head / 2 * 64 + i];
            EXPECT_NEAR(scores[head * keys + key], dot, 0.02 + 0.002 * std::abs(dot));
            sum += weights[head * keys + key];
          }
          EXPECT_NEAR(sum, 1, 1e-5);
        }
        // Position 0 attends to itself alone: its values, each for two heads.
        if (seq == 0) {
          const auto v = tensor(0, layer, "v_proj"), attn = tensor(0, layer, "attn_out");
          for (size_t i = 0; i < 256; ++i)
            EXPECT_NEAR(attn[i], v[i / 128 * 64 + i % 64], 1e-3 + 1e-3 * std::abs(attn[i]));
        }
      }
    }
    EXPECT_TRUE(c.notes.empty()) << fmt::format("{}", fmt::join(c.notes, "\n"));
  }
}

TEST_F(RunnerTest, ASelectionTracesThatAloneAndTellsWhatTheGraphLacks) {
  Request request = BaseRequest(Model("F16", "llama"));
  request.trace = "blk1/q_*,attn_sub_norm,logits";
  request.positions = 2;
  request.max_tokens = 2;
  const Capture c = Run(request);
  std::vector<std::string> names;
  for (const TraceRecord& record : c.traces) {
    names.push_back(record.name);
    EXPECT_THROW(ReadTensor(c, record), std::runtime_error);
  }
  EXPECT_THAT(names, testing::ElementsAre("t0/blk1/q_proj", "t0/blk1/q_rope", "t0/logits", "t1/blk1/q_proj",
                                          "t1/blk1/q_rope", "t1/logits"));
  EXPECT_THAT(c.notes, testing::ElementsAre("stages that this graph does not have: attn_sub_norm"));
}

TEST_F(RunnerTest, AnEmptyPromptLeavesAnEmptyCapture) {
  Request request = BaseRequest();
  request.token_ids = std::vector<int32_t>{};
  request.max_tokens = 3;
  const Capture c = Run(request);
  EXPECT_EQ(c.logits.rows, 0);
  EXPECT_TRUE(c.generated.empty());
  EXPECT_THAT(c.notes, testing::Contains(HasSubstr("no tokens")));
}

TEST_F(RunnerTest, TheRequestPicksTheKernels) {
  const ProcessResult info = RunProcess({RUNNER, "info"}, seconds(60));
  const json variants = json::parse(info.output)["cpu_variants"];
  if (std::find(variants.begin(), variants.end(), "haswell") == variants.end()) GTEST_SKIP() << "kernels are built in";
  Request request = BaseRequest();
  request.cpu_variant = "haswell";
  EXPECT_EQ(Run(request).backend.simd, "haswell");
  request.cpu_variant = "pdp11";
  const ProcessResult r = Serve(request, "none");
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.last_words, AllOf(HasSubstr("pdp11"), HasSubstr("haswell")));
}

// Kernels that come as plugins, of which none is there.
TEST_F(RunnerTest, LibrariesWithoutKernelsAreNamed) {
  const json info = json::parse(RunProcess({RUNNER, "info"}, seconds(60)).output);
  if (info["cpu_variants"].empty()) GTEST_SKIP() << "kernels are built in";
  fs::create_directories(Path("bare"));
  for (const auto& library : info["libraries"]) {
    const fs::path file = library.get<std::string>();
    if (!file.filename().string().starts_with("libggml-cpu-")) {
      fs::copy_file(file, Path("bare") + "/" + file.filename().string());
    }
  }
  const ProcessResult r = RunProcess({"env", "LD_LIBRARY_PATH=" + Path("bare"), RUNNER, "info"}, seconds(60));
  EXPECT_EQ(r.exit_code, 2) << r.output;
  EXPECT_THAT(r.last_words, AllOf(HasSubstr(Path("bare")), HasSubstr("no CPU kernels; expected libggml-cpu-")));
}

TEST_F(RunnerTest, AModelThatTheEngineDoesNotKnowHasItsOwnExitCode) {
  ProcessResult r = Serve(BaseRequest(Model("TQ2_0", "bitnet-b1.58")), "none");
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_THAT(r.last_words, HasSubstr("unknown model architecture: 'bitnet-b1.58'"));
  r = Serve(BaseRequest(Model("I2_S")), "none");
  EXPECT_EQ(r.exit_code, 3) << r.last_words;
  EXPECT_THAT(r.last_words, HasSubstr("of type 36"));
  EXPECT_FALSE(fs::exists(Path("none")));
}

TEST_F(RunnerTest, ErrorsAreNamedAndLeaveNothingBehind) {
  const auto expect = [&](const char* says, const std::function<void(Request&)>& change) {
    Request request = BaseRequest();
    change(request);
    const ProcessResult r = Serve(request, "none");
    EXPECT_EQ(r.exit_code, 2) << says;
    EXPECT_THAT(r.last_words, HasSubstr(says));
    EXPECT_FALSE(fs::exists(Path("none")));
  };
  expect("no such file", [](Request& r) { r.model = Path("nothing.gguf"); });
  expect("token_ids[1]: found 300, expected an id below n_vocab (300)", [](Request& r) { r.token_ids = {0, 300}; });
  expect("n_ctx: found 12, but 10 prompt tokens and 3 to generate need 13", [](Request& r) {
    r.n_ctx = 12;
    r.max_tokens = 3;
  });
  expect("'qproj' matches no stage", [](Request& r) { r.trace = "qproj"; });
  expect("has no vocabulary", [](Request& r) {
    r.token_ids.reset();
    r.text = "Hello";
  });
  for (const int percent : {0, 1, 30, 99}) {
    expect("cut.gguf", [&](Request& r) {
      r.model = Path("cut.gguf");
      fs::copy_file(Model("TQ2_0"), r.model, fs::copy_options::overwrite_existing);
      fs::resize_file(r.model, fs::file_size(r.model) * static_cast<uintmax_t>(percent) / 100);
    });
  }
  for (const auto& item : fs::directory_iterator(root_->path())) {
    EXPECT_EQ(item.path().string().find(".tmp-"), std::string::npos) << item.path();
  }
  std::ofstream(Path("request.json")) << "{}";
  EXPECT_THAT(
      RunProcess({RUNNER, "run", "--request", Path("request.json"), "--out", Path("none")}, seconds(60)).last_words,
      AllOf(HasSubstr("request.json"), HasSubstr("schema: missing key")));
}

// The engine's own cases for the vocabulary of Llama 3.
TEST_F(RunnerTest, TokenizesTheEnginesOwnCases) {
  const std::string vocabulary = LLAMA_SOURCE "/models/ggml-vocab-llama-bpe.gguf";
  std::ifstream inputs(vocabulary + ".inp", std::ios::binary), outputs(vocabulary + ".out");
  if (!fs::exists(vocabulary) || !inputs || !outputs) GTEST_SKIP() << vocabulary << " is not there";
  std::stringstream whole;
  whole << inputs.rdbuf();
  std::string text = whole.str();
  std::ofstream questions(Path("questions"));
  const std::string separator = "\n__ggml_vocab_test__\n";
  size_t n = 0;
  for (size_t at = 0; at <= text.size(); ++n) {
    const size_t end = std::min(text.find(separator, at), text.size());
    json question = {{"text", TextToJson(text.substr(at, end - at))}, {"add_special", false}, {"parse_special", false}};
    questions << question.dump() << "\n";
    at = end + separator.size();
  }
  const std::string troll = "\xf0\x9f\xa7\x8c";  // one character in more than one token
  questions << R"({"bytes_hex": "f09fa78c", "add_special": true})"
            << "\n";
  questions.close();
  const ProcessResult r = RunProcess(
      {"/bin/sh", "-c", fmt::format("'{}' tokenize --model '{}' < '{}'", RUNNER, vocabulary, Path("questions"))},
      seconds(120));
  ASSERT_TRUE(r.ok()) << r.last_words;
  std::stringstream answers(r.output);
  std::string answer, expected;
  size_t compared = 0;
  for (; compared < n && std::getline(outputs, expected); ++compared) {
    ASSERT_TRUE(std::getline(answers, answer));
    std::vector<int32_t> ids;
    std::stringstream numbers(expected);
    for (int32_t id; numbers >> id;) ids.push_back(id);
    EXPECT_EQ(json::parse(answer)["ids"].get<std::vector<int32_t>>(), ids) << "case " << compared;
  }
  EXPECT_GT(compared, 40u);
  while (compared++ < n) std::getline(answers, answer);
  ASSERT_TRUE(std::getline(answers, answer));
  const json last = json::parse(answer);
  EXPECT_EQ(last["ids"][0], 128000);
  std::vector<std::string> pieces;
  JsonFields(last, "answer").Read("pieces", &pieces);
  EXPECT_TRUE(last["pieces"].back().is_object()) << last;
  EXPECT_EQ(fmt::format("{}", fmt::join(pieces, "")), "<|begin_of_text|>" + troll);
}

TEST_F(RunnerTest, AQuestionThatIsNoJsonIsAnError) {
  const std::string vocabulary = LLAMA_SOURCE "/models/ggml-vocab-llama-bpe.gguf";
  if (!fs::exists(vocabulary)) GTEST_SKIP() << vocabulary << " is not there";
  const ProcessResult r = RunProcess(
      {"/bin/sh", "-c", fmt::format("echo nonsense | '{}' tokenize --model '{}'", RUNNER, vocabulary)}, seconds(60));
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.last_words, HasSubstr("standard input:1: not valid JSON"));
}

}  // namespace
}  // namespace parity
