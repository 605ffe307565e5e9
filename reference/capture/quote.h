// Escapes untrusted text for messages and reports. Token text may be part of a UTF-8 sequence, a line break, or
// anything else.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_QUOTE_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_QUOTE_H_

#include <string>
#include <string_view>

namespace parity {

// `text` in double quotes, on one line, valid UTF-8: control characters, quotes, backslashes, invalid bytes, and the
// characters that change the direction of a line are written as escapes (\n, \", \xE2, \u202E).
std::string Quote(std::string_view text);

// `text` as valid UTF-8: an invalid byte, or a control character other than a line break, becomes U+FFFD.
std::string Utf8(std::string_view text);

bool IsValidUtf8(std::string_view text);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_QUOTE_H_
