#include "reference/capture/hash.h"

#include <blake3.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <regex>
#include <stdexcept>
#include <vector>

namespace parity {
namespace {

std::string HexDigest(const blake3_hasher& hasher) {
  std::array<uint8_t, BLAKE3_OUT_LEN> digest;
  blake3_hasher_finalize(&hasher, digest.data(), digest.size());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (uint8_t byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

void AddFile(const std::string& path, blake3_hasher& hasher) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw std::runtime_error(fmt::format("{}: cannot open to hash it: {}", path, std::strerror(errno)));
  std::vector<char> buffer(1 << 20);
  while (size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    blake3_hasher_update(&hasher, buffer.data(), n);
  }
  if (std::ferror(file.get())) {
    throw std::runtime_error(fmt::format("{}: cannot read to hash it: {}", path, std::strerror(errno)));
  }
}

}  // namespace

std::string HashBytes(const void* data, size_t size) {
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  blake3_hasher_update(&hasher, data, size);
  return HexDigest(hasher);
}

std::string HashText(std::string_view text) { return HashBytes(text.data(), text.size()); }

std::vector<std::string> ShardsOf(const std::string& path) {
  static const std::regex first("(.*)-00001-of-([0-9]{5})\\.gguf");
  std::vector<std::string> shards = {path};
  std::smatch match;
  if (!std::regex_match(path, match, first)) return shards;
  const int count = std::stoi(match[2]);
  for (int i = 2; i <= count; ++i) shards.push_back(fmt::format("{}-{:05}-of-{:05}.gguf", match[1].str(), i, count));
  return shards;
}

std::string HashFile(const std::string& path) {
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  for (const std::string& shard : ShardsOf(path)) AddFile(shard, hasher);
  return HexDigest(hasher);
}

}  // namespace parity
