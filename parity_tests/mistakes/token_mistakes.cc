// Mistakes in the ids of a prompt.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/prompt_template.h"
#include "engine/tokenizer/unicode_mappings.h"
#include "engine/tokenizer/utf8.h"
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
  return {{fmt::format("{} once more in front", ids.front()), ids}};
}

Changes BosMissing(const TokenSite& site) {
  if (site.right.empty()) return {};
  return {{fmt::format("no {} in front", site.right.front()), Ids(site.right.begin() + 1, site.right.end())}};
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
  return {{fmt::format("every id {:+}", *shift), ids}};
}

Changes PromptTemplate(const TokenSite& site) {
  const Request& request = site.request;
  if (site.tokenizer == nullptr || request.prompt.empty()) return {};
  Changes changes;
  for (const bitnet::PromptTemplate t : bitnet::AllPromptTemplates()) {
    const bitnet::FormattedPrompt p = bitnet::FormatPrompt(t, request.prompt);
    if (p.text == request.text) continue;
    Ids ids = site.tokenizer->Encode(p.text, {.add_special = p.add_special, .parse_special = true});
    changes.push_back({fmt::format("the prompt in the template {}; asked for was {}", bitnet::PromptTemplateName(t),
                                   request.prompt_template),
                       std::move(ids)});
  }
  return changes;
}

// Ids under a vocabulary that is read otherwise.
Ids EncodeWith(bitnet::Vocabulary vocabulary, const TokenSite& site) {
  return bitnet::Tokenizer::FromVocabulary(std::move(vocabulary))
      .Encode(site.request.text,
              {.add_special = site.request.add_special, .parse_special = site.request.parse_special});
}

Changes PreTokenizer(const TokenSite& site) {
  if (site.tokenizer == nullptr || site.file == nullptr || site.tokenizer->pre().empty()) return {};
  const bitnet::Vocabulary vocabulary = bitnet::ReadGgufVocabulary(*site.file);
  if (vocabulary.model != bitnet::VocabularyModel::kBytePairs) return {};
  const auto words_of = [&](std::string_view pre) -> std::optional<std::vector<size_t>> {
    try {
      return bitnet::PreTokenizer(pre).Split(site.request.text).ends;
    } catch (const std::runtime_error&) {
      return std::nullopt;
    }
  };
  // A vocabulary is large: of the expressions that split the text alike one is tried.
  std::set<std::vector<size_t>> seen;
  if (const auto right = words_of(vocabulary.pre)) seen.insert(*right);
  Changes changes;
  for (const std::string& name : bitnet::PreTokenizer::Names()) {
    const bitnet::PreTokenizerName* row = bitnet::PreTokenizer::FindName(name);
    if (row == nullptr || row->alphabet != bitnet::TokenAlphabet::kByteLevel) continue;
    const auto words = words_of(row->canonical);
    if (!words || !seen.insert(*words).second) continue;
    bitnet::Vocabulary other = vocabulary;
    other.pre = row->canonical;
    changes.push_back({fmt::format("words split as by \"{}\"; the file says \"{}\"", name, site.tokenizer->pre()),
                       EncodeWith(std::move(other), site)});
  }
  return changes;
}

// The pieces that a vocabulary's own alphabet starts from: characters, or the bytes of those that it does not have.
Ids FirstPieces(const TokenSite& site) {
  bitnet::Vocabulary vocabulary = bitnet::ReadGgufVocabulary(*site.file);
  vocabulary.merges.clear();
  vocabulary.ignore_merges = false;
  for (bitnet::Token& token : vocabulary.tokens) {
    size_t at = 0;
    if (token.type == bitnet::TokenType::kNormal) bitnet::NextCodePoint(token.text, &at);
    // What has a token of several characters is merged by score in a SentencePiece vocabulary.
    if (vocabulary.model == bitnet::VocabularyModel::kSentencePiece && at < token.text.size() &&
        token.type == bitnet::TokenType::kNormal) {
      token.text = "";
      token.type = bitnet::TokenType::kUnused;
    }
  }
  return EncodeWith(std::move(vocabulary), site);
}

// Two neighbours that spell a token become it, the leftmost pair first, until none do.
Ids MergedFromTheLeft(const bitnet::Tokenizer& tokenizer, Ids ids) {
  bool merged = true;
  while (merged) {
    merged = false;
    for (size_t i = 0; i + 1 < ids.size() && !merged; ++i) {
      const std::optional<int32_t> whole = tokenizer.Find(tokenizer.Piece(ids[i]) + tokenizer.Piece(ids[i + 1]));
      if (!whole) continue;
      ids[i] = *whole;
      ids.erase(ids.begin() + static_cast<ptrdiff_t>(i) + 1);
      merged = true;
    }
  }
  return ids;
}

// At each place the longest token that the text goes on with.
Ids LongestFirst(const bitnet::Tokenizer& tokenizer, const Ids& pieces) {
  constexpr size_t kLongest = 64;  // pieces in a token
  Ids ids;
  for (size_t at = 0; at < pieces.size();) {
    std::string spelled;
    int32_t best = pieces[at];
    size_t used = 1;
    for (size_t n = 1; n <= std::min(kLongest, pieces.size() - at); ++n) {
      spelled += tokenizer.Piece(pieces[at + n - 1]);
      const std::optional<int32_t> whole = tokenizer.Find(spelled);
      if (n > 1 && whole) best = *whole, used = n;
    }
    ids.push_back(best);
    at += used;
  }
  return ids;
}

Changes MergeOrder(const TokenSite& site) {
  constexpr size_t kLongText = 20000;  // a merge from the left looks at all that is before it
  if (site.tokenizer == nullptr || site.file == nullptr || site.request.text.size() > kLongText) return {};
  const bitnet::Vocabulary vocabulary = bitnet::ReadGgufVocabulary(*site.file);
  using Model = bitnet::VocabularyModel;
  if (vocabulary.model != Model::kBytePairs && vocabulary.model != Model::kSentencePiece) return {};
  const Ids first = FirstPieces(site);
  Changes changes = {
      {"no pieces merged", first},
      {"any two pieces that spell a token merged, the leftmost first", MergedFromTheLeft(*site.tokenizer, first)},
      {"at each place the longest token", LongestFirst(*site.tokenizer, first)}};
  if (vocabulary.model == Model::kBytePairs) {
    const auto length = [](const auto& merge) { return merge.first.size() + merge.second.size(); };
    bitnet::Vocabulary other = vocabulary;
    std::stable_sort(other.merges.begin(), other.merges.end(),
                     [&](const auto& a, const auto& b) { return length(a) > length(b); });
    changes.push_back({"longest merges first", EncodeWith(other, site)});
    other.merges = vocabulary.merges;
    std::reverse(other.merges.begin(), other.merges.end());
    changes.push_back({"merges in reverse order", EncodeWith(std::move(other), site)});
    other = vocabulary;
    other.ignore_merges = !other.ignore_merges;
    changes.push_back({other.ignore_merges ? "words that are a token taken whole, past the merges"
                                           : "words that are a token put together by merges",
                       EncodeWith(std::move(other), site)});
  } else {
    bitnet::Vocabulary other = vocabulary;
    for (bitnet::Token& token : other.tokens) token.score = -token.score;
    changes.push_back({"the lowest score first", EncodeWith(std::move(other), site)});
  }
  return changes;
}

Changes SpecialTokens(const TokenSite& site) {
  if (site.tokenizer == nullptr) return {};
  const bool parse = !site.request.parse_special;
  return {
      {parse ? "text that spells a special token as that token" : "special tokens of the text spelled out",
       site.tokenizer->Encode(site.request.text, {.add_special = site.request.add_special, .parse_special = parse})}};
}

std::string NormalizedText(const std::string& text, bitnet::NormalForm form) {
  std::u32string points;
  for (size_t at = 0; at < text.size();) points.push_back(bitnet::NextCodePoint(text, &at));
  std::string out;
  for (const char32_t c : bitnet::Normalize(points, form)) bitnet::AppendUtf8(c, &out);
  return out;
}

template <typename F>
std::string EachCodePoint(const std::string& text, F of) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = bitnet::NextCodePoint(text, &at);
    of(c, out);
  }
  return out;
}

std::string Replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::string Cut(const std::string& text, bool front, bool back) {
  constexpr const char* kWhite = " \t\r\n";
  const size_t first = front ? text.find_first_not_of(kWhite) : 0;
  if (first == std::string::npos) return "";
  const size_t last = back ? text.find_last_not_of(kWhite) : text.size() - 1;
  return last == std::string::npos ? "" : text.substr(first, last - first + 1);
}

struct TextChange {
  const char* how;
  std::string (*of)(const std::string&);
};

constexpr TextChange kTextChanges[] = {
    {"white space cut off at its end", [](const std::string& t) { return Cut(t, false, true); }},
    {"white space cut off in front", [](const std::string& t) { return Cut(t, true, false); }},
    {"white space cut off at both ends", [](const std::string& t) { return Cut(t, true, true); }},
    {"runs of spaces as one",
     [](const std::string& t) {
       std::string out;
       for (const char c : t) {
         if (c != ' ' || out.empty() || out.back() != ' ') out += c;
       }
       return out;
     }},
    {"a space put in front", [](const std::string& t) { return " " + t; }},
    {"a newline put at its end", [](const std::string& t) { return t + "\n"; }},
    {"newlines as spaces", [](const std::string& t) { return Replaced(Replaced(t, "\r\n", " "), "\n", " "); }},
    {"carriage returns left out", [](const std::string& t) { return Replaced(t, "\r", ""); }},
    {"tabs as spaces", [](const std::string& t) { return Replaced(t, "\t", " "); }},
    {"no-break spaces as spaces", [](const std::string& t) { return Replaced(t, "\u00a0", " "); }},
    {"backslash and n as a newline", [](const std::string& t) { return Replaced(t, "\\n", "\n"); }},
    {"newlines as backslash and n", [](const std::string& t) { return Replaced(t, "\n", "\\n"); }},
    {"cut at the first line's end", [](const std::string& t) { return t.substr(0, t.find('\n')); }},
    {"typographic quotes as plain ones",
     [](const std::string& t) {
       return Replaced(Replaced(Replaced(Replaced(t, "\u201c", "\""), "\u201d", "\""), "\u2018", "'"), "\u2019", "'");
     }},
    {"in normal form C", [](const std::string& t) { return NormalizedText(t, bitnet::NormalForm::kC); }},
    {"in normal form D", [](const std::string& t) { return NormalizedText(t, bitnet::NormalForm::kD); }},
    {"in normal form KC", [](const std::string& t) { return NormalizedText(t, bitnet::NormalForm::kKC); }},
    {"in normal form KD", [](const std::string& t) { return NormalizedText(t, bitnet::NormalForm::kKD); }},
    {"in lower case",
     [](const std::string& t) {
       return EachCodePoint(t, [](uint32_t c, std::string& out) { bitnet::AppendUtf8(bitnet::LowerCase(c), &out); });
     }},
    {"without what is not ASCII",
     [](const std::string& t) {
       return EachCodePoint(t, [](uint32_t c, std::string& out) {
         if (c < 128) out += static_cast<char>(c);
       });
     }},
    {"with a question mark for what is not ASCII",
     [](const std::string& t) {
       return EachCodePoint(t, [](uint32_t c, std::string& out) { out += c < 128 ? static_cast<char>(c) : '?'; });
     }},
    {"its UTF-8 read as Latin-1",
     [](const std::string& t) {
       std::string out;
       for (const char c : t) bitnet::AppendUtf8(static_cast<unsigned char>(c), &out);
       return out;
     }},
    {"without its last character",
     [](const std::string& t) {
       size_t end = t.size();
       while (end > 0 && (static_cast<unsigned char>(t[end - 1]) & 0xC0u) == 0x80u) --end;
       return t.substr(0, end > 0 ? end - 1 : 0);
     }},
};

Changes TextChanged(const TokenSite& site) {
  if (site.tokenizer == nullptr) return {};
  Changes changes;
  std::set<std::string> seen = {site.request.text};
  for (const TextChange& change : kTextChanges) {
    std::string text;
    try {
      text = change.of(site.request.text);
      if (!seen.insert(text).second) continue;
      changes.push_back({fmt::format("the text {}", change.how),
                         site.tokenizer->Encode(text, {.add_special = site.request.add_special,
                                                       .parse_special = site.request.parse_special})});
    } catch (const std::runtime_error&) {
      continue;  // a sequence that has no code point
    }
  }
  return changes;
}

// Part of the prompt, from its front or from its end.
Changes PromptCut(const TokenSite& site) {
  const size_t n = site.right.size(), kept = site.found.empty() ? n - 1 : site.found.size();
  if (n < 2 || kept == 0 || kept >= n) return {};
  const bool bos = site.tokenizer != nullptr && site.tokenizer->bos() == site.right.front();
  Changes changes = {{fmt::format("the first {} of {} tokens", kept, n),
                      Ids(site.right.begin(), site.right.begin() + static_cast<ptrdiff_t>(kept))}};
  // One token that is lost in front is BOS; that has a row of its own.
  if (kept + 1 < n) {
    changes.push_back({fmt::format("the last {} of {} tokens", kept, n),
                       Ids(site.right.end() - static_cast<ptrdiff_t>(kept), site.right.end())});
  }
  if (bos && kept > 1) {
    Ids ids(site.right.end() - static_cast<ptrdiff_t>(kept), site.right.end());
    ids.front() = site.right.front();
    changes.push_back({fmt::format("BOS and the last {} of {} tokens", kept - 1, n), std::move(ids)});
  }
  return changes;
}

Changes TokenAppended(const TokenSite& site) {
  if (site.tokenizer == nullptr) return {};
  Changes changes;
  for (const auto& [id, name] : {std::pair(site.tokenizer->eos(), "EOS"), std::pair(site.tokenizer->eot(), "EOT"),
                                 std::pair(site.tokenizer->bos(), "BOS")}) {
    if (!id) continue;
    Ids ids(site.right.begin(), site.right.end());
    ids.push_back(*id);
    changes.push_back({fmt::format("{} ({}) behind the prompt", name, *id), std::move(ids)});
  }
  return changes;
}

Changes OtherBos(const TokenSite& site) {
  if (site.tokenizer == nullptr || site.right.empty() || site.tokenizer->bos() != site.right.front()) return {};
  const int32_t other = site.found.empty() ? site.tokenizer->eos().value_or(1) : site.found.front();
  if (other == site.right.front()) return {};
  Ids ids(site.right.begin(), site.right.end());
  ids.front() = other;
  return {{fmt::format("{} in front in place of BOS ({})", other, site.right.front()), std::move(ids)}};
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
    {.id = "special_tokens",
     .what = "special tokens that the text spells are read as words, or words as special tokens",
     .remedy = "look for the special tokens of the vocabulary before the text is split, where the request says so "
               "(parse_special)",
     .tokens = SpecialTokens},
    {.id = "merge_order",
     .what = "pieces are merged in another order than the vocabulary's",
     .remedy =
         "merge the pair of the lowest rank (tokenizer.ggml.merges) or the highest score (tokenizer.ggml.scores), "
         "inside a word, until none is left",
     .tokens = MergeOrder,
     .rung = "tokens"},
    {.id = "text_changed",
     .what = "the text was changed before it was split into tokens",
     .remedy =
         "hand the prompt's bytes to the tokenizer as they are: no trimming, no escapes, no normalization that the "
         "vocabulary does not ask for",
     .tokens = TextChanged,
     .rung = "tokens"},
    {.id = "prompt_cut",
     .what = "only part of the prompt was read",
     .remedy = "look for a fixed length of the token buffer, and for an index that is off by one",
     .tokens = PromptCut,
     .rung = "tokens"},
    {.id = "token_appended",
     .what = "a special token stands behind the prompt",
     .remedy = "do not end a prompt that is to be continued: tokenizer.ggml.add_eos_token says whether EOS is added",
     .tokens = TokenAppended,
     .rung = "tokens"},
    {.id = "bos_other",
     .what = "another token stands where BOS should",
     .remedy = "read tokenizer.ggml.bos_token_id",
     .tokens = OtherBos,
     .rung = "tokens",
     .position = 0},
    // What is left where no row gives the candidate's ids: what they spell.
    {.id = "same_text_split",
     .what = "the ids spell the same text, split into other tokens",
     .remedy =
         "compare the tokenizer's rules (merges, ranks or scores, the expression that splits words) with those of "
         "the file, at the first token that differs",
     .tried = false},
    {.id = "other_text",
     .what = "the ids spell another text than the prompt",
     .remedy = "compare what the tokenizer is given with the prompt, and look at its normalization",
     .tried = false},
};

}  // namespace

std::span<const Mistake> TokenMistakes() { return kMistakes; }

}  // namespace parity
