// Tests that run a live reference on models made for them: where it is missing they are skipped with the reason, and
// PARITY_REQUIRE makes that a failure.
//
//   class LlamaCpp : public LiveReference {
//    protected:
//     LlamaCpp() : LiveReference("llama.cpp") {}
//   };
//   TEST_F(LlamaCpp, ...) { ExpectSameBits(options, request); }
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_LIVE_REFERENCE_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_LIVE_REFERENCE_H_

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <string>
#include <vector>

#include "fixtures/generate.h"
#include "parity_tests/harness/comparison.h"
#include "reference/capture/temporary_directory.h"

namespace parity {

// Values whose 32 bits are not equal; a value that only one side has is one too.
size_t DifferentBits(std::span<const float> a, std::span<const float> b);

std::string DescribeShape(const GenerateOptions& model);

// n ids below n_vocab.
std::vector<int32_t> RandomTokens(std::mt19937& random, uint32_t n, uint32_t n_vocab);

class LiveReference : public testing::Test {
 protected:
  explicit LiveReference(const std::string& reference) : reference_(reference), comparison_("native", reference) {}
  void SetUp() override;

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

  // Makes the model and climbs the ladder by profile `exact`, the request's prompt as batches and a token at a time.
  // Skips the test where the reference's build has no order of operations that the candidate follows.
  void ExpectSameBits(GenerateOptions model, Request request);
  // The same on the model that the request names. `words` describe it in a failure.
  void ExpectSameBitsOf(Request request, const std::string& words);

  std::string reference_;
  TemporaryDirectory directory_;
  Comparison comparison_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_LIVE_REFERENCE_H_
