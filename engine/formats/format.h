// Weight formats: one row of traits each, in one table.
//
//   const Format& f = FormatOf(TensorType::kTQ2_0);
//   std::vector<std::byte> row(RowBytes(f.type, 512));
//   f.encode(values, 1.0f, row);                           // codec.h has whole tensors
//   for (const Format& g : AllFormats()) if (g.is_ternary()) ...
//
// A format is a row here, and a pair of files x.{h,cc} with the struct of its block, its layout and its codec; its
// product is in engine/kernels/x_matmul.cc. Converters, generators, benches and tests go over the table.
#ifndef BITNET_PARITY_ENGINE_FORMATS_FORMAT_H_
#define BITNET_PARITY_ENGINE_FORMATS_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// Numbers are GGUF's (enum ggml_type); kI2_S is bitnet.cpp's.
enum class TensorType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kI2_S = 36,
  kQ1_0 = 41,
  kQ2_0 = 42,
};

// The form that the other side of a product has.
enum class ActivationKind {
  kF32,               // as they are
  kF16,               // rounded to F16
  kBF16,              // rounded to BF16
  kQ80,               // int8 in blocks of 32, one scale a block, rounded to F16 (ggml's Q8_0)
  kQ81,               // the same, and their sum times the scale before it is rounded, in F16 (ggml's Q8_1)
  kQ8K,               // int8 in blocks of 256, one scale a block (ggml's Q8_K)
  kI8Row,             // int8, one scale a row (bitnet.cpp's I2_S)
  kQ80Inverted,       // kQ80, multiplied by 1 / scale, as on ARM
  kI8RowRoundedOnce,  // ... where the product with the scale is not rounded to float32 on its way
};
constexpr bool IsInt8(ActivationKind kind) { return kind >= ActivationKind::kQ80; }
// Values of a row that share a scale: a block, or the row.
constexpr size_t ScaleGroup(ActivationKind kind, size_t cols) {
  const bool of_32 =
      kind == ActivationKind::kQ80 || kind == ActivationKind::kQ80Inverted || kind == ActivationKind::kQ81;
  return of_32 ? 32 : kind == ActivationKind::kQ8K ? 256 : cols;
}

// How a format keeps the scale of a ternary tensor.
enum class ScaleType {
  kNone,  // it does not hold ternary tensors exactly
  kF16,
  kBF16,
  kF32,
};

// Blocks of weights that are each a code of 0, 1 or 2, less 1, times a scale.
struct TernaryBlock {
  // codes: [block_weights]. A damaged file may hold the code 3 where a code has two bits.
  void (*unpack)(const std::byte* block, uint8_t* codes);
  // The codes as a reader sees them who takes neighbouring weights from one byte.
  void (*unpack_linear)(const std::byte* block, uint8_t* codes);
  // Leaves the scale alone.
  void (*pack)(const uint8_t* codes, std::byte* block);
  // Where a block has its scale, in F16; -1: the tensor has one in float32, behind its last row.
  int scale_at;
};

// The F16 scale of a block that has one.
float BlockScale(const TernaryBlock& format, const std::byte* block);
void SetBlockScale(const TernaryBlock& format, float scale, std::byte* block);

struct Format {
  TensorType type = TensorType::kF32;
  std::string_view name = {};
  uint32_t file_type = 0;  // general.file_type of a model whose weights are mostly of this type (enum llama_ftype)
  ActivationKind activations = ActivationKind::kF32;  // see ActivationKindFor
  uint32_t block_weights = 1;  // weights along a row that are stored together; a row holds whole blocks
  uint32_t block_bytes = 0;    // bytes of such a block
  uint32_t tensor_extra = 0;   // bytes behind the last row, once a tensor: its scale in float32, then zeros

  // One row: [cols] weights, RowBytes(type, cols) bytes, of a tensor with that scale (1 where there is no
  // tensor_extra). Both nullptr: this engine knows the format's name and sizes alone.
  void (*decode)(std::span<const std::byte> row, float tensor_scale, std::span<float> out) = nullptr;
  // The nearest row that the format can hold. Throws std::runtime_error for a value that goes into a block and is not
  // finite.
  void (*encode)(std::span<const float> row, float tensor_scale, std::span<std::byte> out) = nullptr;

  const TernaryBlock* ternary = nullptr;
  ScaleType exact_scale = ScaleType::kNone;
  // One row of codes -1, 0, +1 times a scale that the format holds. nullptr: as `ternary` packs them, or `encode`.
  void (*encode_codes)(std::span<const int8_t> codes, float scale, std::span<std::byte> out) = nullptr;

  constexpr bool has_codec() const { return decode != nullptr; }
  constexpr bool is_ternary() const { return ternary != nullptr; }
  // Codes -1, 0, +1 times one scale come back as they were.
  constexpr bool holds_ternary() const { return exact_scale != ScaleType::kNone; }
  // Every row can be read by itself, as embeddings are.
  constexpr bool has_whole_rows() const { return has_codec() && tensor_extra == 0; }
  // What embeddings and heads are kept in.
  constexpr bool holds_embeddings() const { return has_whole_rows() && !is_ternary(); }
};

// Every known format, in the order of GGUF's numbers.
std::span<const Format> AllFormats();

// nullptr if this engine does not know the type.
const Format* FindFormat(TensorType type);

// Throws std::runtime_error that lists the known types.
const Format& FormatOf(TensorType type);

// The types for which `wanted` (a predicate, or a member of Format) holds.
template <class F>
std::vector<TensorType> TypesWhere(const F& wanted) {
  std::vector<TensorType> types;
  for (const Format& format : AllFormats()) {
    if (std::invoke(wanted, format)) types.push_back(format.type);
  }
  return types;
}

// Their names.
template <class F>
std::vector<std::string> NamesWhere(const F& wanted) {
  std::vector<std::string> names;
  for (const TensorType type : TypesWhere(wanted)) names.emplace_back(FindFormat(type)->name);
  return names;
}

// "F32", "TQ2_0", ...; of a type that this engine does not run what others call it ("MXFP4 or TL2"); "type 999".
std::string TypeName(TensorType type);
// "F32, F16 or I2_S".
std::string JoinNames(const std::vector<std::string>& names, std::string_view last = "or");

// "TQ2_0" -> kTQ2_0; upper or lower case. nullopt for an unknown name.
std::optional<TensorType> TensorTypeFromName(std::string_view name);

// Bytes of one row of `cols` weights, without what follows the last row. Throws if the type is unknown, if cols is not
// a multiple of its block, or if the size overflows.
size_t RowBytes(TensorType type, uint64_t cols);

// Bytes of a tensor of [rows, cols] with `cols` contiguous. Errors as RowBytes. I2_S: rows*cols/4 + 32.
size_t TensorBytes(TensorType type, uint64_t rows, uint64_t cols);

// The scale behind the rows of a whole tensor; 1 where the format has none.
float TensorScale(TensorType type, std::span<const std::byte> tensor);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_FORMATS_FORMAT_H_
