#include "engine/tokenizer/jinja_library.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "engine/tokenizer/jinja_text.h"

namespace bitnet {
namespace {

using Value = JinjaValue;
using Arguments = JinjaArguments;

const Value& Self(const Arguments& arguments) { return arguments.values.at(0); }

const std::string* StringOf(const Value* value, std::string_view what) {
  if (value == nullptr || value->IsNone()) return nullptr;
  if (const auto* text = value->If<std::string>()) return text;
  throw JinjaError(fmt::format("{}: found a {}, expected a str", what, value->TypeName()));
}

bool IsTrueArgument(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.Find(index, name);
  return value != nullptr && value->IsTrue();
}

// An attribute's name, or a path of them, or an index.
Value GetPath(const Value& value, const Value& path) {
  if (path.If<std::string>() == nullptr) return GetJinjaItem(value, path);
  Value at = value;
  for (const std::string& part : SplitText(*path.If<std::string>(), ".", -1)) {
    const bool index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos && part.size() < 10;
    at = index ? GetJinjaItem(at, Value(static_cast<int64_t>(std::stol(part)))) : GetJinjaItem(at, Value(part));
  }
  return at;
}

Value Length(const Arguments& a) {
  const Value& self = Self(a);
  if (const auto* text = self.If<std::string>()) return Value::OfSize(CharacterOffsets(*text).size() - 1);
  if (const auto* list = self.If<Value::List>()) return Value::OfSize((*list)->items.size());
  if (const auto* dict = self.If<Value::Dict>()) return Value::OfSize((*dict)->items.size());
  if (self.IsUndefined()) return Value::OfSize(0);
  throw JinjaError(fmt::format("length: a {} has none", self.TypeName()));
}

Value Default(const Arguments& a) {
  const Value* fallback = a.Find(1, "default_value");
  const bool missing = Self(a).IsUndefined() || (IsTrueArgument(a, 2, "boolean") && !Self(a).IsTrue());
  return !missing ? Self(a) : fallback == nullptr ? Value("") : *fallback;
}

Value Join(const Arguments& a) {
  const Value* separator = a.Find(1, "d");
  const Value* attribute = a.Find(2, "attribute");
  std::string text;
  bool first = true;
  for (const Value& item : Self(a).Iterate()) {
    if (!first && separator != nullptr) text += separator->ToString();
    first = false;
    text += (attribute == nullptr ? item : GetPath(item, *attribute)).ToString();
    CheckJinjaSize(text.size());
  }
  return text;
}

Value FirstOf(const Arguments& a) {
  const std::vector<Value> items = Self(a).Iterate();
  return items.empty() ? Value(JinjaUndefined{"the first of nothing"}) : items.front();
}
Value LastOf(const Arguments& a) {
  const std::vector<Value> items = Self(a).Iterate();
  return items.empty() ? Value(JinjaUndefined{"the last of nothing"}) : items.back();
}

Value ListOf(const Arguments& a) { return Value::OfItems(Self(a).Iterate()); }

Value Reverse(const Arguments& a) {
  std::vector<Value> items = Self(a).Iterate();
  std::reverse(items.begin(), items.end());
  if (Self(a).If<std::string>() == nullptr) return Value::OfItems(std::move(items));
  std::string text;
  for (const Value& item : items) text += item.ToString();
  return text;
}

Value Items(const Arguments& a) {
  if (Self(a).IsUndefined()) return Value::OfItems({});
  const auto* dict = Self(a).If<Value::Dict>();
  if (dict == nullptr) throw JinjaError(fmt::format("items: found a {}, expected a dict", Self(a).TypeName()));
  std::vector<Value> items;
  for (const auto& [key, value] : (*dict)->items) items.push_back(Value::OfItems({Value(key), value}, /*tuple=*/true));
  return Value::OfItems(std::move(items));
}

// What is sorted by: text without its case, unless the filter is told otherwise.
Value SortKey(const Value& value, bool case_sensitive) {
  const auto* text = value.If<std::string>();
  return text == nullptr || case_sensitive ? value : Value(LowerText(*text));
}

Value SortBy(std::vector<Value> items, bool reverse, const std::function<Value(const Value&)>& key_of) {
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : items) keyed.emplace_back(key_of(item), item);
  const auto before = [&](const auto& x, const auto& y) {
    return reverse ? Less(y.first, x.first) : Less(x.first, y.first);
  };
  std::stable_sort(keyed.begin(), keyed.end(), before);
  for (size_t i = 0; i < items.size(); ++i) items[i] = keyed[i].second;
  return Value::OfItems(std::move(items));
}

Value Sort(const Arguments& a) {
  const bool case_sensitive = IsTrueArgument(a, 2, "case_sensitive");
  const Value* attribute = a.Find(3, "attribute");
  return SortBy(Self(a).Iterate(), IsTrueArgument(a, 1, "reverse"), [&](const Value& item) {
    return SortKey(attribute == nullptr || attribute->IsNone() ? item : GetPath(item, *attribute), case_sensitive);
  });
}

Value DictSort(const Arguments& a) {
  const bool case_sensitive = IsTrueArgument(a, 1, "case_sensitive");
  const std::string* by = StringOf(a.Find(2, "by"), "dictsort");
  const int64_t index = by != nullptr && *by == "value" ? 1 : 0;
  return SortBy(Items({{Self(a)}}).Iterate(), IsTrueArgument(a, 3, "reverse"),
                [&](const Value& item) { return SortKey(GetJinjaItem(item, Value(index)), case_sensitive); });
}

Value Unique(const Arguments& a) {
  const bool case_sensitive = IsTrueArgument(a, 1, "case_sensitive");
  const Value* attribute = a.Find(2, "attribute");
  std::vector<Value> seen, unique;
  for (const Value& item : Self(a).Iterate()) {
    Value key = SortKey(attribute == nullptr ? item : GetPath(item, *attribute), case_sensitive);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
    seen.push_back(std::move(key));
    unique.push_back(item);
  }
  return Value::OfItems(std::move(unique));
}

Value Extreme(const Arguments& a, bool largest) {
  const bool case_sensitive = IsTrueArgument(a, 1, "case_sensitive");
  const Value* attribute = a.Find(2, "attribute");
  const std::vector<Value> items = Self(a).Iterate();
  if (items.empty()) return Value(JinjaUndefined{"the extreme of nothing"});
  const auto key_of = [&](const Value& item) {
    return SortKey(attribute == nullptr ? item : GetPath(item, *attribute), case_sensitive);
  };
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    const Value key = key_of(items[i]), best_key = key_of(items[best]);
    if (largest ? Less(best_key, key) : Less(key, best_key)) best = i;
  }
  return items[best];
}
Value Min(const Arguments& a) { return Extreme(a, false); }
Value Max(const Arguments& a) { return Extreme(a, true); }

Value Sum(const Arguments& a) {
  const Value* attribute = a.Find(1, "attribute");
  int64_t integers = 0;
  double floats = 0;
  bool is_float = false;
  for (const Value& item : Self(a).Iterate()) {
    const Value number = attribute == nullptr || attribute->IsNone() ? item : GetPath(item, *attribute);
    if (!number.IsNumber()) throw JinjaError(fmt::format("sum: found a {}, expected numbers", number.TypeName()));
    is_float = is_float || number.If<double>() != nullptr;
    floats += number.AsDouble();
    if (__builtin_add_overflow(integers, static_cast<int64_t>(number.AsDouble()), &integers))
      throw JinjaError("sum: too large");
  }
  return is_float ? Value(floats) : Value(integers);
}

// map(attribute=..., default=...) or map(filter, its arguments).
Value Map(const Arguments& a) {
  const Value* attribute = a.Find(SIZE_MAX, "attribute");
  const Value* fallback = a.Find(SIZE_MAX, "default");
  std::vector<Value> items;
  if (!Self(a).IsTrue()) return Value::OfItems({});
  for (const Value& item : Self(a).Iterate()) {
    if (attribute != nullptr) {
      const Value value = GetPath(item, *attribute);
      items.push_back(value.IsUndefined() && fallback != nullptr ? *fallback : value);
      continue;
    }
    const std::string* filter = StringOf(a.Find(1, ""), "map");
    if (filter == nullptr) throw JinjaError("map: found no filter, expected one, or an attribute");
    Arguments inner{{item}, a.named};
    inner.values.insert(inner.values.end(), a.values.begin() + 2, a.values.end());
    items.push_back(CallJinjaFilter(*filter, inner));
  }
  return Value::OfItems(std::move(items));
}

// Without a test it is the value's own truth.
Value SelectItems(const Arguments& a, bool by_attribute, bool wanted) {
  const size_t test_at = by_attribute ? 2 : 1;
  if (by_attribute && a.values.size() < 2) throw JinjaError("selectattr: found no attribute, expected one");
  std::vector<Value> items;
  if (!Self(a).IsTrue()) return Value::OfItems({});
  for (const Value& item : Self(a).Iterate()) {
    const Value value = by_attribute ? GetPath(item, a.values[1]) : item;
    bool holds = value.IsTrue();
    if (const std::string* test = StringOf(a.Find(test_at, ""), "select")) {
      Arguments inner{{value}, a.named};
      inner.values.insert(inner.values.end(), a.values.begin() + static_cast<ptrdiff_t>(test_at) + 1, a.values.end());
      holds = CallJinjaTest(*test, inner);
    }
    if (holds == wanted) items.push_back(item);
  }
  return Value::OfItems(std::move(items));
}
Value Select(const Arguments& a) { return SelectItems(a, false, true); }
Value Reject(const Arguments& a) { return SelectItems(a, false, false); }
Value SelectAttr(const Arguments& a) { return SelectItems(a, true, true); }
Value RejectAttr(const Arguments& a) { return SelectItems(a, true, false); }

Value ToJson(const Arguments& a) {
  JsonStyle style;
  const Value* indent = a.Find(2, "indent");
  if (indent != nullptr && !indent->IsNone()) {
    style.indent = static_cast<int>(std::clamp<int64_t>(IntegerOf(indent, 0, "tojson: indent"), 0, 64));
    style.item_separator = ",";
  }
  if (const Value* separators = a.Find(3, "separators"); separators != nullptr && !separators->IsNone()) {
    style.item_separator = GetJinjaItem(*separators, Value(int64_t{0})).ToString();
    style.key_separator = GetJinjaItem(*separators, Value(int64_t{1})).ToString();
  }
  style.ascii = IsTrueArgument(a, 1, "ensure_ascii");
  style.sort_keys = IsTrueArgument(a, 4, "sort_keys");
  return ToJsonText(Self(a), style);
}

Value ToInteger(const Arguments& a) {
  const Value& self = Self(a);
  if (self.IsNumber()) {
    const double number = std::trunc(self.AsDouble());
    if (const auto* integer = self.If<int64_t>()) return *integer;
    if (std::fabs(number) < 9e18) return static_cast<int64_t>(number);
  } else if (const auto* text = self.If<std::string>()) {
    const std::string digits = StripText(*text, nullptr, true, true);
    const size_t begin = digits.starts_with('-') || digits.starts_with('+') ? 1 : 0;
    const bool integer = digits.size() > begin && digits.size() < 18 &&
                         digits.find_first_not_of("0123456789", begin) == std::string::npos;
    if (integer) return static_cast<int64_t>(std::stoll(digits));
    if (const auto number = NumberOfText(digits); number && std::fabs(*number) < 9e18)
      return static_cast<int64_t>(*number);
  }
  const Value* fallback = a.Find(1, "default");
  return fallback == nullptr ? Value(int64_t{0}) : *fallback;
}

Value ToFloat(const Arguments& a) {
  if (Self(a).IsNumber()) return Self(a).AsDouble();
  if (const auto* text = Self(a).If<std::string>()) {
    if (const auto number = NumberOfText(StripText(*text, nullptr, true, true))) return *number;
  }
  const Value* fallback = a.Find(1, "default");
  return fallback == nullptr ? Value(0.0) : *fallback;
}

Value Round(const Arguments& a) {
  if (!Self(a).IsNumber()) throw JinjaError(fmt::format("round: found a {}, expected a number", Self(a).TypeName()));
  const int64_t digits = IntegerOf(a.Find(1, "precision"), 0, "round");
  const std::string* method = StringOf(a.Find(2, "method"), "round");
  const double scale = std::pow(10.0, static_cast<double>(digits)), value = Self(a).AsDouble() * scale;
  if (method != nullptr && *method == "ceil") return std::ceil(value) / scale;
  if (method != nullptr && *method == "floor") return std::floor(value) / scale;
  return std::nearbyint(value) / scale;
}

Value Abs(const Arguments& a) {
  if (const auto* integer = Self(a).If<int64_t>(); integer != nullptr && *integer != INT64_MIN)
    return std::abs(*integer);
  if (Self(a).IsNumber()) return std::fabs(Self(a).AsDouble());
  throw JinjaError(fmt::format("abs: found a {}, expected a number", Self(a).TypeName()));
}

Value Attr(const Arguments& a) {
  const std::string* name = StringOf(a.Find(1, "name"), "attr");
  if (name == nullptr) throw JinjaError("attr: found no name");
  return GetJinjaAttribute(Self(a), *name);
}

Value ToText(const Arguments& a) { return Self(a).ToString(); }
Value Upper(const Arguments& a) { return UpperText(Self(a).ToString()); }
Value Lower(const Arguments& a) { return LowerText(Self(a).ToString()); }
Value Capitalize(const Arguments& a) { return CapitalizedText(Self(a).ToString()); }
Value Title(const Arguments& a) { return TitleText(Self(a).ToString(), "-({[<"); }
Value Trim(const Arguments& a) {
  return StripText(Self(a).ToString(), StringOf(a.Find(1, "chars"), "trim"), true, true);
}
Value Safe(const Arguments& a) { return JinjaMarkup{Self(a).ToString()}; }
Value Escape(const Arguments& a) {
  return Self(a).If<JinjaMarkup>() != nullptr ? Self(a) : Value(JinjaMarkup{HtmlText(Self(a).ToString())});
}

Value Replace(const Arguments& a) {
  const Value *old = a.Find(1, "old"), *fresh = a.Find(2, "new");
  if (old == nullptr || fresh == nullptr) throw JinjaError("replace: found fewer than two texts");
  return ReplacedText(Self(a).ToString(), old->ToString(), fresh->ToString(),
                      IntegerOf(a.Find(3, "count"), -1, "replace"));
}

Value Indent(const Arguments& a) {
  const Value* width = a.Find(1, "width");
  const auto* text = width == nullptr ? nullptr : width->If<std::string>();
  const int64_t spaces = text != nullptr ? 0 : std::clamp<int64_t>(IntegerOf(width, 4, "indent"), 0, 1000);
  const std::string indention = text != nullptr ? *text : std::string(static_cast<size_t>(spaces), ' ');
  return IndentedText(Self(a).ToString(), indention, IsTrueArgument(a, 2, "first"), IsTrueArgument(a, 3, "blank"));
}

Value Format(const Arguments& a) { return FormatByPercent(Self(a).ToString(), {a.values.begin() + 1, a.values.end()}); }

struct FilterRow {
  std::string_view name;
  Value (*call)(const Arguments&);
};
constexpr FilterRow kFilters[] = {{"abs", Abs},
                                  {"attr", Attr},
                                  {"capitalize", Capitalize},
                                  {"count", Length},
                                  {"d", Default},
                                  {"default", Default},
                                  {"dictsort", DictSort},
                                  {"e", Escape},
                                  {"escape", Escape},
                                  {"first", FirstOf},
                                  {"float", ToFloat},
                                  {"format", Format},
                                  {"indent", Indent},
                                  {"int", ToInteger},
                                  {"items", Items},
                                  {"join", Join},
                                  {"last", LastOf},
                                  {"length", Length},
                                  {"list", ListOf},
                                  {"lower", Lower},
                                  {"map", Map},
                                  {"max", Max},
                                  {"min", Min},
                                  {"reject", Reject},
                                  {"rejectattr", RejectAttr},
                                  {"replace", Replace},
                                  {"reverse", Reverse},
                                  {"round", Round},
                                  {"safe", Safe},
                                  {"select", Select},
                                  {"selectattr", SelectAttr},
                                  {"sort", Sort},
                                  {"string", ToText},
                                  {"sum", Sum},
                                  {"title", Title},
                                  {"tojson", ToJson},
                                  {"trim", Trim},
                                  {"unique", Unique},
                                  {"upper", Upper}};

bool IsInteger(const Value& value) { return value.If<int64_t>() != nullptr; }
int64_t ModuloOf(const Value& value, int64_t by) {
  if (!IsInteger(value) || by == 0) throw JinjaError("a test of divisibility needs integers, and not 0");
  return by == -1 ? 0 : *value.If<int64_t>() % by;
}
bool IsCased(const Value& value, std::string (*change)(std::string_view)) {
  const std::string text = value.ToString();
  return change(text) == text && (LowerText(text) != text || UpperText(text) != text);
}

struct TestRow {
  std::string_view name;
  size_t n_arguments;
  bool (*holds)(const Value& value, const Value& other);
};
constexpr TestRow kTests[] = {
    {"boolean", 0, [](const Value& v, const Value&) { return v.If<bool>() != nullptr; }},
    {"callable", 0, [](const Value& v, const Value&) { return v.If<Value::Function>() != nullptr; }},
    {"defined", 0, [](const Value& v, const Value&) { return !v.IsUndefined(); }},
    {"undefined", 0, [](const Value& v, const Value&) { return v.IsUndefined(); }},
    {"none", 0, [](const Value& v, const Value&) { return v.IsNone(); }},
    {"true", 0, [](const Value& v, const Value&) { return v.If<bool>() != nullptr && *v.If<bool>(); }},
    {"false", 0, [](const Value& v, const Value&) { return v.If<bool>() != nullptr && !*v.If<bool>(); }},
    {"string", 0, [](const Value& v, const Value&) { return v.If<std::string>() != nullptr; }},
    {"number", 0, [](const Value& v, const Value&) { return v.IsNumber(); }},
    {"integer", 0, [](const Value& v, const Value&) { return IsInteger(v); }},
    {"float", 0, [](const Value& v, const Value&) { return v.If<double>() != nullptr; }},
    {"mapping", 0, [](const Value& v, const Value&) { return v.TypeName() == "dict"; }},
    // A missing value has a length and can be looped over.
    {"iterable", 0,
     [](const Value& v, const Value&) {
       return v.IsUndefined() || v.If<std::string>() != nullptr || v.If<Value::List>() != nullptr ||
              v.TypeName() == "dict";
     }},
    {"sequence", 0,
     [](const Value& v, const Value&) {
       return v.IsUndefined() || v.If<std::string>() != nullptr || v.If<Value::List>() != nullptr ||
              v.TypeName() == "dict";
     }},
    {"even", 0, [](const Value& v, const Value&) { return ModuloOf(v, 2) == 0; }},
    {"odd", 0, [](const Value& v, const Value&) { return ModuloOf(v, 2) != 0; }},
    {"lower", 0, [](const Value& v, const Value&) { return IsCased(v, LowerText); }},
    {"upper", 0, [](const Value& v, const Value&) { return IsCased(v, UpperText); }},
    {"divisibleby", 1,
     [](const Value& v, const Value& o) { return ModuloOf(v, IntegerOf(&o, 0, "divisibleby")) == 0; }},
    {"in", 1, [](const Value& v, const Value& o) { return Contains(o, v); }},
    {"eq", 1, [](const Value& v, const Value& o) { return v == o; }},
    {"equalto", 1, [](const Value& v, const Value& o) { return v == o; }},
    {"==", 1, [](const Value& v, const Value& o) { return v == o; }},
    {"ne", 1, [](const Value& v, const Value& o) { return !(v == o); }},
    {"!=", 1, [](const Value& v, const Value& o) { return !(v == o); }},
    {"lt", 1, [](const Value& v, const Value& o) { return Less(v, o); }},
    {"gt", 1, [](const Value& v, const Value& o) { return Less(o, v); }},
    {"le", 1, [](const Value& v, const Value& o) { return !Less(o, v); }},
    {"ge", 1, [](const Value& v, const Value& o) { return !Less(v, o); }},
};

}  // namespace

void CheckJinjaSize(size_t size) {
  if (size > kLargestJinjaValue) throw JinjaError(fmt::format("a value of more than {} bytes", kLargestJinjaValue));
}

JinjaValue CallJinjaFilter(const std::string& name, const JinjaArguments& arguments) {
  const auto* row =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const auto& r) { return r.name == name; });
  if (row == std::end(kFilters)) throw JinjaError(fmt::format("the filter {:?} is not supported", name));
  const bool keeps_markup = name == "safe" || name == "e" || name == "escape" || name == "d" || name == "default";
  if (arguments.values.at(0).If<JinjaMarkup>() != nullptr && !keeps_markup) {
    throw JinjaError(fmt::format("the filter {:?} behind safe or escape is not supported", name));
  }
  return row->call(arguments);
}

bool CallJinjaTest(const std::string& name, const JinjaArguments& arguments) {
  const auto* row = std::find_if(std::begin(kTests), std::end(kTests), [&](const auto& r) { return r.name == name; });
  if (row == std::end(kTests)) throw JinjaError(fmt::format("the test {:?} is not supported", name));
  if (arguments.values.size() != row->n_arguments + 1 || !arguments.named.empty()) {
    throw JinjaError(fmt::format("the test {:?} takes {} arguments", name, row->n_arguments));
  }
  return row->holds(arguments.values[0], arguments.values.back());
}

JinjaValue GetJinjaItem(const JinjaValue& value, const JinjaValue& index) {
  if (const auto* undefined = value.If<JinjaUndefined>())
    throw JinjaError(fmt::format("{} is undefined", undefined->name));
  if (const auto* dict = value.If<Value::Dict>(); dict != nullptr && index.If<std::string>() != nullptr) {
    if (const Value* found = (*dict)->Find(*index.If<std::string>())) return *found;
  }
  if (const auto* place = index.If<int64_t>()) {
    const bool ordered = value.If<Value::List>() != nullptr || value.If<std::string>() != nullptr;
    const std::vector<Value> items = ordered ? value.Iterate() : std::vector<Value>();
    const auto size = static_cast<int64_t>(items.size());
    const int64_t at = *place < 0 ? *place + size : *place;
    if (at >= 0 && at < size) return items[static_cast<size_t>(at)];
  }
  // Jinja looks for an attribute of that name then, and a method is one.
  if (const auto* name = index.If<std::string>(); name != nullptr && HasJinjaMethod(value, *name)) {
    return GetJinjaAttribute(value, *name);
  }
  return JinjaUndefined{fmt::format("{} of a {}", index.Repr(), value.TypeName())};
}

JinjaValue GetJinjaAttribute(const JinjaValue& value, const std::string& name) {
  if (const auto* undefined = value.If<JinjaUndefined>())
    throw JinjaError(fmt::format("{} is undefined", undefined->name));
  if (HasJinjaMethod(value, name)) {
    return std::make_shared<const JinjaFunction>([value, name](const Arguments& arguments) {
      Arguments with_self = arguments;
      with_self.values.insert(with_self.values.begin(), value);
      return *CallJinjaMethod(name, with_self);
    });
  }
  if (const auto* dict = value.If<Value::Dict>()) {
    if (const Value* found = (*dict)->Find(name)) return *found;
  }
  return JinjaUndefined{fmt::format("'{}' of a {}", name, value.TypeName())};
}

int64_t IntegerOf(const JinjaValue* argument, int64_t fallback, std::string_view what) {
  if (argument == nullptr || argument->IsNone()) return fallback;
  if (const auto* integer = argument->If<int64_t>()) return *integer;
  if (const auto* boolean = argument->If<bool>()) return *boolean ? 1 : 0;
  throw JinjaError(fmt::format("{}: found a {}, expected an integer", what, argument->TypeName()));
}

}  // namespace bitnet
