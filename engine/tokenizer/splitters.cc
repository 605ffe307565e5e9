#include "engine/tokenizer/splitters.h"

#include <algorithm>
#include <utility>

#include "engine/tokenizer/json_pattern.h"
#include "engine/tokenizer/regex.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"

namespace bitnet {
namespace {

constexpr std::string_view kGpt2Expression =
    R"('(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// What becomes of the stretches that a pattern finds.
enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct Stretch {
  ByteRange range;
  bool matches;
};

Behavior ReadBehavior(const JsonNode& node) {
  constexpr std::pair<std::string_view, Behavior> kNames[] = {{"Removed", Behavior::kRemoved},
                                                              {"Isolated", Behavior::kIsolated},
                                                              {"MergedWithPrevious", Behavior::kMergedWithPrevious},
                                                              {"MergedWithNext", Behavior::kMergedWithNext},
                                                              {"Contiguous", Behavior::kContiguous}};
  for (const auto& [name, behavior] : kNames) {
    if (node.String() == name) return behavior;
  }
  node.Fail("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

std::vector<Stretch> StretchesOf(const std::vector<ByteRange>& matches, size_t size) {
  std::vector<Stretch> stretches;
  size_t done = 0;
  for (const ByteRange& match : matches) {
    if (match.begin > done) stretches.push_back({{done, match.begin}, false});
    stretches.push_back({match, true});
    done = match.end;
  }
  if (size > done) stretches.push_back({{done, size}, false});
  return stretches;
}

std::vector<ByteRange> Merged(const std::vector<Stretch>& stretches, Behavior behavior) {
  std::vector<ByteRange> result;
  bool last_matched = false;
  for (const Stretch& stretch : stretches) {
    const bool with_last = behavior == Behavior::kContiguous       ? stretch.matches == last_matched
                           : behavior == Behavior::kMergedWithNext ? last_matched && !stretch.matches
                                                                   : stretch.matches && !last_matched;
    if (with_last && !result.empty()) {
      result.back().end = stretch.range.end;
    } else {
      result.push_back(stretch.range);
    }
    last_matched = stretch.matches;
  }
  return result;
}

std::vector<ByteRange> Apply(Behavior behavior, const std::vector<Stretch>& stretches) {
  if (behavior != Behavior::kRemoved && behavior != Behavior::kIsolated) return Merged(stretches, behavior);
  std::vector<ByteRange> result;
  for (const Stretch& stretch : stretches) {
    if (behavior == Behavior::kIsolated || !stretch.matches) result.push_back(stretch.range);
  }
  return result;
}

// Cuts each piece at what `matches_of` finds in it.
template <typename MatchesOf>
void SplitPieces(std::vector<TextPiece>* pieces, const MatchesOf& matches_of, Behavior behavior, bool invert = false) {
  std::vector<TextPiece> result;
  for (const TextPiece& piece : *pieces) {
    std::vector<Stretch> stretches = StretchesOf(matches_of(piece.text), piece.text.size());
    for (Stretch& stretch : stretches) stretch.matches = stretch.matches != invert;
    for (const ByteRange& range : Apply(behavior, stretches)) {
      if (range.begin == range.end) continue;
      result.push_back({piece.text.substr(range.begin, range.end - range.begin), piece.at_start && range.begin == 0});
    }
  }
  pieces->swap(result);
}

// A match for each character of this kind.
template <bool (*is_one)(uint32_t)>
std::vector<ByteRange> CharactersThat(const std::string& text) {
  std::vector<ByteRange> matches;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    if (is_one(NextCodePoint(text, &position))) matches.push_back({begin, position});
  }
  return matches;
}

bool IsNumber(uint32_t c) { return ClassOf(c) == UnicodeClass::kNumber; }
bool IsPunctuation(uint32_t c) {
  const UnicodeClass kind = ClassOf(c);
  return kind == UnicodeClass::kPunctuation || (c < 0x80 && kind == UnicodeClass::kSymbol);
}

Splitter ReadBertSplitter(const JsonNode&) {
  return [](std::vector<TextPiece>* pieces) {
    SplitPieces(pieces, CharactersThat<IsSpace>, Behavior::kRemoved);
    SplitPieces(pieces, CharactersThat<IsPunctuation>, Behavior::kIsolated);
  };
}

Splitter ReadByteLevelSplitter(const JsonNode& node) {
  const bool add_prefix_space = node.BoolOr("add_prefix_space", true);
  const bool splits = node.BoolOr("use_regex", true);
  return [add_prefix_space, splits, regex = Regex(kGpt2Expression)](std::vector<TextPiece>* pieces) {
    for (TextPiece& piece : *pieces) {
      if (add_prefix_space && !piece.text.starts_with(' ')) piece.text.insert(0, 1, ' ');
    }
    if (splits) {
      SplitPieces(
          pieces, [&](const std::string& text) { return regex.Matches(text); }, Behavior::kIsolated);
    }
    for (TextPiece& piece : *pieces) {
      std::string bytes;
      for (const char c : piece.text) bytes += ByteLevelCharacter(static_cast<uint8_t>(c));
      piece.text = std::move(bytes);
    }
  };
}

Splitter ReadDelimiterSplitter(const JsonNode& node) {
  return [pattern = Regex::Literal(node.At("delimiter").String())](std::vector<TextPiece>* pieces) {
    SplitPieces(
        pieces, [&](const std::string& text) { return pattern.Matches(text); }, Behavior::kRemoved);
  };
}

Splitter ReadDigitsSplitter(const JsonNode& node) {
  const Behavior behavior = node.BoolOr("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous;
  return [behavior](std::vector<TextPiece>* pieces) { SplitPieces(pieces, CharactersThat<IsNumber>, behavior); };
}

Splitter ReadFixedLengthSplitter(const JsonNode& node) {
  const JsonNode length_node = node.At("length");
  const auto length = static_cast<size_t>(length_node.Id());
  if (length == 0) length_node.Fail("at least 1");
  return [length](std::vector<TextPiece>* pieces) {
    const auto ranges = [length](const std::string& text) {
      std::vector<ByteRange> result;
      for (size_t position = 0; position < text.size();) {
        const size_t begin = position;
        for (size_t n = 0; n < length && position < text.size(); ++n) NextCodePoint(text, &position);
        result.push_back({begin, position});
      }
      return result;
    };
    SplitPieces(pieces, ranges, Behavior::kIsolated);
  };
}

enum class PrependScheme { kAlways, kFirst, kNever };

PrependScheme ReadPrependScheme(const JsonNode& node) {
  const JsonNode scheme = node.Maybe("prepend_scheme");
  // Files from before the scheme have only this.
  if (scheme.IsNull()) return node.BoolOr("add_prefix_space", true) ? PrependScheme::kAlways : PrependScheme::kNever;
  if (scheme.String() == "always") return PrependScheme::kAlways;
  if (scheme.String() == "first") return PrependScheme::kFirst;
  if (scheme.String() == "never") return PrependScheme::kNever;
  scheme.Fail("always, first or never");
}

Splitter ReadMetaspaceSplitter(const JsonNode& node) {
  const std::string& replacement = node.At("replacement").String();
  const PrependScheme scheme = ReadPrependScheme(node);
  const bool splits = node.BoolOr("split", true);
  return [replacement, scheme, splits, pattern = Regex::Literal(replacement)](std::vector<TextPiece>* pieces) {
    for (TextPiece& piece : *pieces) {
      std::string text;
      for (const char c : piece.text) {
        if (c == ' ') {
          text += replacement;
        } else {
          text += c;
        }
      }
      const bool prepends = scheme == PrependScheme::kAlways || (scheme == PrependScheme::kFirst && piece.at_start);
      piece.text = prepends && !text.starts_with(replacement) ? replacement + text : text;
    }
    if (!splits) return;
    SplitPieces(
        pieces, [&](const std::string& text) { return pattern.Matches(text); }, Behavior::kMergedWithNext);
  };
}

Splitter ReadPunctuationSplitter(const JsonNode& node) {
  const JsonNode behavior_node = node.Maybe("behavior");
  const Behavior behavior = behavior_node.IsNull() ? Behavior::kIsolated : ReadBehavior(behavior_node);
  return [behavior](std::vector<TextPiece>* pieces) { SplitPieces(pieces, CharactersThat<IsPunctuation>, behavior); };
}

Splitter ReadSplitSplitter(const JsonNode& node) {
  return [pattern = ReadPattern(node.At("pattern")), behavior = ReadBehavior(node.At("behavior")),
          invert = node.BoolOr("invert", false)](std::vector<TextPiece>* pieces) {
    SplitPieces(
        pieces, [&](const std::string& text) { return pattern.Matches(text); }, behavior, invert);
  };
}

Splitter ReadWhitespaceSplitter(const JsonNode&) {
  const std::string word(kWordCharacters);
  return [words = Regex("[" + word + "]+|[^\\s" + word + "]+")](std::vector<TextPiece>* pieces) {
    SplitPieces(
        pieces, [&](const std::string& text) { return words.Matches(text); }, Behavior::kRemoved, /*invert=*/true);
  };
}

Splitter ReadWhitespaceSplitSplitter(const JsonNode&) {
  return [](std::vector<TextPiece>* pieces) { SplitPieces(pieces, CharactersThat<IsSpace>, Behavior::kRemoved); };
}

Splitter ReadSequenceSplitter(const JsonNode& node) {
  std::vector<Splitter> steps;
  for (const JsonNode& item : node.At("pretokenizers").Items()) steps.push_back(ReadSplitter(item));
  return [steps = std::move(steps)](std::vector<TextPiece>* pieces) {
    for (const Splitter& step : steps) step(pieces);
  };
}

constexpr ReaderRow<Splitter> kSplitters[] = {
    {"BertPreTokenizer", ReadBertSplitter},
    {"ByteLevel", ReadByteLevelSplitter},
    {"CharDelimiterSplit", ReadDelimiterSplitter},
    {"Digits", ReadDigitsSplitter},
    {"FixedLength", ReadFixedLengthSplitter},
    {"Metaspace", ReadMetaspaceSplitter},
    {"Punctuation", ReadPunctuationSplitter},
    {"Sequence", ReadSequenceSplitter},
    {"Split", ReadSplitSplitter},
    {"Whitespace", ReadWhitespaceSplitter},
    {"WhitespaceSplit", ReadWhitespaceSplitSplitter},
};

}  // namespace

Splitter ReadSplitter(const JsonNode& node) {
  if (node.IsNull()) return [](std::vector<TextPiece>*) {};
  return ReadByType<Splitter>(node, kSplitters);
}

}  // namespace bitnet
