// The tokens of a template, and where in them a parser is.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_TOKEN_READER_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_TOKEN_READER_H_

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/jinja_lexer.h"

namespace bitnet {

inline constexpr int kDeepestJinja = 100;
inline constexpr int kLongestJinjaChain = 2000;

// The tokens, and where in them the parser is.
class JinjaTokenReader {
 public:
  explicit JinjaTokenReader(std::vector<JinjaToken> tokens) : tokens_(std::move(tokens)) {}

  const JinjaToken& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  JinjaToken Next() {
    JinjaToken token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(JinjaToken::Kind kind, std::string_view text = {}) const {
    return Peek().kind == kind && (text.empty() || Peek().text == text);
  }
  bool IsOperator(std::string_view text) const { return Is(JinjaToken::Kind::kOperator, text); }
  bool IsName(std::string_view text) const { return Is(JinjaToken::Kind::kName, text); }
  bool TakeOperator(std::string_view text) { return IsOperator(text) && (Next(), true); }
  bool TakeName(std::string_view text) { return IsName(text) && (Next(), true); }
  void Expect(JinjaToken::Kind kind, std::string_view text) {
    if (!Is(kind, kind == JinjaToken::Kind::kOperator || kind == JinjaToken::Kind::kName ? text : std::string_view())) {
      Fail(fmt::format("found {}, expected {}", Shown(), text));
    }
    Next();
  }
  void ExpectOperator(std::string_view text) { Expect(JinjaToken::Kind::kOperator, text); }
  std::string ExpectAnyName() {
    if (Peek().kind != JinjaToken::Kind::kName) Fail(fmt::format("found {}, expected a name", Shown()));
    return Next().text;
  }
  int line() const { return Peek().line; }
  [[noreturn]] void Fail(std::string_view message) const {
    throw JinjaError(fmt::format("line {}: {}", line(), message));
  }
  std::string Shown() const {
    switch (Peek().kind) {
      case JinjaToken::Kind::kBlockEnd:
      case JinjaToken::Kind::kVariableEnd:
        return "the end of the tag";
      case JinjaToken::Kind::kEnd:
        return "the end of the template";
      default:
        return fmt::format("{:?}", Peek().text);
    }
  }

 private:
  std::vector<JinjaToken> tokens_;
  size_t at_ = 0;
};

// Counts how deep the parser is in itself.
class JinjaDepth {
 public:
  JinjaDepth(int* depth, const JinjaTokenReader& tokens) : depth_(depth) {
    if (++*depth_ > kDeepestJinja) tokens.Fail(fmt::format("nested deeper than {}", kDeepestJinja));
  }
  ~JinjaDepth() { --*depth_; }
  JinjaDepth(const JinjaDepth&) = delete;
  JinjaDepth& operator=(const JinjaDepth&) = delete;

 private:
  int* depth_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_TOKEN_READER_H_
