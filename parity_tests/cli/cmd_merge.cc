// bitnet-parity merge: shards of one sweep or matrix as one run.
#include <fmt/format.h>

#include <memory>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/run_cases.h"
#include "parity_tests/harness/run_folder.h"

namespace parity {
namespace {

struct MergeCommand {
  std::vector<std::string> directories;
  std::string out;
};

int Run(const MergeCommand& command) {
  RunFolder merged = MergeRuns(command.directories, command.out);
  WriteSummaries(merged);
  const RunReport report = {merged.plan(), merged.Results()};
  fmt::print("{}", RunText(report));
  return report.exit_code();
}

}  // namespace

void AddMergeCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<MergeCommand>();
  Options options(app, "merge", "Make one run of the shards of a sweep or a matrix: the same bytes as a run of all");
  options.Files("folders", command->directories, "folders that sweep or matrix left (--out)");
  options.Add("--out", command->out, "folder of the whole run; it may be one of them", {.required = true});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
