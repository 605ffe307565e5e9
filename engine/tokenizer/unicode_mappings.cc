#include "engine/tokenizer/unicode_mappings.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <utility>

namespace bitnet {
namespace {

struct LowerCaseRow {
  uint32_t code_point, lower;
};
constexpr LowerCaseRow kLowerCase[] = {
#define LOWERCASE
#include "engine/tokenizer/unicode_mappings.inc"
#undef LOWERCASE
};

struct CombiningClassRun {
  uint32_t first;
  int combining_class;
};
constexpr CombiningClassRun kCombiningClasses[] = {
#define COMBINING_CLASSES
#include "engine/tokenizer/unicode_mappings.inc"
#undef COMBINING_CLASSES
};

// One step; what comes out may decompose further.
struct DecompositionRow {
  uint32_t code_point;
  char kind;  // 'c' canonical and composed again, 'x' canonical and never composed, 'k' compatibility
  std::u32string_view text;
};
constexpr DecompositionRow kDecompositions[] = {
#define DECOMPOSITIONS
#include "engine/tokenizer/unicode_mappings.inc"
#undef DECOMPOSITIONS
};

// Hangul syllables are arithmetic: section 3.12 of the standard.
constexpr uint32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr uint32_t kNumLeading = 19, kNumVowels = 21, kNumTrailing = 28;
constexpr uint32_t kNumSyllables = kNumLeading * kNumVowels * kNumTrailing;

int CombiningClass(uint32_t code_point) {
  if (code_point < 0x300) return 0;
  const auto* next = std::upper_bound(std::begin(kCombiningClasses), std::end(kCombiningClasses), code_point,
                                      [](uint32_t value, const CombiningClassRun& run) { return value < run.first; });
  return (next - 1)->combining_class;
}

const DecompositionRow* FindDecomposition(uint32_t code_point) {
  const auto* row =
      std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), code_point,
                       [](const DecompositionRow& entry, uint32_t value) { return entry.code_point < value; });
  return row != std::end(kDecompositions) && row->code_point == code_point ? row : nullptr;
}

void Decompose(uint32_t code_point, bool compatibility, std::u32string* out) {
  if (code_point >= kSyllables && code_point < kSyllables + kNumSyllables) {
    const uint32_t index = code_point - kSyllables;
    out->push_back(kLeading + index / (kNumVowels * kNumTrailing));
    out->push_back(kVowels + index / kNumTrailing % kNumVowels);
    if (index % kNumTrailing != 0) out->push_back(kTrailing + index % kNumTrailing);
    return;
  }
  const DecompositionRow* row = code_point < 0xA0 ? nullptr : FindDecomposition(code_point);
  if (row == nullptr || (row->kind == 'k' && !compatibility)) {
    out->push_back(code_point);
    return;
  }
  for (const char32_t part : row->text) Decompose(part, compatibility, out);
}

uint64_t PairKey(uint32_t first, uint32_t second) { return static_cast<uint64_t>(first) << 32 | second; }

// The code point that two make; 0 for none.
uint32_t Compose(uint32_t first, uint32_t second) {
  static const std::unordered_map<uint64_t, uint32_t> pairs = [] {
    std::unordered_map<uint64_t, uint32_t> map;
    for (const DecompositionRow& row : kDecompositions) {
      if (row.kind == 'c') map.emplace(PairKey(row.text[0], row.text[1]), row.code_point);
    }
    return map;
  }();
  if (first >= kLeading && first < kLeading + kNumLeading && second >= kVowels && second < kVowels + kNumVowels) {
    return kSyllables + ((first - kLeading) * kNumVowels + second - kVowels) * kNumTrailing;
  }
  const bool open_syllable =
      first >= kSyllables && first < kSyllables + kNumSyllables && (first - kSyllables) % kNumTrailing == 0;
  if (open_syllable && second > kTrailing && second < kTrailing + kNumTrailing) return first + second - kTrailing;
  const auto found = pairs.find(PairKey(first, second));
  return found == pairs.end() ? 0 : found->second;
}

// Marks between two starters, in the order of their classes.
void Reorder(std::u32string* text) {
  for (size_t begin = 0; begin < text->size();) {
    if (CombiningClass((*text)[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin + 1;
    while (end < text->size() && CombiningClass((*text)[end]) != 0) ++end;
    std::stable_sort(text->begin() + static_cast<ptrdiff_t>(begin), text->begin() + static_cast<ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end;
  }
}

std::u32string ComposeAll(std::u32string_view text) {
  std::u32string composed;
  size_t starter = std::u32string::npos;
  int last_class = 0;  // of what stands between the starter and here
  for (const char32_t c : text) {
    const int combining_class = CombiningClass(c);
    const bool adjacent = starter != std::u32string::npos && composed.size() == starter + 1;
    const bool blocked = !adjacent && last_class >= combining_class;
    if (starter != std::u32string::npos && !blocked) {
      if (const uint32_t both = Compose(composed[starter], c)) {
        composed[starter] = both;
        continue;
      }
    }
    if (combining_class == 0) starter = composed.size();
    last_class = combining_class;
    composed.push_back(c);
  }
  return composed;
}

}  // namespace

uint32_t LowerCase(uint32_t code_point) {
  const auto* row =
      std::lower_bound(std::begin(kLowerCase), std::end(kLowerCase), code_point,
                       [](const LowerCaseRow& entry, uint32_t value) { return entry.code_point < value; });
  return row != std::end(kLowerCase) && row->code_point == code_point ? row->lower : code_point;
}

std::u32string Normalize(std::u32string_view text, NormalForm form) {
  const bool compatibility = form == NormalForm::kKC || form == NormalForm::kKD;
  std::u32string result;
  result.reserve(text.size());
  for (const char32_t c : text) Decompose(c, compatibility, &result);
  Reorder(&result);
  return form == NormalForm::kC || form == NormalForm::kKC ? ComposeAll(result) : result;
}

uint32_t FirstOfDecomposition(uint32_t code_point) {
  std::u32string text;
  Decompose(code_point, /*compatibility=*/false, &text);
  return text.front();
}

}  // namespace bitnet
