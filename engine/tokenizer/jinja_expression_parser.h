// The expressions of a template, by recursive descent.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_EXPRESSION_PARSER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_EXPRESSION_PARSER_H_

#include <memory>
#include <string>
#include <string_view>

#include "engine/tokenizer/jinja_parser.h"
#include "engine/tokenizer/jinja_token_reader.h"

namespace bitnet {

// Throws JinjaError, with the line, where the tokens are no expression, and on what is nested too deep or chained too
// long.
class JinjaExpressionParser {
 public:
  explicit JinjaExpressionParser(JinjaTokenReader* tokens) : tokens_(*tokens) {}

  // One expression, or a tuple without brackets.
  JinjaExpressionPtr ParseTuple(bool with_condition = true);

  JinjaExpressionPtr Parse();

  // Filters and tests behind a value.
  JinjaExpressionPtr ParseFilters(JinjaExpressionPtr value);

  JinjaExpressionPtr ParseFilter(JinjaExpressionPtr value);

  JinjaExpressionPtr ParseOr();

 private:
  using Made = std::unique_ptr<JinjaExpression>;

  // Each operator of a chain is a level of the tree.
  void Link();
  Made Make(JinjaExpression::Kind kind) const;
  JinjaExpressionPtr Constant(JinjaValue value) const;
  bool AtEndOfList() const;

  std::string ParseDottedName();

  template <typename ParseOperand>
  JinjaExpressionPtr ParseLogical(std::string_view name, JinjaExpression::Kind kind, const ParseOperand& parse);

  JinjaExpressionPtr ParseNot();

  JinjaExpressionPtr ParseComparison();

  // + and -, then ~, then * / // %, then **.
  JinjaExpressionPtr ParseBinary(size_t level);

  JinjaExpressionPtr ParseUnary(bool with_filters);

  JinjaExpressionPtr ParsePrimary();

  JinjaExpressionPtr ParseName();

  JinjaExpressionPtr ParseDict();

  JinjaExpressionPtr ParsePostfix(JinjaExpressionPtr value);

  JinjaExpressionPtr ParseCall(JinjaExpressionPtr function);

  JinjaExpressionPtr ParseSubscript(JinjaExpressionPtr value);

  void ParseArguments(JinjaExpression* call);

  JinjaExpressionPtr ParseTest(JinjaExpressionPtr value);

  bool BeginsArgument() const;

  JinjaTokenReader& tokens_;
  int depth_ = 0, links_ = 0;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_EXPRESSION_PARSER_H_
