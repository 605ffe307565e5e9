#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/tokenizer/jinja_interpreter.h"
#include "engine/tokenizer/jinja_library.h"
#include "engine/tokenizer/jinja_text.h"

namespace bitnet {
namespace {

using Value = JinjaValue;

[[noreturn]] void FailOperands(const std::string& name, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (const auto* undefined = value->If<JinjaUndefined>())
      throw JinjaError(fmt::format("{} is undefined", undefined->name));
  }
  throw JinjaError(fmt::format("{} of a {} and a {} is not supported", name, left.TypeName(), right.TypeName()));
}

int64_t FloorDivided(int64_t left, int64_t right) {
  const int64_t quotient = left / right;
  return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
}

Value Power(int64_t base, int64_t exponent) {
  if (exponent < 0) return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  int64_t result = 1;
  for (int64_t i = 0; i < exponent && result != 0 && !(base == 1); ++i) {
    if (__builtin_mul_overflow(result, base, &result)) throw JinjaError("** of integers: too large");
    if (base == -1) return exponent % 2 == 0 ? int64_t{1} : int64_t{-1};
  }
  return result;
}

Value OfIntegers(const std::string& name, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (name == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (name == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (name == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else if (name == "**") {
    return Power(left, right);
  } else {
    if (right == 0) throw JinjaError("division by zero");
    if (name == "/") return static_cast<double>(left) / static_cast<double>(right);
    if (right == -1) return OfIntegers("-", 0, name == "%" ? 0 : left);
    result = name == "//" ? FloorDivided(left, right) : left - FloorDivided(left, right) * right;
  }
  if (overflow) throw JinjaError(fmt::format("{} of integers: too large", name));
  return result;
}

Value OfFloats(const std::string& name, double left, double right) {
  if (name == "+") return left + right;
  if (name == "-") return left - right;
  if (name == "*") return left * right;
  if (name == "**") return std::pow(left, right);
  if (right == 0) throw JinjaError("division by zero");
  if (name == "/") return left / right;
  if (name == "//") return std::floor(left / right);
  return left - std::floor(left / right) * right;
}

// text * n, list * n.
Value Repeated(const Value& value, int64_t n) {
  const auto times = static_cast<size_t>(std::max<int64_t>(n, 0));
  if (const auto* text = value.If<std::string>()) {
    CheckJinjaSize(text->empty() ? 0 : times > kLargestJinjaValue ? SIZE_MAX : times * text->size());
    std::string result;
    for (size_t i = 0; i < times && !text->empty(); ++i) result += *text;
    return result;
  }
  const JinjaList& list = **value.If<Value::List>();
  CheckJinjaSize(list.items.empty() ? 0 : times > kLargestJinjaValue ? SIZE_MAX : times * list.items.size() * 64);
  std::vector<Value> items;
  for (size_t i = 0; i < times && !list.items.empty(); ++i)
    items.insert(items.end(), list.items.begin(), list.items.end());
  return Value::OfItems(std::move(items), list.tuple);
}

// What is added to safe text is escaped, but for ~, which makes plain text.
Value JoinedMarkup(const std::string& name, const Value& left, const Value& right) {
  const auto is_text = [](const Value& v) { return v.If<std::string>() != nullptr || v.If<JinjaMarkup>() != nullptr; };
  if (name != "+" || !is_text(left) || !is_text(right)) FailOperands(name, left, right);
  const auto escaped = [](const Value& v) {
    return v.If<JinjaMarkup>() != nullptr ? v.ToString() : HtmlText(v.ToString());
  };
  JinjaMarkup joined{escaped(left) + escaped(right)};
  CheckJinjaSize(joined.text.size());
  return joined;
}

bool IsText(const Value& value) { return value.If<std::string>() != nullptr; }
bool IsInt(const Value& value) { return value.If<int64_t>() != nullptr || value.If<bool>() != nullptr; }

}  // namespace

JinjaValue ApplyJinjaOperator(const std::string& name, const JinjaValue& left, const JinjaValue& right) {
  if (name == "~") {
    std::string text = left.ToString() + right.ToString();
    CheckJinjaSize(text.size());
    return text;
  }
  if (left.If<JinjaMarkup>() != nullptr || right.If<JinjaMarkup>() != nullptr) return JoinedMarkup(name, left, right);
  if (name == "+" && IsText(left) && IsText(right)) {
    CheckJinjaSize(left.If<std::string>()->size() + right.If<std::string>()->size());
    return *left.If<std::string>() + *right.If<std::string>();
  }
  const auto *list = left.If<Value::List>(), *other = right.If<Value::List>();
  if (name == "+" && list != nullptr && other != nullptr && (*list)->tuple == (*other)->tuple) {
    std::vector<Value> items = (*list)->items;
    items.insert(items.end(), (*other)->items.begin(), (*other)->items.end());
    CheckJinjaSize(items.size() * 64);
    return Value::OfItems(std::move(items), (*list)->tuple);
  }
  if (name == "%" && IsText(left)) {
    const bool many = other != nullptr && (*other)->tuple;
    return FormatByPercent(*left.If<std::string>(), many ? (*other)->items : std::vector<Value>{right});
  }
  const auto repeats = [](const Value& value) { return IsText(value) || value.If<Value::List>() != nullptr; };
  if (name == "*" && repeats(left) && IsInt(right)) return Repeated(left, IntegerOf(&right, 0, "*"));
  if (name == "*" && IsInt(left) && repeats(right)) return Repeated(right, IntegerOf(&left, 0, "*"));
  if (!left.IsNumber() || !right.IsNumber()) FailOperands(name, left, right);
  if (IsInt(left) && IsInt(right)) return OfIntegers(name, IntegerOf(&left, 0, name), IntegerOf(&right, 0, name));
  return OfFloats(name, left.AsDouble(), right.AsDouble());
}

bool CompareJinja(const std::string& name, const JinjaValue& left, const JinjaValue& right) {
  if (name == "==") return left == right;
  if (name == "!=") return !(left == right);
  if (name == "in") return Contains(right, left);
  if (name == "not in") return !Contains(right, left);
  if (left.IsUndefined() || right.IsUndefined()) FailOperands(name, left, right);
  if (name == "<") return Less(left, right);
  if (name == ">") return Less(right, left);
  return name == "<=" ? Less(left, right) || left == right : Less(right, left) || left == right;
}

JinjaValue SliceJinja(const JinjaValue& value, const JinjaValue* begin, const JinjaValue* end, const JinjaValue* step) {
  if (value.If<Value::List>() == nullptr && !IsText(value)) {
    throw JinjaError(fmt::format("a slice of a {} is not supported", value.TypeName()));
  }
  const std::vector<Value> items = value.Iterate();
  const auto size = static_cast<int64_t>(items.size());
  const int64_t by = IntegerOf(step, 1, "a slice");
  if (by == 0) throw JinjaError("a slice with a step of 0");
  const int64_t low = by > 0 ? 0 : -1, high = by > 0 ? size : size - 1;
  const auto bound = [&](const JinjaValue* argument, int64_t fallback) {
    if (argument == nullptr || argument->IsNone()) return fallback;
    const int64_t at = IntegerOf(argument, 0, "a slice");
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  const int64_t first = bound(begin, by > 0 ? 0 : size - 1), last = bound(end, by > 0 ? size : -1);
  std::vector<Value> chosen;
  const int64_t stride = std::clamp<int64_t>(by, -size - 1, size + 1);
  for (int64_t i = first; by > 0 ? i < last : i > last; i += stride) chosen.push_back(items[static_cast<size_t>(i)]);
  if (!IsText(value)) return Value::OfItems(std::move(chosen), (*value.If<Value::List>())->tuple);
  std::string text;
  for (const Value& item : chosen) text += *item.If<std::string>();
  return text;
}

}  // namespace bitnet
