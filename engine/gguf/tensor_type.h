// The tensor types that the engine knows, as one table.
#ifndef BITNET_PARITY_ENGINE_GGUF_TENSOR_TYPE_H_
#define BITNET_PARITY_ENGINE_GGUF_TENSOR_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/gguf/gguf.h"

namespace bitnet {

struct TensorTypeTraits {
  TensorType type;
  std::string_view name;
  uint32_t block_weights;  // weights along a row that are stored together; a row holds whole blocks
  uint32_t block_bytes;    // bytes of such a block
  uint32_t tensor_extra;   // bytes behind the last row, once a tensor
  uint32_t file_type;      // general.file_type of a model whose weights are mostly of this type (enum llama_ftype)
};

// Every known type, in the order of GGUF's numbers.
std::span<const TensorTypeTraits> AllTensorTypes();

// nullptr if this engine does not know the type.
const TensorTypeTraits* FindTensorType(TensorType type);

// "TQ2_0" -> kTQ2_0; upper or lower case. nullopt for an unknown name.
std::optional<TensorType> TensorTypeFromName(std::string_view name);

// Bytes of one row of `cols` weights, without what follows the last row. Errors as TensorBytes.
size_t RowBytes(TensorType type, uint64_t cols);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_GGUF_TENSOR_TYPE_H_
