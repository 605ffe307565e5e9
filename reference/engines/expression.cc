#include "reference/engines/expression.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <stdexcept>

#include "reference/capture/quote.h"

namespace parity {
namespace {

std::string Message(int error) {
  std::array<PCRE2_UCHAR, 256> text = {};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Expression::Compiled {
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code{nullptr, pcre2_code_free};
};

Expression::Expression(const char* flag, const std::string& pattern)
    : flag_(flag), pattern_(pattern), compiled_(std::make_unique<Compiled>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  compiled_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_MULTILINE,
                                      &error, &at, nullptr));
  if (compiled_->code == nullptr) {
    Fail(fmt::format("is no regular expression: {} at character {}", Message(error), at));
  }
}
Expression::~Expression() = default;

std::optional<std::pair<size_t, size_t>> Expression::Find(std::string_view text, size_t from) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
      pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr), pcre2_match_data_free);
  const int found = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0,
                                match.get(), nullptr);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) Fail(fmt::format("cannot be matched: {}", Message(found)));
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
  return std::pair(bounds[0], bounds[1]);
}

void Expression::Fail(const std::string& what) const {
  throw std::runtime_error(fmt::format("{}: {} {}", flag_, Quote(pattern_), what));
}

}  // namespace parity
