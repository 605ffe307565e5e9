// What the HTML page is made of. All markup is balanced and quoted as XML asks, so that any parser can check a page.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_HTML_PARTS_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_HTML_PARTS_H_

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/report.h"

namespace parity {

// Text as markup.
std::string Escape(std::string_view text);

// `open`: the element's name and its attributes. `content` is markup.
std::string Tag(std::string_view open, std::string_view content);

// A whole page. `title`: text; `style`: CSS behind that of all pages (html_style.h); `body`: markup.
std::string Page(std::string_view title, std::string_view style, std::string_view body);

// At most `most` characters of valid UTF-8.
std::string Shorten(const std::string& text, size_t most);

// What colours mean: the classes of the marks, and a text.
std::string Key(std::initializer_list<std::pair<std::vector<std::string>, std::string>> entries);

// "1 position", "3 generated tokens"
std::string Count(size_t n, Rung rung);

// The positions of one rung, and what both sides have there.
class Positions {
 public:
  Positions(const HtmlClimb& climb, Rung rung);

  const RungResult& result() const { return result_; }
  size_t rows() const { return result_.rows.size(); }
  // nullptr if that position was not compared.
  const RowMetrics* metrics(size_t i) const { return i < rows() ? &result_.rows[i] : nullptr; }

  bool has_logits(int64_t i) const;  // of both sides, of one length; only then Candidate and Reference
  std::span<const float> Candidate(size_t i) const { return Row(captures_->candidate, i); }
  std::span<const float> Reference(size_t i) const { return Row(captures_->reference, i); }

  std::string Name(size_t i) const;  // `position 4, token 30 " begin"`
  // The reference's token there, and its text, quoted; -1 and "" if it is not known.
  std::pair<int32_t, std::string> Token(size_t i) const;
  std::string Piece(int32_t id) const;  // of the vocabulary, quoted

 private:
  bool generated() const { return InfoOf(result_.rung).positions == PositionKind::kGenerated; }
  const Matrix& Logits(const Capture& capture) const;
  std::span<const float> Row(const Capture& capture, size_t i) const;

  const RungResult& result_;
  const Captures* captures_;
  LadderOptions options_;
};

// A cell for each metric and position; "" if none was compared.
std::string Heatmap(const Positions& positions);
std::string HeatmapKey();

// The largest logits of both sides beside each other, and their probabilities as bars; of one position.
std::string TopTable(const Positions& positions, size_t i);
std::string TopPlot(const Positions& positions, size_t i);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_HTML_PARTS_H_
