// A regular expression over characters, as a tokenizer.json writes it.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_REGEX_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_REGEX_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// The inside of a set: what \w is in Rust, which is letters, marks, letter-like numbers, digits, connectors, joiners
// and letters in circles.
inline constexpr std::string_view kWordCharacters =
    R"(\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";

struct ByteRange {
  size_t begin, end;
};

// PCRE2 with the classes of its version of Unicode (14.0 in Debian 12, 16.0 in Debian 13). tokenizers runs Oniguruma:
// what the two read differently is refused. Copies share what was compiled; safe to call from several threads.
class Regex {
 public:
  // Throws std::runtime_error whose message is only what is wrong with the expression.
  explicit Regex(std::string_view expression);
  // Text that stands for itself.
  static Regex Literal(std::string_view text);
  // What is read as one character.
  static Regex GraphemeCluster();

  // The matches from left to right, which do not overlap; an empty one does not stand at the end of another. `text` is
  // valid UTF-8. Throws where the search takes too long.
  std::vector<ByteRange> Matches(std::string_view text) const;

 private:
  Regex() = default;

  struct Code;
  std::string source_;
  std::shared_ptr<const Code> code_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_REGEX_H_
