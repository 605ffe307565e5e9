#include "parity_tests/judge/rungs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

namespace parity {

RungCompare ComparePreflight, CompareTokens, CompareShapes;      // rungs_exact.cc
RungCompare CompareFirstLogit, ComparePositions, CompareDecode;  // rungs_logits.cc

namespace {

std::string_view LacksNothing(const Capture&) { return ""; }
std::string_view LacksTokens(const Capture& c) { return c.shown.tokens ? "" : "token ids"; }
std::string_view LacksShapes(const Capture& c) { return c.shown.shapes ? "" : "shapes"; }
std::string_view LacksLogits(const Capture& c) { return c.shown.logits ? "" : "logits of the prompt"; }
std::string_view LacksText(const Capture& c) {
  return c.shown.text || c.request.max_tokens == 0 ? "" : "text behind the prompt";
}

constexpr RungInfo kTable[] = {
    {Rung::kPreflight,
     "preflight",
     "Preflight",
     PositionKind::kPrompt,
     LimitsUse::kNone,
     ComparePreflight,
     LacksNothing,
     {"the engine is not installed, or its libraries are not where they were looked for",
      "the engine does not know the model's architecture or one of its tensor types (I2_S and bitnet-b1.58 are "
      "bitnet.cpp's); bitnet-parity compat-check MODEL asks every engine",
      "a recorded capture is of another model file, prompt or schedule"},
     "ci/install brings llama.cpp; LLAMA_CPP_DIR and BITNET_CPP_DIR name builds of your own"},
    {Rung::kTokens,
     "tokens",
     "Tokens",
     PositionKind::kPrompt,
     LimitsUse::kNone,
     CompareTokens,
     LacksTokens,
     {"BOS twice: the template writes it and the tokenizer adds it, or only one side adds it",
      "the template is applied on one side only",
      "two vocabularies or merge lists: a tokenizer.json that is not the GGUF file's",
      "special tokens in the text are parsed on one side and spelled out on the other",
      "another pre-tokenizer expression (tokenizer.ggml.pre)"},
     "run with --prompt-template raw --dump-ids --dump-ref-ids and look at the first id that differs"},
    {Rung::kShapes,
     "shapes",
     "Shapes",
     PositionKind::kPrompt,
     LimitsUse::kNone,
     CompareShapes,
     LacksShapes,
     {"another n_ctx or batch size than the request's",
      "a causal mask off by one, or one that lets a position see its future",
      "K and V heads counted as query heads (n_head_kv)",
      "a hyper-parameter read from another key, or its default taken"},
     "compare the named value with the model's metadata"},
    {Rung::kFirstLogit,
     "first-logit",
     "FirstLogit",
     PositionKind::kPrompt,
     LimitsUse::kRequired,
     CompareFirstLogit,
     LacksLogits,
     {"weights decoded in another layout or with another scale (try the same model as F16)",
      "norm: epsilon, gamma, or its place (the sub-norms before attn_output and ffn_down)",
      "activation: SiLU or squared ReLU, and the order of gate and up",
      "embedding row, tied output matrix, or logits scaled by a constant",
      "rounding: activations to int8, K, V and Q to F16; one last bit can turn a rounding the other way"},
     "one token is enough to reproduce it: add --positions 1 --max-tokens 0"},
    {Rung::kPositions,
     "positions",
     "Positions",
     PositionKind::kPrompt,
     LimitsUse::kRequired,
     ComparePositions,
     LacksLogits,
     {"grows with the position: RoPE (base, pairing of dimensions, scaling), or the mask",
      "a jump at one position: a KV row off by one, a batch boundary",
      "a few positions out of many: a rounding that turned the other way (compare like schedule with like)",
      "top-5 alone: weights decoded differently (try the same model as F16)"},
     "run with --schedule both: a difference in one schedule alone points at batching or the KV cache"},
    {Rung::kDecode,
     "decode",
     "Decode",
     PositionKind::kGenerated,
     LimitsUse::kOptional,
     CompareDecode,
     LacksText,
     {"the KV cache after the prompt: the position of the new row, or its length",
      "decoding is not greedy: a temperature, a penalty, or the last of equals instead of the first",
      "memory that was never set: run twice and compare", "end-of-generation tokens treated differently"},
     "run with --max-tokens set to the number of the token that differs, plus one, and look at both top-5"},
};

}  // namespace

std::span<const RungInfo> Rungs() { return kTable; }

Rung RungFromName(std::string_view name) {
  for (const RungInfo& rung : Rungs()) {
    if (rung.name == name) return rung.rung;
  }
  throw std::runtime_error(
      fmt::format("stage \"{}\" is not known; the ladder has {}", name, fmt::join(RungNames(), ", ")));
}

std::vector<std::string> RungNames() {
  std::vector<std::string> names;
  for (const RungInfo& rung : Rungs()) names.emplace_back(rung.name);
  return names;
}

}  // namespace parity
