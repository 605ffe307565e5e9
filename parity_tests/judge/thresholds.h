// How close is close enough: profiles of limits, those of fixtures/thresholds.json or of a file of the user's.
//
//   Profile profile = LoadProfile("", "strict");
//   Override(profile, "positions.mse=1e-5");
//
// A profile has limits for the rungs whose row in rungs.h says so. A limit is an upper bound, or a lower one for the
// metrics where higher is better. decode.tie: two logits that are at most this far apart, on both sides, tie.
// decode.tie_cosine: so do two that are no further apart than what an engine of this cosine is off (TieWithin).
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_THRESHOLDS_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_THRESHOLDS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/profile.h"

namespace parity {

// `file` empty: the built-in thresholds. `name` empty: the file's default; "exact" need not be in the file. Throws
// std::runtime_error naming file, key, what was found and what was expected.
Profile LoadProfile(const std::string& file, const std::string& name);
// Those of the file, and "exact"; in alphabetical order.
std::vector<std::string> ProfileNames(const std::string& file);

// "exact": every bit of every logit, and no tie.
Profile ExactProfile();

// No limit at all: the ladder only measures. What is not a matter of limits still fails.
Profile OpenProfile();

// `assignment`: "first-logit.max_abs=1e-3", "positions.cosine=0.99", "decode.tie=1e-5". Throws on anything else.
void Override(Profile& profile, std::string_view assignment);

// The playbook's --cos-tol: one lower limit for the cosine of the first logits and of every position.
void OverrideCosine(Profile& profile, double limit);

// How much of a limit a value takes: at most 1 where it meets it.
double Severity(Metric metric, double value, double limit);

// A row of logits by the limits of a rung: kWarn where it takes more than half of one.
enum class Grade { kOk, kWarn, kFail };
Grade GradeRow(const RowMetrics& row, const Limits& limits);

// Logits of generated tokens keep to the limits of prompt positions where a profile says nothing else.
Limits LimitsOf(const Profile& profile, Rung rung);

// How far apart two logits of the reference's row may be and tie. Of a row r and one of equal length at cosine c the
// RMS difference is RMS(r) * sqrt(2 (1 - c)): by so much an engine that keeps to the limit is off, logit by logit. The
// hundredth of the logits that is furthest from zero is left out: it may be a mask.
double TieWithin(const Profile& profile, std::span<const float> reference);
std::string_view GradeName(Grade grade);  // "OK", "WARN", "FAIL"

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_THRESHOLDS_H_
