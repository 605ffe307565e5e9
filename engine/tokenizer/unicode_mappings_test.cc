#include "engine/tokenizer/unicode_mappings.h"

#include <gtest/gtest.h>

#include <array>

namespace bitnet {
namespace {

// One line of NormalizationTest.txt 15.1 for each kind of thing that can happen: source, NFC, NFD, NFKC, NFKD.
TEST(UnicodeMappingsTest, NormalForms) {
  const std::array<std::u32string, 5> rows[] = {
      {U"\u1E0A", U"\u1E0A", U"D\u0307", U"\u1E0A", U"D\u0307"},
      {U"\u1E0C\u0307", U"\u1E0C\u0307", U"D\u0323\u0307", U"\u1E0C\u0307", U"D\u0323\u0307"},  // reordered
      {U"D\u0307\u0323", U"\u1E0C\u0307", U"D\u0323\u0307", U"\u1E0C\u0307", U"D\u0323\u0307"},
      {U"\uFB01", U"\uFB01", U"\uFB01", U"fi", U"fi"},                                  // compatibility
      {U"\uD4DB", U"\uD4DB", U"\u1111\u1171\u11B6", U"\uD4DB", U"\u1111\u1171\u11B6"},  // Hangul
      {U"\u1100\uAC00\u11A8", U"\u1100\uAC01", U"\u1100\u1100\u1161\u11A8", U"\u1100\uAC01",
       U"\u1100\u1100\u1161\u11A8"},
      {U"\u212B", U"\u00C5", U"A\u030A", U"\u00C5", U"A\u030A"},  // a single character never comes back
      {U"\u0958", U"\u0915\u093C", U"\u0915\u093C", U"\u0915\u093C", U"\u0915\u093C"},  // excluded from composition
      {U"a\u05AE\u0300\u0315b", U"\u00E0\u05AE\u0315b", U"a\u05AE\u0300\u0315b", U"\u00E0\u05AE\u0315b",
       U"a\u05AE\u0300\u0315b"},
      {U"\u0B47\u0300\u0B3E", U"\u0B47\u0300\u0B3E", U"\u0B47\u0300\u0B3E", U"\u0B47\u0300\u0B3E",
       U"\u0B47\u0300\u0B3E"},  // blocked
      {U"\U0001D1BF", U"\U0001D1B9\U0001D165\U0001D16F", U"\U0001D1B9\U0001D165\U0001D16F",
       U"\U0001D1B9\U0001D165\U0001D16F", U"\U0001D1B9\U0001D165\U0001D16F"}};
  for (const auto& [source, nfc, nfd, nfkc, nfkd] : rows) {
    EXPECT_EQ(Normalize(source, NormalForm::kC), nfc);
    EXPECT_EQ(Normalize(source, NormalForm::kD), nfd);
    EXPECT_EQ(Normalize(source, NormalForm::kKC), nfkc);
    EXPECT_EQ(Normalize(source, NormalForm::kKD), nfkd);
    EXPECT_EQ(Normalize(nfd, NormalForm::kC), nfc);
  }
  EXPECT_EQ(Normalize(U"", NormalForm::kC), U"");
}

// Beyond Unicode and within the surrogates nothing changes.
TEST(UnicodeMappingsTest, AnyNumberIsTaken) {
  const std::u32string odd = {0xD800, 0x10FFFF, 0x110000, 0xFFFFFFFF, 0};
  EXPECT_EQ(Normalize(odd, NormalForm::kKC), odd);
  for (const char32_t c : odd) {
    EXPECT_EQ(LowerCase(c), c);
    EXPECT_EQ(FirstOfDecomposition(c), c);
  }
}

TEST(UnicodeMappingsTest, LowerCaseAndFirstOfDecomposition) {
  EXPECT_EQ(LowerCase('Q'), static_cast<uint32_t>('q'));
  EXPECT_EQ(LowerCase('['), static_cast<uint32_t>('['));
  EXPECT_EQ(LowerCase(0x130), static_cast<uint32_t>('i'));
  EXPECT_EQ(LowerCase(0x3A3), 0x3C3u);
  EXPECT_EQ(LowerCase(0x1E921), 0x1E943u);
  EXPECT_EQ(FirstOfDecomposition(0xE9), static_cast<uint32_t>('e'));
  EXPECT_EQ(FirstOfDecomposition(0x1EA4), static_cast<uint32_t>('A'));  // in two steps
  EXPECT_EQ(FirstOfDecomposition(0xFB01), 0xFB01u);
  EXPECT_EQ(FirstOfDecomposition(0xAC01), 0x1100u);
}

}  // namespace
}  // namespace bitnet
