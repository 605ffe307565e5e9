// A file that is there whole or not at all, whoever reads or stops meanwhile.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_WHOLE_FILE_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_WHOLE_FILE_H_

#include <string>
#include <string_view>

namespace parity {

// Writes beside `path` and renames. Throws std::runtime_error, naming the file; what stood there before then stays.
void WriteWhole(const std::string& path, std::string_view text);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_WHOLE_FILE_H_
