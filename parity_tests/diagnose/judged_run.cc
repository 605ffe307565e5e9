#include "parity_tests/diagnose/judged_run.h"

#include <cstring>
#include <set>

#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

bool SameBits(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.cols == b.cols &&
         (a.data.empty() || std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0);
}

// The positions whose logits were traced.
size_t TracedPositions(const Capture& capture) {
  std::set<int64_t> positions;
  for (const TraceRecord& record : capture.traces) {
    if (record.point == Point::kLogits && !record.blake3.empty()) positions.insert(record.position);
  }
  return positions.size();
}

}  // namespace

std::string NotTheJudgedRun(const Capture& traced, const Capture& judged) {
  if (traced.tokens != judged.tokens || traced.generated != judged.generated) return "other ids";
  if (!SameBits(traced.logits, judged.logits) || !SameBits(traced.decode_logits, judged.decode_logits)) {
    return "other logits";
  }
  const size_t n = judged.tokens.size(), generated = judged.generated.size();
  if (static_cast<size_t>(judged.logits.rows) != n || static_cast<size_t>(judged.decode_logits.rows) != generated) {
    return "logits of some positions alone";
  }
  // Behind the last generated token nothing is computed. The row that chose the first is that of the last position.
  if (TracedPositions(traced) < n + (generated > 0 ? generated - 1 : 0)) return "logits that were not traced";
  if (std::string other = NotTheTracedLogits(traced); !other.empty()) return other;
  return FirstNotGreedy(judged) ? "tokens are not taken greedily" : "";
}

}  // namespace parity
