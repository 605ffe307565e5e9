// A tokenizer.json that is not trusted: every value knows its place in the file, so that every complaint can name it.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JSON_NODE_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JSON_NODE_H_

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bitnet {

// A value with its place in the file, so that every complaint can name it.
class JsonNode {
 public:
  JsonNode(const std::string& file, std::string field, const nlohmann::json& value)
      : file_(&file), field_(std::move(field)), value_(&value) {}

  [[noreturn]] void Fail(std::string_view expected) const { Fail(expected, Shown()); }
  [[noreturn]] void Fail(std::string_view expected, std::string_view found) const {
    throw std::runtime_error(fmt::format("{}: {}: found {}, expected {}", *file_, field_, found, expected));
  }

  std::string Name() const { return fmt::format("{}: {}", *file_, field_); }
  const nlohmann::json& json() const { return *value_; }
  bool IsNull() const { return value_->is_null(); }

  bool Has(const char* key) const { return value_->is_object() && value_->contains(key); }
  JsonNode At(const char* key) const {
    RequireObject();
    const auto found = value_->find(key);
    const std::string name = field_.empty() ? key : fmt::format("{}.{}", field_, key);
    if (found == value_->end()) {
      throw std::runtime_error(fmt::format("{}: {}: missing; is this a Hugging Face tokenizer.json?", *file_, name));
    }
    return JsonNode(*file_, name, *found);
  }
  // A missing key reads as null.
  JsonNode Maybe(const char* key) const {
    static const nlohmann::json null;
    if (Has(key)) return At(key);
    return JsonNode(*file_, field_.empty() ? key : fmt::format("{}.{}", field_, key), null);
  }
  // A member that was found by iteration.
  JsonNode Item(std::string_view key, const nlohmann::json& value) const {
    return JsonNode(*file_, fmt::format("{}[\"{}\"]", field_, key), value);
  }
  // An element of an array that has as many.
  JsonNode At(size_t index) const { return JsonNode(*file_, fmt::format("{}[{}]", field_, index), (*value_)[index]); }
  std::vector<JsonNode> Items() const {
    if (!value_->is_array()) Fail("an array");
    std::vector<JsonNode> items;
    items.reserve(value_->size());
    for (size_t i = 0; i < value_->size(); ++i) {
      items.emplace_back(*file_, fmt::format("{}[{}]", field_, i), (*value_)[i]);
    }
    return items;
  }
  void RequireObject() const {
    if (!value_->is_object()) Fail("an object");
  }
  const std::string& String() const {
    if (!value_->is_string()) Fail("a string");
    return value_->get_ref<const std::string&>();
  }
  bool Bool() const {
    if (!value_->is_boolean()) Fail("true or false");
    return value_->get<bool>();
  }
  bool BoolOr(const char* key, bool fallback) const { return Maybe(key).IsNull() ? fallback : At(key).Bool(); }
  double Number() const {
    if (!value_->is_number()) Fail("a number");
    return value_->get<double>();
  }
  int32_t Id() const {
    const bool fits = value_->is_number_integer() && *value_ >= 0 && *value_ <= std::numeric_limits<int32_t>::max();
    if (!fits) Fail("a token id, 0..2147483647");
    return value_->get<int32_t>();
  }

 private:
  std::string Shown() const {
    constexpr size_t kLongest = 80;
    std::string text = value_->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
    return text;
  }

  const std::string* file_;
  std::string field_;
  const nlohmann::json* value_;
};

// Throws std::runtime_error where there is no such file, no JSON in it, or JSON deeper than any tokenizer.json.
nlohmann::json ParseTokenizerJson(const std::string& path);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JSON_NODE_H_
