// Splits text into words; byte pairs are merged inside a word only.
//
//   PreTokenizer pre("llama-bpe");
//   Words words = pre.Split("Hello world");     // "Hello", " world"
//
// The expressions are those of llama.cpp v0.5.0 (src/llama-vocab.cpp, and src/unicode.cpp for what they mean there).
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// Consecutive words: word i is utf8[ends[i-1] .. ends[i]), the first starts at 0, the last ends with the text.
struct Words {
  std::string utf8;
  std::vector<size_t> ends;

  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(utf8).substr(begin, ends[i] - begin);
  }
};

// Whose reading of a file is meant. bitnet.cpp is an old fork of llama.cpp and splits digits otherwise for some names.
enum class TokenizerDialect { kLlamaCpp, kBitnetCpp };

// How the texts of ordinary tokens are written.
enum class TokenAlphabet {
  kByteLevel,      // GPT-2's: a character for each byte
  kCharacters,     // UTF-8; bytes without a token are "<0x41>"
  kEscapedSpaces,  // the same with U+2581 for a space
};

// A value of `tokenizer.ggml.pre` and what follows from it.
struct PreTokenizerName {
  std::string_view name;
  std::string_view canonical;  // one name for all that split alike
  TokenizerDialect dialect = TokenizerDialect::kLlamaCpp;
  bool ignore_merges = false;
  bool add_bos = false;         // unless the file says otherwise
  bool force_bos = false;       // whatever the file says
  bool no_default_bos = false;  // a file that names no BOS has none
  bool merges_optional = false;
  TokenAlphabet alphabet = TokenAlphabet::kByteLevel;
  bool newlines_are_words = false;  // a run of them that is a token needs no merges
};

class PreTokenizer {
 public:
  // The row of a name; "" is "default". What bitnet.cpp does not read its own way it reads as llama.cpp does. nullptr
  // for a name that is not known.
  static const PreTokenizerName* FindName(std::string_view name,
                                          TokenizerDialect dialect = TokenizerDialect::kLlamaCpp);
  static std::vector<std::string> Names(TokenizerDialect dialect = TokenizerDialect::kLlamaCpp);

  // A row's `canonical`; throws on any other.
  explicit PreTokenizer(std::string_view canonical_name);

  // Bytes that are no UTF-8 become U+FFFD each, overlong forms become the short one, surrogates stay as they are: as in
  // the reference, so `utf8` can differ from `text`. A four-byte sequence above U+10FFFF throws, as it does there; the
  // message counts its position from `text_offset`. Safe to call from several threads.
  Words Split(std::string_view text, size_t text_offset = 0) const;

 private:
  // Over class strings: see pre_tokenizer.cc.
  class Step;
  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_H_
