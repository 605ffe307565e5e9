// Runs the tree of a Jinja template.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_INTERPRETER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_INTERPRETER_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/jinja_parser.h"
#include "engine/tokenizer/jinja_value.h"

namespace bitnet {

// The names that are visible at one place; what is set here is not seen outside.
struct JinjaScope {
  JinjaScope* parent = nullptr;
  std::vector<std::pair<std::string, JinjaValue>> names = {};

  const JinjaValue* Find(std::string_view name) const;
  void Set(std::string_view name, JinjaValue value);
};

// Two operands and an operator: + - * / // % ** ~, and == != < <= > >= in, not in.
JinjaValue ApplyJinjaOperator(const std::string& name, const JinjaValue& left, const JinjaValue& right);
bool CompareJinja(const std::string& name, const JinjaValue& left, const JinjaValue& right);
JinjaValue SliceJinja(const JinjaValue& value, const JinjaValue* begin, const JinjaValue* end, const JinjaValue* step);

// For one rendering; the tree must outlive it.
class JinjaInterpreter {
 public:
  explicit JinjaInterpreter(const JinjaValue& variables);
  std::string Render(const JinjaBody& body);

 private:
  using Expression = JinjaExpression;
  using Statement = JinjaStatement;
  enum class Flow { kGoOn, kBreak, kContinue };
  class Level;

  // Counts work, which has a limit.
  void Spend(size_t work);
  JinjaScope* NewScope(JinjaScope* parent);

  JinjaValue Evaluate(const Expression& expression, JinjaScope* scope);
  JinjaValue EvaluateKind(const Expression& expression, JinjaScope* scope);
  JinjaValue EvaluateName(const Expression& expression, const JinjaScope* scope) const;
  JinjaValue EvaluateCollection(const Expression& expression, JinjaScope* scope);
  JinjaValue EvaluateCall(const Expression& expression, JinjaScope* scope);
  JinjaValue EvaluateComparison(const Expression& expression, JinjaScope* scope);
  // `skip` parts are no arguments; the value of the first is one where it is given.
  JinjaArguments EvaluateArguments(const Expression& expression, JinjaScope* scope, const JinjaValue* self);

  void Write(std::string_view text);
  Flow ExecuteBody(const JinjaBody& body, JinjaScope* scope);
  Flow Execute(const Statement& statement, JinjaScope* scope);
  Flow ExecuteIf(const Statement& statement, JinjaScope* scope);
  Flow ExecuteFor(const Statement& statement, JinjaScope* scope);
  void ExecuteSet(const Statement& statement, JinjaScope* scope);
  // A body's text, through the filters of the statement.
  JinjaValue Capture(const Statement& statement, JinjaScope* scope);
  void Assign(const std::vector<std::string>& names, const JinjaValue& value, JinjaScope* scope);
  JinjaValue MakeMacro(const Statement& statement, JinjaScope* scope);
  JinjaValue CallMacro(const Statement& macro, JinjaScope* scope, const JinjaArguments& arguments);

  std::deque<JinjaScope> scopes_;
  std::string* out_ = nullptr;
  size_t work_ = 0;
  int depth_ = 0;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_INTERPRETER_H_
