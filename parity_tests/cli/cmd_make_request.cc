// `make-request`: the request file that the harness would give to an engine, for runs by hand (in a debugger).
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

struct MakeRequestCommand {
  PromptOptions prompt;
  std::string out, schedule = "batch", trace = "full";
  int positions = 0, max_tokens = 0;
  bool no_raw = false;
};

int Run(const MakeRequestCommand& command) {
  Request request = command.prompt.MakeRequest();
  TraceSelection{command.trace};  // an error here, and not in the engine
  // The engine may run in any directory.
  request.model = std::filesystem::absolute(request.model);
  if (!request.tokenizer.empty()) request.tokenizer = std::filesystem::absolute(request.tokenizer);
  request.schedule = SchedulesOf(command.schedule).front();
  request.positions = command.positions;
  request.max_tokens = command.max_tokens;
  request.trace = command.trace;
  request.raw_tensors = !command.no_raw;
  if (command.out.empty()) {
    fmt::print("{}", DumpJson(ToJson(request)));
    return 0;
  }
  WriteJsonFile(command.out, ToJson(request));
  fmt::print(stderr,
             "run      YOUR-ENGINE {0} OUTDIR\n"
             "check    bitnet-parity check-capture OUTDIR\n"
             "replay   bitnet-parity replay --model {1} --reference OUTDIR\n",
             command.out, request.model);
  return 0;
}

}  // namespace

void AddMakeRequestCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<MakeRequestCommand>();
  Options options(app, "make-request", "The request file that exec: gives to an engine, to run it by hand");
  command->prompt.AddTo(options);
  options.Add("--out", command->out, "file to write; without it standard output");
  AddScheduleOption(options, command->schedule);
  options.Add("--positions", command->positions, "keep the first N prompt positions; 0: all",
              {.at_least = 0, .show_default = false});
  options.Add("--max-tokens", command->max_tokens, "greedy tokens to generate", {.at_least = 0});
  options.Add("--trace", command->trace, "none, core, full or a selection, as 'full;layer=3;seq=0-4'");
  options.Flag("--no-raw", command->no_raw, "records without raw tensors, which a replay needs");
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
