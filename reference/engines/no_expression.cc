// A build without PCRE2.
#include <fmt/format.h>

#include <stdexcept>

#include "reference/capture/quote.h"
#include "reference/engines/expression.h"

namespace parity {

struct Expression::Compiled {};

Expression::Expression(const char* flag, const std::string& pattern) : flag_(flag), pattern_(pattern) {
  Fail("cannot be used: this build has no PCRE2, which reads regular expressions; build with it");
}
Expression::~Expression() = default;

std::optional<std::pair<size_t, size_t>> Expression::Find(std::string_view, size_t) const { return std::nullopt; }

void Expression::Fail(const std::string& what) const {
  throw std::runtime_error(fmt::format("{}: {} {}", flag_, Quote(pattern_), what));
}

}  // namespace parity
