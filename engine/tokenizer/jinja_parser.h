// A Jinja template as a tree.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_PARSER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_PARSER_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/jinja_value.h"

namespace bitnet {

struct JinjaExpression;
using JinjaExpressionPtr = std::unique_ptr<const JinjaExpression>;

struct JinjaExpression {
  enum class Kind {
    kConstant,   // value
    kName,       // text
    kList,       // parts
    kTuple,      // parts
    kDict,       // parts: key, value, key, value
    kAttribute,  // parts[0].text
    kItem,       // parts[0][parts[1]]
    kSlice,      // parts[0][parts[1]:parts[2]:parts[3]], each of the three may be missing
    kCall,       // parts[0](parts[1..], named)
    kFilter,     // parts[0] | text(parts[1..], named)
    kTest,       // parts[0] is text(parts[1..], named)
    kNot,        // parts[0], and so on
    kNegative,
    kPositive,
    kAnd,
    kOr,
    kCondition,   // parts[1] if parts[0] else parts[2]; the last may be missing
    kBinary,      // parts[0] text parts[1]
    kComparison,  // parts[0] operators[0] parts[1] operators[1] parts[2] ...
  };

  Kind kind;
  int line = 0;
  std::string text = {};
  JinjaValue value = {};
  std::vector<JinjaExpressionPtr> parts = {};
  std::vector<std::pair<std::string, JinjaExpressionPtr>> named = {};
  std::vector<std::string> operators = {};
};

struct JinjaStatement;
using JinjaBody = std::vector<std::unique_ptr<const JinjaStatement>>;

struct JinjaStatement {
  enum class Kind {
    kText,      // text
    kOutput,    // expression
    kIf,        // conditions[i]: bodies[i], else bodies.back() where there is one more
    kFor,       // names in expression, if condition: bodies[0], else bodies[1]
    kSet,       // names (of one: attribute of a namespace, where text is not empty) = expression
    kSetBlock,  // names[0] = bodies[0], through the filters of expression, where there is one
    kMacro,     // text(names with defaults): bodies[0]
    kFilter,    // bodies[0] through the filters of expression
    kScope,     // bodies[0], with names = defaults
    kBreak,
    kContinue,
  };

  Kind kind;
  int line = 0;
  std::string text = {};
  std::vector<std::string> names = {};
  std::vector<JinjaExpressionPtr> conditions = {}, defaults = {};  // a default may be missing
  JinjaExpressionPtr expression = nullptr, condition = nullptr;
  std::vector<JinjaBody> bodies = {};
};

// The name by which the text that is filtered is known in the expression of kSetBlock and kFilter.
inline constexpr std::string_view kFilteredText = "{text}";

// With trim_blocks and lstrip_blocks, as chat templates are read. Throws JinjaError that begins with the line.
JinjaBody ParseJinja(std::string_view source);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_PARSER_H_
