#include "parity_tests/diagnose/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <string_view>

#include "parity_tests/diagnose/causes.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "reference/capture/quote.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

int64_t DifferentBits(const Matrix& a, const Matrix& b) {
  int64_t differing = a.data.size() != b.data.size();
  for (size_t i = 0; i < std::min(a.data.size(), b.data.size()); ++i) {
    differing += std::bit_cast<uint32_t>(a.data[i]) != std::bit_cast<uint32_t>(b.data[i]);
  }
  return differing;
}

// Whether the first token in which two runs part has other logits, too.
bool SameChoices(const Capture& once, const Capture& again) {
  const auto parts =
      std::mismatch(once.generated.begin(), once.generated.end(), again.generated.begin(), again.generated.end());
  const auto i = static_cast<int64_t>(parts.first - once.generated.begin());
  const Matrix &a = once.decode_logits, &b = again.decode_logits;
  if (i >= a.rows || i >= b.rows || a.cols != b.cols) return true;
  return !std::equal(a.row(i), a.row(i) + a.cols, b.row(i));
}

// Two answers of the candidate to one request.
void RunCauses(const Capture& once, const Capture& again, Causes& causes) {
  const int64_t differing = DifferentBits(once.logits, again.logits);
  if (again.tokens == once.tokens && again.generated == once.generated && differing == 0) return;
  const bool drawn = again.tokens == once.tokens && differing == 0 && !SameChoices(once, again);
  if (drawn) {
    causes.Add("not_greedy", Certainty::kCertain,
               "two runs of the candidate on the same request take other tokens of the same logits");
    return;
  }
  causes.Add("uninitialized", Certainty::kCertain,
             fmt::format("two runs of the candidate on the same request differ in {} of {} logits", differing,
                         once.logits.data.size()));
}

// All tokens of the shorter answer are the longer one's.
void EndCauses(const Capture& c, const Capture& r, Causes& causes) {
  const size_t n = std::min(c.generated.size(), r.generated.size());
  if (n == 0 || c.generated.size() == r.generated.size()) return;
  if (!std::equal(c.generated.begin(), c.generated.begin() + static_cast<ptrdiff_t>(n), r.generated.begin())) return;
  const bool candidate_ends = c.generated.size() == n;
  const Capture& longer = candidate_ends ? r : c;
  const auto piece = [&longer](size_t i) {
    return i < longer.generated_pieces.size() ? " " + Quote(longer.generated_pieces[i]) : std::string();
  };
  causes.Add(
      "ends_elsewhere", Certainty::kCertain,
      fmt::format("{} tokens are equal, the last {}{}; there the {} ends, and the {} goes on with {}{}, of {} "
                  "that were asked for",
                  n, longer.generated[n - 1], piece(n - 1), candidate_ends ? "candidate" : "reference",
                  candidate_ends ? "reference" : "candidate", longer.generated[n], piece(n), r.request.max_tokens));
}

// Of its own logits a side does not take the largest: whose tokens those are.
AtFault NotGreedyCauses(const Captures& captures, Causes& causes) {
  for (const auto& [capture, side] :
       {std::pair(&captures.candidate, AtFault::kCandidate), std::pair(&captures.reference, AtFault::kReference)}) {
    const std::optional<size_t> i = FirstNotGreedy(*capture);
    const int32_t taken = i ? capture->generated[*i] : -1;
    if (taken < 0 || taken >= capture->decode_logits.cols) continue;
    const std::span<const float> row(capture->decode_logits.row(static_cast<int64_t>(*i)),
                                     static_cast<size_t>(capture->decode_logits.cols));
    causes.Add("not_greedy", Certainty::kCertain,
               fmt::format("generated token {}{} is {} of logit {:g}; the largest is {:g}", *i,
                           side == AtFault::kReference ? " of the reference" : "", taken,
                           row[static_cast<size_t>(taken)], row[static_cast<size_t>(Argmax(row))]));
    return side;
  }
  return AtFault::kUnknown;
}

// Where the tokens part, two of one logit. Returns the position whose logits chose between them, -1 where that is not
// the cause.
int LastOfEqualsCauses(const Captures& captures, Causes& causes) {
  const Capture &c = captures.candidate, &r = captures.reference;
  const size_t n = std::min({c.generated.size(), r.generated.size(), static_cast<size_t>(c.decode_logits.rows)});
  size_t i = 0;
  while (i < n && c.generated[i] == r.generated[i]) ++i;
  if (i == n) return -1;
  const float* row = c.decode_logits.row(static_cast<int64_t>(i));
  const int32_t a = c.generated[i], b = r.generated[i];
  if (a < 0 || b < 0 || std::max(a, b) >= c.decode_logits.cols || row[a] != row[b]) return -1;
  causes.Add("argmax_last", a > b ? Certainty::kCertain : Certainty::kPossible,
             fmt::format("tokens {} and {} have the same logit, {:g}; the candidate takes {}, the {} of them", a, b,
                         row[a], a, a > b ? "last" : "first"));
  return static_cast<int>(c.tokens.size() + i) - 1;
}

std::vector<float> TensorAt(const Capture& capture, const Place& at) {
  for (const TraceRecord& t : capture.traces) {
    if (t.position == at.position && t.layer == at.layer && t.point == at.point && !t.tensor_file.empty()) {
      return ReadTensor(capture, t);
    }
  }
  return {};
}

}  // namespace

Place FirstDifference(const Capture& a, const Capture& b) {
  std::map<std::string_view, const TraceRecord*> of_b;
  for (const TraceRecord& r : b.traces) of_b[r.name] = &r;
  const TraceRecord* first = nullptr;
  for (const TraceRecord& r : a.traces) {
    const auto other = of_b.find(r.name);
    if (other == of_b.end() || (other->second->blake3 == r.blake3 && other->second->shape == r.shape)) continue;
    if (first == nullptr || ComputationOrder(r) < ComputationOrder(*first)) first = &r;
  }
  if (first == nullptr) return {};
  return {first->position, first->layer, first->point};
}

Diagnosis Diagnose(const DiagnosisInput& input) {
  const Captures& captures = *input.captures;
  const Captures& inside = input.inside != nullptr ? *input.inside : captures;
  const std::optional<Rung> failed = input.verdict->failed_rung();
  Diagnosis result;
  Causes causes;
  if (input.candidate_again != nullptr) RunCauses(captures.candidate, *input.candidate_again, causes);
  if (failed == Rung::kTokens) {
    result.location.position = static_cast<int>(input.verdict->rung(Rung::kTokens).position);
    result.at_fault = TokenCauses(captures, input.own, causes);
  } else if (failed) {
    result.location = input.location ? *input.location : FirstDifference(inside.candidate, inside.reference);
    MaskCauses(captures, causes);
    OperationCauses(input.own, inside.candidate, result.location, causes);
    OutputCauses(result.location.point, TensorAt(inside.candidate, result.location),
                 TensorAt(inside.reference, result.location), causes);
    // No limit excuses these, whichever rung of logits was the first to fail.
    if (*failed >= Rung::kFirstLogit) {
      EndCauses(captures.candidate, captures.reference, causes);
      result.at_fault = NotGreedyCauses(captures, causes);
      const int position = LastOfEqualsCauses(captures, causes);
      if (result.location.position < 0) result.location.position = position;
    }
  }
  result.causes = causes.Sorted();
  return result;
}

}  // namespace parity
