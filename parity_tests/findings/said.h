// What an engine said: the tokens that it generated, with their text.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reference/capture/capture.h"

namespace parity {

struct Said {
  std::vector<int32_t> ids = {};
  std::vector<std::string> pieces = {};  // as many as ids; "" where the text of a token is not known

  bool empty() const { return ids.empty(); }
  // Of tokens first to last - 1. Bytes: a character may be spread over two tokens.
  std::string Text(size_t first, size_t last) const {
    std::string text;
    for (size_t i = first; i < std::min(last, pieces.size()); ++i) text += pieces[i];
    return text;
  }
  std::string Text() const { return Text(0, pieces.size()); }
};

inline Said SaidIn(const Capture& capture) {
  Said said{capture.generated, capture.generated_pieces};
  said.pieces.resize(said.ids.size());
  return said;
}

// The first token in which they part; the end of the shorter one where that is all; nothing where both say the same.
inline std::optional<size_t> PartAt(const Said& a, const Said& b) {
  if (a.ids == b.ids) return std::nullopt;
  const auto at = std::mismatch(a.ids.begin(), a.ids.end(), b.ids.begin(), b.ids.end()).first;
  return static_cast<size_t>(at - a.ids.begin());
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_
