// For tests: GGUF headers put together byte by byte, right or wrong.
#ifndef BITNET_PARITY_ENGINE_GGUF_GGUF_BYTES_H_
#define BITNET_PARITY_ENGINE_GGUF_GGUF_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

class GgufBytes {
 public:
  // Magic, version, and the two counts.
  GgufBytes(uint64_t n_tensors, uint64_t n_pairs, uint32_t version = 3) {
    Raw("GGUF").Put(version).Put(n_tensors).Put(n_pairs);
  }
  GgufBytes& Raw(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  template <typename T>
  GgufBytes& Put(T value) {
    return Raw({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  GgufBytes& String(std::string_view text) { return Put<uint64_t>(text.size()).Raw(text); }
  GgufBytes& Key(std::string_view key, uint32_t type) { return String(key).Put(type); }
  GgufBytes& Tensor(std::string_view name, const std::vector<uint64_t>& shape, uint32_t type, uint64_t offset) {
    String(name).Put(static_cast<uint32_t>(shape.size()));
    for (const uint64_t size : shape) Put(size);
    return Put(type).Put(offset);
  }
  // Zeros up to a multiple of `alignment`, then `bytes` more: the data section.
  GgufBytes& Data(size_t bytes, size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment + bytes);
    return *this;
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  std::string bytes_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_GGUF_GGUF_BYTES_H_
