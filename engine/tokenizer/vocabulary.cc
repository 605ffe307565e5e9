#include "engine/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <stdexcept>
#include <unordered_map>

#include "engine/tokenizer/tokenizer_model.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

constexpr std::string_view kEotTexts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",         "<|endoftext|>",     "<|end_of_text|>",
    "<EOT>",      "_<EOT>",     "[EOT]",   "<｜end▁of▁sentence｜>", "<end_of_utterance>"};
constexpr std::string_view kEomTexts[] = {"<|eom_id|>"};
constexpr std::string_view kFimPrefixTexts[] = {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<｜fim▁begin｜>",
                                                "<PRE>",          "▁<PRE>",       "<|code_prefix|>", "<|prefix|>"};
constexpr std::string_view kFimSuffixTexts[] = {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<｜fim▁hole｜>",
                                                "<SUF>",          "▁<SUF>",       "<|code_suffix|>", "<|suffix|>"};
constexpr std::string_view kFimMiddleTexts[] = {"<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<｜fim▁end｜>",
                                                "<MID>",          "▁<MID>",       "<|code_middle|>", "<|middle|>"};
constexpr std::string_view kFimPadTexts[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kFimRepoTexts[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
constexpr std::string_view kFimSeparatorTexts[] = {"<|file_sep|>"};
constexpr std::string_view kEndOfGenerationTexts[] = {"<|eot_id|>",
                                                      "<|im_end|>",
                                                      "<|end|>",
                                                      "<|return|>",
                                                      "<|call|>",
                                                      "<|flush|>",
                                                      "<|calls|>",
                                                      "</s>",
                                                      "<end_of_turn>",
                                                      "<|endoftext|>",
                                                      "<EOT>",
                                                      "<|eom_id|>",
                                                      "_<EOT>",
                                                      "[EOT]",
                                                      "[EOS]",
                                                      "<|end_of_text|>",
                                                      "<eos>",
                                                      "<end_of_utterance>",
                                                      "<turn|>",
                                                      "[e~[",
                                                      "<|tool_response>",
                                                      "<｜end▁of▁sentence｜>"};
// Control tokens in gpt-oss files that its users want to see.
constexpr std::string_view kVisibleTexts[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

struct ByteAlphabet {
  std::array<std::string, 256> character;
  std::array<int, 0x200> byte_of_code_point;  // -1 where there is none

  ByteAlphabet() {
    byte_of_code_point.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);  // 0xAD is the soft hyphen
      const uint32_t code_point = printable ? byte : next++;
      byte_of_code_point[code_point] = static_cast<int>(byte);
      const auto put = [&](uint32_t value) { character[byte].push_back(static_cast<char>(value)); };
      if (code_point < 0x80) {
        put(code_point);
      } else {
        put(0xC0 | code_point >> 6);
        put(0x80 | (code_point & 0x3F));
      }
    }
  }
};

const ByteAlphabet& Alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

std::string EscapeSpaces(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    if (c == ' ') {
      escaped += kEscapedSpace;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string UnescapeSpaces(std::string_view text) {
  std::string spaces;
  for (size_t begin = 0; begin < text.size();) {
    const bool escaped = text.substr(begin).starts_with(kEscapedSpace);
    spaces += escaped ? ' ' : text[begin];
    begin += escaped ? kEscapedSpace.size() : 1;
  }
  return spaces;
}

std::string HexTextOfByte(uint8_t byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<char> ByteOfHexText(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'F', lower = c >= 'a' && c <= 'f';
    if (!digit && !upper && !lower) return std::nullopt;
    value = value * 16 + (digit ? c - '0' : upper ? c - 'A' + 10 : c - 'a' + 10);
  }
  return static_cast<char>(value);
}

std::string_view ByteLevelCharacter(uint8_t byte) { return Alphabet().character[byte]; }

std::optional<std::string> BytesOf(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t code_point = static_cast<unsigned char>(text[i]);
    if (code_point >= 0x80) {
      // The alphabet ends below U+0200, so two bytes, of which the first is C2..C7.
      const bool whole =
          code_point >= 0xC2 && code_point <= 0xC7 && i + 1 < text.size() && (text[i + 1] & 0xC0) == 0x80;
      if (!whole) return std::nullopt;
      code_point = (code_point & 0x1F) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F);
    }
    const int byte = Alphabet().byte_of_code_point[code_point];
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

std::string DecodeByteLevel(std::string_view text) {
  std::string bytes;
  for (size_t position = 0; position < text.size();) {
    std::string character;
    AppendUtf8(NextCodePoint(text, &position), &character);
    if (const auto byte = BytesOf(character)) {
      bytes += *byte;
      continue;
    }
    bytes += "[UNK_BYTE_0x";
    for (const char c : character) bytes += fmt::format("{:02x}", static_cast<unsigned char>(c));
    bytes += fmt::format("{}]", text);
  }
  return bytes;
}

int32_t RequireUnknown(std::optional<int32_t> unknown, const std::string& source) {
  if (unknown.has_value()) return *unknown;
  throw std::runtime_error(fmt::format(
      "{}: found text that is no token and no token for such text, expected one; set tokenizer.ggml.unknown_token_id",
      source));
}

void AssignRolesByText(Vocabulary* vocabulary) {
  std::unordered_map<std::string_view, int32_t> id_of_text;
  for (size_t id = 0; id < vocabulary->tokens.size(); ++id) {
    id_of_text.emplace(vocabulary->tokens[id].text, static_cast<int32_t>(id));
  }
  const auto set_type = [&](int32_t id, TokenType type) {
    TokenType& current = vocabulary->tokens[static_cast<size_t>(id)].type;
    if (current != type) vocabulary->retyped.emplace_back(id, current);
    current = type;
  };
  const auto find = [&](std::string_view text) -> std::optional<int32_t> {
    const auto found = id_of_text.find(text);
    if (found == id_of_text.end()) return std::nullopt;
    return found->second;
  };
  const auto assign = [&](std::optional<int32_t>* role, std::span<const std::string_view> texts) {
    for (size_t i = 0; i < texts.size() && !role->has_value(); ++i) {
      *role = find(texts[i]);
      if (role->has_value()) set_type(**role, TokenType::kControl);
    }
  };
  assign(&vocabulary->eot, kEotTexts);
  assign(&vocabulary->eom, kEomTexts);
  assign(&vocabulary->fim_prefix, kFimPrefixTexts);
  assign(&vocabulary->fim_suffix, kFimSuffixTexts);
  assign(&vocabulary->fim_middle, kFimMiddleTexts);
  assign(&vocabulary->fim_pad, kFimPadTexts);
  assign(&vocabulary->fim_repo, kFimRepoTexts);
  assign(&vocabulary->fim_separator, kFimSeparatorTexts);

  std::set<int32_t> end;
  for (const auto& role : {vocabulary->fim_pad, vocabulary->fim_repo, vocabulary->fim_separator, vocabulary->eos,
                           vocabulary->eot, vocabulary->eom}) {
    if (role.has_value()) end.insert(*role);
  }
  for (std::string_view text : kEndOfGenerationTexts) {
    if (const auto id = find(text)) {
      end.insert(*id);
      set_type(*id, TokenType::kControl);
    }
  }
  for (std::string_view text : kVisibleTexts) {
    if (const auto id = find(text)) set_type(*id, TokenType::kUserDefined);
  }
  // Two families of models write these inside an answer.
  const auto ends = [&](std::string_view text) {
    const auto id = find(text);
    return id.has_value() && end.contains(*id);
  };
  const auto release = [&](std::string_view text, TokenType type) {
    if (!ends(text)) return;
    end.erase(*find(text));
    set_type(*find(text), type);
  };
  const bool calls = ends("<|call|>") || ends("<|calls|>");
  if (calls && (ends("<|return|>") || ends("<|flush|>"))) release("<|end|>", TokenType::kUserDefined);
  if (ends("<|tool_response>")) release("</s>", TokenType::kNormal);
  vocabulary->end_of_generation.assign(end.begin(), end.end());
}

}  // namespace bitnet
