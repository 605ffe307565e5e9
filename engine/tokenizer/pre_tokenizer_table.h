// The pre-tokenizers of llama.cpp v0.5.0 as data: their names, what else follows from a name, and their steps.
//
// Source: llama_vocab::impl::load and llm_tokenizer_bpe in src/llama-vocab.cpp, and src/unicode.cpp for what the
// expressions mean there.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_TABLE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_TABLE_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/tokenizer/pre_tokenizer.h"

namespace bitnet {

struct CodePointRange {
  uint32_t first, last;
};
// Ascending; without white space, which no set holds (the reference turns it into a vertical tab before it looks).
using CodePointSet = std::span<const CodePointRange>;

enum class SplitKind {
  kExpression,         // matches and the gaps between them
  kGroupsOfNumbers,    // a run of numbers: what is left over of three first, stuck to the text before it, then threes
  kThousandsOfDigits,  // before each three ASCII digits, counted from the end of their run
};

// One pass over the pieces that the passes before it left.
struct SplitStep {
  // Over class strings, as a format: {L} letters, {N} numbers, {M} marks, {P} punctuation, {Y} symbols, {S} white
  // space, to stand inside brackets; {l} letters beyond ASCII; {A} to {D} the step's sets, {Al} the letters of the
  // first; {C} contractions and {T} the usual treatment of white space, to stand outside.
  std::string_view expression;
  CodePointSet sets[4] = {};  // disjoint; what is in one is in no class
  SplitKind kind = SplitKind::kExpression;
};

struct PreTokenizerSteps {
  std::string_view canonical;
  SplitStep steps[6];  // as many as are not empty

  static bool IsEmpty(const SplitStep& step) { return step.kind == SplitKind::kExpression && step.expression.empty(); }
};

std::span<const PreTokenizerName> PreTokenizerNames();
std::span<const PreTokenizerSteps> AllPreTokenizerSteps();

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_TABLE_H_
