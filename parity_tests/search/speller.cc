#include "parity_tests/search/speller.h"

#include <algorithm>

namespace parity {

Speller::Speller(const bitnet::Tokenizer& tokenizer) {
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) {
    const std::string piece = tokenizer.Piece(id);
    if (piece.empty()) continue;
    longest_ = std::max(longest_, piece.size());
    ids_[piece].push_back(id);
    const size_t text = std::min(piece.find_first_not_of(" \t\n\r"), piece.size());
    if (text > 0) without_space_[piece.substr(text)].push_back(id);
  }
}

std::vector<Speller::Spelling> Speller::At(std::string_view rest, bool first) const {
  std::vector<Spelling> found;
  const auto add = [&found](const auto& ids, std::string_view text) {
    const auto it = ids.find(text);
    if (it == ids.end()) return;
    for (const int32_t id : it->second) found.push_back({id, text.size()});
  };
  for (size_t n = first ? 0 : 1; n <= std::min(longest_, rest.size()); ++n) {
    if (n > 0) add(ids_, rest.substr(0, n));
    if (first) add(without_space_, rest.substr(0, n));
  }
  // The text may have been cut within a token.
  for (auto it = ids_.upper_bound(rest); it != ids_.end() && it->first.starts_with(rest); ++it) {
    for (const int32_t id : it->second) found.push_back({id, rest.size()});
  }
  return found;
}

}  // namespace parity
