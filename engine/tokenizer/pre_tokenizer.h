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
#include <optional>
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

class PreTokenizer {
 public:
  // The one name of a pre-tokenizer for each of its spellings in `tokenizer.ggml.pre` ("llama3" is "llama-bpe"; "" is
  // "default"); nothing for one that is not supported.
  static std::optional<std::string> CanonicalName(std::string_view name);
  // Every spelling that CanonicalName knows, for error messages.
  static std::string SupportedNames();

  // `canonical_name` as CanonicalName returns it; throws on any other.
  explicit PreTokenizer(std::string_view canonical_name);

  // Bytes that are no UTF-8 become U+FFFD each, overlong forms become the short one, surrogates stay as they are: as in
  // the reference, so `utf8` can differ from `text`. A four-byte sequence above U+10FFFF throws, as it does there; the
  // message counts its position from `text_offset`. Safe to call from several threads.
  Words Split(std::string_view text, size_t text_offset = 0) const;

 private:
  // A compiled expression, over class strings: see pre_tokenizer.cc.
  class Expression;
  std::vector<std::shared_ptr<const Expression>> expressions_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PRE_TOKENIZER_H_
