#include "engine/tokenizer/utf8.h"

#include <fmt/format.h>

#include <stdexcept>

namespace bitnet {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

size_t Utf8Length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC0) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF8 ? 4 : 0;
}

size_t AnnouncedLength(unsigned char lead) {
  if (lead < 0xC0) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

void FailAboveUnicode(uint32_t code_point, size_t position) {
  throw std::runtime_error(
      fmt::format("text: byte {}: found a UTF-8 sequence for U+{:X}, expected at most U+10FFFF; remove it (llama.cpp "
                  "cannot tokenize "
                  "it either)",
                  position, code_point));
}

uint32_t NextCodePoint(std::string_view text, size_t* position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t begin = *position;
  const size_t length = Utf8Length(byte(begin));
  *position = begin + 1;
  if (length == 1) return byte(begin);
  if (length == 0 || text.size() - begin < length) return kReplacement;
  uint32_t code_point = byte(begin) & (0x7F >> length);
  for (size_t i = begin + 1; i < begin + length; ++i) {
    if (!IsContinuation(byte(i))) return kReplacement;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  *position = begin + length;
  return code_point;
}

void AppendUtf8(uint32_t code_point, std::string* out) {
  const auto put = [&](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  const auto tail = [&](int shift) { put(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    tail(0);
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    tail(6);
    tail(0);
  } else {
    put(0xF0 | code_point >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace bitnet
