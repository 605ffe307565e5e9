// A JSON value inside a struct, which files that include the struct need not parse <nlohmann/json.hpp> for. Include
// that header to look inside.
//
//   request.extra = nlohmann::json{{"note", "kept"}};
//   (*request.extra)["note"]
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_JSON_VALUE_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_JSON_VALUE_H_

#include <memory>
#include <nlohmann/json_fwd.hpp>

namespace parity {

class JsonValue {
 public:
  JsonValue();                      // an empty object
  JsonValue(nlohmann::json value);  // NOLINT(google-explicit-constructor): assigned from JSON
  JsonValue(const JsonValue& other);
  JsonValue(JsonValue&& other) noexcept;
  JsonValue& operator=(JsonValue other) noexcept;
  ~JsonValue();

  const nlohmann::json& operator*() const;
  nlohmann::json& operator*();
  const nlohmann::json* operator->() const { return &**this; }
  nlohmann::json* operator->() { return &**this; }

  bool operator==(const JsonValue& other) const;

 private:
  std::unique_ptr<nlohmann::json> value_;  // null: an empty object
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_JSON_VALUE_H_
