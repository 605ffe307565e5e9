#include "engine/tokenizer/jinja_parser.h"

#include <fmt/format.h>

#include <initializer_list>

#include "engine/tokenizer/jinja_expression_parser.h"
#include "engine/tokenizer/jinja_token_reader.h"

namespace bitnet {
namespace {

using Expression = JinjaExpression;
using Statement = JinjaStatement;

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
    const JinjaDepth depth(&depth_, tokens_);
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

  JinjaTokenReader tokens_;
  JinjaExpressionParser expressions_;
  int depth_ = 0, loops_ = 0;
};

}  // namespace

JinjaBody ParseJinja(std::string_view source) { return StatementParser(source).Run(); }

}  // namespace bitnet
