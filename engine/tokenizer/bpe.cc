#include "engine/tokenizer/bpe.h"

#include <algorithm>
#include <utility>

namespace bitnet {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BytePairEncoder::BytePairEncoder(const Vocabulary& vocabulary)
    : n_tokens_(static_cast<int32_t>(vocabulary.tokens.size())), ignore_merges_(vocabulary.ignore_merges) {
  symbols_.reserve(vocabulary.tokens.size() + 256);
  token_of_char_.fill(-1);
  for (int32_t id = 0; id < n_tokens_; ++id) {
    const std::string& text = vocabulary.tokens[static_cast<size_t>(id)].text;
    if (std::optional<std::string> bytes = BytesOf(text)) symbols_.emplace(*std::move(bytes), id);
    if (text.size() == 1) token_of_char_[static_cast<unsigned char>(text[0])] = id;
  }
  for (int byte = 0; byte < 256; ++byte) {
    symbol_of_byte_[static_cast<size_t>(byte)] = Intern(std::string(1, static_cast<char>(byte)));
  }
  merges_.reserve(vocabulary.merges.size());
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const std::optional<std::string> left = BytesOf(vocabulary.merges[rank].first);
    const std::optional<std::string> right = BytesOf(vocabulary.merges[rank].second);
    if (!left.has_value() || !right.has_value()) continue;  // no text has such characters after byte-level encoding
    const uint64_t key = PairKey(Intern(*left), Intern(*right));
    merges_.try_emplace(key, Merge{static_cast<int32_t>(rank), Intern(*left + *right)});
  }
}

BytePairEncoder::SymbolId BytePairEncoder::Intern(std::string bytes) {
  const auto next = static_cast<SymbolId>(n_tokens_ + static_cast<int32_t>(symbols_without_token_.size()));
  const auto [found, inserted] = symbols_.try_emplace(std::move(bytes), next);
  if (inserted) symbols_without_token_.push_back(found->first);
  return found->second;
}

std::optional<int32_t> BytePairEncoder::Find(std::string_view bytes) const {
  const auto found = symbols_.find(bytes);
  if (found == symbols_.end() || found->second >= n_tokens_) return std::nullopt;
  return found->second;
}

void BytePairEncoder::Encode(const Words& words, std::vector<int32_t>* ids) const {
  Scratch scratch;
  for (size_t i = 0; i < words.size(); ++i) EncodeWord(words[i], &scratch, ids);
}

void BytePairEncoder::EncodeWord(std::string_view word, Scratch* scratch, std::vector<int32_t>* ids) const {
  if (ignore_merges_) {
    if (const std::optional<int32_t> id = Find(word)) {
      ids->push_back(*id);
      return;
    }
  }
  std::vector<Symbol>& symbols = scratch->symbols;
  std::vector<Candidate>& queue = scratch->queue;
  symbols.clear();
  queue.clear();
  const auto length = static_cast<int32_t>(word.size());
  for (int32_t i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(word[static_cast<size_t>(i)]);
    symbols.push_back({symbol_of_byte_[byte], i - 1, i + 1 < length ? i + 1 : -1});
  }
  for (int32_t i = 1; i < length; ++i) Consider(i - 1, i, scratch);

  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const Candidate best = queue.back();
    queue.pop_back();
    Symbol& left = symbols[static_cast<size_t>(best.left)];
    Symbol& right = symbols[static_cast<size_t>(best.right)];
    if (left.id != best.left_id || right.id != best.right_id) continue;  // one of them was merged meanwhile
    left.id = merges_.find(PairKey(left.id, right.id))->second.result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = best.left;
    Consider(left.previous, best.left, scratch);
    Consider(best.left, left.next, scratch);
  }

  for (int32_t i = length > 0 ? 0 : -1; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    const SymbolId id = symbols[static_cast<size_t>(i)].id;
    if (id < n_tokens_) {
      ids->push_back(id);
    } else {
      AppendWithoutToken(id, ids);
    }
  }
}

void BytePairEncoder::Consider(int32_t left, int32_t right, Scratch* scratch) const {
  if (left < 0 || right < 0) return;
  const SymbolId left_id = scratch->symbols[static_cast<size_t>(left)].id;
  const SymbolId right_id = scratch->symbols[static_cast<size_t>(right)].id;
  const auto found = merges_.find(PairKey(left_id, right_id));
  if (found == merges_.end()) return;
  scratch->queue.push_back({found->second.rank, left, right, left_id, right_id});
  std::push_heap(scratch->queue.begin(), scratch->queue.end());
}

void BytePairEncoder::AppendWithoutToken(SymbolId id, std::vector<int32_t>* ids) const {
  for (const char byte : symbols_without_token_[static_cast<size_t>(id - n_tokens_)]) {
    // The reference looks up each char of the byte-level text, so only bytes that stand for themselves can be found.
    for (const char c : ByteLevelCharacter(static_cast<uint8_t>(byte))) {
      const int32_t token = token_of_char_[static_cast<unsigned char>(c)];
      if (token >= 0) ids->push_back(token);
    }
  }
}

}  // namespace bitnet
