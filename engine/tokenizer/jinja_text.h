// What Python and Jinja do with text.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_TEXT_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

// Throw JinjaError for letters whose other case depends on more than themselves.
std::string UpperText(std::string_view text);
std::string LowerText(std::string_view text);
std::string CapitalizedText(std::string_view text);
// The first letter of each word in upper case; words begin behind white space and `separators`.
std::string TitleText(std::string_view text, std::string_view separators);

// `count` below 0: all.
std::string ReplacedText(std::string_view text, std::string_view old, std::string_view fresh, int64_t count);
// str.split and str.rsplit; without a separator at white space.
std::vector<std::string> SplitText(std::string_view text, std::optional<std::string_view> separator, int64_t count,
                                   bool from_right = false);
std::vector<std::string> LinesOf(std::string_view text, bool keep_ends);
std::string IndentedText(std::string_view text, std::string_view indention, bool first, bool blank);
std::string HtmlText(std::string_view text);
// What float() reads.
std::optional<double> NumberOfText(std::string_view text);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_TEXT_H_
