#include "parity_tests/report/html_parts.h"

#include <fmt/format.h>

#include "parity_tests/judge/rungs.h"
#include "parity_tests/report/html_style.h"
#include "reference/capture/quote.h"

namespace parity {

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : Utf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Tag(std::string_view open, std::string_view content) {
  return fmt::format("<{}>{}</{}>", open, content, open.substr(0, open.find(' ')));
}

std::string Page(std::string_view title, std::string_view style, std::string_view body) {
  const std::string head =
      "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>" +
      Tag("title", Escape(title)) + Tag("style", fmt::format("{}{}", kHtmlStyle, style));
  return "<!DOCTYPE html>\n" + Tag("html lang=\"en\"", Tag("head", head) + "\n" + Tag("body", body)) + "\n";
}

std::string Shorten(const std::string& text, size_t most) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xC0) != 0x80 && ++characters > most) return text.substr(0, i) + "…";
  }
  return text;
}

std::string Key(std::initializer_list<std::pair<std::vector<std::string>, std::string>> entries) {
  std::string out;
  for (const auto& [classes, text] : entries) {
    std::string marks;
    for (const std::string& name : classes) marks += Tag(fmt::format("i class=\"{}\"", name), "");
    out += Tag("span", marks + " " + Escape(text));
  }
  return Tag("div class=\"key\"", out);
}

std::string Count(size_t n, Rung rung) { return fmt::format("{} {}{}", n, PositionName(rung), n == 1 ? "" : "s"); }

Positions::Positions(const HtmlClimb& climb, Rung rung)
    : result_(climb.verdict->rung(rung)),
      captures_(climb.captures),
      options_{.profile = {}, .piece_of = climb.piece_of} {}

bool Positions::has_logits(int64_t i) const {
  if (captures_ == nullptr || i < 0 || !result_.at.empty()) return false;
  const Matrix &c = Logits(captures_->candidate), &r = Logits(captures_->reference);
  return i < c.rows && i < r.rows && c.cols == r.cols && c.cols > 0;
}

std::string Positions::Name(size_t i) const {
  const auto& [id, text] = Token(i);
  const std::string name = fmt::format("{} {}", PositionName(result_.rung), result_.PositionOf(i));
  return id < 0 ? name : fmt::format("{}, token {} {}", name, id, text);
}

std::pair<int32_t, std::string> Positions::Token(size_t i) const {
  if (captures_ == nullptr) return {-1, ""};
  const Capture& r = captures_->reference;
  const bool decode = generated();
  i = static_cast<size_t>(result_.PositionOf(i));
  const std::vector<int32_t>& ids = decode ? r.generated : r.tokens;
  const std::vector<std::string>& pieces = decode ? r.generated_pieces : r.pieces;
  if (i >= ids.size()) return {-1, ""};
  return {ids[i], Quote(i < pieces.size() ? pieces[i] : "")};
}

std::string Positions::Piece(int32_t id) const {
  return Quote(PieceOf(id, captures_->candidate, captures_->reference, options_));
}

const Matrix& Positions::Logits(const Capture& capture) const {
  return generated() ? capture.decode_logits : capture.logits;
}

std::span<const float> Positions::Row(const Capture& capture, size_t i) const {
  const Matrix& logits = Logits(capture);
  return {logits.row(static_cast<int64_t>(i)), static_cast<size_t>(logits.cols)};
}

}  // namespace parity
