// SentencePiece's precompiled character map: which characters, and sequences of them, are written otherwise.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_CHARSMAP_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_CHARSMAP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// A double-array trie (darts-clone's) and behind it the replacements, each with a zero at its end. The file is not
// trusted: a trie that leads out of the map is an error when a text gets there, which is where the reference fails too.
class Charsmap {
 public:
  // `source` is the file and the field, for messages. Throws std::runtime_error where `bytes` is too short for what its
  // first four say.
  Charsmap(std::string_view bytes, std::string source);

  struct Match {
    size_t size;  // of what is replaced, in bytes
    std::string_view replacement;
  };
  // The longest entry that `text` begins with.
  std::optional<Match> Longest(std::string_view text) const { return Find(text, /*shortest=*/false); }
  // The shortest one.
  std::optional<Match> Shortest(std::string_view text) const { return Find(text, /*shortest=*/true); }

 private:
  uint32_t Unit(size_t index) const;
  std::optional<Match> Find(std::string_view text, bool shortest) const;
  std::string_view ReplacementAt(size_t offset) const;

  std::string source_;
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_CHARSMAP_H_
