// GGUF files: the container in which 1-bit models are published.
//
//   GgufFile file = GgufFile::Open("model.gguf");         // mmap, validated
//   uint32_t n_layer = file.Get<uint32_t>("bitnet.block_count");
//   const TensorInfo& t = file.Tensor("token_embd.weight");
//   std::span<const std::byte> data = file.Data(t);       // checked bytes
//
// Nothing in the file is trusted: every count, length and offset is checked against the file's size before it is used.
// All failures are std::runtime_error; the message names file, field, what was found, what was expected and what to do.
// Source of the format: ggml's docs/gguf.md (versions 2 and 3, little endian).
#ifndef BITNET_PARITY_ENGINE_GGUF_GGUF_H_
#define BITNET_PARITY_ENGINE_GGUF_GGUF_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/formats/format.h"
#include "engine/formats/known_types.h"

namespace bitnet {

struct TensorInfo {
  std::string name;
  TensorType type;
  std::vector<uint64_t> shape;  // GGUF's order: shape[0] is contiguous ("cols")
  uint64_t offset;              // from the start of the data section
  size_t bytes;                 // where the type's size is not known: all up to the next tensor
  size_t shard = 0;             // of a split file
  // What the type's number means here, told by the room that the tensor has; empty where that leaves several, or none.
  std::optional<TypeMeaning> meaning = {};

  // Whether it is a format of this engine, in its layout: engine/formats reads and multiplies it.
  bool is_own() const { return meaning.has_value() && meaning->owner == TypeOwner::kThisEngine; }
  // "TQ2_0", "Q2_0 (128 weights in 34 bytes)", "MXFP4 or TL2", "type 999".
  std::string type_name() const { return meaning.has_value() ? NameOf(*meaning) : TypeName(type); }

  uint64_t cols() const { return shape.empty() ? 1 : shape[0]; }
  uint64_t rows() const;  // product of the other dimensions
};

// Who writes a type that this engine does not run, and what to do with the file.
std::string RemedyFor(const TensorInfo& tensor);

struct MetadataArray;
// Every GGUF value type. Arrays hold one element type each.
using MetadataValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string,
                                   std::shared_ptr<MetadataArray>, uint64_t, int64_t, double>;
struct MetadataArray {
  std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
               std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
               std::vector<std::string>, std::vector<std::shared_ptr<MetadataArray>>, std::vector<uint64_t>,
               std::vector<int64_t>, std::vector<double>>
      values;
};

class GgufFile {
 public:
  // Maps the file and validates header, metadata and every tensor's extent. Types that this engine does not run are no
  // error: TensorInfo describes them. The first of a split file's shards (x-00001-of-00003.gguf, as llama-gguf-split
  // writes them) brings the others with it.
  static GgufFile Open(const std::string& path);

  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  const std::string& path() const;
  uint32_t version() const;
  uint64_t alignment() const;
  size_t file_bytes() const;  // of all shards

  // In the file's order.
  const std::vector<std::pair<std::string, MetadataValue>>& metadata() const;
  const std::vector<TensorInfo>& tensors() const;

  bool Has(std::string_view key) const;
  const MetadataValue* Find(std::string_view key) const;  // nullptr if absent
  // Keys that no call here has asked for since the file was opened, in the file's order.
  std::vector<std::string> UnreadKeys() const;

  // Puts a value in the place of the file's own, or beside it. What was read before does not change.
  void Override(std::string key, MetadataValue value);

  // T: bool, uint32_t, uint64_t, int32_t, float, std::string, std::vector<std::string>, std::vector<int32_t>,
  // std::vector<float>, ... Integers convert between widths where the value fits, and float64 to float32; anything else
  // of the wrong type throws, as a missing key does.
  template <typename T>
  T Get(std::string_view key) const;
  template <typename T>
  T GetOr(std::string_view key, T fallback) const {
    return Has(key) ? Get<T>(key) : fallback;
  }

  const TensorInfo* FindTensor(std::string_view name) const;  // nullptr if absent
  const TensorInfo& Tensor(std::string_view name) const;      // throws if absent
  std::span<const std::byte> Data(const TensorInfo& tensor) const;

 private:
  struct Impl;
  void OpenOtherShards();
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Writes a GGUF v3 file. Tensors are streamed in the order in which they were declared:
//
//   GgufWriter writer("out.gguf");
//   writer.Set("general.architecture", std::string("bitnet"));
//   writer.DeclareTensor("token_embd.weight", TensorType::kF16, {n_embd, n_vocab});
//   writer.WriteHeader();
//   writer.WriteTensor(bytes);      // once for each declared tensor, in order
//   writer.Finish();                // renames the temporary file to "out.gguf"
//
// Calls out of order, sizes that do not fit what was declared, and failures to write throw std::runtime_error.
class GgufWriter {
 public:
  explicit GgufWriter(const std::string& path);
  ~GgufWriter();  // removes the temporary file unless Finish() was reached
  // Replaces an earlier value of the same key, in its place. "general.alignment" must come before any tensor.
  void Set(std::string key, MetadataValue value);
  // `shape` in GGUF's order: shape[0] is contiguous; at most 4 dimensions.
  void DeclareTensor(std::string name, TensorType type, std::vector<uint64_t> shape);
  void WriteHeader();
  void WriteTensor(std::span<const std::byte> data);  // TensorBytes() of what was declared
  void Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_GGUF_GGUF_H_
