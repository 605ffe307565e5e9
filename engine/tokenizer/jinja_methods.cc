// The methods of strings, lists and dictionaries. Those that change a list or a dictionary are refused, as in the
// sandbox in which chat templates run.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/tokenizer/jinja_library.h"
#include "engine/tokenizer/jinja_text.h"
#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

using Value = JinjaValue;
using Arguments = JinjaArguments;

const std::string& Text(const Arguments& a) { return *a.values.at(0).If<std::string>(); }

const std::string& TextArgument(const Arguments& a, size_t index, std::string_view name) {
  const Value* value = a.Find(index, name);
  if (value != nullptr && value->If<std::string>() != nullptr) return *value->If<std::string>();
  throw JinjaError(
      fmt::format("a method of a str: found a {}, expected a str", value == nullptr ? "missing" : value->TypeName()));
}

const std::string* OptionalText(const Arguments& a, size_t index, std::string_view name) {
  const Value* value = a.Find(index, name);
  return value == nullptr || value->IsNone() ? nullptr : &TextArgument(a, index, name);
}

Value ListOfTexts(const std::vector<std::string>& texts) {
  std::vector<Value> items;
  for (const std::string& text : texts) items.emplace_back(text);
  return Value::OfItems(std::move(items));
}

Value StripMethod(const Arguments& a) { return StripText(Text(a), OptionalText(a, 1, ""), true, true); }
Value LeftStripMethod(const Arguments& a) { return StripText(Text(a), OptionalText(a, 1, ""), true, false); }
Value RightStripMethod(const Arguments& a) { return StripText(Text(a), OptionalText(a, 1, ""), false, true); }

Value SplitMethod(const Arguments& a, bool from_right) {
  const std::string* separator = OptionalText(a, 1, "sep");
  const auto by = separator == nullptr ? std::nullopt : std::optional<std::string_view>(*separator);
  return ListOfTexts(SplitText(Text(a), by, IntegerOf(a.Find(2, "maxsplit"), -1, "split"), from_right));
}
Value LeftSplitMethod(const Arguments& a) { return SplitMethod(a, false); }
Value RightSplitMethod(const Arguments& a) { return SplitMethod(a, true); }
Value SplitLinesMethod(const Arguments& a) {
  const Value* keep = a.Find(1, "keepends");
  return ListOfTexts(LinesOf(Text(a), keep != nullptr && keep->IsTrue()));
}

// One text, or any of a tuple.
bool HasAffix(const Arguments& a, bool at_end) {
  const Value* affix = a.Find(1, "");
  const auto* list = affix == nullptr ? nullptr : affix->If<Value::List>();
  const std::vector<Value> affixes = list != nullptr ? (*list)->items : std::vector<Value>{TextArgument(a, 1, "")};
  return std::any_of(affixes.begin(), affixes.end(), [&](const Value& item) {
    const auto* text = item.If<std::string>();
    if (text == nullptr)
      throw JinjaError(fmt::format("startswith, endswith: found a {}, expected a str", item.TypeName()));
    return at_end ? Text(a).ends_with(*text) : Text(a).starts_with(*text);
  });
}
Value StartsWithMethod(const Arguments& a) { return HasAffix(a, false); }
Value EndsWithMethod(const Arguments& a) { return HasAffix(a, true); }

Value RemovePrefixMethod(const Arguments& a) {
  const std::string& prefix = TextArgument(a, 1, "");
  return Text(a).starts_with(prefix) ? Text(a).substr(prefix.size()) : Text(a);
}
Value RemoveSuffixMethod(const Arguments& a) {
  const std::string& suffix = TextArgument(a, 1, "");
  return Text(a).ends_with(suffix) ? Text(a).substr(0, Text(a).size() - suffix.size()) : Text(a);
}

Value UpperMethod(const Arguments& a) { return UpperText(Text(a)); }
Value LowerMethod(const Arguments& a) { return LowerText(Text(a)); }
Value CapitalizeMethod(const Arguments& a) { return CapitalizedText(Text(a)); }
Value TitleMethod(const Arguments& a) {
  std::string title;
  bool in_word = false;
  for (size_t position = 0; position < Text(a).size();) {
    const size_t begin = position;
    const uint32_t c = NextCodePoint(Text(a), &position);
    const std::string character = Text(a).substr(begin, position - begin);
    title += in_word ? LowerText(character) : UpperText(character);
    in_word = c <= 0x10FFFF && ClassOf(c) == UnicodeClass::kLetter;
  }
  return title;
}

Value ReplaceMethod(const Arguments& a) {
  return ReplacedText(Text(a), TextArgument(a, 1, "old"), TextArgument(a, 2, "new"),
                      IntegerOf(a.Find(3, "count"), -1, "replace"));
}

Value JoinMethod(const Arguments& a) {
  const Value* list = a.Find(1, "");
  std::string text;
  bool first = true;
  for (const Value& item : list == nullptr ? std::vector<Value>() : list->Iterate()) {
    if (item.If<std::string>() == nullptr)
      throw JinjaError(fmt::format("join: found a {}, expected texts", item.TypeName()));
    if (!first) text += Text(a);
    text += *item.If<std::string>();
    first = false;
    CheckJinjaSize(text.size());
  }
  return text;
}

// In characters; -1 where it is not found.
Value FindMethod(const Arguments& a) {
  const size_t found = Text(a).find(TextArgument(a, 1, ""));
  if (found == std::string::npos) return int64_t{-1};
  return Value::OfSize(CharacterOffsets(std::string_view(Text(a)).substr(0, found)).size() - 1);
}

Value CountMethod(const Arguments& a) {
  const std::string& part = TextArgument(a, 1, "");
  if (part.empty()) return Value::OfSize(CharacterOffsets(Text(a)).size());
  int64_t count = 0;
  for (size_t at = Text(a).find(part); at != std::string::npos; at = Text(a).find(part, at + part.size())) ++count;
  return count;
}

template <UnicodeClass kind>
Value IsAllMethod(const Arguments& a) {
  for (size_t position = 0; position < Text(a).size();) {
    const uint32_t c = NextCodePoint(Text(a), &position);
    if (c > 0x10FFFF || ClassOf(c) != kind) return false;
  }
  return !Text(a).empty();
}

// "{}", "{0}" and "{name}", without formats.
Value FormatMethod(const Arguments& a) {
  const std::string& text = Text(a);
  std::string result;
  size_t next = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool doubled = i + 1 < text.size() && text[i + 1] == text[i];
    if (text[i] != '{' && text[i] != '}') {
      result += text[i];
    } else if (doubled) {
      result += text[i++];
    } else {
      const size_t end = text.find('}', i);
      if (text[i] == '}' || end == std::string::npos) throw JinjaError("format: a single brace");
      const std::string field = text.substr(i + 1, end - i - 1);
      const bool number =
          !field.empty() && field.size() < 6 && field.find_first_not_of("0123456789") == std::string::npos;
      if (field.find_first_of(":!.[{") != std::string::npos) {
        throw JinjaError(fmt::format("format: {{{}}} is not supported", field));
      }
      const Value* value = field.empty() ? a.Find(next++, "")
                           : number      ? a.Find(static_cast<size_t>(std::stol(field)) + 1, "")
                                         : a.Find(SIZE_MAX, field);
      if (value == nullptr) throw JinjaError(fmt::format("format: nothing for {{{}}}", field));
      result += value->ToString();
      i = end;
    }
    CheckJinjaSize(result.size());
  }
  return result;
}

struct MethodRow {
  std::string_view name;
  Value (*call)(const Arguments&);
};
constexpr MethodRow kTextMethods[] = {{"capitalize", CapitalizeMethod},
                                      {"count", CountMethod},
                                      {"endswith", EndsWithMethod},
                                      {"find", FindMethod},
                                      {"format", FormatMethod},
                                      {"isalpha", IsAllMethod<UnicodeClass::kLetter>},
                                      {"isspace", IsAllMethod<UnicodeClass::kSpace>},
                                      {"join", JoinMethod},
                                      {"lower", LowerMethod},
                                      {"lstrip", LeftStripMethod},
                                      {"removeprefix", RemovePrefixMethod},
                                      {"removesuffix", RemoveSuffixMethod},
                                      {"replace", ReplaceMethod},
                                      {"rsplit", RightSplitMethod},
                                      {"rstrip", RightStripMethod},
                                      {"split", LeftSplitMethod},
                                      {"splitlines", SplitLinesMethod},
                                      {"startswith", StartsWithMethod},
                                      {"strip", StripMethod},
                                      {"title", TitleMethod},
                                      {"upper", UpperMethod}};

const JinjaDict& DictOf(const Arguments& a) { return **a.values.at(0).If<Value::Dict>(); }

Value GetMethod(const Arguments& a) {
  const Value *key = a.Find(1, ""), *fallback = a.Find(2, "");
  const auto* text = key == nullptr ? nullptr : key->If<std::string>();
  const Value* found = text == nullptr ? nullptr : DictOf(a).Find(*text);
  return found != nullptr ? *found : fallback != nullptr ? *fallback : Value();
}
Value KeysMethod(const Arguments& a) { return Value::OfItems(a.values[0].Iterate()); }
Value ValuesMethod(const Arguments& a) {
  std::vector<Value> values;
  for (const auto& item : DictOf(a).items) values.push_back(item.second);
  return Value::OfItems(std::move(values));
}
Value ItemsMethod(const Arguments& a) { return CallJinjaFilter("items", {{a.values[0]}}); }
Value CopyMethod(const Arguments& a) { return std::make_shared<JinjaDict>(DictOf(a)); }

constexpr MethodRow kDictMethods[] = {
    {"copy", CopyMethod}, {"get", GetMethod}, {"items", ItemsMethod}, {"keys", KeysMethod}, {"values", ValuesMethod}};

Value ListCountMethod(const Arguments& a) {
  const auto& items = (*a.values[0].If<Value::List>())->items;
  const Value* wanted = a.Find(1, "");
  return wanted == nullptr ? int64_t{0} : static_cast<int64_t>(std::count(items.begin(), items.end(), *wanted));
}
Value ListIndexMethod(const Arguments& a) {
  const auto& items = (*a.values[0].If<Value::List>())->items;
  const Value* wanted = a.Find(1, "");
  const auto found = wanted == nullptr ? items.end() : std::find(items.begin(), items.end(), *wanted);
  if (found == items.end()) throw JinjaError("index: the list has no such item");
  return static_cast<int64_t>(found - items.begin());
}

constexpr MethodRow kListMethods[] = {{"count", ListCountMethod}, {"index", ListIndexMethod}};

const MethodRow* FindMethodRow(const Value& value, std::string_view name) {
  const auto find = [&](const auto& rows) -> const MethodRow* {
    const auto row = std::find_if(std::begin(rows), std::end(rows), [&](const MethodRow& r) { return r.name == name; });
    return row == std::end(rows) ? nullptr : &*row;
  };
  if (value.If<std::string>() != nullptr) return find(kTextMethods);
  if (value.If<Value::List>() != nullptr) return find(kListMethods);
  return value.TypeName() == "dict" ? find(kDictMethods) : nullptr;
}

}  // namespace

bool HasJinjaMethod(const JinjaValue& value, std::string_view name) { return FindMethodRow(value, name) != nullptr; }

std::optional<JinjaValue> CallJinjaMethod(std::string_view name, const JinjaArguments& arguments) {
  const MethodRow* row = FindMethodRow(arguments.values.at(0), name);
  if (row == nullptr) return std::nullopt;
  return row->call(arguments);
}

std::string FormatByPercent(const std::string& format, const std::vector<JinjaValue>& values) {
  std::string text;
  size_t used = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      text += format[i];
      continue;
    }
    const char kind = ++i < format.size() ? format[i] : ' ';
    if (kind == '%') {
      text += '%';
      continue;
    }
    if (kind != 's' && kind != 'd') throw JinjaError(fmt::format("the format %{} is not supported", kind));
    if (used >= values.size()) throw JinjaError("fewer values than the format has places");
    const Value& value = values[used++];
    if (kind == 'd' && value.If<int64_t>() == nullptr) throw JinjaError("%d needs an integer");
    text += value.ToString();
    CheckJinjaSize(text.size());
  }
  if (used < values.size()) throw JinjaError("more values than the format has places");
  return text;
}

}  // namespace bitnet
