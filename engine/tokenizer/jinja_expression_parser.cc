#include "engine/tokenizer/jinja_expression_parser.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <initializer_list>
#include <utility>

namespace bitnet {

JinjaExpressionPtr JinjaExpressionParser::ParseTuple(bool with_condition) {
  const auto parse = [&] { return with_condition ? Parse() : ParseOr(); };
  JinjaExpressionPtr first = parse();
  if (!tokens_.IsOperator(",")) return first;
  auto tuple = Make(JinjaExpression::Kind::kTuple);
  tuple->parts.push_back(std::move(first));
  while (tokens_.TakeOperator(",")) {
    if (AtEndOfList()) break;
    tuple->parts.push_back(parse());
  }
  return tuple;
}

JinjaExpressionPtr JinjaExpressionParser::Parse() {
  if (depth_ == 0) links_ = 0;
  const JinjaDepth depth(&depth_, tokens_);
  JinjaExpressionPtr value = ParseOr();
  while (tokens_.TakeName("if")) {
    Link();
    auto condition = Make(JinjaExpression::Kind::kCondition);
    condition->parts.push_back(ParseOr());
    condition->parts.push_back(std::move(value));
    if (tokens_.TakeName("else")) condition->parts.push_back(Parse());
    value = std::move(condition);
  }
  return value;
}

JinjaExpressionPtr JinjaExpressionParser::ParseFilters(JinjaExpressionPtr value) {
  while (true) {
    Link();
    if (tokens_.TakeOperator("|")) {
      value = ParseFilter(std::move(value));
    } else if (tokens_.IsName("is")) {
      value = ParseTest(std::move(value));
    } else if (tokens_.IsOperator("(")) {
      value = ParseCall(std::move(value));
    } else {
      return value;
    }
  }
}

JinjaExpressionPtr JinjaExpressionParser::ParseFilter(JinjaExpressionPtr value) {
  auto filter = Make(JinjaExpression::Kind::kFilter);
  filter->text = ParseDottedName();
  filter->parts.push_back(std::move(value));
  if (tokens_.IsOperator("(")) ParseArguments(filter.get());
  return filter;
}

JinjaExpressionPtr JinjaExpressionParser::ParseOr() {
  return ParseLogical("or", JinjaExpression::Kind::kOr,
                      [&] { return ParseLogical("and", JinjaExpression::Kind::kAnd, [&] { return ParseNot(); }); });
}

void JinjaExpressionParser::Link() {
  if (++links_ > kLongestJinjaChain)
    tokens_.Fail(fmt::format("an expression of more than {} parts", kLongestJinjaChain));
}

JinjaExpressionParser::Made JinjaExpressionParser::Make(JinjaExpression::Kind kind) const {
  auto made = std::make_unique<JinjaExpression>();
  made->kind = kind;
  made->line = tokens_.line();
  return made;
}

JinjaExpressionPtr JinjaExpressionParser::Constant(JinjaValue value) const {
  auto made = Make(JinjaExpression::Kind::kConstant);
  made->value = std::move(value);
  return made;
}

bool JinjaExpressionParser::AtEndOfList() const {
  return tokens_.Is(JinjaToken::Kind::kBlockEnd) || tokens_.Is(JinjaToken::Kind::kVariableEnd) ||
         tokens_.IsOperator(")") || tokens_.IsOperator("]") || tokens_.IsOperator("}") || tokens_.IsName("in");
}

std::string JinjaExpressionParser::ParseDottedName() {
  std::string name = tokens_.ExpectAnyName();
  while (tokens_.TakeOperator(".")) name += "." + tokens_.ExpectAnyName();
  return name;
}

template <typename ParseOperand>
JinjaExpressionPtr JinjaExpressionParser::ParseLogical(std::string_view name, JinjaExpression::Kind kind,
                                                       const ParseOperand& parse) {
  JinjaExpressionPtr left = parse();
  while (tokens_.TakeName(name)) {
    Link();
    auto both = Make(kind);
    both->parts.push_back(std::move(left));
    both->parts.push_back(parse());
    left = std::move(both);
  }
  return left;
}

JinjaExpressionPtr JinjaExpressionParser::ParseNot() {
  const JinjaDepth depth(&depth_, tokens_);
  if (!tokens_.TakeName("not")) return ParseComparison();
  auto negation = Make(JinjaExpression::Kind::kNot);
  negation->parts.push_back(ParseNot());
  return negation;
}

JinjaExpressionPtr JinjaExpressionParser::ParseComparison() {
  JinjaExpressionPtr first = ParseBinary(0);
  Made comparison;
  while (true) {
    std::string name;
    for (const std::string_view candidate : {"==", "!=", "<", "<=", ">", ">="}) {
      if (tokens_.IsOperator(candidate)) name = candidate;
    }
    if (tokens_.IsName("in")) name = "in";
    const bool not_in =
        tokens_.IsName("not") && tokens_.Peek(1).kind == JinjaToken::Kind::kName && tokens_.Peek(1).text == "in";
    if (not_in) {
      name = "not in";
      tokens_.Next();
    }
    if (name.empty()) break;
    tokens_.Next();
    if (comparison == nullptr) {
      comparison = Make(JinjaExpression::Kind::kComparison);
      comparison->parts.push_back(std::move(first));
    }
    comparison->operators.push_back(name);
    comparison->parts.push_back(ParseBinary(0));
  }
  if (comparison == nullptr) return first;
  return comparison;
}

JinjaExpressionPtr JinjaExpressionParser::ParseBinary(size_t level) {
  static constexpr std::array<std::array<std::string_view, 4>, 4> kLevels = {
      {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}}};
  if (level == kLevels.size()) return ParseUnary(/*with_filters=*/true);
  JinjaExpressionPtr left = ParseBinary(level + 1);
  while (true) {
    const auto& names = kLevels[level];
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&](std::string_view name) { return !name.empty() && tokens_.IsOperator(name); });
    if (found == names.end()) return left;
    Link();
    auto both = Make(JinjaExpression::Kind::kBinary);
    both->text = tokens_.Next().text;
    both->parts.push_back(std::move(left));
    both->parts.push_back(ParseBinary(level + 1));
    left = std::move(both);
  }
}

JinjaExpressionPtr JinjaExpressionParser::ParseUnary(bool with_filters) {
  const JinjaDepth depth(&depth_, tokens_);
  JinjaExpressionPtr value;
  if (tokens_.IsOperator("-") || tokens_.IsOperator("+")) {
    auto sign = Make(tokens_.IsOperator("-") ? JinjaExpression::Kind::kNegative : JinjaExpression::Kind::kPositive);
    tokens_.Next();
    sign->parts.push_back(ParseUnary(/*with_filters=*/false));
    value = std::move(sign);
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

JinjaExpressionPtr JinjaExpressionParser::ParsePrimary() {
  const JinjaToken token = tokens_.Peek();
  switch (token.kind) {
    case JinjaToken::Kind::kName:
      return ParseName();
    case JinjaToken::Kind::kString: {
      std::string text;
      while (tokens_.Is(JinjaToken::Kind::kString)) text += tokens_.Next().text;
      return Constant(text);
    }
    case JinjaToken::Kind::kInteger: {
      if (token.text.size() > 18) tokens_.Fail(fmt::format("the number {} is too large", token.text));
      tokens_.Next();
      return Constant(static_cast<int64_t>(std::strtoll(token.text.c_str(), nullptr, 10)));
    }
    case JinjaToken::Kind::kFloat:
      tokens_.Next();
      return Constant(std::strtod(token.text.c_str(), nullptr));
    default:
      break;
  }
  if (tokens_.TakeOperator("(")) {
    if (tokens_.TakeOperator(")")) return Make(JinjaExpression::Kind::kTuple);
    JinjaExpressionPtr inner = ParseTuple();
    tokens_.ExpectOperator(")");
    return inner;
  }
  if (tokens_.TakeOperator("[")) {
    auto list = Make(JinjaExpression::Kind::kList);
    while (!tokens_.IsOperator("]")) {
      list->parts.push_back(Parse());
      if (!tokens_.TakeOperator(",")) break;
    }
    tokens_.ExpectOperator("]");
    return list;
  }
  if (tokens_.TakeOperator("{")) return ParseDict();
  tokens_.Fail(fmt::format("found {}, expected a value", tokens_.Shown()));
}

JinjaExpressionPtr JinjaExpressionParser::ParseName() {
  const std::string name = tokens_.Next().text;
  if (name == "true" || name == "True") return Constant(true);
  if (name == "false" || name == "False") return Constant(false);
  if (name == "none" || name == "None") return Constant({});
  auto made = Make(JinjaExpression::Kind::kName);
  made->text = name;
  return made;
}

JinjaExpressionPtr JinjaExpressionParser::ParseDict() {
  auto dict = Make(JinjaExpression::Kind::kDict);
  while (!tokens_.IsOperator("}")) {
    dict->parts.push_back(Parse());
    tokens_.ExpectOperator(":");
    dict->parts.push_back(Parse());
    if (!tokens_.TakeOperator(",")) break;
  }
  tokens_.ExpectOperator("}");
  return dict;
}

JinjaExpressionPtr JinjaExpressionParser::ParsePostfix(JinjaExpressionPtr value) {
  while (true) {
    Link();
    if (tokens_.TakeOperator(".")) {
      const bool index = tokens_.Is(JinjaToken::Kind::kInteger);
      auto made = Make(index ? JinjaExpression::Kind::kItem : JinjaExpression::Kind::kAttribute);
      made->parts.push_back(std::move(value));
      if (index) {
        made->parts.push_back(ParsePrimary());
      } else {
        made->text = tokens_.ExpectAnyName();
      }
      value = std::move(made);
    } else if (tokens_.TakeOperator("[")) {
      value = ParseSubscript(std::move(value));
    } else if (tokens_.IsOperator("(")) {
      value = ParseCall(std::move(value));
    } else {
      return value;
    }
  }
}

JinjaExpressionPtr JinjaExpressionParser::ParseCall(JinjaExpressionPtr function) {
  auto call = Make(JinjaExpression::Kind::kCall);
  call->parts.push_back(std::move(function));
  ParseArguments(call.get());
  return call;
}

JinjaExpressionPtr JinjaExpressionParser::ParseSubscript(JinjaExpressionPtr value) {
  auto made = Make(JinjaExpression::Kind::kItem);
  made->parts.push_back(std::move(value));
  std::vector<JinjaExpressionPtr> bounds(1);
  if (!tokens_.IsOperator(":")) bounds[0] = Parse();
  while (tokens_.TakeOperator(":")) {
    const bool missing = tokens_.IsOperator(":") || tokens_.IsOperator("]");
    bounds.push_back(missing ? nullptr : Parse());
  }
  tokens_.ExpectOperator("]");
  if (bounds.size() > 3) tokens_.Fail("a slice of more than three parts");
  if (bounds.size() > 1) {
    made->kind = JinjaExpression::Kind::kSlice;
    bounds.resize(3);
  }
  for (JinjaExpressionPtr& bound : bounds) made->parts.push_back(std::move(bound));
  return made;
}

void JinjaExpressionParser::ParseArguments(JinjaExpression* call) {
  tokens_.ExpectOperator("(");
  while (!tokens_.IsOperator(")")) {
    if (tokens_.IsOperator("*") || tokens_.IsOperator("**")) tokens_.Fail("arguments by * are not supported");
    const JinjaToken& next = tokens_.Peek(1);
    if (tokens_.Is(JinjaToken::Kind::kName) && next.kind == JinjaToken::Kind::kOperator && next.text == "=") {
      std::string name = tokens_.Next().text;
      tokens_.Next();
      call->named.emplace_back(std::move(name), Parse());
    } else if (call->named.empty()) {
      call->parts.push_back(Parse());
    } else {
      tokens_.Fail("an argument without a name behind one with a name");
    }
    if (!tokens_.TakeOperator(",")) break;
  }
  tokens_.ExpectOperator(")");
}

JinjaExpressionPtr JinjaExpressionParser::ParseTest(JinjaExpressionPtr value) {
  tokens_.Next();
  const bool negated = tokens_.TakeName("not");
  auto test = Make(JinjaExpression::Kind::kTest);
  test->text = ParseDottedName();
  test->parts.push_back(std::move(value));
  if (tokens_.IsOperator("(")) {
    ParseArguments(test.get());
  } else if (BeginsArgument()) {
    test->parts.push_back(ParsePostfix(ParsePrimary()));
  }
  if (!negated) return test;
  auto negation = Make(JinjaExpression::Kind::kNot);
  negation->parts.push_back(std::move(test));
  return negation;
}

bool JinjaExpressionParser::BeginsArgument() const {
  const JinjaToken& token = tokens_.Peek();
  if (token.kind == JinjaToken::Kind::kName) {
    return token.text != "else" && token.text != "or" && token.text != "and" && token.text != "is" &&
           token.text != "if" && token.text != "in" && token.text != "not";
  }
  return token.kind == JinjaToken::Kind::kString || token.kind == JinjaToken::Kind::kInteger ||
         token.kind == JinjaToken::Kind::kFloat || tokens_.IsOperator("[") || tokens_.IsOperator("{");
}

}  // namespace bitnet
