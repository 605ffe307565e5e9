// A regular expression that cuts text into pieces.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_SPLIT_EXPRESSION_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_SPLIT_EXPRESSION_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

class SplitExpression {
 public:
  explicit SplitExpression(std::string source);
  SplitExpression(const SplitExpression&) = delete;
  SplitExpression& operator=(const SplitExpression&) = delete;
  ~SplitExpression();

  // Splits each of the consecutive pieces of `classes`, whose lengths are given. A lookahead does not see beyond its
  // piece. Throws std::runtime_error in a build without PCRE2.
  std::vector<size_t> Split(std::string_view classes, const std::vector<size_t>& lengths) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_SPLIT_EXPRESSION_H_
