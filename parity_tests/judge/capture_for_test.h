// A sound capture, made in memory, for tests that perturb it.
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_CAPTURE_FOR_TEST_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_CAPTURE_FOR_TEST_H_

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "parity_tests/judge/metrics.h"
#include "reference/capture/capture.h"

namespace parity {

// Six prompt tokens (the first is BOS), four generated ones, a vocabulary of 64, logits of a deviation near 2.4.
inline Capture CaptureForTest(const std::string& backend) {
  constexpr int kVocab = 64, kPositions = 6, kGenerated = 4;
  std::mt19937 random(42);  // the same for every backend
  std::normal_distribution<float> logit(0.0f, 2.4f);
  const auto fill = [&](int rows) {
    Matrix matrix{rows, kVocab, {}};
    for (int i = 0; i < rows * kVocab; ++i) matrix.data.push_back(logit(random));
    return matrix;
  };
  Capture c;
  c.backend = {.name = backend, .version = "v1.2", .build = "", .simd = "zen4", .threads = 2};
  c.model.path = "models/tiny.gguf";
  c.model.blake3 = std::string(64, 'a');
  c.model.architecture = "bitnet";
  c.model.hyperparameters = nlohmann::json{{"n_vocab", kVocab},   {"n_embd", 256},  {"n_layer", 6},
                                           {"n_head", 4},         {"n_head_kv", 2}, {"rope_freq_base", 10000.0},
                                           {"rms_norm_eps", 1e-5}};
  c.request.model = c.model.path;
  c.request.prompt = c.request.text = "In the beginning";
  c.request.max_tokens = kGenerated;
  c.tokens = {60, 11, 7, 7, 30, 12};
  c.pieces = {"<|begin_of_text|>", "In", " the", " the", " begin", "ning"};
  c.shapes.n_ctx = 256;
  c.shapes.n_ubatch = 512;
  c.shapes.kv_cells = 256;
  c.shapes.n_embd_k = c.shapes.n_embd_v = 128;
  c.shapes.logits = {kPositions, kVocab};
  for (int i = 0; i < kPositions; ++i) c.shapes.attends.push_back({{0, i}});
  c.logits = fill(kPositions);
  c.decode_logits = fill(kGenerated);
  std::copy_n(c.logits.row(kPositions - 1), kVocab, c.decode_logits.data.begin());
  for (int i = 0; i < kGenerated; ++i) {
    c.generated.push_back(Argmax({c.decode_logits.row(i), kVocab}));
    c.generated_pieces.push_back("g" + std::to_string(c.generated.back()));
  }
  return c;
}

inline float& At(Matrix& matrix, int64_t row, int64_t column) {
  return matrix.data[static_cast<size_t>(row * matrix.cols + column)];
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_CAPTURE_FOR_TEST_H_
