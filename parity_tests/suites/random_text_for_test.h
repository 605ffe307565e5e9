// Text of everything that splits words or breaks decoders.
#ifndef BITNET_PARITY_PARITY_TESTS_SUITES_RANDOM_TEXT_FOR_TEST_H_
#define BITNET_PARITY_PARITY_TESTS_SUITES_RANDOM_TEXT_FOR_TEST_H_

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/tokenizer/pre_tokenizer_table.h"
#include "engine/tokenizer/utf8.h"

namespace parity {

// Text of everything that splits words or breaks decoders, from one seed.
class RandomText {
 public:
  explicit RandomText(uint32_t seed, bool broken_bytes = true) : random_(seed), broken_bytes_(broken_bytes) {}

  size_t Below(size_t n) { return static_cast<size_t>(random_() % n); }
  bool Coin() { return Below(2) == 0; }

  std::string Next() {
    std::string text;
    const size_t longest = std::array<size_t, 4>{2, 6, 15, 40}[Below(4)];
    for (size_t parts = Below(longest + 1); parts > 0; --parts) text += Part();
    return text;
  }

 private:
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

  std::string Part() {
    switch (Below(9)) {
      case 8: {
        std::string text;
        for (size_t n = Below(12) + 1; n > 0; --n)
          AppendUtf8(Pick(SetEdges()) + static_cast<uint32_t>(Below(3)) - 1, &text);
        return text;
      }
      case 0:
      case 1:
        return Pick(kWords);
      case 2:
        return Pick(kSpecial);
      case 3:
      case 4:
      case 5: {
        const auto [first, last] = Pick(kBlocks);
        std::string text;
        for (size_t n = Below(8) + 1; n > 0; --n)
          AppendUtf8(first + static_cast<uint32_t>(Below(last - first + 1)), &text);
        return text;
      }
      case 6: {
        const std::string& repeated = Pick(kRepeated);
        std::string text;
        for (size_t n = Below(12) + 1; n > 0; --n) text += repeated;
        return text;
      }
      default:
        return broken_bytes_ ? BrokenBytes() : "\n";
    }
  }

  // The first and last characters of the ranges that pre-tokenizers name.
  static const std::vector<uint32_t>& SetEdges() {
    static const std::vector<uint32_t> edges = [] {
      std::vector<uint32_t> result;
      for (const bitnet::PreTokenizerSteps& row : bitnet::AllPreTokenizerSteps()) {
        for (const bitnet::SplitStep& step : row.steps) {
          for (const bitnet::CodePointSet& set : step.sets) {
            for (const bitnet::CodePointRange& range : set) result.insert(result.end(), {range.first, range.last});
          }
        }
      }
      return result;
    }();
    return edges;
  }

  std::string BrokenBytes() {
    if (Coin()) return Pick(kBroken);
    std::string bytes;
    // Without F4..F7: four bytes above U+10FFFF are refused by both, which ends the reference's run.
    for (size_t n = Below(5) + 1; n > 0; --n) {
      const size_t byte = Below(248);
      bytes += static_cast<char>(byte < 0xF4 ? byte : byte + 4);
    }
    return bytes;
  }

  static void AppendUtf8(uint32_t code, std::string* out) {
    const auto put = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | code >> 6);
      put(0x80 | (code & 0x3F));
    } else {
      if (code < 0x10000) {
        put(0xE0 | code >> 12);
      } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
      }
      put(0x80 | (code >> 6 & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  std::mt19937 random_;
  bool broken_bytes_;

  inline static const std::vector<std::string> kWords = {"Hello",
                                                         " world",
                                                         "'s",
                                                         "'S",
                                                         "'re",
                                                         "'LL",
                                                         "n't",
                                                         "'ve",
                                                         "'ſ",
                                                         "naïve",
                                                         "cafe\u0301",
                                                         "привет",
                                                         "你好",
                                                         "世界",
                                                         "こんにちは",
                                                         "한국어",
                                                         "مرحبا",
                                                         "שלום",
                                                         "नमस्ते",
                                                         "ไทย",
                                                         "ελληνικά",
                                                         "👨‍👩‍👧‍👦",
                                                         "🏳️‍🌈",
                                                         "🇩🇪",
                                                         "👍🏽",
                                                         "123",
                                                         "4567890",
                                                         "٣٤٥",
                                                         "Ⅷ½²",
                                                         "1,000.5",
                                                         "!?",
                                                         "...",
                                                         "--",
                                                         "_x_",
                                                         "\"'`",
                                                         "«»",
                                                         "$€",
                                                         "+=<>^~",
                                                         "HelloWorld",
                                                         "aBC",
                                                         "don'Ts",
                                                         "ñandúÉL",
                                                         "a b c",
                                                         "<sentinel:12>",
                                                         "IMGIMGABZ",
                                                         "、。！",
                                                         "…،",
                                                         "ㄅㄆ",
                                                         "𠀀龥",
                                                         "1234567",
                                                         "int main() {\n    return 0;\n}",
                                                         "<b>\t</b>",
                                                         "http://a.b/c?d=e",
                                                         "\r\n",
                                                         "\n\n",
                                                         " \n ",
                                                         "\u3000",
                                                         "\u00a0",
                                                         "\u0085",
                                                         "\u2028",
                                                         "\u200b",
                                                         "\u200d"};
  inline static const std::vector<std::string> kSpecial = {"<|begin_of_text|>",
                                                           "<|end_of_text|>",
                                                           "<|eot_id|>",
                                                           "<|start_header_id|>",
                                                           "<|end_header_id|>",
                                                           "<|endoftext|>",
                                                           "<|padding|>",
                                                           "<|reserved_special_token_3|>",
                                                           "<|begin_of_text",
                                                           "<|",
                                                           "|>",
                                                           "<|<|eot_id|>",
                                                           "<s>",
                                                           "    "};
  inline static const std::vector<std::string> kRepeated = {" ", "\n", "\t", "\r",     "\r\n", "7",
                                                            "a", "ab", "!",  "\u00a0", "é",    "日"};
  inline static const std::vector<std::string> kBroken = {"\x80",
                                                          "\xFF",
                                                          "\xC0\x80",
                                                          "\xC0\xAF",
                                                          "\xE0\x80\xAF",
                                                          "\xED\xA0\x80",
                                                          "\xED\xBF\xBF",
                                                          "\xE2\x82",
                                                          "\xE2\x28\xA1",
                                                          "\xF0\x9F\x91",
                                                          "\xF0\x80\x80\xAF",
                                                          "\xF8\x88\x80\x80\x80",
                                                          "\xF4\x8F\xBF\xBF",
                                                          "\xC3"};
  inline static const std::vector<std::pair<uint32_t, uint32_t>> kBlocks = {
      {0x20, 0x7E},       {0x20, 0x7E},       {0x00, 0x1F},       {0x7F, 0xFF},       {0x100, 0x24F},
      {0x2B0, 0x36F},     {0x370, 0x52F},     {0x590, 0x6FF},     {0x900, 0xDFF},     {0xE00, 0xFFF},
      {0x1000, 0x1FFF},   {0x2000, 0x206F},   {0x2070, 0x2BFF},   {0x3000, 0x30FF},   {0x4E00, 0x9FFF},
      {0x3100, 0x33FF},   {0xA000, 0xABFF},   {0xFE00, 0xFFEF},   {0xAC00, 0xD7A3},   {0xD800, 0xDFFF},
      {0xE000, 0xFFFF},   {0x10000, 0x1FFFF}, {0x11F00, 0x11F5F}, {0x1F300, 0x1FAFF}, {0x20000, 0x323AF},
      {0xE0000, 0xE01EF}, {0, 0x10FFFF}};
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SUITES_RANDOM_TEXT_FOR_TEST_H_
