#include "parity_tests/diagnose/judged_run.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "parity_tests/judge/metrics.h"
#include "reference/capture/hash.h"

namespace parity {
namespace {

bool SameBits(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.cols == b.cols &&
         (a.data.empty() || std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0);
}

// The row of either matrix that holds the logits behind `position`; nullptr where neither has it.
const float* LogitsBehind(const Capture& c, int64_t position) {
  const auto n = static_cast<int64_t>(c.tokens.size());
  if (position < n) return position < c.logits.rows ? c.logits.row(position) : nullptr;
  const int64_t row = position - n + 1;
  return row < c.decode_logits.rows ? c.decode_logits.row(row) : nullptr;
}

bool IsGreedy(const Capture& c) {
  for (size_t i = 0; i < c.generated.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    if (row >= c.decode_logits.rows) return false;
    const auto cols = static_cast<size_t>(c.decode_logits.cols);
    if (Argmax({c.decode_logits.row(row), cols}) != c.generated[i]) return false;
  }
  return true;
}

}  // namespace

std::string NotTheJudgedRun(const Capture& traced, const Capture& judged) {
  if (traced.tokens != judged.tokens || traced.generated != judged.generated) return "other ids";
  if (!SameBits(traced.logits, judged.logits) || !SameBits(traced.decode_logits, judged.decode_logits)) {
    return "other logits";
  }
  const auto n = static_cast<int64_t>(judged.tokens.size());
  if (judged.logits.rows != n) return "logits of some positions alone";
  const size_t bytes = static_cast<size_t>(judged.logits.cols) * sizeof(float);
  if (judged.decode_logits.rows > 0 &&
      (n == 0 || judged.decode_logits.cols != judged.logits.cols ||
       std::memcmp(judged.decode_logits.row(0), judged.logits.row(n - 1), bytes) != 0)) {
    return "the first token is not taken from the logits of the last prompt position";
  }
  if (!IsGreedy(judged)) return "tokens are not taken greedily";
  std::map<int64_t, std::string> hashes;
  for (const TraceRecord& record : traced.traces) {
    if (record.point == Point::kLogits) hashes[record.position] = record.blake3;
  }
  const int64_t last = n + std::max<int64_t>(judged.decode_logits.rows - 1, 0);
  for (int64_t position = 0; position < last; ++position) {
    const auto hash = hashes.find(position);
    const float* row = LogitsBehind(judged, position);
    if (hash == hashes.end() || row == nullptr || HashBytes(row, bytes) != hash->second) {
      return "logits that were not traced as such";
    }
  }
  return "";
}

}  // namespace parity
