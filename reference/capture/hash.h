// BLAKE3 of bytes and files, as 64 lower-case hex digits.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_HASH_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_HASH_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

std::string HashBytes(const void* data, size_t size);
std::string HashText(std::string_view text);

// The files that a model is in: the file alone, or where it is the first shard of a split GGUF file
// (x-00001-of-00003.gguf) all of them, by name.
std::vector<std::string> ShardsOf(const std::string& path);

// Of the file's bytes; of a split GGUF file those of all shards, one behind the other. Throws std::runtime_error if a
// file cannot be read.
std::string HashFile(const std::string& path);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_HASH_H_
