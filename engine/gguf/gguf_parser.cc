#include "engine/gguf/gguf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <unordered_set>

namespace bitnet {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies in memory");

constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kMinPairBytes = 8 + 4 + 1;        // empty key, type, one byte of value
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;  // empty name, n_dims = 0, type, offset
constexpr uint64_t kMinStringBytes = 8;              // a length
constexpr uint64_t kMinArrayBytes = 4 + 8;           // element type, count
constexpr uint64_t kMinAlignment = 8;
constexpr std::string_view kDamaged =
    "the file is damaged or was not written by a GGUF writer: fetch or convert it again";

constexpr std::array<std::string_view, 13> kValueTypeNames = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                                              "int32",  "float32", "bool",   "string", "array",
                                                              "uint64", "int64",   "float64"};
static_assert(std::variant_size_v<MetadataValue> == kValueTypeNames.size());

// Reads little-endian values front to back. Every read names its field, and fails before it would leave the file.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return file_.size() - position_; }

  [[noreturn]] void Fail(std::string_view field, std::string_view problem) const {
    throw std::runtime_error(fmt::format("{}: {}: {}", path_, field, problem));
  }

  // `bytes` more bytes of `field`, or an error that says how many are missing.
  const std::byte* Take(uint64_t bytes, std::string_view field) {
    if (bytes > left()) {
      Fail(field,
           fmt::format("the file ends here: expected {} bytes at offset {}, found {}, {} bytes missing; the file is "
                       "truncated or a length in it is wrong: fetch or convert it again",
                       bytes, position_, left(), bytes - left()));
    }
    const std::byte* at = file_.data() + position_;
    position_ += bytes;
    return at;
  }

  template <typename T>
  T Read(std::string_view field) {
    static_assert(std::is_arithmetic_v<T>);
    if constexpr (std::is_same_v<T, bool>) {
      const uint8_t value = Read<uint8_t>(field);
      if (value > 1) Fail(field, fmt::format("found bool {}, expected 0 or 1; {}", value, kDamaged));
      return value == 1;
    } else {
      T value;
      std::memcpy(&value, Take(sizeof(T), field), sizeof(T));
      return value;
    }
  }

  std::string ReadString(std::string_view field) {
    const uint64_t length = Read<uint64_t>(field);
    const std::byte* text = Take(length, field);
    return std::string(reinterpret_cast<const char*>(text), length);
  }

  // A number of things of at least `min_bytes` each, which must fit into what is left of the file.
  uint64_t CheckCount(uint64_t count, uint64_t min_bytes, std::string_view field) const {
    uint64_t expected = 0;
    if (__builtin_mul_overflow(count, min_bytes, &expected)) expected = std::numeric_limits<uint64_t>::max();
    if (expected > left()) {
      Fail(field,
           fmt::format(
               "found a count of {}, expected at least {} bytes for it at offset {}, found {}, {} bytes missing; "
               "the file is truncated or the count is wrong: fetch or convert it again",
               count, expected, position_, left(), expected - left()));
    }
    return count;
  }

 private:
  std::span<const std::byte> file_;
  const std::string& path_;
  uint64_t position_ = 0;
};

std::shared_ptr<MetadataArray> ReadArray(Cursor& in, std::string_view field, int depth);

template <typename T>
std::vector<T> ReadElements(Cursor& in, uint64_t count, std::string_view field, int depth) {
  std::vector<T> values;
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    in.CheckCount(count, sizeof(T), field);
    values.resize(count);
    const std::byte* bytes = in.Take(count * sizeof(T), field);
    if (count > 0) std::memcpy(values.data(), bytes, count * sizeof(T));
  } else if constexpr (std::is_same_v<T, bool>) {
    values.reserve(in.CheckCount(count, 1, field));
    for (uint64_t i = 0; i < count; ++i) values.push_back(in.Read<bool>(field));
  } else if constexpr (std::is_same_v<T, std::string>) {
    values.reserve(in.CheckCount(count, kMinStringBytes, field));
    for (uint64_t i = 0; i < count; ++i) values.push_back(in.ReadString(field));
  } else {
    values.reserve(in.CheckCount(count, kMinArrayBytes, field));
    for (uint64_t i = 0; i < count; ++i) values.push_back(ReadArray(in, field, depth + 1));
  }
  return values;
}

[[noreturn]] void FailValueType(const Cursor& in, uint32_t type, std::string_view field) {
  in.Fail(field, fmt::format("found value type {}, expected 0 (uint8) to 12 (float64); {}", type, kDamaged));
}

// Type numbers are the positions in MetadataValue: calls visit.template operator()<T>() for the type numbered `type`.
template <size_t I = 0, typename Visitor>
void DispatchValueType(const Cursor& in, uint32_t type, std::string_view field, const Visitor& visit) {
  if constexpr (I < std::variant_size_v<MetadataValue>) {
    if (type == I) {
      visit.template operator()<std::variant_alternative_t<I, MetadataValue>>();
    } else {
      DispatchValueType<I + 1>(in, type, field, visit);
    }
  } else {
    FailValueType(in, type, field);
  }
}

std::shared_ptr<MetadataArray> ReadArray(Cursor& in, std::string_view field, int depth) {
  if (depth > kGgufMaxArrayDepth) {
    in.Fail(field, fmt::format("arrays are nested deeper than {}, the deepest that is read; {}", kGgufMaxArrayDepth,
                               kDamaged));
  }
  const uint32_t type = in.Read<uint32_t>(field);
  const uint64_t count = in.Read<uint64_t>(field);
  auto array = std::make_shared<MetadataArray>();
  DispatchValueType(in, type, field, [&]<typename T>() { array->values = ReadElements<T>(in, count, field, depth); });
  return array;
}

MetadataValue ReadValue(Cursor& in, uint32_t type, std::string_view field) {
  MetadataValue value;
  DispatchValueType(in, type, field, [&]<typename T>() {
    if constexpr (std::is_arithmetic_v<T>) {
      value = in.Read<T>(field);
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = in.ReadString(field);
    } else {
      value = ReadArray(in, field, 1);
    }
  });
  return value;
}

void ReadMagic(Cursor& in) {
  const std::string_view magic(reinterpret_cast<const char*>(in.Take(4, "magic")), 4);
  if (magic == "GGUF") return;
  std::string_view hint = "give a .gguf file";
  if (magic == "FUGG") hint = "its bytes are in big-endian order: convert the file to little endian";
  if (magic == "vers") hint = "this may be a Git LFS pointer: fetch the real file with `git lfs pull`";
  if (magic == "tjgg" || magic == "fmgg" || magic == "lmgg")
    hint = "this is a format older than GGUF: convert the model again";
  if (magic.substr(0, 2) == "PK") hint = "this looks like a zip archive (a PyTorch checkpoint?): convert it to GGUF";
  in.Fail("magic", fmt::format("found {}, expected 'GGUF'; {}", QuoteForMessage(magic), hint));
}

uint32_t ReadVersion(Cursor& in) {
  const uint32_t version = in.Read<uint32_t>("version");
  if (version == 2 || version == 3) return version;
  std::string_view hint = "convert the model with a current converter";
  if (version == 1) hint = "version 1 counted in 32 bits and was given up in 2023: convert the model again";
  if ((version & 0xffff) == 0 && version != 0) {
    hint = "the bytes look like big-endian order: convert the file to little endian";
  }
  in.Fail("version", fmt::format("found {}, expected 2 or 3; {}", version, hint));
}

void ReadMetadata(Cursor& in, uint64_t count, GgufHeader& header) {
  std::unordered_set<std::string_view> keys;
  header.metadata.reserve(count);  // string_views into the keys stay valid
  for (uint64_t i = 0; i < count; ++i) {
    const std::string field = fmt::format("metadata entry {} of {}", i + 1, count);
    std::string key = in.ReadString(field);
    if (key.empty()) in.Fail(field, fmt::format("the key is empty; {}", kDamaged));
    const std::string key_field = fmt::format("metadata key {}", QuoteForMessage(key));
    const uint32_t type = in.Read<uint32_t>(key_field);
    MetadataValue value = ReadValue(in, type, key_field);
    header.metadata.emplace_back(std::move(key), std::move(value));
    if (!keys.insert(header.metadata.back().first).second) {
      in.Fail(key_field, fmt::format("found twice, expected once; {}", kDamaged));
    }
  }
}

uint64_t AlignmentOf(const Cursor& in, const GgufHeader& header) {
  constexpr std::string_view kField = "metadata key 'general.alignment'";
  for (const auto& [key, value] : header.metadata) {
    if (key != "general.alignment") continue;
    const uint32_t* alignment = std::get_if<uint32_t>(&value);
    if (alignment == nullptr) {
      in.Fail(kField, fmt::format("found {}, expected uint32; {}", MetadataTypeName(value), kDamaged));
    }
    if (*alignment < kMinAlignment || !std::has_single_bit(*alignment)) {
      in.Fail(kField,
              fmt::format("found {}, expected a power of two of at least {}; {}", *alignment, kMinAlignment, kDamaged));
    }
    return *alignment;
  }
  return kGgufDefaultAlignment;
}

TensorInfo ReadTensorInfo(Cursor& in, uint64_t index, uint64_t count) {
  TensorInfo tensor;
  std::string field = fmt::format("tensor {} of {}", index + 1, count);
  tensor.name = in.ReadString(field);
  field = fmt::format("tensor {}", QuoteForMessage(tensor.name));
  const uint32_t n_dims = in.Read<uint32_t>(field);
  if (n_dims > kMaxDims) {
    in.Fail(field, fmt::format("found {} dimensions, expected at most {}; {}", n_dims, kMaxDims, kDamaged));
  }
  uint64_t rows = 1;
  for (uint32_t d = 0; d < n_dims; ++d) {
    const uint64_t size = in.Read<uint64_t>(field);
    tensor.shape.push_back(size);
    if (size == 0 || (d > 0 && __builtin_mul_overflow(rows, size, &rows))) {
      in.Fail(field, fmt::format("found a size of {} in dimension {}, expected at least 1 and a product below 2^64; {}",
                                 size, d, kDamaged));
    }
  }
  tensor.type = static_cast<TensorType>(in.Read<uint32_t>(field));
  tensor.offset = in.Read<uint64_t>(field);
  const std::vector<TypeMeaning> meanings = MeaningsOf(tensor.type);
  if (meanings.size() == 1 && meanings[0].block_weights != 0 && !BytesOf(meanings[0], rows, tensor.cols())) {
    const TypeMeaning& m = meanings[0];
    in.Fail(field, tensor.cols() % m.block_weights != 0
                       ? fmt::format("rows of {} weights do not fit {}; expected a multiple of its block of {}",
                                     tensor.cols(), m.name, m.block_weights)
                       : fmt::format("a {} tensor of [{}, {}] has more bytes than 64 bits count", m.name, rows,
                                     tensor.cols()));
  }
  return tensor;
}

// Engines gave one number to several types, and one name to several layouts: the room that a tensor has in the file
// tells which of them it is. `room`: all bytes up to the next tensor, or of the last one up to the end of the file,
// where it may be cut off.
void TellMeaning(TensorInfo& tensor, uint64_t room, bool last, uint64_t alignment) {
  const std::vector<TypeMeaning> meanings = MeaningsOf(tensor.type);
  const auto bytes = [&](const TypeMeaning& m) { return BytesOf(m, tensor.rows(), tensor.cols()); };
  const auto fills = [&](const TypeMeaning& m) {
    const std::optional<size_t> b = bytes(m);
    return b && (room == *b || room == (*b + alignment - 1) / alignment * alignment);
  };
  const auto unsized = [](const TypeMeaning& m) { return m.block_weights == 0; };
  auto it = std::find_if(meanings.begin(), meanings.end(), fills);
  const bool one = meanings.size() == 1 || (!meanings.empty() && meanings[0].owner == TypeOwner::kThisEngine);
  if (it == meanings.end() && !(one && last) && std::count_if(meanings.begin(), meanings.end(), unsized) == 1) {
    it = std::find_if(meanings.begin(), meanings.end(), unsized);
  }
  if (it == meanings.end() && one && bytes(meanings[0])) it = meanings.begin();
  if (it != meanings.end()) tensor.meaning = *it;
  tensor.bytes = it == meanings.end() ? room : bytes(*it).value_or(room);
}

// Each tensor aligned, inside the data section, and clear of its neighbours.
void CheckExtents(const Cursor& in, GgufHeader& header, uint64_t file_bytes) {
  std::vector<TensorInfo*> by_offset;
  by_offset.reserve(header.tensors.size());
  for (TensorInfo& tensor : header.tensors) by_offset.push_back(&tensor);
  std::stable_sort(by_offset.begin(), by_offset.end(),
                   [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
  const uint64_t data_bytes = file_bytes > header.data_start ? file_bytes - header.data_start : 0;
  for (size_t i = 0; i < by_offset.size(); ++i) {
    TensorInfo& tensor = *by_offset[i];
    const std::string field = fmt::format("tensor {}", QuoteForMessage(tensor.name));
    if (tensor.offset % header.alignment != 0) {
      in.Fail(field, fmt::format("found offset {}, expected a multiple of the file's alignment {}; {}", tensor.offset,
                                 header.alignment, kDamaged));
    }
    if (tensor.offset > data_bytes) {
      in.Fail(
          field,
          fmt::format("found offset {}, beyond the {} bytes of tensor data in the file, {} bytes missing; the file is "
                      "truncated or damaged: fetch or convert it again",
                      tensor.offset, data_bytes, tensor.offset - data_bytes));
    }
    const bool last = i + 1 == by_offset.size();
    const uint64_t room = (last ? data_bytes : std::min(by_offset[i + 1]->offset, data_bytes)) - tensor.offset;
    TellMeaning(tensor, room, last, header.alignment);
    if (tensor.bytes > data_bytes - tensor.offset) {
      in.Fail(
          field,
          fmt::format("the file ends in its data: expected {} bytes of {} at offset {} of the file, found {}, {} bytes "
                      "missing; the file is truncated or damaged: fetch or convert it again",
                      tensor.bytes, tensor.type_name(), header.data_start + tensor.offset, data_bytes - tensor.offset,
                      tensor.bytes - (data_bytes - tensor.offset)));
    }
    if (tensor.bytes > room) {
      in.Fail(field, fmt::format("its {} bytes reach into tensor {}, which starts {} bytes after it; {}", tensor.bytes,
                                 QuoteForMessage(by_offset[i + 1]->name), room, kDamaged));
    }
  }
}

}  // namespace

uint64_t TensorInfo::rows() const {
  uint64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];
  return rows;
}

std::string RemedyFor(const TensorInfo& t) {
  if (t.meaning) return std::string(RemedyFor(t.meaning->owner));
  const std::vector<TypeMeaning> meanings = MeaningsOf(t.type);
  std::string all;
  for (const TypeMeaning& m : meanings) {
    all += fmt::format("{}if {}: {}", all.empty() ? "" : "; ", NameOf(m), RemedyFor(m.owner));
  }
  return all.empty() ? "no engine that we know has a type of this number: get another file of the model" : all;
}

std::string QuoteForMessage(std::string_view text) {
  constexpr size_t kMaxBytes = 80;
  std::string quoted = "'";
  for (const char c : text.substr(0, kMaxBytes)) {
    if (c >= 0x20 && c < 0x7f) {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return quoted + (text.size() > kMaxBytes ? fmt::format("...' ({} bytes)", text.size()) : "'");
}

std::string MetadataTypeName(const MetadataValue& value) {
  const auto* array = std::get_if<std::shared_ptr<MetadataArray>>(&value);
  if (array == nullptr) return std::string(kValueTypeNames[value.index()]);
  return fmt::format("array of {}", kValueTypeNames[(*array)->values.index()]);
}

GgufHeader ParseGgufHeader(std::span<const std::byte> file, const std::string& path) {
  Cursor in(file, path);
  GgufHeader header;
  ReadMagic(in);
  header.version = ReadVersion(in);
  const uint64_t n_tensors = in.Read<uint64_t>("tensor count");
  const uint64_t n_pairs = in.Read<uint64_t>("metadata count");
  in.CheckCount(n_tensors, kMinTensorBytes, "tensor count");
  in.CheckCount(n_pairs, kMinPairBytes, "metadata count");
  ReadMetadata(in, n_pairs, header);
  header.alignment = AlignmentOf(in, header);

  std::unordered_set<std::string_view> names;
  header.tensors.reserve(in.CheckCount(n_tensors, kMinTensorBytes, "tensor count"));
  for (uint64_t i = 0; i < n_tensors; ++i) {
    header.tensors.push_back(ReadTensorInfo(in, i, n_tensors));
    const std::string& name = header.tensors.back().name;
    if (!names.insert(name).second) {
      in.Fail(fmt::format("tensor {}", QuoteForMessage(name)), fmt::format("found twice, expected once; {}", kDamaged));
    }
  }
  header.data_start = (in.position() + header.alignment - 1) / header.alignment * header.alignment;
  CheckExtents(in, header, file.size());
  return header;
}

}  // namespace bitnet
