// bitnet-parity diff-models: two files of one model, without an engine.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/locate/model_diff.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/model_diff_report.h"

namespace parity {
namespace {

struct DiffModelsCommand {
  std::string a, b, format = "text";
};

int Run(const DiffModelsCommand& command) {
  Progress progress;
  const ModelDiff diff =
      DiffModels(command.a, command.b, [&progress](const std::string& what) { progress.Show(what); });
  progress.Show("");
  fmt::print("{}", command.format == "json" ? DumpJson(ModelDiffJson(diff)) : ModelDiffText(diff, ColorWanted()));
  return diff.equal() ? 0 : 1;
}

}  // namespace

void AddDiffModelsCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<DiffModelsCommand>();
  Options options(app, "diff-models", "What differs between two files of one model, tensor by tensor");
  options.Add("A", command->a, "GGUF file", {.required = true});
  options.Add("B", command->b, "GGUF file of the same model", {.required = true});
  AddFormatOption(options, command->format, {"text", "json"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
