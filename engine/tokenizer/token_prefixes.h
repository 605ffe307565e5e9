// Which tokens a text begins with.
//
//   TokenPrefixes::Place place = tokens.Start();
//   while (at < text.size() && tokens.Advance(text[at++], &place)) Use(tokens.TokenAt(place));
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_TOKEN_PREFIXES_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_TOKEN_PREFIXES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// A sorted list that is read like a trie: a place is the range of the tokens that begin with what was read. O(log n)
// for each byte.
class TokenPrefixes {
 public:
  struct Entry {
    std::string text;
    int32_t id;
  };
  struct Place {
    size_t begin, end;  // entries
    size_t depth;       // bytes read
  };

  // Of entries with one text the last counts.
  explicit TokenPrefixes(std::vector<Entry> entries);

  Place Start() const { return {0, entries_.size(), 0}; }
  // False, and `place` is of no use any more, where no token goes on with `byte`.
  bool Advance(char byte, Place* place) const;
  // The token that ends here; -1 for none.
  int32_t TokenAt(const Place& place) const {
    return entries_[place.begin].text.size() == place.depth ? entries_[place.begin].id : -1;
  }

  std::optional<int32_t> Find(std::string_view text) const;
  // The length of the longest token that `text` begins with behind `place`, and the token; {0, -1} for none.
  struct Match {
    size_t size;
    int32_t id;
  };
  Match Longest(std::string_view text, Place place) const;
  // The length of what `text` has in common with the beginning of some token.
  size_t CommonLength(std::string_view text) const;

 private:
  std::vector<Entry> entries_;          // ascending by bytes, each text once
  std::array<size_t, 257> first_byte_;  // where the entries that begin with this byte begin
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_TOKEN_PREFIXES_H_
