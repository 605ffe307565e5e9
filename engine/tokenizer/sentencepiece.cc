#include "engine/tokenizer/sentencepiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/tokenizer/utf8.h"

namespace bitnet {

SentencePieceModel::SentencePieceModel(const Vocabulary& vocabulary)
    : source_(vocabulary.source), add_space_prefix_(vocabulary.add_space_prefix) {
  id_of_text_.reserve(vocabulary.tokens.size());
  scores_.reserve(vocabulary.tokens.size());
  for (const Token& token : vocabulary.tokens) {
    id_of_text_.emplace(token.text, static_cast<int32_t>(scores_.size()));
    scores_.push_back(token.score);
    longest_ = std::max(longest_, token.text.size());
  }
  for (size_t byte = 0; byte < token_of_byte_.size(); ++byte) {
    std::optional<int32_t> id = FindText(HexTextOfByte(static_cast<uint8_t>(byte)));
    if (!id.has_value()) id = FindText(std::string(1, static_cast<char>(byte)));
    token_of_byte_[byte] = id.value_or(-1);
  }
}

std::optional<int32_t> SentencePieceModel::FindText(std::string_view text) const {
  const auto found = id_of_text_.find(text);
  if (found == id_of_text_.end()) return std::nullopt;
  return found->second;
}

std::optional<int32_t> SentencePieceModel::Find(std::string_view bytes) const {
  if (const auto id = FindText(EscapeSpaces(bytes))) return id;
  if (bytes.size() != 1) return std::nullopt;
  const int32_t id = token_of_byte_[static_cast<unsigned char>(bytes[0])];
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::string SentencePieceModel::BytesOfText(std::string_view text) const { return UnescapeSpaces(text); }

void SentencePieceModel::Encode(const TextPart& part, std::vector<int32_t>* ids) const {
  Scratch scratch;
  if (add_space_prefix_ && part.first_text) scratch.text = kEscapedSpace;
  scratch.text += EscapeSpaces(part.text);
  std::vector<Symbol>& symbols = scratch.symbols;
  for (size_t begin = 0; begin < scratch.text.size(); begin += symbols.back().size) {
    const auto lead = static_cast<unsigned char>(scratch.text[begin]);
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({begin, std::min(AnnouncedLength(lead), scratch.text.size() - begin), index - 1, index + 1});
  }
  symbols.back().next = -1;
  Merge(&scratch);

  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    const Symbol& symbol = symbols[static_cast<size_t>(i)];
    const std::string_view text = std::string_view(scratch.text).substr(symbol.begin, symbol.size);
    if (const auto id = FindText(text)) {
      ids->push_back(*id);
      continue;
    }
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (token_of_byte_[byte] < 0) {
        throw std::runtime_error(
            fmt::format("{}: tokenizer.ggml.tokens: found no token for the byte 0x{:02X} of the text, expected "
                        "\"<0x{:02X}>\" (llama.cpp cannot tokenize it either); convert the model again",
                        source_, byte, byte));
      }
      ids->push_back(token_of_byte_[byte]);
    }
  }
}

void SentencePieceModel::Merge(Scratch* scratch) const {
  std::vector<Symbol>& symbols = scratch->symbols;
  std::vector<Candidate>& queue = scratch->queue;
  for (size_t i = 1; i < symbols.size(); ++i) {
    Consider(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i), scratch);
  }
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const Candidate best = queue.back();
    queue.pop_back();
    Symbol& left = symbols[static_cast<size_t>(best.left)];
    Symbol& right = symbols[static_cast<size_t>(best.right)];
    const bool outdated = left.size == 0 || right.size == 0 || left.size + right.size != best.size;
    if (outdated) continue;
    left.size += right.size;
    right.size = 0;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = best.left;
    Consider(left.previous, best.left, scratch);
    Consider(best.left, left.next, scratch);
  }
}

void SentencePieceModel::Consider(int32_t left, int32_t right, Scratch* scratch) const {
  if (left < 0 || right < 0) return;
  const Symbol& first = scratch->symbols[static_cast<size_t>(left)];
  const size_t size = first.size + scratch->symbols[static_cast<size_t>(right)].size;
  if (size > longest_) return;
  const auto id = FindText(std::string_view(scratch->text).substr(first.begin, size));
  if (!id.has_value()) return;
  scratch->queue.push_back({scores_[static_cast<size_t>(*id)], left, right, size});
  std::push_heap(scratch->queue.begin(), scratch->queue.end());
}

}  // namespace bitnet
