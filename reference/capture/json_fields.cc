#include "reference/capture/json_fields.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>

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

}  // namespace

bool IsValidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t k) -> unsigned {
      return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0;
    };
    const unsigned lead = byte(0);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(k) & 0xc0) != 0x80) return false;
    }
    // Overlong forms, surrogates, and what lies above U+10FFFF.
    if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) >= 0xa0) || (lead == 0xf0 && byte(1) < 0x90) ||
        (lead == 0xf4 && byte(1) >= 0x90)) {
      return false;
    }
    i += length;
  }
  return true;
}

json TextToJson(const std::string& text) {
  if (IsValidUtf8(text)) return text;
  return json{{"bytes_hex", HexOf(text)}};
}

json ReadJsonFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  try {
    return json::parse(file);
  } catch (const json::exception& error) {
    throw std::runtime_error(fmt::format("{}: not valid JSON: {}", path, error.what()));
  }
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

JsonFields::JsonFields(const json& json, std::string origin, std::string path)
    : json_(json), origin_(std::move(origin)), path_(std::move(path)) {
  if (!json.is_object()) {
    ThrowJsonError(origin_, path_, fmt::format("found {}, expected an object", json.type_name()));
  }
}

void JsonFields::Expect(const std::string& key, const std::string& expected) {
  std::string found;
  Read(key, &found);
  if (found != expected) ThrowJsonError(origin_, Place(key), fmt::format("found '{}', expected '{}'", found, expected));
}

JsonFields JsonFields::Object(const std::string& key) {
  seen_.insert(key);
  const auto it = json_.find(key);
  if (it == json_.end()) ThrowJsonError(origin_, Place(key), "missing key");
  return JsonFields(*it, origin_, Place(key));
}

json JsonFields::Unknown() const {
  json unknown = json::object();
  for (const auto& [key, value] : json_.items()) {
    if (!seen_.contains(key)) unknown[key] = value;
  }
  return unknown;
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

void JsonFields::Convert(const json& json, const std::string& place, nlohmann::json* value) const { *value = json; }

}  // namespace parity
