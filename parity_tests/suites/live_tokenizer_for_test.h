// A live reference's tokenizer, asked through its runner (`llama_cpp_runner tokenize`), once for each vocabulary.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_LIVE_TOKENIZER_FOR_TEST_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_LIVE_TOKENIZER_FOR_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/harness/engines.h"
#include "reference/engines/process.h"

namespace parity {

struct Question {
  std::string text;
  bool add_special, parse_special;
};

struct Answer {
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
};

// Skips the test, or fails it where the reference is required.
#define SKIP_UNLESS(engine, condition, reason)    \
  do {                                            \
    if (!(condition)) {                           \
      if (IsRequired(engine)) FAIL() << (reason); \
      GTEST_SKIP() << (reason);                   \
    }                                             \
  } while (false)

// Bytes that are no UTF-8 as \u escapes.
std::string Escaped(const std::string& text);

// The runner, or "" and the reason.
std::pair<std::string, std::string> FindRunner(const std::string& engine);

ProcessResult RunTokenize(const std::string& runner, const std::string& model, const std::string& in,
                          const std::string& out);

// An answer for each question; `model` is what the reference reads. Throws std::runtime_error with its last words.
std::vector<Answer> AskReference(const std::string& runner, const std::string& model,
                                 const std::vector<Question>& questions);

// Fails the test for each text whose ids or pieces differ.
void ExpectSameIds(const bitnet::Tokenizer& tokenizer, const std::vector<Question>& questions,
                   const std::vector<Answer>& answers);

// Random texts through both, `usual_number` or as many as PARITY_RANDOM_TEXTS says.
void CompareOnRandomTexts(const bitnet::Tokenizer& tokenizer, const std::string& model, uint32_t seed,
                          const std::string& engine = "llama.cpp", size_t usual_number = 300);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_LIVE_TOKENIZER_FOR_TEST_H_
