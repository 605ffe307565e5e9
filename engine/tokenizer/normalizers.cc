#include "engine/tokenizer/normalizers.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/json_pattern.h"
#include "engine/tokenizer/regex.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/unicode_mappings.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/wordpiece.h"

namespace bitnet {
namespace {

std::u32string ToCodePoints(std::string_view text) {
  std::u32string code_points;
  code_points.reserve(text.size());
  for (size_t position = 0; position < text.size();) code_points.push_back(NextCodePoint(text, &position));
  return code_points;
}

std::string ToUtf8(std::u32string_view code_points) {
  std::string text;
  text.reserve(code_points.size());
  for (const char32_t c : code_points) AppendUtf8(c, &text);
  return text;
}

std::u32string Lower(std::u32string_view text) {
  std::u32string lower;
  lower.reserve(text.size());
  for (const char32_t c : text) {
    lower.push_back(LowerCase(c));
    if (c == 0x130) lower.push_back(0x307);  // the one character whose lower case is two
  }
  return lower;
}

template <NormalForm form>
Normalizer ReadFormNormalizer(const JsonNode&) {
  return [](const std::string& text) { return ToUtf8(Normalize(ToCodePoints(text), form)); };
}

Normalizer ReadLowercaseNormalizer(const JsonNode&) {
  return [](const std::string& text) { return ToUtf8(Lower(ToCodePoints(text))); };
}

Normalizer ReadStripAccentsNormalizer(const JsonNode&) {
  return [](const std::string& text) {
    std::u32string code_points = ToCodePoints(text);
    std::erase_if(code_points, [](char32_t c) { return IsMark(ClassOf(c)); });
    return ToUtf8(code_points);
  };
}

Normalizer ReadStripNormalizer(const JsonNode& node) {
  return [left = node.BoolOr("strip_left", true), right = node.BoolOr("strip_right", true)](const std::string& text) {
    const std::u32string code_points = ToCodePoints(text);
    auto begin = code_points.begin(), end = code_points.end();
    while (left && begin != end && IsSpace(*begin)) ++begin;
    while (right && begin != end && IsSpace(*(end - 1))) --end;
    return ToUtf8(std::u32string(begin, end));
  };
}

Normalizer ReadPrependNormalizer(const JsonNode& node) {
  return [text = node.At("prepend").String()](const std::string& rest) { return rest.empty() ? rest : text + rest; };
}

Normalizer ReadReplaceNormalizer(const JsonNode& node) {
  return [pattern = ReadPattern(node.At("pattern")), content = node.At("content").String()](const std::string& text) {
    std::string result;
    size_t done = 0;
    for (const ByteRange& match : pattern.Matches(text)) {
      result.append(text, done, match.begin - done);
      result += content;
      done = match.end;
    }
    return result + text.substr(done);
  };
}

Normalizer ReadByteLevelNormalizer(const JsonNode&) {
  return [](const std::string& text) {
    std::string result;
    for (const char c : text) result += ByteLevelCharacter(static_cast<uint8_t>(c));
    return result;
  };
}

Normalizer ReadNmtNormalizer(const JsonNode&) {
  return [](const std::string& text) {
    std::u32string result;
    for (const char32_t c : ToCodePoints(text)) {
      const bool dropped =
          (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
      if (dropped) continue;
      const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      result.push_back(space ? ' ' : c);
    }
    return ToUtf8(result);
  };
}

struct BertOptions {
  bool clean_text, handle_chinese_chars, strip_accents, lowercase;
};

std::u32string BertNormalize(std::u32string_view text, const BertOptions& options) {
  std::u32string result;
  for (char32_t c : text) {
    if (options.clean_text) {
      const bool white = c == '\t' || c == '\n' || c == '\r';
      const bool control = c < 0x20 || c == 0x85 || ClassOf(c) == UnicodeClass::kControl;
      if (!white && (control || c == 0xFFFD)) continue;
      if (IsSpace(c)) c = ' ';
    }
    const bool alone = options.handle_chinese_chars && IsChinese(c);
    if (alone) result.push_back(' ');
    result.push_back(c);
    if (alone) result.push_back(' ');
  }
  if (options.strip_accents) {
    result = Normalize(result, NormalForm::kD);
    std::erase_if(result, [](char32_t c) { return ClassOf(c) == UnicodeClass::kNonspacingMark; });
  }
  return options.lowercase ? Lower(result) : result;
}

Normalizer ReadBertNormalizer(const JsonNode& node) {
  BertOptions options;
  options.clean_text = node.BoolOr("clean_text", true);
  options.handle_chinese_chars = node.BoolOr("handle_chinese_chars", true);
  options.lowercase = node.BoolOr("lowercase", true);
  options.strip_accents = node.BoolOr("strip_accents", options.lowercase);
  return [options](const std::string& text) { return ToUtf8(BertNormalize(ToCodePoints(text), options)); };
}

std::string DecodeBase64(const JsonNode& node) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int n_bits = 0;
  std::string_view text = node.String();
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) node.Fail("bytes in base 64");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes.push_back(static_cast<char>(bits >> n_bits & 0xFF));
  }
  return bytes;
}

// Not SentencePiece's way, which takes the longest entry at each place: whole grapheme clusters are looked up, then
// their characters, and the shortest entry that one begins with replaces it.
Normalizer ReadPrecompiledNormalizer(const JsonNode& node) {
  const JsonNode map_node = node.At("precompiled_charsmap");
  if (map_node.IsNull()) return [](std::string text) { return text; };
  const auto map = std::make_shared<const Charsmap>(DecodeBase64(map_node), map_node.Name());
  return [map, graphemes = Regex::GraphemeCluster()](const std::string& text) {
    constexpr size_t kLongestLookedUp = 5;  // bytes
    std::string result;
    for (const ByteRange& cluster : graphemes.Matches(text)) {
      const std::string_view bytes = std::string_view(text).substr(cluster.begin, cluster.end - cluster.begin);
      if (bytes.size() <= kLongestLookedUp) {
        if (const auto match = map->Shortest(bytes)) {
          result += match->replacement;
          continue;
        }
      }
      for (size_t begin = 0; begin < bytes.size();) {
        size_t end = begin;
        NextCodePoint(bytes, &end);
        const std::string_view character = bytes.substr(begin, end - begin);
        const auto match = map->Shortest(character);
        result += match ? match->replacement : character;
        begin = end;
      }
    }
    return ToValidUtf8(result);  // the map is not trusted
  };
}

Normalizer ReadSequenceNormalizer(const JsonNode& node) {
  std::vector<Normalizer> steps;
  for (const JsonNode& item : node.At("normalizers").Items()) steps.push_back(ReadNormalizer(item));
  return [steps = std::move(steps)](std::string text) {
    for (const Normalizer& step : steps) text = step(std::move(text));
    return text;
  };
}

constexpr ReaderRow<Normalizer> kNormalizers[] = {
    {"BertNormalizer", ReadBertNormalizer},
    {"ByteLevel", ReadByteLevelNormalizer},
    {"Lowercase", ReadLowercaseNormalizer},
    {"NFC", ReadFormNormalizer<NormalForm::kC>},
    {"NFD", ReadFormNormalizer<NormalForm::kD>},
    {"NFKC", ReadFormNormalizer<NormalForm::kKC>},
    {"NFKD", ReadFormNormalizer<NormalForm::kKD>},
    {"Nmt", ReadNmtNormalizer},
    {"Precompiled", ReadPrecompiledNormalizer},
    {"Prepend", ReadPrependNormalizer},
    {"Replace", ReadReplaceNormalizer},
    {"Sequence", ReadSequenceNormalizer},
    {"Strip", ReadStripNormalizer},
    {"StripAccents", ReadStripAccentsNormalizer},
};

}  // namespace

Normalizer ReadNormalizer(const JsonNode& node) {
  if (node.IsNull()) return [](std::string text) { return text; };
  return ReadByType<Normalizer>(node, kNormalizers);
}

std::string ToValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint32_t code_point = NextCodePoint(text, &position);
    std::string shortest;
    AppendUtf8(code_point, &shortest);
    const bool good =
        shortest.size() == position - begin && code_point <= 0x10FFFF && !(code_point >= 0xD800 && code_point < 0xE000);
    if (good) {
      valid += shortest;
      continue;
    }
    for (size_t i = begin; i < position; ++i) valid += "\uFFFD";
  }
  return valid;
}

}  // namespace bitnet
