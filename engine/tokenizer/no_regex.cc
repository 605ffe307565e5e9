// A build without PCRE2: what a tokenizer.json says in regular expressions cannot be followed.
#include <stdexcept>

#include "engine/tokenizer/regex.h"

namespace bitnet {
namespace {

[[noreturn]] void NoPcre2() {
  throw std::runtime_error(
      "this build has no PCRE2, which matches the expressions of a tokenizer.json; give --token-ids, or build with "
      "PCRE2");
}

}  // namespace

struct Regex::Code {};

Regex::Regex(std::string_view) { NoPcre2(); }
Regex Regex::Literal(std::string_view) { NoPcre2(); }
Regex Regex::GraphemeCluster() { NoPcre2(); }
std::vector<ByteRange> Regex::Matches(std::string_view) const { NoPcre2(); }

}  // namespace bitnet
