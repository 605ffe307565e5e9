// The rungs of the ladder, lowest first. parity_tests/judge/rungs.h says what each one is.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_RUNG_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_RUNG_H_

namespace parity {

enum class Rung { kPreflight, kTokens, kShapes, kFirstLogit, kPositions, kDecode };
inline constexpr Rung kLastRung = Rung::kDecode;

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_RUNG_H_
