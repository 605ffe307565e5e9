// What an engine said: the tokens that it generated, with their text; or its text alone.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reference/capture/capture.h"

namespace parity {

struct Said {
  std::vector<int32_t> ids = {};
  std::vector<std::string> pieces = {};  // as many as ids; "" where the text of a token is not known
  std::string printed = {};              // of an engine that shows no ids

  bool empty() const { return ids.empty() && printed.empty(); }
  // Of tokens first to last - 1. Bytes: a character may be spread over two tokens.
  std::string Text(size_t first, size_t last) const {
    std::string text;
    for (size_t i = first; i < std::min(last, pieces.size()); ++i) text += pieces[i];
    return text;
  }
  std::string Text() const { return printed.empty() ? Text(0, pieces.size()) : printed; }
};

inline Said SaidIn(const Capture& capture) {
  Said said{.ids = capture.generated, .pieces = capture.generated_pieces};
  said.pieces.resize(said.ids.size());
  if (!capture.shown.generated) said.printed = GeneratedText(capture);
  return said;
}

// Without the white space at either end, which is lost in print.
inline std::string_view WithoutBlanks(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  text = text.substr(0, text.find_last_not_of(kBlank) + 1);  // npos + 1 is 0
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text;
}

// Where two part: the first token that is not the same; the first byte, of texts WithoutBlanks, where a side shows no
// ids. The end of the shorter one where that is all.
struct Parting {
  size_t at = 0;
  bool bytes = false;

  std::string Before(const Said& said) const {
    return bytes ? std::string(WithoutBlanks(said.Text()).substr(0, at)) : said.Text(0, at);
  }
  std::string From(const Said& said) const {
    return bytes ? std::string(WithoutBlanks(said.Text()).substr(at)) : said.Text(at, said.ids.size());
  }
};

// Nothing where both say the same.
inline std::optional<Parting> PartAt(const Said& a, const Said& b) {
  const auto first_other = [](const auto& x, const auto& y) {
    return static_cast<size_t>(std::mismatch(x.begin(), x.end(), y.begin(), y.end()).first - x.begin());
  };
  if (a.printed.empty() && b.printed.empty()) {
    if (a.ids == b.ids) return std::nullopt;
    return Parting{.at = first_other(a.ids, b.ids)};
  }
  const std::string text_a = a.Text(), text_b = b.Text();
  const std::string_view shown_a = WithoutBlanks(text_a), shown_b = WithoutBlanks(text_b);
  if (shown_a == shown_b) return std::nullopt;
  return Parting{.at = first_other(shown_a, shown_b), .bytes = true};
}

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_
