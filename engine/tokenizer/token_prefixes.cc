#include "engine/tokenizer/token_prefixes.h"

#include <algorithm>
#include <utility>

namespace bitnet {

TokenPrefixes::TokenPrefixes(std::vector<Entry> entries) : entries_(std::move(entries)) {
  std::erase_if(entries_, [](const Entry& entry) { return entry.text.empty(); });
  std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
  // std::unique keeps the first of equals, so it goes from behind.
  const auto kept =
      std::unique(entries_.rbegin(), entries_.rend(), [](const Entry& a, const Entry& b) { return a.text == b.text; });
  entries_.erase(entries_.begin(), kept.base());
  size_t at = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    first_byte_[byte] = at;
    while (at < entries_.size() && static_cast<unsigned char>(entries_[at].text[0]) == byte) ++at;
  }
  first_byte_[256] = at;
}

bool TokenPrefixes::Advance(char byte, Place* place) const {
  const size_t wanted = static_cast<unsigned char>(byte);
  if (place->depth == 0) {
    *place = {first_byte_[wanted], first_byte_[wanted + 1], 1};
    return place->begin < place->end;
  }
  const auto byte_at = [&](const Entry& entry) {
    return entry.text.size() == place->depth ? -1
                                             : static_cast<int>(static_cast<unsigned char>(entry.text[place->depth]));
  };
  const auto begin = entries_.begin() + static_cast<ptrdiff_t>(place->begin);
  const auto end = entries_.begin() + static_cast<ptrdiff_t>(place->end);
  const int value = static_cast<int>(wanted);
  const auto low = std::partition_point(begin, end, [&](const Entry& entry) { return byte_at(entry) < value; });
  const auto high = std::partition_point(low, end, [&](const Entry& entry) { return byte_at(entry) == value; });
  *place = {static_cast<size_t>(low - entries_.begin()), static_cast<size_t>(high - entries_.begin()),
            place->depth + 1};
  return low != high;
}

std::optional<int32_t> TokenPrefixes::Find(std::string_view text) const {
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), text,
                                      [](const Entry& entry, std::string_view value) { return entry.text < value; });
  if (found == entries_.end() || found->text != text) return std::nullopt;
  return found->id;
}

TokenPrefixes::Match TokenPrefixes::Longest(std::string_view text, Place place) const {
  Match match = {0, -1};
  for (size_t at = 0; at < text.size() && Advance(text[at], &place); ++at) {
    if (const int32_t id = TokenAt(place); id >= 0) match = {at + 1, id};
  }
  return match;
}

size_t TokenPrefixes::CommonLength(std::string_view text) const {
  Place place = Start();
  size_t length = 0;
  while (length < text.size() && Advance(text[length], &place)) ++length;
  return length;
}

}  // namespace bitnet
