// The cases of a matrix or a sweep, and the shares of several machines in them.
//
//   std::vector<RunCase> mine = ShareOf(cases, ParseShard("2/3"));
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_CASES_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_CASES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "parity_tests/findings/case_result.h"
#include "parity_tests/harness/matrix.h"
#include "reference/capture/request.h"

namespace parity {

// A case with all that it takes to run it.
struct RunCase {
  PlannedCase planned = {};
  std::string reference_spec = {};
  Request request = {};
  std::string profile = {}, profile_elsewhere = {};  // as in ClimbOptions
  std::string not_supported = {};                    // why the reference cannot run this model; empty: it should
};

struct Shard {
  size_t index = 1;  // from 1
  size_t count = 1;
};

// "2/3". Throws std::runtime_error on anything else, and where the index is not in 1..count; `what` names the flag.
Shard ParseShard(const std::string& text, const std::string& what = "--shard");

// Which of `weights` are this shard's, in their order. What has the same group stays together unless that alone is more
// than a share; each next largest piece goes to the shard that has least. All shards together have each once.
std::vector<size_t> ShareOf(const std::vector<std::string>& groups, const std::vector<uint64_t>& weights, Shard shard);

// What a case costs: the bytes of its model times its tokens.
uint64_t WeightOf(const RunCase& c);

std::vector<RunCase> ShareOf(const std::vector<RunCase>& cases, Shard shard);

// Leaves the shard's cases of a matrix, those of a model together.
void KeepShard(ParityMatrix& matrix, Shard shard);

// Fills in what a case depends on: the hash of its model, and of its request with the contents of files in place of
// their paths. `hash`: of a file.
void AddContent(RunCase& c, const std::function<std::string(const std::string&)>& hash);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_CASES_H_
