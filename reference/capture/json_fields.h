// Strict reading of JSON objects: a missing key, a wrong type or a number out of range is an error that names file and
// key.
//
//   JsonFields fields(json, "capture.json", "backend");
//   fields.Read("name", &backend.name);            // required
//   fields.ReadIfPresent("simd", &backend.simd);
//   extra = fields.Unknown();                      // keys that nobody read
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_JSON_FIELDS_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_JSON_FIELDS_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace parity {

// Text that may not be UTF-8 (half of a character that two tokens share). Valid UTF-8 is a JSON string; other bytes are
// {"bytes_hex": "e298"}, so nothing is lost.
nlohmann::json TextToJson(const std::string& text);
bool IsValidUtf8(std::string_view text);

// Reads and parses a file. Throws std::runtime_error naming it.
nlohmann::json ReadJsonFile(const std::string& path);
// Writes `json` with two spaces of indentation, and a newline at the end.
void WriteJsonFile(const std::string& path, const nlohmann::json& json);

// Where a value stands: "capture.json: shapes.n_ctx".
[[noreturn]] void ThrowJsonError(const std::string& origin, const std::string& key, const std::string& what);

class JsonFields {
 public:
  // `path` is the object's place inside the document, "" for the document itself. Throws unless `json` is an object.
  JsonFields(const nlohmann::json& json, std::string origin, std::string path = "");

  template <typename T>
  void Read(const std::string& key, T* value) {
    if (!ReadIfPresent(key, value)) ThrowJsonError(origin_, Place(key), "missing key");
  }

  template <typename T>
  bool ReadIfPresent(const std::string& key, T* value) {
    seen_.insert(key);
    const auto it = json_.find(key);
    if (it == json_.end()) return false;
    Convert(*it, Place(key), value);
    return true;
  }

  // Throws unless `key` is the string `expected`.
  void Expect(const std::string& key, const std::string& expected);

  // The sub-object at `key`. Throws where it is missing.
  JsonFields Object(const std::string& key);

  // The keys that were not read, with their values.
  nlohmann::json Unknown() const;

  std::string Place(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  const std::string& origin() const { return origin_; }

 private:
  void Convert(const nlohmann::json& json, const std::string& place, bool* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, int* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, int64_t* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, uint64_t* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, double* value) const;  // null: NaN
  void Convert(const nlohmann::json& json, const std::string& place, std::string* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, nlohmann::json* value) const;

  template <typename T>
  void Convert(const nlohmann::json& json, const std::string& place, std::vector<T>* value) const {
    if (!json.is_array()) ThrowJsonError(origin_, place, fmt::format("found {}, expected an array", json.type_name()));
    value->clear();
    for (size_t i = 0; i < json.size(); ++i) Convert(json[i], fmt::format("{}[{}]", place, i), &value->emplace_back());
  }

  template <typename T>
  void Convert(const nlohmann::json& json, const std::string& place, std::pair<T, T>* value) const {
    std::vector<T> values;
    Convert(json, place, &values);
    if (values.size() != 2) ThrowJsonError(origin_, place, fmt::format("found {} values, expected 2", values.size()));
    *value = {values[0], values[1]};
  }

  const nlohmann::json& json_;
  std::string origin_;
  std::string path_;
  std::set<std::string> seen_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_JSON_FIELDS_H_
