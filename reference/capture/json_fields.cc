#include "reference/capture/json_fields.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/capture/quote.h"

namespace parity {
namespace {

using nlohmann::json;

std::string HexOf(std::string_view bytes) {
  std::string hex;
  for (unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

json ParseJson(std::string_view text, const std::string& origin) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    const size_t at = std::min(error.byte - std::min<size_t>(error.byte, 1), text.size());
    const auto line = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n') + 1;
    throw std::runtime_error(
        fmt::format("{}: not valid JSON: line {}: {}", origin, line,
                    at == text.size() ? "the text ends in the middle" : "not expected: " + Quote(text.substr(at, 20))));
  } catch (const json::exception& error) {
    throw std::runtime_error(fmt::format("{}: not valid JSON: {}", origin, error.what()));
  }
}

}  // namespace

json TextToJson(const std::string& text) {
  if (IsValidUtf8(text)) return text;
  return json{{"bytes_hex", HexOf(text)}};
}

json ReadJsonFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return ParseJson(text, path);
}

void WriteJsonFile(const std::string& path, const json& json) {
  const std::string text = json.dump(2) + "\n";
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) throw std::runtime_error(fmt::format("{}: cannot write: {}", path, std::strerror(errno)));
}

void ThrowJsonError(const std::string& origin, const std::string& key, const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}: {}", origin, key.empty() ? "document" : key, what));
}

JsonFields::JsonFields(std::shared_ptr<const json> document, const json& json, std::string origin, std::string path)
    : document_(std::move(document)), json_(&json), origin_(std::move(origin)), path_(std::move(path)) {
  if (!json.is_object()) Fail("", fmt::format("found {}, expected an object", json.type_name()));
}

JsonFields::JsonFields(const json& json, std::string origin) : JsonFields(nullptr, json, std::move(origin), "") {}

JsonFields JsonFields::Parse(std::string_view text, const std::string& origin) {
  const auto document = std::make_shared<const json>(ParseJson(text, origin));
  return JsonFields(document, *document, origin, "");
}

JsonFields JsonFields::ReadFile(const std::string& path, const std::string& schema) {
  const auto document = std::make_shared<const json>(ReadJsonFile(path));
  JsonFields fields(document, *document, path, "");
  if (!schema.empty()) fields.Expect("schema", schema);
  return fields;
}

bool JsonFields::Has(const std::string& key) const { return json_->contains(key); }

void JsonFields::Expect(const std::string& key, const std::string& expected) {
  std::string found;
  if (!ReadIfPresent(key, &found)) {
    Problem(key, fmt::format("missing key, expected '{}'", expected));
  } else if (found != expected) {
    Problem(key, fmt::format("found '{}', expected '{}'", found, expected));
  }
}

JsonFields JsonFields::Object(const std::string& key) {
  static const json kNothing = json::object();
  const json* found = Find(key);
  bool missing = missing_;
  if (!missing && (found == nullptr || (problems_ != nullptr && !found->is_object()))) {
    Problem(key, found == nullptr ? "missing key" : fmt::format("found {}, expected an object", found->type_name()));
    missing = true;
  }
  JsonFields fields(document_, missing ? kNothing : *found, origin_, Place(key));
  fields.problems_ = problems_;
  fields.missing_ = missing;
  return fields;
}

std::vector<JsonFields> JsonFields::Objects(const std::string& key) {
  const json* found = Find(key);
  if (found == nullptr) Fail(key, "missing key");
  std::vector<JsonFields> objects;
  for (const json* element : Elements(*found, Place(key))) {
    objects.push_back(JsonFields(document_, *element, origin_, fmt::format("{}[{}]", Place(key), objects.size())));
  }
  return objects;
}

std::vector<std::string> JsonFields::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json_->items()) keys.push_back(key);
  return keys;
}

JsonValue JsonFields::Unknown() const {
  JsonValue unknown;
  for (const auto& [key, value] : json_->items()) {
    if (!seen_.contains(key)) (*unknown)[key] = value;
  }
  return unknown;
}

void JsonFields::RejectUnknown() const {
  for (const std::string& key : Keys()) {
    if (!seen_.contains(key)) Fail(key, fmt::format("not a key of this object; it has {}", fmt::join(seen_, ", ")));
  }
}

void JsonFields::Fail(const std::string& key, const std::string& what) const {
  ThrowJsonError(origin_, key.empty() ? path_ : Place(key), what);
}

void JsonFields::Problem(const std::string& key, const std::string& what) const {
  if (missing_) return;
  Guard(problems_, [&] { Fail(key, what); });
}

std::string JsonFields::Place(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

const json* JsonFields::Find(const std::string& key) {
  seen_.insert(key);
  const auto found = json_->find(key);
  return found == json_->end() ? nullptr : &*found;
}

std::vector<const json*> JsonFields::Elements(const json& json, const std::string& place) const {
  if (!json.is_array()) ThrowJsonError(origin_, place, fmt::format("found {}, expected an array", json.type_name()));
  std::vector<const nlohmann::json*> elements;
  for (const nlohmann::json& element : json) elements.push_back(&element);
  return elements;
}

void JsonFields::Convert(const json& json, const std::string& place, bool* value) const {
  if (!json.is_boolean()) ThrowJsonError(origin_, place, fmt::format("found {}, expected true or false", json.dump()));
  *value = json.get<bool>();
}

void JsonFields::Convert(const json& json, const std::string& place, int64_t* value) const {
  if (!json.is_number_integer() || (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX)) {
    ThrowJsonError(origin_, place, fmt::format("found {}, expected an integer of 64 bits", json.dump()));
  }
  *value = json.get<int64_t>();
}

void JsonFields::Convert(const json& json, const std::string& place, int* value) const {
  int64_t wide = 0;
  Convert(json, place, &wide);
  if (wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max()) {
    ThrowJsonError(origin_, place, fmt::format("found {}, expected an integer of 32 bits", wide));
  }
  *value = static_cast<int>(wide);
}

void JsonFields::Convert(const json& json, const std::string& place, uint64_t* value) const {
  if (!json.is_number_unsigned()) {
    ThrowJsonError(origin_, place, fmt::format("found {}, expected an integer that is not negative", json.dump()));
  }
  *value = json.get<uint64_t>();
}

void JsonFields::Convert(const json& json, const std::string& place, double* value) const {
  if (json.is_null()) {
    *value = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  if (!json.is_number()) ThrowJsonError(origin_, place, fmt::format("found {}, expected a number", json.type_name()));
  *value = json.get<double>();
}

void JsonFields::Convert(const json& json, const std::string& place, std::string* value) const {
  if (json.is_string()) {
    *value = json.get<std::string>();
    return;
  }
  const auto hex_it = json.is_object() && json.size() == 1 ? json.find("bytes_hex") : json.end();
  if (!json.is_object() || hex_it == json.end() || !hex_it->is_string()) {
    ThrowJsonError(origin_, place,
                   fmt::format("found {}, expected a string or {{\"bytes_hex\": ...}}", json.type_name()));
  }
  const std::string hex = hex_it->get<std::string>();
  value->clear();
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = HexDigit(hex[i]), low = HexDigit(hex[i + 1]);
    if (high < 0 || low < 0) ThrowJsonError(origin_, place, "bytes_hex: a character is not a hex digit");
    *value += static_cast<char>(high << 4 | low);
  }
  if (hex.size() % 2 != 0) ThrowJsonError(origin_, place, "bytes_hex: an odd number of hex digits");
}

void JsonFields::Convert(const json& json, const std::string&, JsonValue* value) const { *value = json; }

}  // namespace parity
