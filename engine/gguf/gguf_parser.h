// The header of a GGUF file (everything before the tensor data), parsed and validated from bytes in memory. GgufFile
// uses it on a mapped file; the tests use it on broken copies.
#ifndef BITNET_PARITY_ENGINE_GGUF_GGUF_PARSER_H_
#define BITNET_PARITY_ENGINE_GGUF_GGUF_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/gguf/gguf.h"

namespace bitnet {

inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr int kGgufMaxArrayDepth = 4;  // arrays within arrays

struct GgufHeader {
  uint32_t version = 0;
  uint64_t alignment = kGgufDefaultAlignment;
  uint64_t data_start = 0;  // of the data section, from the start of the file
  std::vector<std::pair<std::string, MetadataValue>> metadata;
  std::vector<TensorInfo> tensors;
};

// `file`: the whole file; `path` only names it in errors. Nothing is allocated by a number that was not first checked
// against the bytes that are left, and memory stays within a small multiple of file.size(). Every tensor returned lies
// within the file, is aligned, and overlaps no other. Throws std::runtime_error.
GgufHeader ParseGgufHeader(std::span<const std::byte> file, const std::string& path);

// `text` in single quotes for a message: control and non-ASCII bytes as \xNN, cut after 80 bytes.
std::string QuoteForMessage(std::string_view text);

// "uint32", "string", "array of float32", ...
std::string MetadataTypeName(const MetadataValue& value);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_GGUF_GGUF_PARSER_H_
