#include "engine/tokenizer/jinja.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/tokenizer/jinja_interpreter.h"
#include "engine/tokenizer/jinja_library.h"

namespace bitnet {
namespace {

using Value = JinjaValue;
using Arguments = JinjaArguments;
using JinjaKind = JinjaExpression::Kind;

constexpr size_t kMostWork = 4'000'000;
constexpr size_t kMostScopes = 100'000;
constexpr int kDeepestCall = 800;  // of the interpreter in itself
constexpr int64_t kLongestRange = 100'000;

Value Function(JinjaFunction function) { return std::make_shared<const JinjaFunction>(std::move(function)); }

Value RangeOf(const Arguments& a) {
  if (a.values.empty()) throw JinjaError("range: found no argument");
  const int64_t first = IntegerOf(&a.values[0], 0, "range");
  const int64_t begin = a.values.size() > 1 ? first : 0;
  const int64_t end = a.values.size() > 1 ? IntegerOf(&a.values[1], 0, "range") : first;
  const int64_t step = IntegerOf(a.Find(2, ""), 1, "range");
  if (step == 0) throw JinjaError("range: found a step of 0");
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) >= kLongestRange) throw JinjaError("range: more than 100000 numbers");
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::OfItems(std::move(items));
}

Value DictWith(const Arguments& a, bool is_namespace) {
  auto dict = std::make_shared<JinjaDict>();
  dict->is_namespace = is_namespace;
  if (!a.values.empty()) {
    const auto* from = a.values[0].If<Value::Dict>();
    if (from == nullptr)
      throw JinjaError(fmt::format("namespace, dict: found a {}, expected a dict", a.values[0].TypeName()));
    dict->items = (*from)->items;
  }
  for (const auto& [name, value] : a.named) dict->Set(name, value);
  return dict;
}

// The functions that every template has; nullptr for another name.
const Value* FindGlobal(std::string_view name) {
  static const std::vector<std::pair<std::string_view, Value>> globals = {
      {"range", Function(RangeOf)},
      {"namespace", Function([](const Arguments& a) { return DictWith(a, true); })},
      {"dict", Function([](const Arguments& a) { return DictWith(a, false); })},
      {"raise_exception", Function([](const Arguments& a) -> Value {
         throw JinjaError(fmt::format("the template says: {}", a.values.empty() ? "" : a.values[0].ToString()));
       })}};
  const auto found =
      std::find_if(globals.begin(), globals.end(), [&](const auto& global) { return global.first == name; });
  return found == globals.end() ? nullptr : &found->second;
}

// `loop` in a loop over these.
Value LoopVariable(const std::vector<Value>& items, size_t i, int64_t depth) {
  auto loop = std::make_shared<JinjaDict>();
  loop->is_namespace = true;
  loop->items = {{"index", Value::OfSize(i + 1)},
                 {"index0", Value::OfSize(i)},
                 {"revindex", Value::OfSize(items.size() - i)},
                 {"revindex0", Value::OfSize(items.size() - i - 1)},
                 {"first", Value(i == 0)},
                 {"last", Value(i + 1 == items.size())},
                 {"length", Value::OfSize(items.size())},
                 {"depth", Value(depth)},
                 {"depth0", Value(depth - 1)}};
  if (i > 0) loop->items.emplace_back("previtem", items[i - 1]);
  if (i + 1 < items.size()) loop->items.emplace_back("nextitem", items[i + 1]);
  loop->items.emplace_back("cycle", Function([i](const Arguments& a) {
                             if (a.values.empty()) throw JinjaError("cycle: found no argument");
                             return a.values[i % a.values.size()];
                           }));
  return loop;
}

// Values that share parts of each other can be larger than what they are made of.
bool HoldsNamespace(const Value& value, int depth, int* budget) {
  if (depth > 100) throw JinjaError("a value in more than 100 others");
  if (--*budget < 0) throw JinjaError("a value that is too large for a namespace");
  if (const auto* list = value.If<Value::List>()) {
    return std::any_of((*list)->items.begin(), (*list)->items.end(),
                       [&](const Value& item) { return HoldsNamespace(item, depth + 1, budget); });
  }
  const auto* dict = value.If<Value::Dict>();
  if (dict == nullptr) return false;
  return (*dict)->is_namespace || std::any_of((*dict)->items.begin(), (*dict)->items.end(), [&](const auto& item) {
           return HoldsNamespace(item.second, depth + 1, budget);
         });
}

}  // namespace

const JinjaValue* JinjaScope::Find(std::string_view name) const {
  for (const JinjaScope* scope = this; scope != nullptr; scope = scope->parent) {
    for (const auto& [key, value] : scope->names) {
      if (key == name) return &value;
    }
  }
  return FindGlobal(name);
}

void JinjaScope::Set(std::string_view name, JinjaValue value) {
  for (auto& [key, old] : names) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  names.emplace_back(name, std::move(value));
}

// One step deeper in the interpreter.
class JinjaInterpreter::Level {
 public:
  explicit Level(JinjaInterpreter* interpreter) : depth_(&interpreter->depth_) {
    if (*depth_ >= kDeepestCall) throw JinjaError("calls and loops are too deep in each other");
    ++*depth_;
    interpreter->Spend(1);
  }
  ~Level() { --*depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  int* depth_;
};

JinjaInterpreter::JinjaInterpreter(const JinjaValue& variables) {
  JinjaScope* root = NewScope(nullptr);
  root->names = (*variables.If<Value::Dict>())->items;
}

std::string JinjaInterpreter::Render(const JinjaBody& body) {
  std::string text;
  out_ = &text;
  ExecuteBody(body, &scopes_.front());
  return text;
}

void JinjaInterpreter::Spend(size_t work) {
  work_ += work;
  if (work_ > kMostWork) throw JinjaError("the template does not come to an end in a reasonable time");
}

JinjaScope* JinjaInterpreter::NewScope(JinjaScope* parent) {
  if (scopes_.size() >= kMostScopes) throw JinjaError("the template does not come to an end in a reasonable time");
  scopes_.push_back({parent});
  return &scopes_.back();
}

JinjaValue JinjaInterpreter::Evaluate(const Expression& expression, JinjaScope* scope) {
  const Level level(this);
  Value value = EvaluateKind(expression, scope);
  if (const auto* text = value.If<std::string>()) Spend(text->size() / 16);
  if (const auto* list = value.If<Value::List>()) Spend((*list)->items.size() / 4);
  return value;
}

JinjaValue JinjaInterpreter::EvaluateKind(const Expression& e, JinjaScope* scope) {
  const auto part = [&](size_t i) { return Evaluate(*e.parts[i], scope); };
  switch (e.kind) {
    case JinjaKind::kConstant:
      return e.value;
    case JinjaKind::kName:
      return EvaluateName(e, scope);
    case JinjaKind::kList:
    case JinjaKind::kTuple:
    case JinjaKind::kDict:
      return EvaluateCollection(e, scope);
    case JinjaKind::kAttribute:
      return GetJinjaAttribute(part(0), e.text);
    case JinjaKind::kItem:
      return GetJinjaItem(part(0), part(1));
    case JinjaKind::kSlice: {
      std::vector<Value> bounds(3);
      for (size_t i = 0; i < 3; ++i) {
        if (e.parts[i + 1] != nullptr) bounds[i] = part(i + 1);
      }
      return SliceJinja(part(0), &bounds[0], &bounds[1], &bounds[2]);
    }
    case JinjaKind::kCall:
      return EvaluateCall(e, scope);
    case JinjaKind::kFilter: {
      const Value self = part(0);
      return CallJinjaFilter(e.text, EvaluateArguments(e, scope, &self));
    }
    case JinjaKind::kTest: {
      const Value self = part(0);
      return CallJinjaTest(e.text, EvaluateArguments(e, scope, &self));
    }
    case JinjaKind::kNot:
      return !part(0).IsTrue();
    case JinjaKind::kNegative:
      return ApplyJinjaOperator("-", int64_t{0}, part(0));
    case JinjaKind::kPositive:
      return ApplyJinjaOperator("+", int64_t{0}, part(0));
    case JinjaKind::kAnd: {
      Value left = part(0);
      return left.IsTrue() ? part(1) : left;
    }
    case JinjaKind::kOr: {
      Value left = part(0);
      return left.IsTrue() ? left : part(1);
    }
    case JinjaKind::kCondition:
      if (part(0).IsTrue()) return part(1);
      return e.parts.size() > 2 ? part(2) : Value(JinjaUndefined{"the value of an if without else"});
    case JinjaKind::kBinary:
      return ApplyJinjaOperator(e.text, part(0), part(1));
    case JinjaKind::kComparison:
      return EvaluateComparison(e, scope);
  }
  throw JinjaError("an expression of no known kind");
}

JinjaValue JinjaInterpreter::EvaluateName(const Expression& e, const JinjaScope* scope) const {
  const Value* value = scope->Find(e.text);
  return value != nullptr ? *value : Value(JinjaUndefined{fmt::format("'{}'", e.text)});
}

JinjaValue JinjaInterpreter::EvaluateCollection(const Expression& e, JinjaScope* scope) {
  if (e.kind != JinjaKind::kDict) {
    std::vector<Value> items;
    for (const JinjaExpressionPtr& part : e.parts) items.push_back(Evaluate(*part, scope));
    return Value::OfItems(std::move(items), e.kind == JinjaKind::kTuple);
  }
  auto dict = std::make_shared<JinjaDict>();
  for (size_t i = 0; i < e.parts.size(); i += 2) {
    const Value key = Evaluate(*e.parts[i], scope);
    if (key.If<std::string>() == nullptr)
      throw JinjaError(fmt::format("a {} as a key is not supported", key.TypeName()));
    dict->Set(*key.If<std::string>(), Evaluate(*e.parts[i + 1], scope));
  }
  return dict;
}

JinjaValue JinjaInterpreter::EvaluateComparison(const Expression& e, JinjaScope* scope) {
  Value left = Evaluate(*e.parts[0], scope);
  for (size_t i = 0; i < e.operators.size(); ++i) {
    Value right = Evaluate(*e.parts[i + 1], scope);
    if (!CompareJinja(e.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

JinjaArguments JinjaInterpreter::EvaluateArguments(const Expression& e, JinjaScope* scope, const JinjaValue* self) {
  Arguments arguments;
  if (self != nullptr) arguments.values.push_back(*self);
  for (size_t i = 1; i < e.parts.size(); ++i) arguments.values.push_back(Evaluate(*e.parts[i], scope));
  for (const auto& [name, value] : e.named) arguments.named.emplace_back(name, Evaluate(*value, scope));
  return arguments;
}

JinjaValue JinjaInterpreter::EvaluateCall(const Expression& e, JinjaScope* scope) {
  const Value function = Evaluate(*e.parts[0], scope);
  if (const auto* undefined = function.If<JinjaUndefined>())
    throw JinjaError(fmt::format("{} is undefined", undefined->name));
  const auto* callable = function.If<Value::Function>();
  if (callable == nullptr) throw JinjaError(fmt::format("a {} cannot be called", function.TypeName()));
  return (**callable)(EvaluateArguments(e, scope, nullptr));
}

void JinjaInterpreter::Write(std::string_view text) {
  Spend(text.size() / 16);
  CheckJinjaSize(out_->size() + text.size());
  *out_ += text;
}

JinjaInterpreter::Flow JinjaInterpreter::ExecuteBody(const JinjaBody& body, JinjaScope* scope) {
  const Level level(this);
  for (const auto& statement : body) {
    try {
      const Flow flow = Execute(*statement, scope);
      if (flow != Flow::kGoOn) return flow;
    } catch (const JinjaError& error) {
      if (std::string_view(error.what()).starts_with("line ")) throw;
      throw JinjaError(fmt::format("line {}: {}", statement->line, error.what()));
    }
  }
  return Flow::kGoOn;
}

JinjaInterpreter::Flow JinjaInterpreter::Execute(const Statement& s, JinjaScope* scope) {
  using StatementKind = JinjaStatement::Kind;
  Spend(1);
  switch (s.kind) {
    case StatementKind::kText:
      Write(s.text);
      break;
    case StatementKind::kOutput:
      Write(Evaluate(*s.expression, scope).ToString());
      break;
    case StatementKind::kIf:
      return ExecuteIf(s, scope);
    case StatementKind::kFor:
      return ExecuteFor(s, scope);
    case StatementKind::kSet:
      ExecuteSet(s, scope);
      break;
    case StatementKind::kSetBlock:
      scope->Set(s.names[0], Capture(s, scope));
      break;
    case StatementKind::kMacro:
      scope->Set(s.text, MakeMacro(s, scope));
      break;
    case StatementKind::kFilter:
      Write(Capture(s, scope).ToString());
      break;
    case StatementKind::kScope: {
      JinjaScope* inner = NewScope(scope);
      for (size_t i = 0; i < s.names.size(); ++i) inner->Set(s.names[i], Evaluate(*s.defaults[i], scope));
      return ExecuteBody(s.bodies[0], inner);
    }
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kGoOn;
}

JinjaInterpreter::Flow JinjaInterpreter::ExecuteIf(const Statement& s, JinjaScope* scope) {
  for (size_t i = 0; i < s.conditions.size(); ++i) {
    if (Evaluate(*s.conditions[i], scope).IsTrue()) return ExecuteBody(s.bodies[i], scope);
  }
  return s.bodies.size() > s.conditions.size() ? ExecuteBody(s.bodies.back(), scope) : Flow::kGoOn;
}

JinjaInterpreter::Flow JinjaInterpreter::ExecuteFor(const Statement& s, JinjaScope* scope) {
  std::vector<Value> items;
  const Value over = Evaluate(*s.expression, scope);
  for (Value& item : over.Iterate()) {
    if (s.condition != nullptr) {
      JinjaScope* inner = NewScope(scope);
      Assign(s.names, item, inner);
      if (!Evaluate(*s.condition, inner).IsTrue()) continue;
    }
    items.push_back(std::move(item));
  }
  int64_t depth = 1;
  const Value* outer = scope->Find("loop");
  if (outer != nullptr && outer->TypeName() == "namespace") depth = 2;
  for (size_t i = 0; i < items.size(); ++i) {
    JinjaScope* inner = NewScope(scope);
    Assign(s.names, items[i], inner);
    inner->Set("loop", LoopVariable(items, i, depth));
    if (ExecuteBody(s.bodies[0], inner) == Flow::kBreak) break;
  }
  if (!items.empty() || s.bodies.size() < 2) return Flow::kGoOn;
  return ExecuteBody(s.bodies[1], NewScope(scope));
}

void JinjaInterpreter::Assign(const std::vector<std::string>& names, const JinjaValue& value, JinjaScope* scope) {
  if (names.size() == 1) return scope->Set(names[0], value);
  const std::vector<Value> items = value.Iterate();
  if (items.size() != names.size()) {
    throw JinjaError(fmt::format("found {} values for {} names", items.size(), names.size()));
  }
  for (size_t i = 0; i < names.size(); ++i) scope->Set(names[i], items[i]);
}

void JinjaInterpreter::ExecuteSet(const Statement& s, JinjaScope* scope) {
  Value value = Evaluate(*s.expression, scope);
  if (s.text.empty()) return Assign(s.names, value, scope);
  const Value* target = scope->Find(s.names[0]);
  const auto* dict = target == nullptr ? nullptr : target->If<Value::Dict>();
  if (dict == nullptr || !(*dict)->is_namespace) {
    throw JinjaError(fmt::format("cannot set '{}' of '{}': it is no namespace", s.text, s.names[0]));
  }
  int budget = 100'000;
  if (HoldsNamespace(value, 0, &budget)) throw JinjaError("a namespace inside a namespace is not supported");
  (*dict)->Set(s.text, std::move(value));
}

JinjaValue JinjaInterpreter::Capture(const Statement& s, JinjaScope* scope) {
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  JinjaScope* inner = NewScope(scope);
  try {
    ExecuteBody(s.bodies[0], inner);
  } catch (...) {
    out_ = outer;
    throw;
  }
  out_ = outer;
  if (s.expression == nullptr) return text;
  inner->Set(kFilteredText, text);
  return Evaluate(*s.expression, inner);
}

JinjaValue JinjaInterpreter::MakeMacro(const Statement& s, JinjaScope* scope) {
  return Function([this, &s, scope](const Arguments& arguments) { return CallMacro(s, scope, arguments); });
}

JinjaValue JinjaInterpreter::CallMacro(const Statement& macro, JinjaScope* scope, const JinjaArguments& arguments) {
  if (arguments.values.size() > macro.names.size()) {
    throw JinjaError(fmt::format("macro '{}' takes not more than {} arguments", macro.text, macro.names.size()));
  }
  for (const auto& [name, value] : arguments.named) {
    if (std::find(macro.names.begin(), macro.names.end(), name) == macro.names.end()) {
      throw JinjaError(fmt::format("macro '{}' takes no argument '{}'", macro.text, name));
    }
  }
  JinjaScope* inner = NewScope(scope);
  for (size_t i = 0; i < macro.names.size(); ++i) {
    const Value* given = arguments.Find(i, macro.names[i]);
    Value value(JinjaUndefined{fmt::format("parameter '{}'", macro.names[i])});
    if (given != nullptr) {
      value = *given;
    } else if (macro.defaults[i] != nullptr) {
      value = Evaluate(*macro.defaults[i], inner);
    }
    inner->Set(macro.names[i], std::move(value));
  }
  std::string text;
  std::string* outer = std::exchange(out_, &text);
  try {
    ExecuteBody(macro.bodies[0], inner);
  } catch (...) {
    out_ = outer;
    throw;
  }
  out_ = outer;
  return text;
}

struct ChatTemplate::Tree {
  JinjaBody body;
};

ChatTemplate::ChatTemplate(std::string_view source) : tree_(std::make_unique<const Tree>(Tree{ParseJinja(source)})) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::Render(const nlohmann::ordered_json& variables) const {
  if (!variables.is_object()) throw JinjaError("the variables of a template must be an object");
  return JinjaInterpreter(JinjaValue::FromJson(variables)).Render(tree_->body);
}

}  // namespace bitnet
