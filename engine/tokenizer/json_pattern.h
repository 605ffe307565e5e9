// What the parts of a tokenizer.json share: a table of types, and a pattern.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JSON_PATTERN_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JSON_PATTERN_H_

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "engine/tokenizer/json_node.h"
#include "engine/tokenizer/regex.h"

namespace bitnet {

template <typename Part>
struct ReaderRow {
  std::string_view type;
  Part (*read)(const JsonNode& node);
};

// Reads a part by its key "type"; an error lists the types that are known.
template <typename Part>
Part ReadByType(const JsonNode& node, std::span<const ReaderRow<Part>> rows) {
  const JsonNode type = node.At("type");
  std::string known;
  for (const ReaderRow<Part>& row : rows) {
    if (type.String() == row.type) return row.read(node);
    known += (known.empty() ? "" : ", ") + std::string(row.type);
  }
  type.Fail("one of " + known);
}

// {"String": text} or {"Regex": expression}.
inline Regex ReadPattern(const JsonNode& node) {
  if (node.Has("String")) return Regex::Literal(node.At("String").String());
  const JsonNode expression = node.At("Regex");
  try {
    return Regex(expression.String());
  } catch (const std::runtime_error& error) {
    expression.Fail("an expression that PCRE2 and Oniguruma read alike", error.what());
  }
}

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JSON_PATTERN_H_
