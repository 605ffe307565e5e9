#include "engine/tokenizer/jinja_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/tokenizer/unicode_classes.h"
#include "engine/tokenizer/utf8.h"

namespace bitnet {
namespace {

constexpr int kDeepest = 100;
constexpr size_t kLargest = size_t{1} << 24;

// The shortest text that reads back as the same number, as repr() of a float.
std::string FloatText(double value) {
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (std::isnan(value)) return "nan";
  const double size = std::fabs(value);
  if (size != 0 && (size >= 1e16 || size < 1e-4)) {
    std::string text = fmt::format("{:e}", value);
    for (int digits = 0; digits < 18; ++digits) {
      text = fmt::format("{:.{}e}", value, digits);
      if (std::strtod(text.c_str(), nullptr) == value) break;
    }
    return text;
  }
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string QuotedText(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos,
             has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string quoted(1, quote);
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint32_t c = NextCodePoint(text, &position);
    const UnicodeClass kind = ClassOf(std::min<uint32_t>(c, 0x10FFFF));
    const bool hidden =
        kind == UnicodeClass::kControl || kind == UnicodeClass::kOther || (kind == UnicodeClass::kSpace && c != ' ');
    if (c == static_cast<uint32_t>(quote) || c == '\\') {
      quoted += {'\\', static_cast<char>(c)};
    } else if (c == '\n' || c == '\r' || c == '\t') {
      quoted += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (hidden) {
      quoted += c < 0x100     ? fmt::format("\\x{:02x}", c)
                : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                              : fmt::format("\\U{:08x}", c);
    } else {
      quoted += text.substr(begin, position - begin);
    }
  }
  return quoted + quote;
}

std::string JsonText(std::string_view text, bool ascii) {
  return nlohmann::json(text).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void Write(const JinjaValue& value, int depth) {
    if (depth > kDeepest || text.size() > kLargest) throw JinjaError("tojson: a value that is too large");
    if (const auto* list = value.If<JinjaValue::List>()) {
      Write("[", "]", (*list)->items.size(), depth, [&](size_t i) { Write((*list)->items[i], depth + 1); });
    } else if (const auto* dict = value.If<JinjaValue::Dict>()) {
      auto items = (*dict)->items;
      if (style_.sort_keys)
        std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      Write("{", "}", items.size(), depth, [&](size_t i) {
        text += JsonText(items[i].first, style_.ascii) + style_.key_separator;
        Write(items[i].second, depth + 1);
      });
    } else if (const auto* string = value.If<std::string>()) {
      text += JsonText(*string, style_.ascii);
    } else if (value.IsNone()) {
      text += "null";
    } else if (const auto* boolean = value.If<bool>()) {
      text += *boolean ? "true" : "false";
    } else if (value.IsNumber()) {
      text += value.ToString();
    } else {
      throw JinjaError(fmt::format("tojson: {} has no JSON", value.TypeName()));
    }
  }

  std::string text;

 private:
  template <typename WriteItem>
  void Write(std::string_view open, std::string_view close, size_t n, int depth, const WriteItem& write) {
    const auto line = [&](int level) {
      if (style_.indent.has_value() && n > 0)
        text += "\n" + std::string(static_cast<size_t>(*style_.indent * level), ' ');
    };
    text += open;
    for (size_t i = 0; i < n; ++i) {
      if (i > 0) text += style_.item_separator;
      line(depth + 1);
      write(i);
    }
    line(depth);
    text += close;
  }

  const JsonStyle& style_;
};

}  // namespace

const JinjaValue* JinjaDict::Find(std::string_view key) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
  return found == items.end() ? nullptr : &found->second;
}

void JinjaDict::Set(std::string_view key, JinjaValue value) {
  for (auto& [name, old] : items) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  items.emplace_back(key, std::move(value));
}

JinjaValue JinjaValue::OfItems(std::vector<JinjaValue> items, bool tuple) {
  return JinjaValue(std::make_shared<JinjaList>(JinjaList{std::move(items), tuple}));
}

JinjaValue JinjaValue::FromJson(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    std::vector<JinjaValue> items;
    for (const auto& item : json) items.push_back(FromJson(item));
    return OfItems(std::move(items));
  }
  if (!json.is_object()) return {};
  auto dict = std::make_shared<JinjaDict>();
  for (const auto& [key, value] : json.items()) dict->items.emplace_back(key, FromJson(value));
  return JinjaValue(std::move(dict));
}

double JinjaValue::AsDouble() const {
  if (const auto* boolean = If<bool>()) return *boolean ? 1 : 0;
  if (const auto* integer = If<int64_t>()) return static_cast<double>(*integer);
  return *If<double>();
}

bool JinjaValue::IsTrue() const {
  if (IsNone() || IsUndefined()) return false;
  if (IsNumber()) return AsDouble() != 0;
  if (const auto* text = If<std::string>()) return !text->empty();
  if (const auto* markup = If<JinjaMarkup>()) return !markup->text.empty();
  if (const auto* list = If<List>()) return !(*list)->items.empty();
  if (const auto* dict = If<Dict>()) return (*dict)->is_namespace || !(*dict)->items.empty();
  return true;
}

std::string_view JinjaValue::TypeName() const {
  if (If<std::string>() != nullptr) return "str";
  if (If<JinjaMarkup>() != nullptr) return "Markup";
  if (If<bool>() != nullptr) return "bool";
  if (If<int64_t>() != nullptr) return "int";
  if (If<double>() != nullptr) return "float";
  if (const auto* list = If<List>()) return (*list)->tuple ? "tuple" : "list";
  if (const auto* dict = If<Dict>()) return (*dict)->is_namespace ? "namespace" : "dict";
  if (If<Function>() != nullptr) return "function";
  return IsNone() ? "None" : "undefined";
}

std::string JinjaValue::ToString() const {
  if (const auto* text = If<std::string>()) return *text;
  if (const auto* markup = If<JinjaMarkup>()) return markup->text;
  if (IsUndefined()) return "";
  return Repr();
}

std::string JinjaValue::Repr() const {
  std::string text;
  AppendRepr(0, &text);
  return text;
}

void JinjaValue::AppendRepr(int depth, std::string* out) const {
  if (depth > kDeepest || out->size() > kLargest) throw JinjaError("the text of a value that is too large");
  const auto append_all = [&](const auto& items, const auto& append) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) *out += ", ";
      append(items[i]);
    }
  };
  if (const auto* text = If<std::string>()) {
    *out += QuotedText(*text);
  } else if (IsNone()) {
    *out += "None";
  } else if (IsUndefined()) {
    *out += "Undefined";
  } else if (const auto* boolean = If<bool>()) {
    *out += *boolean ? "True" : "False";
  } else if (const auto* integer = If<int64_t>()) {
    *out += fmt::format("{}", *integer);
  } else if (const auto* number = If<double>()) {
    *out += FloatText(*number);
  } else if (const auto* list = If<List>()) {
    *out += (*list)->tuple ? "(" : "[";
    append_all((*list)->items, [&](const JinjaValue& item) { item.AppendRepr(depth + 1, out); });
    if ((*list)->tuple) *out += (*list)->items.size() == 1 ? ",)" : ")";
    if (!(*list)->tuple) *out += "]";
  } else if (const auto* dict = If<Dict>(); dict != nullptr && !(*dict)->is_namespace) {
    *out += "{";
    append_all((*dict)->items, [&](const auto& item) {
      *out += QuotedText(item.first) + ": ";
      item.second.AppendRepr(depth + 1, out);
    });
    *out += "}";
  } else {
    throw JinjaError(fmt::format("a {} as text is not supported", TypeName()));
  }
}

std::vector<JinjaValue> JinjaValue::Iterate() const {
  if (const auto* list = If<List>()) return (*list)->items;
  std::vector<JinjaValue> items;
  if (IsUndefined()) return items;
  if (const auto* text = If<std::string>()) {
    const std::vector<size_t> offsets = CharacterOffsets(*text);
    for (size_t i = 0; i + 1 < offsets.size(); ++i)
      items.emplace_back(text->substr(offsets[i], offsets[i + 1] - offsets[i]));
    return items;
  }
  if (const auto* dict = If<Dict>(); dict != nullptr && !(*dict)->is_namespace) {
    for (const auto& item : (*dict)->items) items.emplace_back(item.first);
    return items;
  }
  throw JinjaError(fmt::format("'{}' object is not iterable", TypeName()));
}

const JinjaValue* JinjaArguments::Find(size_t index, std::string_view name) const {
  if (index < values.size()) return &values[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

namespace {

// Values that share parts of each other can be larger than what they are made of.
bool Equal(const JinjaValue& a, const JinjaValue& b, int* budget) {
  for (const auto* side : {&a, &b}) {
    if (side->If<JinjaMarkup>() != nullptr) throw JinjaError("a comparison of what is safe is not supported");
  }
  if (--*budget < 0) throw JinjaError("a comparison of values that are too large");
  if (a.IsNumber() && b.IsNumber()) {
    const auto *x = a.If<int64_t>(), *y = b.If<int64_t>();
    return x != nullptr && y != nullptr ? *x == *y : a.AsDouble() == b.AsDouble();
  }
  if (const auto* text = a.If<std::string>()) return b.If<std::string>() != nullptr && *text == *b.If<std::string>();
  if (const auto* list = a.If<JinjaValue::List>()) {
    const auto* other = b.If<JinjaValue::List>();
    if (other == nullptr || (*list)->tuple != (*other)->tuple) return false;
    const auto &x = (*list)->items, &y = (*other)->items;
    return *list == *other || std::equal(x.begin(), x.end(), y.begin(), y.end(),
                                         [&](const auto& i, const auto& k) { return Equal(i, k, budget); });
  }
  if (const auto* dict = a.If<JinjaValue::Dict>()) {
    const auto* other = b.If<JinjaValue::Dict>();
    if (other == nullptr || (*dict)->is_namespace || (*other)->is_namespace) return other != nullptr && *dict == *other;
    if ((*dict)->items.size() != (*other)->items.size()) return false;
    return std::all_of((*dict)->items.begin(), (*dict)->items.end(), [&](const auto& item) {
      const JinjaValue* value = (*other)->Find(item.first);
      return value != nullptr && Equal(*value, item.second, budget);
    });
  }
  if (a.If<JinjaValue::Function>() != nullptr) {
    return b.If<JinjaValue::Function>() != nullptr && *a.If<JinjaValue::Function>() == *b.If<JinjaValue::Function>();
  }
  return (a.IsNone() && b.IsNone()) || (a.IsUndefined() && b.IsUndefined());
}

}  // namespace

bool operator==(const JinjaValue& a, const JinjaValue& b) {
  int budget = 1'000'000;
  return Equal(a, b, &budget);
}

bool Less(const JinjaValue& a, const JinjaValue& b) {
  if (a.IsNumber() && b.IsNumber()) {
    const auto *x = a.If<int64_t>(), *y = b.If<int64_t>();
    return x != nullptr && y != nullptr ? *x < *y : a.AsDouble() < b.AsDouble();
  }
  if (a.If<std::string>() != nullptr && b.If<std::string>() != nullptr)
    return *a.If<std::string>() < *b.If<std::string>();
  const auto *list = a.If<JinjaValue::List>(), *other = b.If<JinjaValue::List>();
  if (list != nullptr && other != nullptr && (*list)->tuple == (*other)->tuple) {
    const auto &x = (*list)->items, &y = (*other)->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!(x[i] == y[i])) return Less(x[i], y[i]);
    }
    return x.size() < y.size();
  }
  throw JinjaError(fmt::format("'{}' and '{}' have no order", a.TypeName(), b.TypeName()));
}

bool Contains(const JinjaValue& container, const JinjaValue& item) {
  if (const auto* text = container.If<std::string>()) {
    const auto* part = item.If<std::string>();
    if (part == nullptr) throw JinjaError(fmt::format("'in <str>' needs a str, not a {}", item.TypeName()));
    return text->find(*part) != std::string::npos;
  }
  const std::vector<JinjaValue> items = container.Iterate();
  return std::find(items.begin(), items.end(), item) != items.end();
}

std::string ToJsonText(const JinjaValue& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.Write(value, 0);
  return std::move(writer.text);
}

std::vector<size_t> CharacterOffsets(std::string_view text) {
  std::vector<size_t> offsets = {0};
  for (size_t position = 0; position < text.size();) {
    NextCodePoint(text, &position);
    offsets.push_back(position);
  }
  return offsets;
}

bool IsPythonSpace(uint32_t c) { return (c >= 0x1C && c <= 0x1F) || (c <= 0x10FFFF && IsSpace(c)); }

std::string StripText(std::string_view text, const std::string* characters, bool left, bool right) {
  const std::vector<size_t> offsets = CharacterOffsets(text);
  const auto goes = [&](size_t i) {
    size_t begin = offsets[i];
    const std::string_view character = text.substr(begin, offsets[i + 1] - begin);
    if (characters != nullptr) return characters->find(character) != std::string::npos;
    return IsPythonSpace(NextCodePoint(text, &begin));
  };
  size_t begin = 0, end = offsets.size() - 1;
  while (left && begin < end && goes(begin)) ++begin;
  while (right && end > begin && goes(end - 1)) --end;
  return std::string(text.substr(offsets[begin], offsets[end] - offsets[begin]));
}

}  // namespace bitnet
