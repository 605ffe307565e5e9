#include "engine/tokenizer/jinja_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>

#include "engine/tokenizer/jinja_lexer.h"

namespace bitnet {
namespace {

using Expression = JinjaExpression;
using Statement = JinjaStatement;

constexpr int kDeepestNesting = 100;
constexpr int kLongestChain = 2000;

// The tokens, and where in them the parser is.
class TokenReader {
 public:
  explicit TokenReader(std::vector<JinjaToken> tokens) : tokens_(std::move(tokens)) {}

  const JinjaToken& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  JinjaToken Next() {
    JinjaToken token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(JinjaToken::Kind kind, std::string_view text = {}) const {
    return Peek().kind == kind && (text.empty() || Peek().text == text);
  }
  bool IsOperator(std::string_view text) const { return Is(JinjaToken::Kind::kOperator, text); }
  bool IsName(std::string_view text) const { return Is(JinjaToken::Kind::kName, text); }
  bool TakeOperator(std::string_view text) { return IsOperator(text) && (Next(), true); }
  bool TakeName(std::string_view text) { return IsName(text) && (Next(), true); }
  void Expect(JinjaToken::Kind kind, std::string_view text) {
    if (!Is(kind, kind == JinjaToken::Kind::kOperator || kind == JinjaToken::Kind::kName ? text : std::string_view())) {
      Fail(fmt::format("found {}, expected {}", Shown(), text));
    }
    Next();
  }
  void ExpectOperator(std::string_view text) { Expect(JinjaToken::Kind::kOperator, text); }
  std::string ExpectAnyName() {
    if (Peek().kind != JinjaToken::Kind::kName) Fail(fmt::format("found {}, expected a name", Shown()));
    return Next().text;
  }
  int line() const { return Peek().line; }
  [[noreturn]] void Fail(std::string_view message) const {
    throw JinjaError(fmt::format("line {}: {}", line(), message));
  }
  std::string Shown() const {
    switch (Peek().kind) {
      case JinjaToken::Kind::kBlockEnd:
      case JinjaToken::Kind::kVariableEnd:
        return "the end of the tag";
      case JinjaToken::Kind::kEnd:
        return "the end of the template";
      default:
        return fmt::format("{:?}", Peek().text);
    }
  }

 private:
  std::vector<JinjaToken> tokens_;
  size_t at_ = 0;
};

// Counts how deep the parser is in itself.
class Depth {
 public:
  Depth(int* depth, const TokenReader& tokens) : depth_(depth) {
    if (++*depth_ > kDeepestNesting) tokens.Fail(fmt::format("nested deeper than {}", kDeepestNesting));
  }
  ~Depth() { --*depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  int* depth_;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenReader* tokens) : tokens_(*tokens) {}

  // One expression, or a tuple without brackets.
  JinjaExpressionPtr ParseTuple(bool with_condition = true);

  JinjaExpressionPtr Parse();

  // Filters and tests behind a value.
  JinjaExpressionPtr ParseFilters(JinjaExpressionPtr value);

  JinjaExpressionPtr ParseFilter(JinjaExpressionPtr value);

  JinjaExpressionPtr ParseOr();

 private:
  using Made = std::unique_ptr<Expression>;

  // Each operator of a chain is a level of the tree.
  void Link();
  Made Make(Expression::Kind kind) const;
  JinjaExpressionPtr Constant(JinjaValue value) const;
  bool AtEndOfList() const;

  std::string ParseDottedName();

  template <typename ParseOperand>
  JinjaExpressionPtr ParseLogical(std::string_view name, Expression::Kind kind, const ParseOperand& parse);

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

  void ParseArguments(Expression* call);

  JinjaExpressionPtr ParseTest(JinjaExpressionPtr value);

  bool BeginsArgument() const;

  TokenReader& tokens_;
  int depth_ = 0, links_ = 0;
};

JinjaExpressionPtr ExpressionParser::ParseTuple(bool with_condition) {
  const auto parse = [&] { return with_condition ? Parse() : ParseOr(); };
  JinjaExpressionPtr first = parse();
  if (!tokens_.IsOperator(",")) return first;
  auto tuple = Make(Expression::Kind::kTuple);
  tuple->parts.push_back(std::move(first));
  while (tokens_.TakeOperator(",")) {
    if (AtEndOfList()) break;
    tuple->parts.push_back(parse());
  }
  return tuple;
}

JinjaExpressionPtr ExpressionParser::Parse() {
  if (depth_ == 0) links_ = 0;
  const Depth depth(&depth_, tokens_);
  JinjaExpressionPtr value = ParseOr();
  while (tokens_.TakeName("if")) {
    Link();
    auto condition = Make(Expression::Kind::kCondition);
    condition->parts.push_back(ParseOr());
    condition->parts.push_back(std::move(value));
    if (tokens_.TakeName("else")) condition->parts.push_back(Parse());
    value = std::move(condition);
  }
  return value;
}

JinjaExpressionPtr ExpressionParser::ParseFilters(JinjaExpressionPtr value) {
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

JinjaExpressionPtr ExpressionParser::ParseFilter(JinjaExpressionPtr value) {
  auto filter = Make(Expression::Kind::kFilter);
  filter->text = ParseDottedName();
  filter->parts.push_back(std::move(value));
  if (tokens_.IsOperator("(")) ParseArguments(filter.get());
  return filter;
}

JinjaExpressionPtr ExpressionParser::ParseOr() {
  return ParseLogical("or", Expression::Kind::kOr,
                      [&] { return ParseLogical("and", Expression::Kind::kAnd, [&] { return ParseNot(); }); });
}

void ExpressionParser::Link() {
  if (++links_ > kLongestChain) tokens_.Fail(fmt::format("an expression of more than {} parts", kLongestChain));
}

ExpressionParser::Made ExpressionParser::Make(Expression::Kind kind) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = tokens_.line();
  return made;
}

JinjaExpressionPtr ExpressionParser::Constant(JinjaValue value) const {
  auto made = Make(Expression::Kind::kConstant);
  made->value = std::move(value);
  return made;
}

bool ExpressionParser::AtEndOfList() const {
  return tokens_.Is(JinjaToken::Kind::kBlockEnd) || tokens_.Is(JinjaToken::Kind::kVariableEnd) ||
         tokens_.IsOperator(")") || tokens_.IsOperator("]") || tokens_.IsOperator("}") || tokens_.IsName("in");
}

std::string ExpressionParser::ParseDottedName() {
  std::string name = tokens_.ExpectAnyName();
  while (tokens_.TakeOperator(".")) name += "." + tokens_.ExpectAnyName();
  return name;
}

template <typename ParseOperand>
JinjaExpressionPtr ExpressionParser::ParseLogical(std::string_view name, Expression::Kind kind,
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

JinjaExpressionPtr ExpressionParser::ParseNot() {
  const Depth depth(&depth_, tokens_);
  if (!tokens_.TakeName("not")) return ParseComparison();
  auto negation = Make(Expression::Kind::kNot);
  negation->parts.push_back(ParseNot());
  return negation;
}

JinjaExpressionPtr ExpressionParser::ParseComparison() {
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
      comparison = Make(Expression::Kind::kComparison);
      comparison->parts.push_back(std::move(first));
    }
    comparison->operators.push_back(name);
    comparison->parts.push_back(ParseBinary(0));
  }
  if (comparison == nullptr) return first;
  return comparison;
}

JinjaExpressionPtr ExpressionParser::ParseBinary(size_t level) {
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
    auto both = Make(Expression::Kind::kBinary);
    both->text = tokens_.Next().text;
    both->parts.push_back(std::move(left));
    both->parts.push_back(ParseBinary(level + 1));
    left = std::move(both);
  }
}

JinjaExpressionPtr ExpressionParser::ParseUnary(bool with_filters) {
  const Depth depth(&depth_, tokens_);
  JinjaExpressionPtr value;
  if (tokens_.IsOperator("-") || tokens_.IsOperator("+")) {
    auto sign = Make(tokens_.IsOperator("-") ? Expression::Kind::kNegative : Expression::Kind::kPositive);
    tokens_.Next();
    sign->parts.push_back(ParseUnary(/*with_filters=*/false));
    value = std::move(sign);
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

JinjaExpressionPtr ExpressionParser::ParsePrimary() {
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
    if (tokens_.TakeOperator(")")) return Make(Expression::Kind::kTuple);
    JinjaExpressionPtr inner = ParseTuple();
    tokens_.ExpectOperator(")");
    return inner;
  }
  if (tokens_.TakeOperator("[")) {
    auto list = Make(Expression::Kind::kList);
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

JinjaExpressionPtr ExpressionParser::ParseName() {
  const std::string name = tokens_.Next().text;
  if (name == "true" || name == "True") return Constant(true);
  if (name == "false" || name == "False") return Constant(false);
  if (name == "none" || name == "None") return Constant({});
  auto made = Make(Expression::Kind::kName);
  made->text = name;
  return made;
}

JinjaExpressionPtr ExpressionParser::ParseDict() {
  auto dict = Make(Expression::Kind::kDict);
  while (!tokens_.IsOperator("}")) {
    dict->parts.push_back(Parse());
    tokens_.ExpectOperator(":");
    dict->parts.push_back(Parse());
    if (!tokens_.TakeOperator(",")) break;
  }
  tokens_.ExpectOperator("}");
  return dict;
}

JinjaExpressionPtr ExpressionParser::ParsePostfix(JinjaExpressionPtr value) {
  while (true) {
    Link();
    if (tokens_.TakeOperator(".")) {
      const bool index = tokens_.Is(JinjaToken::Kind::kInteger);
      auto made = Make(index ? Expression::Kind::kItem : Expression::Kind::kAttribute);
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

JinjaExpressionPtr ExpressionParser::ParseCall(JinjaExpressionPtr function) {
  auto call = Make(Expression::Kind::kCall);
  call->parts.push_back(std::move(function));
  ParseArguments(call.get());
  return call;
}

JinjaExpressionPtr ExpressionParser::ParseSubscript(JinjaExpressionPtr value) {
  auto made = Make(Expression::Kind::kItem);
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
    made->kind = Expression::Kind::kSlice;
    bounds.resize(3);
  }
  for (JinjaExpressionPtr& bound : bounds) made->parts.push_back(std::move(bound));
  return made;
}

void ExpressionParser::ParseArguments(Expression* call) {
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

JinjaExpressionPtr ExpressionParser::ParseTest(JinjaExpressionPtr value) {
  tokens_.Next();
  const bool negated = tokens_.TakeName("not");
  auto test = Make(Expression::Kind::kTest);
  test->text = ParseDottedName();
  test->parts.push_back(std::move(value));
  if (tokens_.IsOperator("(")) {
    ParseArguments(test.get());
  } else if (BeginsArgument()) {
    test->parts.push_back(ParsePostfix(ParsePrimary()));
  }
  if (!negated) return test;
  auto negation = Make(Expression::Kind::kNot);
  negation->parts.push_back(std::move(test));
  return negation;
}

bool ExpressionParser::BeginsArgument() const {
  const JinjaToken& token = tokens_.Peek();
  if (token.kind == JinjaToken::Kind::kName) {
    return token.text != "else" && token.text != "or" && token.text != "and" && token.text != "is" &&
           token.text != "if" && token.text != "in" && token.text != "not";
  }
  return token.kind == JinjaToken::Kind::kString || token.kind == JinjaToken::Kind::kInteger ||
         token.kind == JinjaToken::Kind::kFloat || tokens_.IsOperator("[") || tokens_.IsOperator("{");
}

class StatementParser {
 public:
  explicit StatementParser(std::string_view source) : tokens_(LexJinja(source)), expressions_(&tokens_) {}

  JinjaBody Run() {
    JinjaBody body = ParseBody({});
    if (!tokens_.Is(JinjaToken::Kind::kEnd)) tokens_.Fail(fmt::format("unexpected {}", tokens_.Shown()));
    return body;
  }

 private:
  using Made = std::unique_ptr<Statement>;

  Made Make(Statement::Kind kind) const {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = tokens_.line();
    return made;
  }

  // Up to a block with one of these names, which is next then.
  JinjaBody ParseBody(std::initializer_list<std::string_view> ends) {
    const Depth depth(&depth_, tokens_);
    JinjaBody body;
    while (!tokens_.Is(JinjaToken::Kind::kEnd)) {
      if (tokens_.Is(JinjaToken::Kind::kText)) {
        Made text = Make(Statement::Kind::kText);
        text->text = tokens_.Next().text;
        body.push_back(std::move(text));
      } else if (tokens_.Is(JinjaToken::Kind::kVariableBegin)) {
        tokens_.Next();
        Made output = Make(Statement::Kind::kOutput);
        output->expression = expressions_.ParseTuple();
        tokens_.Expect(JinjaToken::Kind::kVariableEnd, "}}");
        body.push_back(std::move(output));
      } else {
        const JinjaToken& name = tokens_.Peek(1);
        if (std::find(ends.begin(), ends.end(), name.text) != ends.end() && name.kind == JinjaToken::Kind::kName) {
          tokens_.Next();
          return body;
        }
        tokens_.Next();
        ParseBlock(&body);
      }
    }
    if (ends.size() > 0)
      tokens_.Fail(fmt::format("found the end of the template, expected {{% {} %}}", *(ends.end() - 1)));
    return body;
  }

  void EndTag() { tokens_.Expect(JinjaToken::Kind::kBlockEnd, "%}"); }

  // The body of a block up to its end, which is taken.
  JinjaBody ParseBodyUntil(std::string_view end) {
    EndTag();
    JinjaBody body = ParseBody({end});
    tokens_.Next();
    // {% endmacro name %}
    if (end == "endmacro" && tokens_.Is(JinjaToken::Kind::kName)) tokens_.Next();
    EndTag();
    return body;
  }

  void ParseBlock(JinjaBody* body) {
    const std::string name = tokens_.ExpectAnyName();
    if (name == "if") return body->push_back(ParseIf());
    if (name == "for") return body->push_back(ParseFor());
    if (name == "set") return body->push_back(ParseSet());
    if (name == "macro") return body->push_back(ParseMacro());
    if (name == "with") return body->push_back(ParseWith());
    if (name == "filter") {
      Made made = Make(Statement::Kind::kFilter);
      made->expression = ParseFilterChain();
      made->bodies.push_back(ParseBodyUntil("endfilter"));
      return body->push_back(std::move(made));
    }
    if (name == "generation") {  // marks the answer for training; the text is the same
      Made made = Make(Statement::Kind::kScope);
      made->bodies.push_back(ParseBodyUntil("endgeneration"));
      return body->push_back(std::move(made));
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) tokens_.Fail(fmt::format("{} outside of a loop", name));
      body->push_back(Make(name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue));
      return EndTag();
    }
    tokens_.Fail(fmt::format("the block {:?} is not supported", name));
  }

  Made ParseIf() {
    Made made = Make(Statement::Kind::kIf);
    made->conditions.push_back(expressions_.ParseTuple());
    while (true) {
      EndTag();
      made->bodies.push_back(ParseBody({"elif", "else", "endif"}));
      if (tokens_.TakeName("elif")) {
        made->conditions.push_back(expressions_.ParseTuple());
        continue;
      }
      if (tokens_.TakeName("else")) {
        EndTag();
        made->bodies.push_back(ParseBody({"endif"}));
      }
      tokens_.Expect(JinjaToken::Kind::kName, "endif");
      EndTag();
      return made;
    }
  }

  std::vector<std::string> ParseTargets() {
    const bool brackets = tokens_.TakeOperator("(");
    std::vector<std::string> names = {tokens_.ExpectAnyName()};
    while (tokens_.TakeOperator(",")) {
      if (tokens_.Is(JinjaToken::Kind::kName) && !tokens_.IsName("in")) names.push_back(tokens_.ExpectAnyName());
    }
    if (brackets) tokens_.ExpectOperator(")");
    return names;
  }

  Made ParseFor() {
    Made made = Make(Statement::Kind::kFor);
    made->names = ParseTargets();
    tokens_.Expect(JinjaToken::Kind::kName, "in");
    made->expression = expressions_.ParseTuple(/*with_condition=*/false);
    if (tokens_.TakeName("if")) made->condition = expressions_.Parse();
    if (tokens_.IsName("recursive")) tokens_.Fail("a recursive loop is not supported");
    EndTag();
    ++loops_;
    made->bodies.push_back(ParseBody({"else", "endfor"}));
    --loops_;
    if (tokens_.TakeName("else")) {
      EndTag();
      made->bodies.push_back(ParseBody({"endfor"}));
    }
    tokens_.Expect(JinjaToken::Kind::kName, "endfor");
    EndTag();
    return made;
  }

  JinjaExpressionPtr ParseFilterChain() {
    auto text = std::make_unique<Expression>();
    text->kind = Expression::Kind::kName;
    text->text = kFilteredText;
    return expressions_.ParseFilters(expressions_.ParseFilter(std::move(text)));
  }

  Made ParseSet() {
    Made made = Make(Statement::Kind::kSet);
    made->names = ParseTargets();
    if (made->names.size() == 1 && tokens_.TakeOperator(".")) made->text = tokens_.ExpectAnyName();
    if (tokens_.TakeOperator("=")) {
      made->expression = expressions_.ParseTuple();
      EndTag();
      return made;
    }
    if (made->names.size() != 1 || !made->text.empty())
      tokens_.Fail(fmt::format("found {}, expected =", tokens_.Shown()));
    made->kind = Statement::Kind::kSetBlock;
    if (tokens_.TakeOperator("|")) made->expression = ParseFilterChain();
    made->bodies.push_back(ParseBodyUntil("endset"));
    return made;
  }

  Made ParseMacro() {
    Made made = Make(Statement::Kind::kMacro);
    made->text = tokens_.ExpectAnyName();
    tokens_.ExpectOperator("(");
    while (!tokens_.IsOperator(")")) {
      made->names.push_back(tokens_.ExpectAnyName());
      made->defaults.push_back(tokens_.TakeOperator("=") ? expressions_.Parse() : nullptr);
      if (!tokens_.TakeOperator(",")) break;
    }
    tokens_.ExpectOperator(")");
    const int loops = std::exchange(loops_, 0);
    made->bodies.push_back(ParseBodyUntil("endmacro"));
    loops_ = loops;
    return made;
  }

  Made ParseWith() {
    Made made = Make(Statement::Kind::kScope);
    while (tokens_.Is(JinjaToken::Kind::kName)) {
      made->names.push_back(tokens_.ExpectAnyName());
      tokens_.ExpectOperator("=");
      made->defaults.push_back(expressions_.Parse());
      if (!tokens_.TakeOperator(",")) break;
    }
    made->bodies.push_back(ParseBodyUntil("endwith"));
    return made;
  }

  TokenReader tokens_;
  ExpressionParser expressions_;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

JinjaBody ParseJinja(std::string_view source) { return StatementParser(source).Run(); }

}  // namespace bitnet
