// Strict reading of JSON objects: a missing key, a wrong type or a number out of range is an error that names file and
// key.
//
//   JsonFields fields = JsonFields::ReadFile("capture.json", "bitnet-parity/capture/1");
//   JsonFields backend = fields.Object("backend");
//   backend.Read("name", &name);            // required
//   backend.ReadIfPresent("simd", &simd);
//   extra = backend.Unknown();              // keys that nobody read
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_JSON_FIELDS_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_JSON_FIELDS_H_

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reference/capture/json_value.h"

namespace parity {

// Text that may not be UTF-8 (half of a character that two tokens share). Valid UTF-8 is a JSON string; other bytes are
// {"bytes_hex": "e298"}, so nothing is lost.
nlohmann::json TextToJson(const std::string& text);

// Reads and parses a file. Throws std::runtime_error naming it.
nlohmann::json ReadJsonFile(const std::string& path);
// Writes `json` with two spaces of indentation, and a newline at the end.
void WriteJsonFile(const std::string& path, const nlohmann::json& json);

// An error at a key of a document: "capture.json: shapes.n_ctx: what".
[[noreturn]] void ThrowJsonError(const std::string& origin, const std::string& key, const std::string& what);

// Calls f(); where `problems` is given, what it throws is added there instead.
template <typename F>
void Guard(std::vector<std::string>* problems, const F& f) {
  if (problems == nullptr) {
    f();
    return;
  }
  try {
    f();
  } catch (const std::runtime_error& error) {
    problems->push_back(error.what());
  }
}

class JsonFields {
 public:
  // Of a document that must outlive this. `origin`: the file, or what else errors call it. Throws unless `json` is an
  // object.
  JsonFields(const nlohmann::json& json, std::string origin);

  // Of a text or a file; throws std::runtime_error naming it unless it is a JSON object. `schema`: what the key
  // "schema" must be; "": there is none.
  static JsonFields Parse(std::string_view text, const std::string& origin);
  static JsonFields ReadFile(const std::string& path, const std::string& schema = "");

  // From here on what is wrong is added to `problems`, and reading goes on: what cannot be read stays as it was, and an
  // object that is missing is one problem, however many keys it should have. Fail still throws.
  void CollectInto(std::vector<std::string>* problems) { problems_ = problems; }

  template <typename T>
  void Read(const std::string& key, T* value) {
    if (!ReadIfPresent(key, value)) Problem(key, "missing key");
  }

  template <typename T>
  bool ReadIfPresent(const std::string& key, T* value) {
    const nlohmann::json* found = Find(key);
    if (found != nullptr) {
      Guard(problems_, [&] { Convert(*found, Place(key), value); });
    }
    return found != nullptr;
  }

  bool Has(const std::string& key) const;

  // Throws unless `key` is the string `expected`.
  void Expect(const std::string& key, const std::string& expected);

  // The object at `key`, and the objects of the array there. Both throw if it is missing.
  JsonFields Object(const std::string& key);
  std::vector<JsonFields> Objects(const std::string& key);

  std::vector<std::string> Keys() const;

  // The keys that were not read, with their values.
  JsonValue Unknown() const;
  // Throws if there is a key that was not read: it looks set, and does nothing.
  void RejectUnknown() const;

  // Throws std::runtime_error: "capture.json: shapes.n_ctx: what". `key` "": the object itself.
  [[noreturn]] void Fail(const std::string& key, const std::string& what) const;
  // The same, or collects it.
  void Problem(const std::string& key, const std::string& what) const;

 private:
  JsonFields(std::shared_ptr<const nlohmann::json> document, const nlohmann::json& json, std::string origin,
             std::string path);

  std::string Place(const std::string& key) const;
  const nlohmann::json* Find(const std::string& key);  // and counts as read
  std::vector<const nlohmann::json*> Elements(const nlohmann::json& json, const std::string& place) const;

  void Convert(const nlohmann::json& json, const std::string& place, bool* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, int* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, int64_t* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, uint64_t* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, double* value) const;  // null: NaN
  void Convert(const nlohmann::json& json, const std::string& place, std::string* value) const;
  void Convert(const nlohmann::json& json, const std::string& place, JsonValue* value) const;

  template <typename T>
  void Convert(const nlohmann::json& json, const std::string& place, std::vector<T>* value) const {
    value->clear();
    for (const nlohmann::json* element : Elements(json, place)) {
      const std::string at = fmt::format("{}[{}]", place, value->size());
      Convert(*element, at, &value->emplace_back());
    }
  }

  template <typename T>
  void Convert(const nlohmann::json& json, const std::string& place, std::pair<T, T>* value) const {
    std::vector<T> values;
    Convert(json, place, &values);
    if (values.size() != 2) ThrowJsonError(origin_, place, fmt::format("found {} values, expected 2", values.size()));
    *value = {values[0], values[1]};
  }

  std::shared_ptr<const nlohmann::json> document_;  // null: somebody else's
  const nlohmann::json* json_;
  std::string origin_;
  std::string path_;  // inside the document, "" for itself
  std::set<std::string> seen_;
  std::vector<std::string>* problems_ = nullptr;  // null: what is wrong is thrown
  bool missing_ = false;                          // stands for an object that is not there
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_JSON_FIELDS_H_
