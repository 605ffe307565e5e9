// A value of a model file's metadata that a request puts in the place of the file's own.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_KV_OVERRIDE_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_KV_OVERRIDE_H_

#include <cstdint>
#include <string>
#include <variant>

namespace parity {

struct KvOverride {
  std::string key;
  std::variant<int64_t, double, bool, std::string> value;
};

// "KEY=TYPE:VALUE" with the types int, float, bool and str, as llama.cpp's --override-kv takes it; a key of at most 127
// bytes, and so a text. Throws std::runtime_error that says what was found and what was expected.
KvOverride ParseKvOverride(const std::string& text);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_KV_OVERRIDE_H_
