// Engines broken on purpose stop the ladder at the stage that is there for it. The sound engine is the reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

class BrokenEngine : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Request request;
    request.model = PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf";
    request.prompt = request.text = "And God said, Let there be light: and there was";
    request.max_tokens = 16;
    request.threads = 1;
    request.schedule = Schedule::kTokenByToken;
    reference = new Capture(MakeNativeBackend()->Run(request));
  }
  static void TearDownTestSuite() { delete reference; }

  // The reference's capture with the logits and tokens of `model`. The KV cache's row of position `wrong_row` (prompt
  // and generated tokens counted together; -1: none) is made from the token before the right one.
  static Capture Rerun(const bitnet::Model& model, int wrong_row = -1) {
    Capture capture = *reference;
    std::vector<int32_t> tokens = capture.tokens;
    const size_t n_vocab = model.hyperparameters.n_vocab, prompt = tokens.size();
    std::vector<float> logits(n_vocab);
    const bitnet::ContextOptions options = {.n_ctx = 256, .threads = 1};
    // Logits after the tokens so far, each position by itself; a wrong row is wrong for the positions after it alone.
    bitnet::Context sound(model, options), wrong(model, options);
    capture.generated.clear();
    capture.decode_logits.data.clear();
    for (size_t i = 0; i + 1 < prompt + static_cast<size_t>(capture.request.max_tokens); ++i) {
      const bool after = wrong_row >= 0 && i > static_cast<size_t>(wrong_row);
      const int32_t token = static_cast<int>(i) == wrong_row ? tokens[i - 1] : tokens[i];
      std::vector<float> unused(n_vocab);
      sound.Forward({&tokens[i], 1}, bitnet::LogitsFor::kLast, after ? unused : logits);
      wrong.Forward({&token, 1}, bitnet::LogitsFor::kLast, after ? logits : unused);
      if (i < prompt)
        std::copy(logits.begin(), logits.end(), capture.logits.data.begin() + static_cast<long>(i * n_vocab));
      if (i + 1 < prompt) continue;
      capture.generated.push_back(bitnet::Argmax(logits));
      capture.decode_logits.data.insert(capture.decode_logits.data.end(), logits.begin(), logits.end());
      tokens.push_back(capture.generated.back());
    }
    return capture;
  }

  static bitnet::Model LoadModel() { return bitnet::Model::Load(reference->request.model); }

  static Verdict ClimbWith(const Capture& candidate, const std::string& profile = "strict") {
    LadderOptions options;
    options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", profile);
    return Climb(candidate, *reference, options);
  }

  static inline const Capture* reference = nullptr;
};

TEST_F(BrokenEngine, TheSoundOnePasses) {
  const Verdict verdict = ClimbWith(Rerun(LoadModel()));
  EXPECT_TRUE(verdict.parity()) << verdict.rung(*verdict.failed_rung()).message;
}

TEST_F(BrokenEngine, WrongBosStopsAtTokens) {
  Request request = reference->request;
  request.add_special = false;
  Capture candidate = MakeNativeBackend()->Run(request);
  candidate.request = reference->request;
  const Verdict missing = ClimbWith(candidate);
  EXPECT_EQ(missing.failed_rung(), Rung::kTokens);
  EXPECT_THAT(missing.rung(Rung::kTokens).hints, testing::ElementsAre(testing::HasSubstr("only one side adds BOS")));

  request.add_special = true;
  request.text = "<|begin_of_text|>" + request.text;
  candidate = MakeNativeBackend()->Run(request);
  candidate.request = reference->request;
  const Verdict twice = ClimbWith(candidate);
  EXPECT_EQ(twice.failed_rung(), Rung::kTokens);
  EXPECT_THAT(twice.rung(Rung::kTokens).hints, testing::ElementsAre(testing::HasSubstr("twice")));
}

TEST_F(BrokenEngine, WrongNormEpsilonStopsAtFirstLogit) {
  bitnet::Model model = LoadModel();
  model.hyperparameters.rms_norm_eps = 1e-2f;
  EXPECT_EQ(ClimbWith(Rerun(model)).failed_rung(), Rung::kFirstLogit);
}

TEST_F(BrokenEngine, WrongRopeBaseStopsAtPositions) {
  bitnet::Model model = LoadModel();
  model.hyperparameters.rope_freq_base = 500000;
  const Verdict verdict = ClimbWith(Rerun(model));
  EXPECT_EQ(verdict.failed_rung(), Rung::kPositions);  // position 0 is not rotated at all
  EXPECT_EQ(verdict.rung(Rung::kPositions).first_over, 1);
}

TEST_F(BrokenEngine, AWrongKvRowStopsAtPositionsOrDecode) {
  const bitnet::Model model = LoadModel();
  const int prompt = static_cast<int>(reference->tokens.size());
  const Verdict in_prompt = ClimbWith(Rerun(model, 4));
  EXPECT_EQ(in_prompt.failed_rung(), Rung::kPositions);
  EXPECT_EQ(in_prompt.rung(Rung::kPositions).first_over, 5);
  const Verdict after_prompt = ClimbWith(Rerun(model, prompt), "exact");
  EXPECT_EQ(after_prompt.failed_rung(), Rung::kDecode);
}

}  // namespace
}  // namespace parity
