// Every meaning that engines have given to a tensor type number, with its size: what a file is described by. The
// formats that this engine runs are a table of their own, engine/formats/format.h.
//
//   for (const TypeMeaning& m : MeaningsOf(static_cast<TensorType>(39))) ...   // MXFP4 of llama.cpp, TL2 of bitnet.cpp
#ifndef BITNET_PARITY_ENGINE_FORMATS_KNOWN_TYPES_H_
#define BITNET_PARITY_ENGINE_FORMATS_KNOWN_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/format.h"

namespace bitnet {

// The engine that writes a type, and that runs it.
enum class TypeOwner { kThisEngine, kLlamaCpp, kOldLlamaCpp, kBitnetCpp, kIkLlamaCpp, kOther };

struct TypeMeaning {
  uint32_t number = 0;
  std::string_view name = {};
  TypeOwner owner = TypeOwner::kThisEngine;
  uint32_t block_weights = 0;    // 0: how many bytes a tensor has is not known
  uint32_t block_bytes = 0;      // of such a block
  uint32_t row_extra = 0;        // bytes of a row beside its blocks
  uint32_t tensor_extra = 0;     // bytes of a tensor behind its last row
  std::string_view layout = {};  // words that tell this layout from others of the same name

  bool operator==(const TypeMeaning&) const = default;
};

// This engine's own first. Empty for a number that nobody uses.
std::vector<TypeMeaning> MeaningsOf(TensorType type);

// Bytes of a tensor of [rows, cols]. nullopt where the size is not known, where cols are no whole number of blocks, and
// where it overflows.
std::optional<size_t> BytesOf(const TypeMeaning& meaning, uint64_t rows, uint64_t cols);

// "Q2_0", "Q2_0 (128 weights in 34 bytes)".
std::string NameOf(const TypeMeaning& meaning);

// Who writes this type and what to do with such a file, where this engine does not run it.
std::string_view RemedyFor(TypeOwner owner);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_KNOWN_TYPES_H_
