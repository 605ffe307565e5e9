// A Jinja template as tokens.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_LEXER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_LEXER_H_

#include <string>
#include <string_view>
#include <vector>

namespace bitnet {

struct JinjaToken {
  enum class Kind {
    kText,
    kVariableBegin,
    kVariableEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };

  Kind kind;
  std::string text;  // of a string its value, of a number without underscores
  int line;
};

// With trim_blocks and lstrip_blocks, and without the newline at the end. Comments are gone; {% raw %} is text. The
// last token is kEnd. Throws JinjaError that begins with the line.
std::vector<JinjaToken> LexJinja(std::string_view source);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_LEXER_H_
