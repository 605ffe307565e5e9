// One case of a matrix or a sweep: what its files and the summaries say of it.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_CASE_REPORT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_CASE_REPORT_H_

#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/case_result.h"
#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/trace_diff.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

// `captures`, `explanation`: null where there are none. `content`, `engines`, `cpu` and `libc` are the caller's to fill
// in.
CaseResult MakeCaseResult(const CaseNames& names, const Verdict& verdict, const Captures* captures,
                          const Explanation* explanation);

// The same for a candidate whose reference is not there.
CaseResult CandidateOnly(const CaseNames& names, const Capture& candidate, const Profile& profile);

// The figures of every stage and layer that both traces have; of `a` as the candidate's.
std::vector<TensorFigures> FiguresOf(const TraceDiff& diff);

// How near two engines are, by the worst cosine of their logits: "excellent (>= 0.99)", "minor divergence (0.95 to
// 0.99)", "significant divergence (< 0.95)"; "" where no logits were compared.
std::string_view Band(const CaseResult& result);

// "ok", "candidate_only", "differs at generated token 2", "not compared".
std::string TokenMatch(const CaseResult& result);

// Configuration, execution, outputs, metrics, traces, advice and files, as plain text.
std::string CaseText(const CaseResult& result);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_CASE_REPORT_H_
