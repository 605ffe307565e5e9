// The folder of a matrix or a sweep. What is in it can be read at any time, by several processes that write to it:
// every file is whole, and a case is done when its case.json is there.
//
//   RunFolder folder("sweep", plan);
//   folder.Open(/*resume=*/true);                         // throws where another run is in it
//   if (!folder.IsDone(c, engines)) { ... folder.Publish(result); }
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_RUN_FOLDER_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_RUN_FOLDER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "parity_tests/findings/case_result.h"

namespace parity {

class RunFolder {
 public:
  RunFolder(std::string directory, RunPlan plan) : directory_(std::move(directory)), plan_(std::move(plan)) {}
  // One that is there. Throws where it holds no run.
  explicit RunFolder(std::string directory);

  // Makes the folder and says in it what runs here. Without `resume` the results of `cases` are removed. Throws
  // std::runtime_error where the folder is not empty and holds no run, or another one, and says what to do.
  void Open(bool resume, const std::vector<PlannedCase>& cases) const;

  const std::string& directory() const { return directory_; }
  const RunPlan& plan() const { return plan_; }
  std::string CaseDirectory(const std::string& id) const { return directory_ + "/" + id; }

  // The result of a case, where there is one; where `engines` is not empty only if these engines made it.
  std::optional<CaseResult> Find(const PlannedCase& c, const std::string& engines = "");
  void Publish(const CaseResult& result) const;
  // All that are there, in the plan's order.
  std::vector<CaseResult> Results();

 private:
  struct Read {
    int64_t time = 0;
    uint64_t size = 0;
    CaseResult result = {};
  };

  std::string directory_;
  RunPlan plan_;
  std::map<std::string, Read> read_;  // by the case's id
};

// One folder of those that shards of one run left: every case once, its files with it. Throws where they are of
// different runs, where a case is missing, or where two of them hold different results of one.
RunFolder MergeRuns(const std::vector<std::string>& directories, const std::string& out);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_RUN_FOLDER_H_
