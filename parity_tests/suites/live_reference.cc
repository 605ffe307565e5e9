#include "parity_tests/suites/live_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/formats/format.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/report/report.h"

namespace parity {

size_t DifferentBits(std::span<const float> a, std::span<const float> b) {
  size_t different = std::max(a.size(), b.size()) - std::min(a.size(), b.size());
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) different += std::memcmp(&a[i], &b[i], sizeof(float)) != 0;
  return different;
}

std::string DescribeShape(const GenerateOptions& o) {
  return fmt::format("{} {}: {} layers, width {}, {}/{} heads of {}, ff {}, {} tokens in {}{}", o.architecture,
                     bitnet::TypeName(o.type), o.n_layer, o.n_embd, o.n_head, o.n_head_kv,
                     o.head_dim != 0 ? o.head_dim : o.n_embd / o.n_head, o.n_ff, o.n_vocab,
                     bitnet::TypeName(o.embedding_type), o.untied ? ", a head of its own" : "");
}

std::vector<int32_t> RandomTokens(std::mt19937& random, uint32_t n, uint32_t n_vocab) {
  std::vector<int32_t> tokens(n);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random() % n_vocab);
  return tokens;
}

void LiveReference::SetUp() {
  if (const auto problem = comparison_.Probe()) {
    if (IsRequired(reference_)) FAIL() << problem->message;
    GTEST_SKIP() << problem->message;
  }
}

void LiveReference::ExpectSameBits(GenerateOptions model, Request request) {
  model.output = request.model = Path("shape.gguf");
  GenerateModel(model);
  ExpectSameBitsOf(std::move(request), fmt::format("{}, batches of {}", DescribeShape(model), request.n_ubatch));
}

void LiveReference::ExpectSameBitsOf(Request request, const std::string& words) {
  request.ignore_eos = true;
  request.threads = 1;
  const ClimbOptions options = {.profile = {.file = PARITY_SOURCE_DIR "/fixtures/thresholds.json"},
                                .expected = "exact"};
  for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
    request.schedule = schedule;
    const Climbed climbed = comparison_.Climb(request, options);
    const Verdict& verdict = climbed.verdict;
    if (verdict.profile.name != "exact") GTEST_SKIP() << verdict.notes.back();
    if (climbed.captures) {
      ASSERT_EQ(climbed.captures->candidate.logits.rows, static_cast<int64_t>(request.token_ids->size()));
    }
    EXPECT_TRUE(verdict.parity()) << words << "\n" << TextReport(verdict, {});
  }
}

}  // namespace parity
