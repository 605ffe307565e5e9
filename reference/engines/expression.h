// A regular expression over bytes that a user gave.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_EXPRESSION_H_
#define BITNET_PARITY_REFERENCE_ENGINES_EXPRESSION_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace parity {

// `flag` is what messages call it. Throws where the pattern is none, and in a build without PCRE2.
class Expression {
 public:
  Expression(const char* flag, const std::string& pattern);
  ~Expression();

  // Start and end of the first match at or behind `from`.
  std::optional<std::pair<size_t, size_t>> Find(std::string_view text, size_t from) const;

  [[noreturn]] void Fail(const std::string& what) const;

 private:
  struct Compiled;
  const char* flag_;
  std::string pattern_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_EXPRESSION_H_
