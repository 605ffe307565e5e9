#include "reference/capture/json_value.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace parity {

JsonValue::JsonValue() = default;
JsonValue::JsonValue(nlohmann::json value) : value_(std::make_unique<nlohmann::json>(std::move(value))) {}
JsonValue::JsonValue(const JsonValue& other)
    : value_(other.value_ ? std::make_unique<nlohmann::json>(*other.value_) : nullptr) {}
JsonValue::JsonValue(JsonValue&& other) noexcept = default;
JsonValue& JsonValue::operator=(JsonValue other) noexcept {
  value_.swap(other.value_);
  return *this;
}
JsonValue::~JsonValue() = default;

const nlohmann::json& JsonValue::operator*() const {
  static const nlohmann::json empty = nlohmann::json::object();
  return value_ ? *value_ : empty;
}

nlohmann::json& JsonValue::operator*() {
  if (!value_) value_ = std::make_unique<nlohmann::json>(nlohmann::json::object());
  return *value_;
}

bool JsonValue::operator==(const JsonValue& other) const { return **this == *other; }

}  // namespace parity
