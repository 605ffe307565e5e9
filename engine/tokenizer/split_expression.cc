#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/tokenizer/split_expression.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>

namespace bitnet {
namespace {

struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct SplitExpression::Compiled {
  explicit Compiled(std::string source) : source_(std::move(source)) {
    int error = 0;
    PCRE2_SIZE position = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source_.data()), source_.size(), 0, &error, &position, nullptr);
    if (code_ == nullptr) Fail("pcre2_compile", error);
    // Where just-in-time compilation is not to be had, pcre2_match interprets: slower, same result.
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);
    context_ = pcre2_match_context_create(nullptr);
    if (context_ == nullptr) {
      pcre2_code_free(code_);
      throw std::bad_alloc();
    }
    // The work is linear in the text; the limits of PCRE2 would only refuse a long run of spaces.
    pcre2_set_match_limit(context_, std::numeric_limits<uint32_t>::max());
    pcre2_set_heap_limit(context_, std::numeric_limits<uint32_t>::max());
  }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    pcre2_match_context_free(context_);
    pcre2_code_free(code_);
  }

  std::vector<size_t> Split(std::string_view classes, const std::vector<size_t>& lengths) const {
    const std::unique_ptr<pcre2_match_data, MatchDataFree> match(pcre2_match_data_create_from_pattern(code_, nullptr));
    if (match == nullptr) throw std::bad_alloc();
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
    std::vector<size_t> result;
    size_t begin = 0;
    for (const size_t length : lengths) {
      const auto* piece = reinterpret_cast<PCRE2_SPTR>(classes.data() + begin);
      size_t done = 0;
      while (done < length) {
        const int found = pcre2_match(code_, piece, length, done, PCRE2_NOTEMPTY, match.get(), context_);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0) Fail("pcre2_match", found);
        if (bounds[0] > done) result.push_back(bounds[0] - done);
        result.push_back(bounds[1] - bounds[0]);
        done = bounds[1];
      }
      if (done < length) result.push_back(length - done);
      begin += length;
    }
    return result;
  }

  [[noreturn]] void Fail(std::string_view function, int error) const {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    throw std::runtime_error(fmt::format("pre-tokenizer expression {}: {} failed: {}", source_, function,
                                         reinterpret_cast<const char*>(message.data())));
  }

  std::string source_;
  pcre2_code* code_ = nullptr;
  pcre2_match_context* context_ = nullptr;
};

SplitExpression::SplitExpression(std::string source) : compiled_(std::make_unique<Compiled>(std::move(source))) {}
SplitExpression::~SplitExpression() = default;

std::vector<size_t> SplitExpression::Split(std::string_view classes, const std::vector<size_t>& lengths) const {
  return compiled_->Split(classes, lengths);
}

}  // namespace bitnet
