// Which tokens spell the next bytes of a text.
#ifndef BITNET_PARITY_PARITY_TESTS_SEARCH_SPELLER_H_
#define BITNET_PARITY_PARITY_TESTS_SEARCH_SPELLER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace parity {

class Speller {
 public:
  explicit Speller(const bitnet::Tokenizer& tokenizer);

  struct Spelling {
    int32_t id;
    size_t bytes;  // of the text that it spells
  };
  // The tokens whose text stands at the start of `rest`, or goes on where `rest` ends. `first`: white space in front of
  // a token may be missing in the text.
  std::vector<Spelling> At(std::string_view rest, bool first) const;

 private:
  using Ids = std::map<std::string, std::vector<int32_t>, std::less<>>;

  Ids ids_;            // by text
  Ids without_space_;  // by text without white space in front
  size_t longest_ = 0;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_SEARCH_SPELLER_H_
