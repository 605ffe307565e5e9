// The values of a Jinja template, as Python has them.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_VALUE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_VALUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bitnet {

// What is wrong with a template, or what it does that is not supported. `what()` has no file in it.
class JinjaError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class JinjaValue;
struct JinjaArguments;
using JinjaFunction = std::function<JinjaValue(const JinjaArguments&)>;

struct JinjaUndefined {
  std::string name;  // of what is missing, for messages
};
// Text that `safe` and `escape` give: text that is added to it is escaped.
struct JinjaMarkup {
  std::string text;
};
struct JinjaList {
  std::vector<JinjaValue> items;
  bool tuple = false;
};
// Keys are strings, in the order in which they came.
struct JinjaDict {
  std::vector<std::pair<std::string, JinjaValue>> items;
  bool is_namespace = false;  // its attributes can be set, and it has no methods

  const JinjaValue* Find(std::string_view key) const;
  void Set(std::string_view key, JinjaValue value);
};

class JinjaValue {
 public:
  using List = std::shared_ptr<JinjaList>;
  using Dict = std::shared_ptr<JinjaDict>;
  using Function = std::shared_ptr<const JinjaFunction>;

  JinjaValue() : value_(nullptr) {}  // None
  JinjaValue(bool value) : value_(value) {}
  JinjaValue(int64_t value) : value_(value) {}
  JinjaValue(double value) : value_(value) {}
  JinjaValue(std::string value) : value_(std::move(value)) {}
  JinjaValue(std::string_view value) : value_(std::string(value)) {}
  JinjaValue(const char* value) : value_(std::string(value)) {}
  JinjaValue(JinjaUndefined value) : value_(std::move(value)) {}
  JinjaValue(JinjaMarkup value) : value_(std::move(value)) {}
  JinjaValue(List value) : value_(std::move(value)) {}
  JinjaValue(Dict value) : value_(std::move(value)) {}
  JinjaValue(Function value) : value_(std::move(value)) {}
  static JinjaValue OfSize(size_t value) { return JinjaValue(static_cast<int64_t>(value)); }
  static JinjaValue OfItems(std::vector<JinjaValue> items, bool tuple = false);
  static JinjaValue FromJson(const nlohmann::ordered_json& json);

  template <typename T>
  const T* If() const {
    return std::get_if<T>(&value_);
  }
  bool IsNone() const { return If<std::nullptr_t>() != nullptr; }
  bool IsUndefined() const { return If<JinjaUndefined>() != nullptr; }
  bool IsNumber() const { return If<int64_t>() != nullptr || If<double>() != nullptr || If<bool>() != nullptr; }
  double AsDouble() const;  // of a number

  bool IsTrue() const;
  // "str", "int", "dict", ... for messages.
  std::string_view TypeName() const;
  // Python's str() and repr().
  std::string ToString() const;
  std::string Repr() const;
  // What a loop over it gives: the elements of a list, the keys of a dictionary, the characters of a string. Throws for
  // what has none.
  std::vector<JinjaValue> Iterate() const;

 private:
  void AppendRepr(int depth, std::string* out) const;

  std::variant<std::nullptr_t, bool, int64_t, double, std::string, JinjaUndefined, JinjaMarkup, List, Dict, Function>
      value_;
};

// The arguments of a call, a filter or a test: for the latter two the value itself is the first.
struct JinjaArguments {
  std::vector<JinjaValue> values = {};
  std::vector<std::pair<std::string, JinjaValue>> named = {};

  // The argument at this place or of this name; nullptr for none.
  const JinjaValue* Find(size_t index, std::string_view name) const;
};

bool operator==(const JinjaValue& a, const JinjaValue& b);
// Python's <; throws where the two have no order.
bool Less(const JinjaValue& a, const JinjaValue& b);
bool Contains(const JinjaValue& container, const JinjaValue& item);

struct JsonStyle {
  std::optional<int> indent = {};
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false, ascii = false;
};
// json.dumps.
std::string ToJsonText(const JinjaValue& value, const JsonStyle& style);

// A string by characters: the offset of each, and the end. A byte that is no UTF-8 is a character.
std::vector<size_t> CharacterOffsets(std::string_view text);
bool IsPythonSpace(uint32_t code_point);
// str.strip() and its sides; without `characters` white space is taken off.
std::string StripText(std::string_view text, const std::string* characters, bool left, bool right);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_VALUE_H_
