// A vocabulary as plain data, whichever file it came from.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_VOCABULARY_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_VOCABULARY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/pre_tokenizer.h"

namespace bitnet {

class GgufFile;
struct TextPipeline;

// The values of `tokenizer.ggml.token_type`.
enum class TokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// The values of `tokenizer.ggml.model` that are supported.
enum class VocabularyModel {
  kBytePairs,      // "gpt2": tokens in the byte-level alphabet, a list of merges
  kSentencePiece,  // "llama": tokens with scores
  kUnigram,        // "t5": tokens with the logarithms of their probabilities
  kWordPiece,      // "bert": tokens that begin a word begin with U+2581
  kPipeline,       // a tokenizer.json that does what none of these does
};

struct Token {
  std::string text;  // normal tokens in the alphabet of their model, special ones as they are spelled
  TokenType type = TokenType::kNormal;
  float score = 0;           // kSentencePiece: the higher, the earlier it is merged; kUnigram
  bool strip_left = false;   // a special token that takes the white space before it
  bool strip_right = false;  // ... and after it
  // From a tokenizer.json:
  bool added = false;        // one of its added tokens
  bool normalized = false;   // such a one is looked for behind the normalizer
  bool single_word = false;  // ... and not inside a word
};

struct Vocabulary {
  std::string source;  // the file, for messages
  VocabularyModel model = VocabularyModel::kBytePairs;
  std::string pre;  // kBytePairs: a canonical name of PreTokenizer
  std::vector<Token> tokens;
  std::vector<std::pair<std::string, std::string>> merges;  // the first has the highest priority
  bool ignore_merges = false;                               // a word that is a token needs no merges
  bool newlines_are_words = false;                          // the same for words of newlines alone
  TokenAlphabet alphabet = TokenAlphabet::kByteLevel;       // kBytePairs
  bool drops_spaces = false;                                // kBytePairs: white space parts words and is no part of one
  bool lower_case = false;                                  // kWordPiece, and kBytePairs that drops spaces
  bool strip_accents = false;                               // kWordPiece
  bool add_space_prefix = false;                            // kSentencePiece, kUnigram: text starts with a space
  bool merge_spaces = false;                                // kUnigram: a run of spaces is one
  std::shared_ptr<const TextPipeline> pipeline;             // kPipeline
  std::string charsmap;                                     // kUnigram: see Charsmap; empty for none
  bool add_bos = false;
  bool add_eos = false;
  bool add_separator = false;  // at the end, as EOS
  std::optional<int32_t> bos, eos, eot, eom, unknown, separator;
  std::optional<int32_t> fim_prefix, fim_suffix, fim_middle, fim_pad, fim_repo, fim_separator;  // fill in the middle
  std::vector<int32_t> end_of_generation;                                                       // ascending
  std::vector<std::pair<int32_t, TokenType>> retyped;  // by AssignRolesByText, in this order; and the type before
  std::string chat_template;
  std::vector<std::string> warnings;  // for the user: what the file says wrong and what was taken instead
};

// Finds the roles that the file does not name by the tokens' texts, makes such tokens control tokens, and fills
// end_of_generation. Source: llama_vocab::impl::load in llama.cpp v0.5.0's src/llama-vocab.cpp. Where several texts of
// one role are present, the reference takes the first in its hash table's order, and this the first of its own list.
void AssignRolesByText(Vocabulary* vocabulary);

// The bytes that a text in the byte-level alphabet stands for; nothing if another character is in it. The alphabet is
// GPT-2's: a byte that is a printable character of Latin-1 is that character, the others are U+0100 and up in their
// order.
std::optional<std::string> BytesOf(std::string_view text);
// The same for any text: what is outside the alphabet becomes "[UNK_BYTE_0x<its UTF-8 in hexadecimal><text>]", as in
// llama.cpp v0.5.0 (llama_decode_text).
std::string DecodeByteLevel(std::string_view text);
// The character of one byte, in UTF-8.
std::string_view ByteLevelCharacter(uint8_t byte);

// How SentencePiece writes a space, U+2581, and the text of a token that stands for one byte: "<0x41>".
inline constexpr std::string_view kEscapedSpace = "\u2581";
std::string EscapeSpaces(std::string_view text);
std::string UnescapeSpaces(std::string_view text);
std::string HexTextOfByte(uint8_t byte);
// The value of "<0x41>"; nothing for any other text.
std::optional<char> ByteOfHexText(std::string_view text);

// From `tokenizer.ggml.*`; roles are assigned. Throws std::runtime_error that names file and field.
Vocabulary ReadGgufVocabulary(const GgufFile& file, TokenizerDialect dialect = TokenizerDialect::kLlamaCpp);
// From a Hugging Face tokenizer.json; the same.
Vocabulary ReadTokenizerJson(const std::string& path);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_VOCABULARY_H_
