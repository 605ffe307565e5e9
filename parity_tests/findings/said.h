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

// Two texts without what print loses: white space at the end, and in front where one side alone has it.
struct ShownTexts {
  std::string_view a, b;
  size_t lost_in_front_of_b = 0;  // bytes
};
ShownTexts TextsAsShown(std::string_view a, std::string_view b);

// Where two part: the first token that is not the same, or the first byte where a side shows no ids; the end of the
// shorter one where that is all. A character is not divided.
struct Parting {
  size_t at = 0;  // a token, or a byte of either text as it is shown
  bool bytes = false;
  std::string both = {}, rest_a = {}, rest_b = {};
};

// Nothing where both say the same.
std::optional<Parting> PartAt(const Said& a, const Said& b);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_SAID_H_
