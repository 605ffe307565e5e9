// bitnet-parity trace-diff A B: two engines' tensors, side by side.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/trace_report.h"
#include "reference/capture/trace_directory.h"

namespace parity {
namespace {

struct TraceDiffCommand {
  std::string a, b, format = "text";
  bool raw = false, all = false;
};

int Run(const TraceDiffCommand& command) {
  const Capture a = ReadTraces(command.a), b = ReadTraces(command.b);
  const TraceDiff diff =
      DiffTraces(a, b, {.raw = command.raw ? RawTensors::kRequired : RawTensors::kIfThere, .check_complete = true});
  if (command.format == "json") {
    fmt::print("{}", DumpJson(TraceDiffJson(diff)));
  } else {
    fmt::print("{}", TraceDiffText(diff, {.color = ColorWanted(), .rows = command.all ? size_t{0} : size_t{20}}));
  }
  return diff.equal() ? 0 : 1;
}

}  // namespace

void AddTraceDiffCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<TraceDiffCommand>();
  Options options(app, "trace-diff", "Compare the tensors that two engines traced; first divergence first");
  options.Add("a", command->a, "a capture or a trace directory", {.required = true});
  options.Add("b", command->b, "another of the same model and prompt", {.required = true});
  options.Flag("--raw", command->raw, "raw tensors must be there on both sides");
  options.Flag("--all", command->all, "list every tensor that differs");
  AddFormatOption(options, command->format, {"text", "json"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
