#include <errno.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "engine/gguf/gguf.h"
#include "engine/gguf/gguf_parser.h"

namespace bitnet {

struct GgufWriter::Impl {
  std::string path;
  std::string temporary;
  std::FILE* file = nullptr;
  std::vector<std::pair<std::string, MetadataValue>> metadata;
  std::vector<TensorInfo> tensors;
  uint64_t alignment = kGgufDefaultAlignment;
  uint64_t data_bytes = 0;  // of all declared tensors, each padded to the alignment
  size_t written = 0;       // tensors
  bool header_written = false;
  bool finished = false;

  [[noreturn]] void Fail(std::string_view what, std::string_view problem) const {
    throw std::runtime_error(fmt::format("{}: {}: {}", path, what, problem));
  }

  uint64_t Aligned(uint64_t offset) const { return (offset + alignment - 1) / alignment * alignment; }

  void Write(const void* data, size_t bytes) {
    if (bytes != 0 && std::fwrite(data, 1, bytes, file) != bytes) FailWrite();
  }
  [[noreturn]] void FailWrite() const {
    Fail("writing", fmt::format("{} failed: {}; check the free space", temporary, std::strerror(errno)));
  }
  void Pad(uint64_t bytes) {
    static constexpr char kZeros[4096] = {};
    for (; bytes > 0; bytes -= std::min<uint64_t>(bytes, sizeof(kZeros))) {
      Write(kZeros, std::min<uint64_t>(bytes, sizeof(kZeros)));
    }
  }

  template <typename T>
  void Value(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      Value<uint64_t>(value.size());
      Write(value.data(), value.size());
    } else if constexpr (std::is_same_v<T, std::shared_ptr<MetadataArray>>) {
      Value(static_cast<uint32_t>(value->values.index()));
      std::visit(
          [&](const auto& elements) {
            Value<uint64_t>(elements.size());
            for (const auto& element : elements) {
              Value(static_cast<typename std::decay_t<decltype(elements)>::value_type>(element));
            }
          },
          value->values);
    } else if constexpr (std::is_same_v<T, bool>) {
      Value<uint8_t>(value ? 1 : 0);
    } else {
      static_assert(std::is_arithmetic_v<T>);
      Write(&value, sizeof(value));
    }
  }
};

GgufWriter::GgufWriter(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->temporary = fmt::format("{}.tmp.{}", path, ::getpid());
  impl_->file = std::fopen(impl_->temporary.c_str(), "wb");
  if (impl_->file == nullptr) {
    impl_->Fail("writing", fmt::format("{} cannot be created: {}; check that the folder exists and may be written",
                                       impl_->temporary, std::strerror(errno)));
  }
}

GgufWriter::~GgufWriter() {
  if (impl_->file != nullptr) std::fclose(impl_->file);
  if (!impl_->finished) std::remove(impl_->temporary.c_str());
}

void GgufWriter::Set(std::string key, MetadataValue value) {
  Impl& w = *impl_;
  const std::string field = fmt::format("metadata key {}", QuoteForMessage(key));
  if (w.header_written) w.Fail(field, "set after WriteHeader(); set every key before it");
  if (key.empty()) w.Fail(field, "found an empty key, expected a name");
  if (const auto* array = std::get_if<std::shared_ptr<MetadataArray>>(&value); array != nullptr && *array == nullptr) {
    w.Fail(field, "found a null array, expected elements or an empty array");
  }
  if (key == "general.alignment") {
    const uint32_t* alignment = std::get_if<uint32_t>(&value);
    if (alignment == nullptr || *alignment < 8 || !std::has_single_bit(*alignment)) {
      w.Fail(field, "expected a uint32, a power of two of at least 8");
    }
    if (!w.tensors.empty()) w.Fail(field, "set after DeclareTensor(); the alignment decides the tensors' offsets");
    w.alignment = *alignment;
  }
  const auto same =
      std::find_if(w.metadata.begin(), w.metadata.end(), [&](const auto& pair) { return pair.first == key; });
  if (same != w.metadata.end()) {
    same->second = std::move(value);
  } else {
    w.metadata.emplace_back(std::move(key), std::move(value));
  }
}

void GgufWriter::DeclareTensor(std::string name, TensorType type, std::vector<uint64_t> shape) {
  Impl& w = *impl_;
  const std::string field = fmt::format("tensor {}", QuoteForMessage(name));
  if (w.header_written) w.Fail(field, "declared after WriteHeader(); declare every tensor before it");
  if (shape.size() > 4) w.Fail(field, fmt::format("found {} dimensions, expected at most 4", shape.size()));
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end())
    w.Fail(field, "found a dimension of 0, expected at least 1");
  if (std::any_of(w.tensors.begin(), w.tensors.end(), [&](const TensorInfo& t) { return t.name == name; })) {
    w.Fail(field, "declared twice, expected once");
  }
  TensorInfo tensor{std::move(name), type, std::move(shape), w.data_bytes, 0};
  try {
    tensor.bytes = TensorBytes(type, tensor.rows(), tensor.cols());
  } catch (const std::runtime_error& error) {
    w.Fail(field, error.what());
  }
  w.data_bytes += w.Aligned(tensor.bytes);
  w.tensors.push_back(std::move(tensor));
}

void GgufWriter::WriteHeader() {
  Impl& w = *impl_;
  if (w.header_written) w.Fail("header", "WriteHeader() called twice, expected once");
  w.header_written = true;
  w.Write("GGUF", 4);
  w.Value<uint32_t>(3);
  w.Value<uint64_t>(w.tensors.size());
  w.Value<uint64_t>(w.metadata.size());
  for (const auto& [key, value] : w.metadata) {
    w.Value(key);
    w.Value(static_cast<uint32_t>(value.index()));
    std::visit([&](const auto& v) { w.Value(v); }, value);
  }
  for (const TensorInfo& tensor : w.tensors) {
    w.Value(tensor.name);
    w.Value(static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t size : tensor.shape) w.Value(size);
    w.Value(static_cast<uint32_t>(tensor.type));
    w.Value(tensor.offset);
  }
  const long position = std::ftell(w.file);
  if (position < 0) w.FailWrite();
  w.Pad(w.Aligned(static_cast<uint64_t>(position)) - static_cast<uint64_t>(position));
}

void GgufWriter::WriteTensor(std::span<const std::byte> data) {
  Impl& w = *impl_;
  if (!w.header_written) w.Fail("tensor data", "WriteTensor() called before WriteHeader()");
  if (w.written == w.tensors.size()) {
    w.Fail("tensor data", fmt::format("found one tensor more than the {} declared", w.tensors.size()));
  }
  const TensorInfo& tensor = w.tensors[w.written];
  if (data.size() != tensor.bytes) {
    w.Fail(fmt::format("tensor {}", QuoteForMessage(tensor.name)),
           fmt::format("found {} bytes of data, expected {}", data.size(), tensor.bytes));
  }
  w.Write(data.data(), data.size());
  w.Pad(w.Aligned(data.size()) - data.size());
  ++w.written;
}

void GgufWriter::Finish() {
  Impl& w = *impl_;
  if (w.finished) w.Fail("file", "Finish() called twice, expected once");
  if (!w.header_written || w.written != w.tensors.size()) {
    w.Fail("file",
           fmt::format("found data of {} tensors, expected {}; write the header and every declared tensor first",
                       w.written, w.tensors.size()));
  }
  std::FILE* file = std::exchange(w.file, nullptr);
  if (std::fclose(file) != 0) w.FailWrite();
  if (std::rename(w.temporary.c_str(), w.path.c_str()) != 0) {
    w.Fail("writing", fmt::format("{} cannot be renamed to it: {}", w.temporary, std::strerror(errno)));
  }
  w.finished = true;
}

}  // namespace bitnet
