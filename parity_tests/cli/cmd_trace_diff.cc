// bitnet-parity trace-diff A B: two engines' tensors, side by side.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/command_line.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/report/ci_report.h"
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
  const int exit_code = diff.equal() ? 0 : 1;
  const auto text = [&](bool color) {
    return TraceDiffText(diff, {.color = color, .rows = command.all ? size_t{0} : size_t{20}});
  };
  const std::string& format = command.format;
  fmt::print("{}", format == "json"     ? DumpJson(TraceDiffJson(diff))
                   : format == "html"   ? TraceDiffHtml(diff)
                   : format == "csv"    ? TraceCsv(diff)
                   : format == "jsonl"  ? TraceJsonLines(diff)
                   : format == "github" ? GithubReport(CiResults(diff, text(false)))
                   : format == "sarif"  ? DumpJson(SarifReport(CiResults(diff, ""), ProgramVersion(), exit_code))
                                        : text(ColorWanted()));
  return exit_code;
}

}  // namespace

void AddTraceDiffCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<TraceDiffCommand>();
  Options options(app, "trace-diff", "Compare the tensors that two engines traced; first divergence first");
  options.Add("a", command->a, "a capture or a trace directory", {.required = true});
  options.Add("b", command->b, "another of the same model and prompt", {.required = true});
  options.Flag("--raw", command->raw, "raw tensors must be there on both sides");
  options.Flag("--all", command->all, "list every tensor, the equal ones too");
  AddFormatOption(options, command->format, {"text", "json", "html", "github", "sarif", "csv", "jsonl"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
