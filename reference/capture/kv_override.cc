#include "reference/capture/kv_override.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace parity {
namespace {

constexpr size_t kMostBytes = 127;  // what llama.h has room for

template <class T>
bool ParseNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

KvOverride ParseKvOverride(const std::string& text) {
  const auto fail = [&text](std::string_view expected) {
    throw std::runtime_error(fmt::format("override_kv: found '{}', expected {}", text, expected));
  };
  const size_t equals = text.find('='), colon = text.find(':', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || equals == 0 || colon == std::string::npos) {
    fail("KEY=TYPE:VALUE, as bitnet.rope.freq_base=float:500000");
  }
  const std::string type = text.substr(equals + 1, colon - equals - 1), value = text.substr(colon + 1);
  KvOverride result{text.substr(0, equals), {}};
  if (result.key.size() > kMostBytes) fail(fmt::format("a key of at most {} bytes", kMostBytes));
  if (type == "int") {
    if (!ParseNumber(value, result.value.emplace<int64_t>())) fail("a whole number of 64 bits behind int:");
  } else if (type == "float") {
    if (!ParseNumber(value, result.value.emplace<double>())) fail("a number behind float:");
  } else if (type == "bool") {
    if (value != "true" && value != "false") fail("true or false behind bool:");
    result.value = value == "true";
  } else if (type == "str") {
    if (value.size() > kMostBytes) fail(fmt::format("a text of at most {} bytes", kMostBytes));
    result.value = value;
  } else {
    fail("one of the types int, float, bool and str");
  }
  return result;
}

}  // namespace parity
