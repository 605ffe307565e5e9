#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <type_traits>
#include <unordered_map>

#include "engine/gguf/gguf.h"
#include "engine/gguf/gguf_parser.h"

namespace bitnet {
namespace {

// A whole file, mapped for reading.
class Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) Fail(path, "cannot be opened");
    struct stat status;
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(fd);
      throw std::runtime_error(
          fmt::format("{}: found something that is no regular file, expected a GGUF file; give the "
                      "path of a .gguf file",
                      path));
    }
    if (status.st_size == 0) {
      ::close(fd);
      throw std::runtime_error(
          fmt::format("{}: magic: found an empty file, expected 'GGUF'; fetch or convert it again", path));
    }
    bytes_ = static_cast<size_t>(status.st_size);
    address_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    ::close(fd);
    errno = error;
    if (address_ == MAP_FAILED) Fail(path, "cannot be mapped into memory");
  }
  ~Mapping() { ::munmap(address_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(address_), bytes_}; }

 private:
  [[noreturn]] static void Fail(const std::string& path, std::string_view problem) {
    throw std::runtime_error(fmt::format("{}: {}: {}; check the path, its permissions and the free memory", path,
                                         problem, std::strerror(errno)));
  }

  void* address_ = nullptr;
  size_t bytes_ = 0;
};

template <typename T>
inline constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// `from` as a To, or false if the types do not convert without loss.
template <typename To, typename From>
bool Convert(const From& from, To& to) {
  if constexpr (std::is_same_v<To, From>) {
    to = from;
    return true;
  } else if constexpr (kIsInteger<To> && kIsInteger<From>) {
    to = static_cast<To>(from);
    return std::in_range<To>(from);
  } else if constexpr (std::is_floating_point_v<To> && std::is_floating_point_v<From>) {
    to = static_cast<To>(from);
    return true;
  } else {
    return false;
  }
}

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

template <typename T>
bool ConvertValue(const MetadataValue& value, T& out) {
  if constexpr (IsVector<T>::value) {
    const auto* array = std::get_if<std::shared_ptr<MetadataArray>>(&value);
    if (array == nullptr) return false;
    return std::visit(
        [&](const auto& from) {
          out.clear();
          out.reserve(from.size());
          for (size_t i = 0; i < from.size(); ++i) {
            typename T::value_type element{};
            const typename std::decay_t<decltype(from)>::value_type source = from[i];
            if (!Convert(source, element)) return false;
            out.push_back(std::move(element));
          }
          return !from.empty() || std::is_same_v<T, std::decay_t<decltype(from)>>;
        },
        (*array)->values);
  } else {
    return std::visit([&](const auto& from) { return Convert(from, out); }, value);
  }
}

template <typename T>
std::string WantedName() {
  if constexpr (IsVector<T>::value) {
    return fmt::format("array of {}", WantedName<typename T::value_type>());
  } else if constexpr (kIsInteger<T>) {
    return fmt::format("{} of {} bits or an integer that fits it", std::is_signed_v<T> ? "int" : "uint", 8 * sizeof(T));
  } else {
    return MetadataTypeName(MetadataValue(T{}));
  }
}

std::string ValueForMessage(const MetadataValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, std::string>) {
          return fmt::format(" {}", QuoteForMessage(v));
        } else if constexpr (std::is_arithmetic_v<V>) {
          return fmt::format(" {}", v);
        } else {
          return "";
        }
      },
      value);
}

}  // namespace

namespace {

struct Shard {
  explicit Shard(const std::string& path) : mapping(path), header(ParseGgufHeader(mapping.bytes(), path)) {}
  Mapping mapping;
  GgufHeader header;
};

}  // namespace

struct GgufFile::Impl {
  explicit Impl(const std::string& file_path) : path(file_path) {
    shards.push_back(std::make_unique<Shard>(path));
    ListKeys();
  }

  std::vector<std::pair<std::string, MetadataValue>>& metadata() const { return shards[0]->header.metadata; }

  void ListKeys() {
    keys.clear();
    for (size_t i = 0; i < metadata().size(); ++i) keys.emplace(metadata()[i].first, i);
    read = std::make_unique<std::atomic<bool>[]>(metadata().size());
  }

  // Once all shards are there.
  void ListTensors() {
    for (size_t shard = 0; shard < shards.size(); ++shard) {
      for (TensorInfo& tensor : shards[shard]->header.tensors) {
        tensor.shard = shard;
        tensors.push_back(std::move(tensor));
      }
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (by_name.emplace(tensors[i].name, i).second) continue;
      throw std::runtime_error(fmt::format("{}: tensor {}: found in two shards, expected in one; split the model again",
                                           path, QuoteForMessage(tensors[i].name)));
    }
  }

  std::string path;
  std::vector<std::unique_ptr<Shard>> shards;  // one, unless the file is split
  std::vector<TensorInfo> tensors;
  std::unordered_map<std::string_view, size_t> keys;     // into metadata()
  std::unordered_map<std::string_view, size_t> by_name;  // into tensors
  std::unique_ptr<std::atomic<bool>[]> read;             // metadata()[i] was asked for
};

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

GgufFile GgufFile::Open(const std::string& path) {
  GgufFile file(std::make_unique<Impl>(path));
  if (file.GetOr<uint32_t>("split.count", 1) > 1) file.OpenOtherShards();
  file.impl_->ListTensors();
  return file;
}

void GgufFile::OpenOtherShards() {
  const auto count = Get<uint16_t>("split.count"), number = Get<uint16_t>("split.no");
  const auto suffix = [count](size_t shard) { return fmt::format("-{:05}-of-{:05}.gguf", shard + 1, count); };
  if (!path().ends_with(suffix(number))) {
    throw std::runtime_error(
        fmt::format("{}: found shard {} of {}, expected a name that ends in {}; rename it, or merge the shards with "
                    "llama-gguf-split --merge",
                    path(), number + 1, count, suffix(number)));
  }
  const std::string prefix = path().substr(0, path().size() - suffix(number).size());
  if (number != 0) {
    throw std::runtime_error(fmt::format("{}: found shard {} of {}, expected the first; give {}{}", path(), number + 1,
                                         count, prefix, suffix(0)));
  }
  for (size_t shard = 1; shard < count; ++shard) {
    const std::string name = prefix + suffix(shard);
    if (!std::filesystem::exists(name)) {
      throw std::runtime_error(
          fmt::format("{}: split.count is {}, and shard {} is missing: expected it in {}; fetch it", path(), count,
                      shard + 1, name));
    }
    const GgufFile other(std::make_unique<Impl>(name));
    if (other.Get<uint16_t>("split.no") != shard || other.Get<uint16_t>("split.count") != count) {
      throw std::runtime_error(fmt::format("{}: found shard {} of {} inside, expected {} of {}; fetch it again", name,
                                           other.Get<uint16_t>("split.no") + 1, other.Get<uint16_t>("split.count"),
                                           shard + 1, count));
    }
    impl_->shards.push_back(std::move(other.impl_->shards[0]));
  }
  size_t tensors = 0;
  for (const auto& shard : impl_->shards) tensors += shard->header.tensors.size();
  if (const auto expected = GetOr<uint64_t>("split.tensors.count", tensors); tensors != expected) {
    throw std::runtime_error(
        fmt::format("{}: found {} tensors in {} shards, expected {} (split.tensors.count); fetch "
                    "the shards again",
                    path(), tensors, count, expected));
  }
}

const std::string& GgufFile::path() const { return impl_->path; }
uint32_t GgufFile::version() const { return impl_->shards[0]->header.version; }
uint64_t GgufFile::alignment() const { return impl_->shards[0]->header.alignment; }
size_t GgufFile::file_bytes() const {
  size_t bytes = 0;
  for (const auto& shard : impl_->shards) bytes += shard->mapping.bytes().size();
  return bytes;
}
const std::vector<std::pair<std::string, MetadataValue>>& GgufFile::metadata() const { return impl_->metadata(); }
const std::vector<TensorInfo>& GgufFile::tensors() const { return impl_->tensors; }

bool GgufFile::Has(std::string_view key) const { return Find(key) != nullptr; }

const MetadataValue* GgufFile::Find(std::string_view key) const {
  const auto it = impl_->keys.find(key);
  if (it == impl_->keys.end()) return nullptr;
  impl_->read[it->second] = true;
  return &impl_->metadata()[it->second].second;
}

void GgufFile::Override(std::string key, MetadataValue value) {
  if (const auto it = impl_->keys.find(key); it != impl_->keys.end()) {
    impl_->metadata()[it->second].second = std::move(value);
  } else {
    impl_->metadata().emplace_back(std::move(key), std::move(value));
    impl_->ListKeys();
  }
}

std::vector<std::string> GgufFile::UnreadKeys() const {
  std::vector<std::string> unread;
  for (size_t i = 0; i < metadata().size(); ++i) {
    if (!impl_->read[i]) unread.push_back(metadata()[i].first);
  }
  return unread;
}

template <typename T>
T GgufFile::Get(std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) {
    throw std::runtime_error(
        fmt::format("{}: metadata key {}: not found, expected {}; convert the model with a converter that "
                    "writes it",
                    path(), QuoteForMessage(key), WantedName<T>()));
  }
  T out{};
  if (!ConvertValue(*value, out)) {
    throw std::runtime_error(fmt::format("{}: metadata key {}: found {}{}, expected {}; convert the model again",
                                         path(), QuoteForMessage(key), MetadataTypeName(*value),
                                         ValueForMessage(*value), WantedName<T>()));
  }
  return out;
}

#define PARITY_INSTANTIATE_GET(T)                      \
  template T GgufFile::Get<T>(std::string_view) const; \
  template std::vector<T> GgufFile::Get<std::vector<T>>(std::string_view) const
PARITY_INSTANTIATE_GET(bool);
PARITY_INSTANTIATE_GET(uint8_t);
PARITY_INSTANTIATE_GET(int8_t);
PARITY_INSTANTIATE_GET(uint16_t);
PARITY_INSTANTIATE_GET(int16_t);
PARITY_INSTANTIATE_GET(uint32_t);
PARITY_INSTANTIATE_GET(int32_t);
PARITY_INSTANTIATE_GET(uint64_t);
PARITY_INSTANTIATE_GET(int64_t);
PARITY_INSTANTIATE_GET(float);
PARITY_INSTANTIATE_GET(double);
PARITY_INSTANTIATE_GET(std::string);
#undef PARITY_INSTANTIATE_GET

const TensorInfo* GgufFile::FindTensor(std::string_view name) const {
  const auto it = impl_->by_name.find(name);
  return it == impl_->by_name.end() ? nullptr : &impl_->tensors[it->second];
}

const TensorInfo& GgufFile::Tensor(std::string_view name) const {
  const TensorInfo* tensor = FindTensor(name);
  if (tensor == nullptr) {
    throw std::runtime_error(
        fmt::format("{}: tensor {}: not found among {} tensors; the model is of another architecture or "
                    "incomplete: convert it again",
                    path(), QuoteForMessage(name), tensors().size()));
  }
  return *tensor;
}

std::span<const std::byte> GgufFile::Data(const TensorInfo& tensor) const {
  const bool has_shard = tensor.shard < impl_->shards.size();
  const std::span<const std::byte> data =
      has_shard ? impl_->shards[tensor.shard]->mapping.bytes() : std::span<const std::byte>();
  const uint64_t start = has_shard ? impl_->shards[tensor.shard]->header.data_start : 0;
  if (!has_shard || start > data.size() || tensor.offset > data.size() - start ||
      tensor.bytes > data.size() - start - tensor.offset) {
    throw std::runtime_error(
        fmt::format("{}: tensor {}: {} bytes at data offset {} are not in this file; pass a TensorInfo of "
                    "the same file",
                    path(), QuoteForMessage(tensor.name), tensor.bytes, tensor.offset));
  }
  return data.subspan(start + tensor.offset, tensor.bytes);
}

}  // namespace bitnet
