#include "engine/tokenizer/charsmap.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace bitnet {
namespace {

// Little-endian.
uint32_t ReadUint32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i > 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

// A unit's fields: where its children are, the byte that leads to it, whether a value is among its children, and the
// value where it is one.
uint32_t OffsetOf(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t LabelOf(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool HasValue(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t ValueOf(uint32_t unit) { return unit & ~(1u << 31); }

}  // namespace

Charsmap::Charsmap(std::string_view bytes, std::string source) : source_(std::move(source)) {
  const size_t trie = bytes.size() < 4 ? 0 : ReadUint32(bytes);
  if (bytes.size() < 4 || trie >= bytes.size() - 4) {
    throw std::runtime_error(fmt::format(
        "{}: found {} bytes with a trie of {}, expected four bytes for its size, the trie and at least one more; "
        "convert the model again",
        source_, bytes.size(), trie));
  }
  units_.reserve(trie / 4);
  for (size_t i = 0; i < trie / 4; ++i) units_.push_back(ReadUint32(bytes.substr(4 + 4 * i)));
  replacements_ = bytes.substr(4 + trie);
}

uint32_t Charsmap::Unit(size_t index) const {
  if (index < units_.size()) return units_[index];
  throw std::runtime_error(
      fmt::format("{}: found a trie of {} units that leads to unit {}, expected one that stays in; "
                  "convert the model again",
                  source_, units_.size(), index));
}

std::optional<Charsmap::Match> Charsmap::Find(std::string_view text, bool shortest) const {
  if (units_.empty()) return std::nullopt;
  size_t size = 0, value = 0;
  size_t node = OffsetOf(Unit(0));
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    const uint32_t unit = Unit(node);
    if (LabelOf(unit) != byte) break;
    node ^= OffsetOf(unit);
    if (!HasValue(unit)) continue;
    size = i + 1;
    value = ValueOf(Unit(node));
    if (shortest) break;
  }
  if (size == 0) return std::nullopt;
  return Match{size, ReplacementAt(value)};
}

std::string_view Charsmap::ReplacementAt(size_t offset) const {
  const size_t end = offset < replacements_.size() ? replacements_.find('\0', offset) : std::string::npos;
  if (end == std::string::npos) {
    throw std::runtime_error(
        fmt::format("{}: found a replacement at {} of {} bytes, expected one that ends before them; "
                    "convert the model again",
                    source_, offset, replacements_.size()));
  }
  return std::string_view(replacements_).substr(offset, end - offset);
}

}  // namespace bitnet
