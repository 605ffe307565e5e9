// Mistakes in the ids of a prompt.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/tokenizer/prompt_template.h"
#include "engine/tokenizer/vocabulary.h"
#include "parity_tests/mistakes/mistake.h"

namespace parity {
namespace {

using Ids = std::vector<int32_t>;
using Changes = std::vector<TokenChange>;

Changes BosTwice(const TokenSite& site) {
  if (site.right.empty()) return {};
  Ids ids(site.right.begin(), site.right.end());
  ids.insert(ids.begin(), ids.front());
  // Twice the same in front, not merely one more.
  if (!site.found.empty() && (site.found.size() < 2 || site.found[0] != site.found[1])) return {};
  return {{fmt::format("the candidate's ids are the reference's with {} once more in front", ids.front()), ids}};
}

Changes BosMissing(const TokenSite& site) {
  if (site.right.empty()) return {};
  return {{fmt::format("the candidate's ids are the reference's without {} in front", site.right.front()),
           Ids(site.right.begin() + 1, site.right.end())}};
}

// The constant by which all ids that differ do so; BOS perhaps does not.
std::optional<int32_t> ShiftOf(const TokenSite& site) {
  if (site.found.empty()) return 3;
  if (site.found.size() != site.right.size()) return std::nullopt;
  std::optional<int32_t> shift;
  size_t differing = 0;
  for (size_t i = 0; i < site.right.size(); ++i) {
    const int32_t by = site.found[i] - site.right[i];
    if (by == 0) continue;
    if (shift && *shift != by) return std::nullopt;
    shift = by;
    ++differing;
  }
  return differing > 1 && differing + 1 >= site.right.size() ? shift : std::nullopt;
}

Changes IdsShifted(const TokenSite& site) {
  const std::optional<int32_t> shift = ShiftOf(site);
  if (!shift) return {};
  Ids ids(site.right.begin(), site.right.end());
  for (int32_t& id : ids) id += *shift;
  if (!site.found.empty() && site.found.front() == site.right.front()) ids.front() = site.right.front();
  return {{fmt::format("all ids that differ do so by {:+}", *shift), ids}};
}

Changes PromptTemplate(const TokenSite& site) {
  const Request& request = site.request;
  if (site.tokenizer == nullptr || request.prompt.empty()) return {};
  Changes changes;
  for (const bitnet::PromptTemplate t : bitnet::AllPromptTemplates()) {
    const bitnet::FormattedPrompt p = bitnet::FormatPrompt(t, request.prompt);
    if (p.text == request.text) continue;
    Ids ids = site.tokenizer->Encode(p.text, {.add_special = p.add_special, .parse_special = true});
    changes.push_back({fmt::format("the prompt in the template {} gives the candidate's {} ids; asked for was {}",
                                   bitnet::PromptTemplateName(t), ids.size(), request.prompt_template),
                       std::move(ids)});
  }
  return changes;
}

Changes PreTokenizer(const TokenSite& site) {
  if (site.tokenizer == nullptr || site.file == nullptr) return {};
  const bitnet::EncodeOptions options{.add_special = site.request.add_special,
                                      .parse_special = site.request.parse_special};
  Changes changes;
  for (const char* pre : {"gpt-2", "default", "llama-bpe"}) {
    bitnet::Vocabulary vocabulary = bitnet::ReadGgufVocabulary(*site.file);
    if (vocabulary.pre == pre) continue;
    vocabulary.pre = pre;
    Ids ids = bitnet::Tokenizer::FromVocabulary(std::move(vocabulary)).Encode(site.request.text, options);
    changes.push_back({fmt::format("words split as by \"{}\" give the candidate's {} ids; the file says \"{}\"", pre,
                                   ids.size(), site.tokenizer->pre()),
                       std::move(ids)});
  }
  return changes;
}

const Mistake kMistakes[] = {
    {.id = "bos_twice",
     .what = "the prompt starts with BOS twice: template and tokenizer both write it",
     .remedy = "format with add_special off where the template writes BOS",
     .tokens = BosTwice,
     .rung = "tokens",
     .position = 1},
    {.id = "bos_missing",
     .what = "BOS is missing in front of the prompt",
     .remedy = "read tokenizer.ggml.add_bos_token, and add BOS",
     .tokens = BosMissing,
     .rung = "tokens",
     .position = 0},
    {.id = "ids_shifted",
     .what = "token ids are shifted by a constant",
     .remedy = "number the vocabulary as the file does: special tokens count, and the first id is 0",
     .tokens = IdsShifted,
     .rung = "tokens",
     .position = 0},
    {.id = "prompt_template",
     .what = "another prompt template was applied",
     .remedy = "give both engines the text in one template; try --prompt-template raw",
     .tokens = PromptTemplate,
     .rung = "tokens",
     .position = 1},
    {.id = "pre_tokenizer",
     .what = "words are split by another pre-tokenizer's expression",
     .remedy = "obey tokenizer.ggml.pre",
     .tokens = PreTokenizer,
     .rung = "tokens"},
};

}  // namespace

std::span<const Mistake> TokenMistakes() { return kMistakes; }

}  // namespace parity
