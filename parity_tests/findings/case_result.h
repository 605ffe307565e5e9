// What a matrix or a sweep is made of, and what each of its cases came to: data without times, so that the same engines
// on the same inputs give the same bytes, wherever and in whatever order the cases ran.
//
//   WriteJsonFile(file, ToJson(result));
//   CaseResult result = ReadCaseResult(file);    // throws, naming file and key
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_CASE_RESULT_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_CASE_RESULT_H_

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/findings/metrics.h"
#include "reference/capture/capture.h"

namespace parity {

// What people call a case. `id` is the name of its folder.
struct CaseNames {
  std::string id = {};
  std::string reference = {};
  std::string model = {};
  std::string prompt = {};
  std::string schedule = {};
  bool operator==(const CaseNames&) const = default;
};

// A case before it runs.
struct PlannedCase {
  CaseNames names = {};
  std::string model_blake3 = {};
  std::string content = {};  // hash of the request, with what is in its files in place of their paths
  bool operator==(const PlannedCase&) const = default;
};

// All the cases of one run, in the order in which it runs them and reports name them.
struct RunPlan {
  std::string command = {};    // "sweep", "matrix"
  std::string candidate = {};  // spec
  std::string limits = {};     // what judges: profile and changes, and hash of a file of profiles
  std::vector<PlannedCase> cases = {};
  bool operator==(const RunPlan&) const = default;
};

enum class CaseStatus { kParity, kDivergence, kError, kSkipped, kCandidateOnly };
std::string_view CaseStatusName(CaseStatus status);  // "parity", "divergence", "error", "skipped", "candidate_only"

// What one engine did with a case.
struct CaseSide {
  BackendInfo backend = {};
  std::vector<int32_t> generated = {};
  std::vector<std::string> pieces = {};
  int64_t traces = 0;
  std::map<std::string, uint64_t> kernels = {};  // that ran, where the engine's capture says so, and how often
  std::string Text() const;
};

// One tensor of the forward pass in one layer, over all positions that both engines traced.
struct TensorFigures {
  std::string stage = {};
  int layer = -1;
  int64_t tensors = 0;
  int64_t equal = 0;         // same hash
  double rms_candidate = 0;  // root of the mean of their squares
  double rms_reference = 0;
  double worst_relative = 0;  // of the two RMS at one position: |a - b| / max(a, b)
};

struct CaseResult {
  CaseNames names = {};
  std::string content = {};  // as planned
  std::string engines = {};  // hash of both engines' identities
  CaseStatus status = CaseStatus::kError;
  std::string cpu = {}, libc = {};  // of the machine

  // What was asked.
  std::string model_path = {}, model_blake3 = {}, architecture = {}, tokenizer = {};
  std::string prompt = {}, prompt_template = {}, profile = {};
  int max_tokens = 0, threads = 0;
  uint64_t seed = 0;
  int64_t prompt_tokens = 0;

  // What came of it.
  CaseSide candidate = {}, reference = {};
  std::string failed_stage = {};  // empty where none failed
  std::string message = {};       // of that stage, or why nothing was compared
  std::string known_fault = {};   // of the reference, accepted: "bitnet.cpp#588"
  std::vector<std::string> notes = {};
  std::vector<std::string> where = {};   // lines
  std::vector<std::string> causes = {};  // a line each, the likeliest first
  std::vector<std::string> advice = {};
  std::string first_difference = {};  // name of the first tensor that differs: "t0/blk3/ffn_down"
  WorstRows prompt_rows = {}, decode_rows = {};
  int64_t tokens_equal = 0;  // generated tokens before the first that differs
  int64_t ties = 0;
  std::vector<TensorFigures> tensors = {};

  int exit_code() const;  // 0, 1 or 2; a case that was skipped counts as 0
};

nlohmann::json ToJson(const RunPlan& plan);       // schema "bitnet-parity/run/1"
nlohmann::json ToJson(const CaseResult& result);  // schema "bitnet-parity/case/1"
RunPlan ReadRunPlan(const std::string& file);
CaseResult ReadCaseResult(const std::string& file);

// The first thing that two plans do not share: "cases: 3, here 6"; "" if they are equal.
std::string Difference(const RunPlan& there, const RunPlan& here);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_CASE_RESULT_H_
