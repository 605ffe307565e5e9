// First-logit, positions, decode: rows of logits against a profile's limits.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "parity_tests/judge/rung_parts.h"
#include "parity_tests/judge/thresholds.h"
#include "reference/capture/hash.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

int64_t CountNonFinite(std::span<const float> row) {
  return std::count_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
}

std::string DescribeNonFinite(std::string_view where, int64_t position, std::span<const float> c,
                              std::span<const float> r) {
  return fmt::format("{} {}: NaN or infinity in {} of the candidate's and {} of the reference's {} logits", where,
                     position, CountNonFinite(c), CountNonFinite(r), c.size());
}

// The row of a result that is of this position.
int64_t RowOf(const RungResult& result, int64_t position) {
  const auto found = std::find(result.at.begin(), result.at.end(), position);
  return found == result.at.end() ? position : found - result.at.begin();
}

double SeverityOf(const Check& check) { return Severity(check.metric, check.worst, check.limit); }

bool IsAboutBits(const Check& check) {
  return check.metric == Metric::kBitIdentical || check.metric == Metric::kMaxUlp;
}

// For limits on bits: how many differ and the largest distance, not the share at the worst position.
std::string DescribeCheck(const Check& check, const WorstRows& worst, std::string_view where) {
  if (IsAboutBits(check)) return DescribeDifference(worst, where);
  return fmt::format("{} {:.3g} at {} {}, the limit is {:g}", MetricName(check.metric), check.worst, where,
                     check.position, check.limit);
}

// Judges result.rows by the profile's limits for result.rung: checks, worst, first_over, position, status, message.
void Judge(const Profile& profile, const Matrix& c, const Matrix& r, RungResult& result) {
  const Limits limits = LimitsOf(profile, result.rung);
  const std::string_view where = PositionName(result.rung);
  for (size_t i = 0; i < result.rows.size(); ++i) {
    result.worst.Add(result.rows[i], result.PositionOf(i), c.cols);
    if (result.first_over < 0 && GradeRow(result.rows[i], limits) == Grade::kFail) {
      result.first_over = result.PositionOf(i);
    }
  }
  const Check* worst_check = nullptr;
  for (const auto& [metric, limit] : limits) {
    const double worst = result.worst.value(metric);
    result.checks.push_back({metric, limit, worst, result.worst.position(metric), Meets(metric, worst, limit)});
  }
  for (const Check& check : result.checks) {
    if (!check.pass && (worst_check == nullptr || SeverityOf(check) > SeverityOf(*worst_check))) worst_check = &check;
  }
  result.position = worst_check == nullptr      ? result.worst.position(Metric::kMse)
                    : IsAboutBits(*worst_check) ? result.worst.furthest_position()
                                                : worst_check->position;
  if (result.first_over < 0) return;
  result.status = Status::kFail;
  if (result.worst.non_finite() > 0) {
    result.position = result.worst.position(Metric::kMse);  // infinite there, and the first such
    const int64_t row = RowOf(result, result.position);
    result.message = DescribeNonFinite(where, result.position, Row(c, row), Row(r, row));
  } else {
    result.message = DescribeCheck(*worst_check, result.worst, where);
  }
  if (result.first_over != result.position) {
    result.message += fmt::format("; the first {} over a limit is {}", where, result.first_over);
  }
}

// A factor that takes the reference's logits to the candidate's in every row, where that leaves nothing but rounding.
// "": there is none, or it is 1.
std::string FactorBetween(const Matrix& c, const Matrix& r, int64_t rows) {
  double least = 0, most = 0;
  for (int64_t i = 0; i < rows; ++i) {
    double dot = 0, candidate_squares = 0, reference_squares = 0;
    for (int64_t j = 0; j < r.cols; ++j) {
      const double x = c.row(i)[j], y = r.row(i)[j];
      dot += x * y;
      candidate_squares += x * x;
      reference_squares += y * y;
    }
    const double cosine = dot / std::sqrt(candidate_squares * reference_squares), factor = dot / reference_squares;
    if (!(cosine >= 1 - 1e-7) || !std::isfinite(factor)) return "";
    least = i == 0 ? factor : std::min(least, factor);
    most = i == 0 ? factor : std::max(most, factor);
  }
  if (rows == 0 || most - least > 1e-3 * most || (least <= 1.001 && most >= 0.999)) return "";
  return fmt::format(
      "the candidate's logits are {:.4g} times the reference's{}: a factor behind the output matrix, or one "
      "that is missing there",
      (least + most) / 2, rows > 1 ? fmt::format(" at all {} positions", rows) : "");
}

// What the numbers themselves say of a difference: a hint where the rung fails, and a note where it passes all the
// same.
void AddFindings(const Matrix& c, const Matrix& r, int64_t rows, const Capture& candidate, const Capture& reference,
                 RungResult& result) {
  if (result.worst.differing() == 0) return;
  std::vector<std::string>& said = result.status == Status::kFail ? result.hints : result.notes;
  if (std::string factor = FactorBetween(c, r, rows); !factor.empty()) {
    said.push_back(std::move(factor));
  }
  for (const auto& [capture, side] : {std::pair(&candidate, "candidate"), std::pair(&reference, "reference")}) {
    if (const std::string other = NotTheTracedLogits(*capture); !other.empty()) {
      said.push_back(fmt::format("the {}'s {}", side, other));
    }
  }
}

// Rows of the same positions on both sides.
struct CommonRows {
  Matrix candidate, reference;
  std::vector<int64_t> at;
};

CommonRows RowsInCommon(const Capture& candidate, const Capture& reference, int64_t n_tokens) {
  const std::vector<int64_t> of_c = RowPositions(candidate, n_tokens), of_r = RowPositions(reference, n_tokens);
  CommonRows common;
  common.candidate.cols = candidate.logits.cols;
  common.reference.cols = reference.logits.cols;
  const auto add = [](std::span<const float> row, Matrix& matrix) {
    matrix.data.insert(matrix.data.end(), row.begin(), row.end());
    ++matrix.rows;
  };
  for (int64_t position = 0; position < n_tokens; ++position) {
    const auto c = std::find(of_c.begin(), of_c.end(), position), r = std::find(of_r.begin(), of_r.end(), position);
    if (c == of_c.end() || r == of_r.end()) continue;
    common.at.push_back(position);
    add(Row(candidate.logits, c - of_c.begin()), common.candidate);
    add(Row(reference.logits, r - of_r.begin()), common.reference);
  }
  return common;
}

// `n` rows of these by the profile's limits for `rung`.
void CompareRowsOf(Rung rung, int64_t n, const Matrix& c, const Matrix& r, const Capture& candidate,
                   const Capture& reference, const LadderOptions& options, RungResult& result) {
  for (int64_t i = 0; i < n; ++i) result.rows.push_back(CompareRows(Row(c, i), Row(r, i)));
  result.compared = rung == Rung::kFirstLogit ? fmt::format("{} logits of position 0", r.cols)
                                              : fmt::format("{} positions of {} logits", n, r.cols);
  Judge(options.profile, c, r, result);
  AddFindings(c, r, n, candidate, reference, result);
  const size_t at = static_cast<size_t>(result.position);
  const Capture& side = reference.tokens.empty() ? candidate : reference;
  if (at < side.tokens.size()) result.token = side.tokens[at];
  if (at < side.pieces.size()) result.token_text = side.pieces[at];
  if (result.status != Status::kFail) return;
  KeepTop(c, r, RowOf(result, result.position), candidate, reference, options, result);
}

// Where an engine shows the logits of some positions alone.
void CompareCommonRows(Rung rung, const Capture& candidate, const Capture& reference, const LadderOptions& options,
                       RungResult& result) {
  int64_t n_tokens = static_cast<int64_t>(std::max(candidate.tokens.size(), reference.tokens.size()));
  if (!candidate.shown.tokens && !reference.shown.tokens)
    n_tokens = std::max(candidate.logits.rows, reference.logits.rows);
  CommonRows common = RowsInCommon(candidate, reference, n_tokens);
  const bool first = rung == Rung::kFirstLogit;
  if (common.at.empty() || (first && common.at[0] != 0)) {
    result.status = Status::kNotJudged;
    result.message = first ? "the logits of position 0 are not shown" : "no position's logits are shown on both sides";
    return;
  }
  const int64_t n = first ? 1 : static_cast<int64_t>(common.at.size());
  const int64_t asked =
      reference.request.positions > 0 ? std::min<int64_t>(reference.request.positions, n_tokens) : n_tokens;
  if (!first && n < asked) result.partly = fmt::format("{} of {} positions are shown", n, asked);
  result.at.assign(common.at.begin(), common.at.begin() + n);
  CompareRowsOf(rung, n, common.candidate, common.reference, candidate, reference, options, result);
}

// Rows of the prompt's logits by the profile's limits for `rung`: the first for first-logit, all for positions.
RungResult CompareLogits(Rung rung, const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  RungResult result;
  result.rung = rung;
  const Matrix &c = candidate.logits, &r = reference.logits;
  const bool whole = candidate.shown.everything() && reference.shown.everything();
  if (c.cols != r.cols || (whole && c.rows != r.rows) || r.rows == 0 || r.cols == 0) {
    result.status = Status::kFail;
    result.message =
        fmt::format("candidate's logits are [{}, {}], the reference's [{}, {}]; they must be equal and not empty",
                    c.rows, c.cols, r.rows, r.cols);
    if (c.cols > r.cols) result.hints.push_back("the candidate's head may be padded: --cut-padded-head");
    return result;
  }
  if (!whole) {
    try {
      CompareCommonRows(rung, candidate, reference, options, result);
    } catch (const std::runtime_error& error) {
      result.status = Status::kFail;
      result.message = error.what();
    }
    return result;
  }
  CompareRowsOf(rung, rung == Rung::kFirstLogit ? 1 : r.rows, c, r, candidate, reference, options, result);
  if (rung == Rung::kPositions && r.rows < static_cast<int64_t>(reference.tokens.size())) {
    result.notes.push_back(fmt::format("{} of {} prompt positions, as asked", r.rows, reference.tokens.size()));
  }
  return result;
}

// Of a side's FirstNotGreedy.
std::string DescribeNotGreedy(const Capture& capture, std::string_view side, size_t i) {
  const Matrix& logits = capture.decode_logits;
  const int32_t token = capture.generated[i];
  if (token < 0 || token >= logits.cols) {
    return fmt::format("generated token {}: the {} took {}, outside its vocabulary of {}", i, side, token, logits.cols);
  }
  const std::span<const float> row = Row(logits, static_cast<int64_t>(i));
  const int32_t best = Argmax(row);
  return fmt::format(
      "generated token {}: the {} took {} (logit {:g}), but its largest logit is that of {} ({:g}): not greedy", i,
      side, token, row[static_cast<size_t>(token)], best, row[static_cast<size_t>(best)]);
}

// One side's own consistency: the first token is taken from the logits of the last prompt position. "" if all is well.
std::string OtherLastRow(const Capture& capture, std::string_view side, const Profile& profile) {
  const Matrix &prompt = capture.logits, &decode = capture.decode_logits;
  if (prompt.rows != static_cast<int64_t>(capture.tokens.size()) || prompt.cols != decode.cols) return "";
  const RowMetrics row = CompareRows(Row(decode, 0), Row(prompt, prompt.rows - 1));
  if (row.non_finite > 0 || GradeRow(row, LimitsOf(profile, Rung::kDecode)) != Grade::kFail) return "";
  return fmt::format(
      "the {}'s first row of decode logits is not its last row of prompt logits (max abs {:.3g}): the first token must "
      "be taken from the logits of the last prompt position",
      side, row.max_abs);
}

// Compares up to the first token that differs. Returns the number of equal tokens; a failure or a tie is in `result`.
size_t WalkTokens(const Capture& candidate, const Capture& reference, const LadderOptions& options,
                  RungResult& result) {
  const Matrix &c = candidate.decode_logits, &r = reference.decode_logits;
  const size_t steps = std::min(candidate.generated.size(), reference.generated.size());
  const std::optional<size_t> not_greedy_c = FirstNotGreedy(candidate), not_greedy_r = FirstNotGreedy(reference);
  const auto fail = [&result](size_t i, std::string message) {
    result.status = Status::kFail;
    result.position = static_cast<int64_t>(i);
    result.message = std::move(message);
    return i;
  };
  for (size_t i = 0; i < steps; ++i) {
    const int64_t row = static_cast<int64_t>(i);
    const RowMetrics metrics = CompareRows(Row(c, row), Row(r, row));
    if (metrics.non_finite > 0) return fail(i, DescribeNonFinite("generated token", row, Row(c, row), Row(r, row)));
    for (const auto& [capture, side] : {std::pair(&candidate, "candidate"), std::pair(&reference, "reference")}) {
      if (std::string problem = i == 0 ? OtherLastRow(*capture, side, options.profile) : ""; !problem.empty()) {
        return fail(i, std::move(problem));
      }
      if ((capture == &candidate ? not_greedy_c : not_greedy_r) == i) {
        return fail(i, DescribeNotGreedy(*capture, side, i));
      }
    }
    const size_t a = static_cast<size_t>(candidate.generated[i]), b = static_cast<size_t>(reference.generated[i]);
    if (a == b) {
      result.rows.push_back(metrics);
      continue;
    }
    const auto gap = [a, b](std::span<const float> logits) {
      return std::abs(static_cast<double>(logits[a]) - static_cast<double>(logits[b]));
    };
    const double gap_c = gap(Row(c, row)), gap_r = gap(Row(r, row));
    // Equal rows leave nothing to round: the first of equals is the greedy choice, and one side took another.
    if (gap_c == 0 && gap_r == 0 && metrics.bit_identical == 1) {
      return fail(i,
                  fmt::format("generated token {}: candidate {}, reference {}; all logits are equal on both sides and "
                              "these two tie: one side does not take the first of equals",
                              i, Chosen(candidate, i), Chosen(reference, i)));
    }
    // What an engine may be off excuses nothing in a row that is off by more.
    const bool within_limits = GradeRow(metrics, LimitsOf(options.profile, Rung::kDecode)) != Grade::kFail;
    const double tie = within_limits ? TieWithin(options.profile, Row(r, row)) : options.profile.decode_tie;
    if (gap_c <= tie && gap_r <= tie) {
      result.position = result.tie = row;
      result.notes.push_back(
          fmt::format("tie at generated token {}: candidate {}, reference {}; their logits are {:.2g} apart in "
                      "the candidate and {:.2g} in the reference (a tie: up to {:.2g})",
                      i, Chosen(candidate, i), Chosen(reference, i), gap_c, gap_r, tie));
      return i;
    }
    return fail(
        i, fmt::format("generated token {}: candidate {}, reference {}; these two are {:.3g} apart in the candidate's "
                       "logits and {:.3g} in the reference's",
                       i, Chosen(candidate, i), Chosen(reference, i), gap_c, gap_r));
  }
  if (candidate.generated.size() != reference.generated.size()) {
    return fail(steps, fmt::format("the {} generated tokens are equal, then the {} stops ({} and {} tokens)", steps,
                                   candidate.generated.size() < reference.generated.size() ? "candidate" : "reference",
                                   candidate.generated.size(), reference.generated.size()));
  }
  return steps;
}

}  // namespace

void KeepTop(const Matrix& c, const Matrix& r, int64_t i, const Capture& candidate, const Capture& reference,
             const LadderOptions& options, RungResult& result) {
  const auto top = [&](const Matrix& matrix) {
    std::vector<TopToken> tokens;
    if (i < 0 || i >= matrix.rows) return tokens;
    const std::span<const float> row = Row(matrix, i);
    for (const int32_t id : TopK(row, kTopK)) {
      tokens.push_back({id, PieceOf(id, candidate, reference, options), row[static_cast<size_t>(id)]});
    }
    return tokens;
  };
  result.top_candidate = top(c);
  result.top_reference = top(r);
}

std::string Chosen(const Capture& capture, size_t i) {
  const std::string piece = i < capture.generated_pieces.size() ? capture.generated_pieces[i] : "";
  return fmt::format("{} {}", capture.generated[i], Quote(piece));
}

void LeaveOutBehindTie(const Capture& reference, RungResult& result) {
  const int64_t n = static_cast<int64_t>(reference.generated.size()), left = n - result.tie - 1;
  if (result.tie < 0 || left <= 0) return;
  result.partly = fmt::format("behind the tie the texts part, and {} of {} tokens are not compared", left, n);
}

void DescribeStep(const Capture& candidate, const Capture& reference, const LadderOptions& options,
                  RungResult& result) {
  if (result.position < 0 || static_cast<size_t>(result.position) >= reference.generated.size()) return;
  const size_t i = static_cast<size_t>(result.position);
  result.token = reference.generated[i];
  if (i < reference.generated_pieces.size()) result.token_text = reference.generated_pieces[i];
  KeepTop(candidate.decode_logits, reference.decode_logits, result.position, candidate, reference, options, result);
}

std::string PieceOf(int32_t id, const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  if (options.piece_of) return options.piece_of(id);
  for (const Capture* capture : {&reference, &candidate}) {
    for (size_t i = 0; i < std::min(capture->tokens.size(), capture->pieces.size()); ++i) {
      if (capture->tokens[i] == id) return capture->pieces[i];
    }
    for (size_t i = 0; i < std::min(capture->generated.size(), capture->generated_pieces.size()); ++i) {
      if (capture->generated[i] == id) return capture->generated_pieces[i];
    }
  }
  return "";
}

std::string NotTheTracedLogits(const Capture& capture) {
  const auto n = static_cast<int64_t>(capture.tokens.size());
  const auto differs = [](const Matrix& logits, int64_t row, const TraceRecord& record) {
    if (row < 0 || row >= logits.rows) return false;
    return HashBytes(logits.row(row), static_cast<size_t>(logits.cols) * sizeof(float)) != record.blake3;
  };
  for (const TraceRecord& record : capture.traces) {
    if (record.point != Point::kLogits || record.blake3.empty()) continue;
    if (differs(capture.logits, record.position, record)) {
      return fmt::format("logits.npy is not what it traced as logits, from position {} on", record.position);
    }
    // The last position of the prompt chooses the first generated token.
    if (const int64_t row = record.position - n + 1; n > 0 && differs(capture.decode_logits, row, record)) {
      return fmt::format("decode_logits.npy is not what it traced as logits, from generated token {} on", row);
    }
  }
  return "";
}

std::optional<size_t> FirstNotGreedy(const Capture& capture) {
  const Matrix& logits = capture.decode_logits;
  const size_t n = std::min(capture.generated.size(), static_cast<size_t>(logits.rows));
  for (size_t i = 0; i < n; ++i) {
    const int32_t token = capture.generated[i];
    if (token < 0 || token >= logits.cols) return i;
    const std::span<const float> row = Row(logits, static_cast<int64_t>(i));
    const int32_t best = Argmax(row);
    if (best >= 0 && row[static_cast<size_t>(token)] != row[static_cast<size_t>(best)]) return i;
  }
  return std::nullopt;
}

// Logits of position 0.
RungResult CompareFirstLogit(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  return CompareLogits(Rung::kFirstLogit, candidate, reference, options);
}

// Logits of every kept prompt position.
RungResult ComparePositions(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  return CompareLogits(Rung::kPositions, candidate, reference, options);
}

// Greedy tokens one by one, until the first difference, and their logits. A tie ends the comparison without failing it.
RungResult CompareDecode(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  RungResult result;
  result.rung = Rung::kDecode;
  if (reference.request.max_tokens == 0 && candidate.generated.empty() && reference.generated.empty()) {
    result.status = Status::kSkip;
    result.message = "no token was asked for (max_tokens 0)";
    return result;
  }
  if (!candidate.shown.decode_logits || !reference.shown.decode_logits) {
    return CompareShownText(candidate, reference, options);
  }
  for (const auto& [capture, side] : {std::pair(&candidate, "candidate"), std::pair(&reference, "reference")}) {
    const Matrix& logits = capture->decode_logits;
    if (capture->generated.empty()) {
      result.message = fmt::format("the {} generated no token of {}", side, reference.request.max_tokens);
    } else if (logits.rows != static_cast<int64_t>(capture->generated.size()) || logits.cols == 0 ||
               logits.cols != reference.decode_logits.cols) {
      result.message =
          fmt::format("the {}'s decode logits are [{}, {}], expected [{}, {}]: one row for each generated token", side,
                      logits.rows, logits.cols, capture->generated.size(), reference.logits.cols);
    } else {
      continue;
    }
    result.status = Status::kFail;
    return result;
  }
  NotePieces(candidate.generated, candidate.generated_pieces, reference.generated, reference.generated_pieces,
             "generated", result);
  const size_t equal = WalkTokens(candidate, reference, options, result);
  const int64_t at = result.position;
  const bool tokens_pass = result.status == Status::kPass;
  result.compared = fmt::format("{} of {} greedy tokens equal", equal, reference.generated.size());
  LeaveOutBehindTie(reference, result);
  const std::string message = result.message;
  Judge(options.profile, candidate.decode_logits, reference.decode_logits, result);
  if (!tokens_pass) {  // what the tokens say comes before what their logits say
    result.message = message;
    result.position = at;
  } else if (result.status == Status::kFail) {
    result.message = "tokens are equal, their logits are not: " + result.message;
  } else {
    result.position = at;
  }
  DescribeStep(candidate, reference, options, result);
  return result;
}

}  // namespace parity
