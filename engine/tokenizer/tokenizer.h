// Byte-level BPE as GPT-2 and Llama 3 use it, SentencePiece's BPE as Llama 2 uses it, Unigram (T5) and WordPiece
// (BERT).
//
//   Tokenizer tokenizer = Tokenizer::FromGguf(file);
//   std::vector<int32_t> ids = tokenizer.Encode("Hello", {.add_special = true, .parse_special = true});
//   std::string text = tokenizer.Decode(ids, {.render_special = true});
//
// Failures are std::runtime_error whose message names the file and the field.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_TOKENIZER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/pre_tokenizer.h"

namespace bitnet {

class GgufFile;
struct Vocabulary;

struct EncodeOptions {
  bool add_special = true;    // add BOS/EOS where the vocabulary says so
  bool parse_special = true;  // text that spells a special token becomes that token
};

struct DecodeOptions {
  bool render_special = false;  // write special tokens as their text
};

class Tokenizer {
 public:
  // From `tokenizer.ggml.*`, with the ids of llama.cpp or of bitnet.cpp. A missing `tokenizer.ggml.pre` means
  // "default", as it does for the references.
  static Tokenizer FromGguf(const GgufFile& file, TokenizerDialect dialect = TokenizerDialect::kLlamaCpp);
  // From a Hugging Face tokenizer.json (model BPE, byte-level).
  static Tokenizer FromTokenizerJson(const std::string& path);
  // From plain data whose roles are assigned (AssignRolesByText).
  static Tokenizer FromVocabulary(Vocabulary vocabulary);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // The ids that llama.cpp v0.5.0 gives for any text, valid UTF-8 or not. Throws where it cannot tokenize: a UTF-8
  // sequence above U+10FFFF, a BOS or EOS that is to be added but not known, 2^31 bytes and more. Safe to call from
  // several threads, as all const members are.
  std::vector<int32_t> Encode(std::string_view text, EncodeOptions options) const;
  // The tokens' bytes, one after the other and nothing changed (a space that SentencePiece put before the text stays);
  // throws on an id outside the vocabulary.
  std::string Decode(std::span<const int32_t> ids, DecodeOptions options) const;
  // The bytes of one token (special tokens as their text); may be part of a UTF-8 sequence. Empty for an unused token.
  std::string Piece(int32_t id) const;

  int32_t n_vocab() const;
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  std::optional<int32_t> eot() const;
  bool add_bos() const;
  bool add_eos() const;
  const std::string& pre() const;  // "llama-bpe", "gpt-2", ...; empty where no BPE is byte-level
  // EOS, EOT and their like: the tokens that end generation.
  bool IsEndOfGeneration(int32_t id) const;
  // The token whose piece this is, a special token before an ordinary one.
  std::optional<int32_t> Find(std::string_view piece) const;
  // What the file says wrong and what was taken instead, a line each; to be shown to the user.
  const std::vector<std::string>& warnings() const;
  const std::string& source() const;  // the file, for messages
  // The Jinja chat template of the model, where the file has one.
  const std::string& chat_template() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_TOKENIZER_H_
