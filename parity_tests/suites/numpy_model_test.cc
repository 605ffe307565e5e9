// The embedding models of bitnet.cpp, which no reference at hand runs: the native engine's float path against a
// definition in NumPy. Skipped where python3 or NumPy is missing.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "engine/model/model_for_test.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using bitnet::Point;
using bitnet::TensorType;
using bitnet::TinyShape;

struct Embedding {
  std::string name;
  TinyShape shape;
  friend void PrintTo(const Embedding& e, std::ostream* out) { *out << e.name; }
};

// What output_norm is at the last position.
class LastHidden : public bitnet::TraceSink {
 public:
  bool Wants(Point point, int) const override { return point == Point::kOutputNorm; }
  void OnTensor(const bitnet::TracedTensor& t) override { values.assign(t.data.begin(), t.data.end()); }
  std::vector<float> values;
};

double Cosine(const std::vector<double>& a, const float* b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

// A python3 that has NumPy: the first in PATH, or Debian's. "" where there is none.
std::string PythonWithNumpy() {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    try {
      if (RunProcess({python, "-c", "import numpy"}, std::chrono::seconds(60)).ok()) return python;
    } catch (const std::exception&) {  // not there
    }
  }
  return "";
}

class NumpyModel : public testing::TestWithParam<Embedding> {};

TEST_P(NumpyModel, GivesTheSameLogitsAndEmbedding) {
  const std::string python = PythonWithNumpy();
  if (python.empty()) GTEST_SKIP() << "python3 with NumPy is not here (Debian's python3-numpy)";
  bitnet::TinyModel tiny(GetParam().shape);
  const std::string path = tiny.Write();
  const std::vector<int32_t> tokens = {1, 17, 39, 0, 5, 5, 28, 11, 3, 22, 9, 30};
  std::vector<std::string> command = {python, PARITY_SOURCE_DIR "/fixtures/numpy_model/numpy_model.py", path};
  for (const int32_t id : tokens) command.push_back(std::to_string(id));
  const ProcessResult result = RunProcess(command, std::chrono::seconds(120));
  ASSERT_TRUE(result.ok()) << result.last_words;
  const auto said = nlohmann::json::parse(result.output);

  const bitnet::Model model = bitnet::Model::Load(path);
  const size_t n_vocab = model.hyperparameters.n_vocab;
  LastHidden hidden;
  bitnet::Context context(model, {.trace = &hidden});
  std::vector<float> logits(tokens.size() * n_vocab);
  context.Forward(tokens, bitnet::LogitsFor::kAll, logits);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto expected = said.at("logits").at(i).get<std::vector<double>>();
    ASSERT_EQ(expected.size(), n_vocab);
    EXPECT_GT(Cosine(expected, logits.data() + i * n_vocab), 1 - 1e-6) << "position " << i;
  }
  const auto embedding = said.at("embedding").get<std::vector<double>>();
  ASSERT_EQ(embedding.size(), hidden.values.size());
  EXPECT_GT(Cosine(embedding, hidden.values.data()), 1 - 1e-6);
}

// In F16 the activations of each product are rounded too.
const Embedding kModels[] = {
    {"qwen3", {.architecture = "qwen3"}},
    {"qwen3_norms_in", {.architecture = "qwen3", .norms_in = true}},
    {"qwen3_norms_in_f16", {.architecture = "qwen3", .type = TensorType::kF16, .untied = true, .norms_in = true}},
    {"gemma3", {.architecture = "gemma3"}},
    {"gemma3_norms_in", {.architecture = "gemma3", .n_head_kv = 1, .norms_in = true}},
    {"gemma3_norms_in_window",
     {.architecture = "gemma3", .n_layer = 7, .rope_base = 1e6f, .norms_in = true, .window = 5}},
};
INSTANTIATE_TEST_SUITE_P(Definition, NumpyModel, testing::ValuesIn(kModels),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace parity
