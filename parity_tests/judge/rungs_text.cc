// Decode of engines that show less than the logits of their tokens: ids, text, log-probabilities.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "parity_tests/findings/said.h"
#include "parity_tests/judge/metrics.h"
#include "parity_tests/judge/rung_parts.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

RungResult& Fail(RungResult& result, size_t at, std::string message) {
  result.status = Status::kFail;
  result.position = static_cast<int64_t>(at);
  result.message = std::move(message);
  return result;
}

// A token that the engine took although it was asked for more: the end of its text.
bool EndsItself(const Capture& capture) {
  return !capture.request.ignore_eos && capture.shown.generated && !capture.generated.empty() &&
         capture.generated.size() < static_cast<size_t>(capture.request.max_tokens);
}

// ---- Text ----

// As a program prints bytes that are no text: each run of them as one U+FFFD.
std::string WithReplacements(std::string_view text) {
  std::string out;
  for (const std::string utf8 = Utf8(text); const char c : utf8) {
    out += c;
    if (out.ends_with(std::string(kReplacement) + std::string(kReplacement))) out.resize(out.size() - 3);
  }
  return out;
}

// The generated token in which byte `at` of its text lies.
size_t TokenAtByte(const Capture& capture, size_t at) {
  size_t bytes = 0;
  for (size_t i = 0; i < capture.generated_pieces.size(); ++i) {
    bytes += capture.generated_pieces[i].size();
    if (at < bytes) return i;
  }
  return capture.generated_pieces.empty() ? 0 : capture.generated_pieces.size() - 1;
}

// The part of a text around byte `at`, in quotes.
std::string Around(std::string_view text, size_t at) {
  constexpr size_t kBefore = 120, kBehind = 120;
  const size_t from = at > kBefore ? at - kBefore : 0;
  const std::string_view part = text.substr(std::min(from, text.size()), at - from + kBehind);
  return fmt::format("{}{}{}", from > 0 ? "..." : "", Quote(part), from + part.size() < text.size() ? "..." : "");
}

// A token of the reference's row `i` that is as likely as its choice, within the limit for ties, and spells what the
// candidate printed from there on.
std::optional<int32_t> Tied(const Capture& candidate, const Capture& reference, size_t i, std::string_view printed,
                            const LadderOptions& options) {
  const Matrix& logits = reference.decode_logits;
  if (static_cast<int64_t>(i) >= logits.rows) return std::nullopt;
  const std::span<const float> row = Row(logits, static_cast<int64_t>(i));
  const int32_t best = Argmax(row);
  if (best < 0) return std::nullopt;
  const double tie = TieWithin(options.profile, row);
  for (size_t id = 0; id < row.size(); ++id) {
    if (static_cast<double>(row[static_cast<size_t>(best)]) - row[id] > tie) continue;
    const std::string piece = PieceOf(static_cast<int32_t>(id), candidate, reference, options);
    const bool chosen = static_cast<int32_t>(id) == reference.generated[i];
    if (!chosen && !piece.empty() && (printed.starts_with(piece) || piece.starts_with(printed))) {
      return static_cast<int32_t>(id);
    }
  }
  return std::nullopt;
}

struct Texts {
  std::string_view candidate, reference;
  size_t lost_in_front = 0;  // bytes of the reference's text that are not in `reference`
};

void JudgeParting(const Texts& texts, size_t at, const Capture& candidate, const Capture& reference,
                  const LadderOptions& options, RungResult& result) {
  const size_t token = TokenAtByte(reference, texts.lost_in_front + at);
  size_t token_start = 0;
  for (size_t i = 0; i < token; ++i) token_start += reference.generated_pieces[i].size();
  token_start -= std::min(token_start, texts.lost_in_front);
  if (at < texts.candidate.size() && token_start <= at) {
    const auto tied = Tied(candidate, reference, token, texts.candidate.substr(token_start), options);
    if (tied) {
      const std::span<const float> row = Row(reference.decode_logits, static_cast<int64_t>(token));
      result.position = result.tie = static_cast<int64_t>(token);
      result.notes.push_back(
          fmt::format("tie at generated token {}: the reference took {}, the candidate's text goes on with {} {}, "
                      "whose logit is {:.2g} below (a tie: up to {:.2g})",
                      token, Chosen(reference, token), *tied, Quote(PieceOf(*tied, candidate, reference, options)),
                      static_cast<double>(row[static_cast<size_t>(Argmax(row))]) - row[static_cast<size_t>(*tied)],
                      TieWithin(options.profile, row)));
      return;
    }
  }
  const std::string where = fmt::format("byte {}, in generated token {} {} of the reference", at, token,
                                        token < reference.generated.size() ? Chosen(reference, token) : "");
  const std::string what = texts.candidate.empty() ? "the candidate printed nothing"
                           : at == texts.candidate.size()
                               ? fmt::format("the candidate's text ends at {}; was it asked for as many tokens?", where)
                               : fmt::format("the texts part at {}", where);
  Fail(result, token,
       fmt::format("{}\ncandidate: {}\nreference: {}", what, Around(texts.candidate, at), Around(texts.reference, at)));
}

void CompareTexts(const Capture& candidate, const Capture& reference, const LadderOptions& options,
                  RungResult& result) {
  std::string c = GeneratedText(candidate), r = GeneratedText(reference);
  if (c.find(kReplacement) != std::string::npos || r.find(kReplacement) != std::string::npos) {
    c = WithReplacements(c);
    r = WithReplacements(r);
  }
  const ShownTexts shown = TextsAsShown(c, r);
  const Texts texts{.candidate = shown.a, .reference = shown.b, .lost_in_front = shown.lost_in_front_of_b};
  result.compared = reference.shown.generated ? fmt::format("text of {} greedy tokens, {} bytes",
                                                            reference.generated.size(), texts.reference.size())
                                              : fmt::format("text of {} bytes", texts.reference.size());
  std::string without_end = r;
  if (EndsItself(reference))
    without_end.resize(r.size() - std::min(r.size(), reference.generated_pieces.back().size()));
  const std::string_view ended = TextsAsShown(c, without_end).b;
  if (texts.candidate == texts.reference || texts.candidate == ended) return;

  const auto parting =
      std::mismatch(texts.candidate.begin(), texts.candidate.end(), texts.reference.begin(), texts.reference.end());
  const size_t at = static_cast<size_t>(parting.first - texts.candidate.begin());
  if (at == texts.reference.size() && !EndsItself(reference)) {
    result.notes.push_back(
        fmt::format("the candidate prints {} bytes more, which were not compared", texts.candidate.size() - at));
    return;
  }
  // A server holds back the bytes of half a character.
  const std::string_view rest = texts.reference.substr(at);
  if (at > 0 && at == texts.candidate.size() && rest.size() < 4 && !IsValidUtf8(rest)) return;
  JudgeParting(texts, at, candidate, reference, options, result);
}

// ---- Ids ----

// How many are equal; a failure or a tie is in `result`.
size_t CompareIds(const Capture& candidate, const Capture& reference, const LadderOptions& options,
                  RungResult& result) {
  const std::vector<int32_t>&c = candidate.generated, &r = reference.generated;
  const size_t equal = static_cast<size_t>(std::mismatch(c.begin(), c.end(), r.begin(), r.end()).first - c.begin());
  result.compared = fmt::format("{} of {} greedy tokens equal, by their ids", equal, r.size());
  if (equal == r.size() && equal == c.size()) return equal;
  const bool end_is_missing = EndsItself(reference) && equal == c.size() && equal + 1 == r.size();
  if (end_is_missing) return equal;
  if (equal == c.size() || equal == r.size()) {
    Fail(result, equal,
         fmt::format("the {} generated tokens are equal, then the {} stops ({} and {} tokens)", equal,
                     c.size() < r.size() ? "candidate" : "reference", c.size(), r.size()));
    return equal;
  }
  const Capture& side = reference.shown.decode_logits ? reference : candidate;
  const auto row = static_cast<int64_t>(equal);
  std::string gap;
  if (row < side.decode_logits.rows && std::max(c[equal], r[equal]) < side.decode_logits.cols) {
    const float* logits = side.decode_logits.row(row);
    const double apart = std::abs(static_cast<double>(logits[c[equal]]) - logits[r[equal]]);
    gap = fmt::format("; these two are {:.3g} apart in the {}'s logits", apart,
                      &side == &reference ? "reference" : "candidate");
    if (apart <= TieWithin(options.profile, Row(side.decode_logits, row))) {
      result.position = result.tie = row;
      result.notes.push_back(fmt::format("tie at generated token {}: candidate {}, reference {}{}", equal,
                                         Chosen(candidate, equal), Chosen(reference, equal), gap));
      return equal;
    }
  }
  Fail(result, equal,
       fmt::format("generated token {}: candidate {}, reference {}{}", equal, Chosen(candidate, equal),
                   Chosen(reference, equal), gap));
  return equal;
}

// ---- Log-probabilities ----

// log(softmax(row)).
std::vector<double> LogSoftmax(std::span<const float> row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(x - largest);
  std::vector<double> out;
  for (const float x : row) out.push_back(x - largest - std::log(sum));
  return out;
}

struct LogprobFigures {
  size_t steps = 0, entries = 0;
  double largest = 0, overlap = 1;
  int64_t largest_at = -1, overlap_at = -1;
};

class LogprobComparison {
 public:
  LogprobComparison(const Capture& candidate, const Capture& reference, const LadderOptions& options)
      : candidate_(candidate), reference_(reference), options_(options) {}

  // The first `steps` generated tokens.
  LogprobFigures Compare(size_t steps) {
    LogprobFigures f;
    for (size_t i = 0; i < steps; ++i) {
      const std::span<const float> row = Row(reference_.decode_logits, static_cast<int64_t>(i));
      if (Argmax(row) < 0 || candidate_.top_logprobs[i].empty()) continue;
      ++f.steps;
      AddStep(static_cast<int64_t>(i), row, f);
    }
    return f;
  }

 private:
  void AddStep(int64_t step, std::span<const float> row, LogprobFigures& f) {
    const std::vector<TokenLogprob>& entries = candidate_.top_logprobs[static_cast<size_t>(step)];
    const std::vector<double> right = LogSoftmax(row);
    const std::vector<int32_t> top = TopK(row, static_cast<int>(std::min(entries.size(), size_t{kTopK})));
    size_t common = 0;
    for (size_t k = 0; k < entries.size(); ++k) {
      const int32_t id = IdOf(entries[k], right);
      if (id < 0 || static_cast<size_t>(id) >= right.size()) continue;
      ++f.entries;
      if (k < top.size()) common += static_cast<size_t>(std::count(top.begin(), top.end(), id));
      const double by = std::abs(entries[k].logprob - right[static_cast<size_t>(id)]);
      if (by <= f.largest) continue;
      f.largest = by;
      f.largest_at = step;
    }
    const double overlap = static_cast<double>(common) / static_cast<double>(top.size());
    if (overlap >= f.overlap) return;
    f.overlap = overlap;
    f.overlap_at = step;
  }

  // Of a server that tells the text alone: the likeliest token with it.
  int32_t IdOf(const TokenLogprob& entry, const std::vector<double>& right) {
    if (entry.id >= 0) return entry.id;
    if (ids_.empty()) {
      for (size_t id = 0; id < right.size(); ++id) {
        ids_.emplace(PieceOf(static_cast<int32_t>(id), candidate_, reference_, options_), static_cast<int32_t>(id));
      }
    }
    int32_t best = -1;
    const auto [first, last] = ids_.equal_range(entry.text);
    for (auto it = first; it != last; ++it) {
      if (best < 0 || right[static_cast<size_t>(it->second)] > right[static_cast<size_t>(best)]) best = it->second;
    }
    return best;
  }

  const Capture &candidate_, &reference_;
  const LadderOptions& options_;
  std::multimap<std::string, int32_t> ids_;  // by text
};

// By the limits of the positions, as far as they say something of log-probabilities: these differ by up to twice what
// the logits do.
void JudgeLogprobs(const Capture& candidate, const Capture& reference, size_t steps, const LadderOptions& options,
                   RungResult& result) {
  steps = std::min({steps, candidate.top_logprobs.size(), static_cast<size_t>(reference.decode_logits.rows)});
  if (steps == 0) return;
  const LogprobFigures f = LogprobComparison(candidate, reference, options).Compare(steps);
  if (f.steps == 0) return;
  result.notes.push_back(fmt::format(
      "log-probabilities of the likeliest tokens ({} at {} steps): largest difference {:.3g}, least overlap "
      "of the top {} {:g}",
      f.entries, f.steps, f.largest, kTopK, f.overlap));
  const auto found = options.profile.limits.find(Rung::kPositions);
  const Limits limits = found != options.profile.limits.end() ? found->second : Limits();
  const auto check = [&](Metric metric, double factor, double worst, int64_t at, const char* what) {
    const auto limit = limits.find(metric);
    if (limit == limits.end()) return;
    const Check c{metric, limit->second * factor, worst, at, Meets(metric, worst, limit->second * factor)};
    result.checks.push_back(c);
    if (c.pass || result.status == Status::kFail) return;
    Fail(result, static_cast<size_t>(std::max<int64_t>(at, 0)),
         fmt::format("{} {:.3g} at generated token {}, the limit is {:g}", what, worst, at, c.limit));
  };
  check(Metric::kMaxAbs, 2, f.largest, f.largest_at, "the log-probabilities differ by");
  check(Metric::kTop5Overlap, 1, f.overlap, f.overlap_at, "the overlap of the likeliest tokens is");
}

}  // namespace

RungResult CompareShownText(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  RungResult result;
  result.rung = Rung::kDecode;
  size_t steps = reference.generated.size();
  if (candidate.shown.generated && reference.shown.generated) {
    steps = std::min(steps, CompareIds(candidate, reference, options, result) + 1);
  } else {
    CompareTexts(candidate, reference, options, result);
    if (result.position >= 0) steps = static_cast<size_t>(result.position) + 1;
  }
  LeaveOutBehindTie(reference, result);
  JudgeLogprobs(candidate, reference, steps, options, result);
  DescribeStep(candidate, reference, options, result);
  return result;
}

}  // namespace parity
