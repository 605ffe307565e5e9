// BLAKE3 of bytes and files, as 64 lower-case hex digits.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_HASH_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_HASH_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace parity {

std::string HashBytes(const void* data, size_t size);
std::string HashText(std::string_view text);

// Throws std::runtime_error if the file cannot be read.
std::string HashFile(const std::string& path);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_HASH_H_
