// bitnet-parity replay: every operation of ours on the reference's own inputs.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/model/model.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/replay_verdict.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/replay_report.h"
#include "reference/capture/hash.h"

namespace parity {
namespace {

struct ReplayCommand {
  PromptOptions prompt;
  std::string reference = "llama.cpp", point, schedule = "batch", format = "text";
  int layer = -2;  // -2: all
};

std::vector<ReplayResult> ReplayAll(const ReplayCommand& command, Replay& replay, int n_layer, Progress& progress) {
  std::vector<ReplayResult> results;
  const auto add = [&](bitnet::Point point, int layer) {
    if (command.point.empty() || command.point == bitnet::PointName(point)) {
      results.push_back(replay.Operation(point, layer));
    }
  };
  // In the order of the forward pass: embeddings, the layers, output_norm and logits.
  const auto wanted = [&command](int layer) { return command.layer == -2 || command.layer == layer; };
  if (wanted(-1)) add(bitnet::Point::kEmbeddings, -1);
  for (int layer = 0; layer < n_layer; ++layer) {
    if (!wanted(layer)) continue;
    progress.Show(fmt::format("replaying layer {}", layer));
    for (const bitnet::Point point : replay.Operations(layer)) add(point, layer);
  }
  progress.Show("replaying what is outside the layers");
  if (wanted(-1)) add(bitnet::Point::kOutputNorm, -1);
  if (wanted(-1)) add(bitnet::Point::kLogits, -1);
  return results;
}

int Run(const ReplayCommand& command) {
  command.prompt.run.ApplyTimeout();
  const bitnet::Model model =
      ReadModel({command.prompt.model, command.prompt.run.override_kv, command.prompt.run.i2s_layout});
  const int n_layer = static_cast<int>(model.hyperparameters.n_layer);
  if (command.layer >= n_layer) {
    throw std::runtime_error(
        fmt::format("--layer: found {}, expected -1 (outside the layers) to {}", command.layer, n_layer - 1));
  }
  Progress progress;
  std::unique_ptr<Backend> backend;  // raw tensors are readable while it lives
  Capture capture;
  if (std::filesystem::exists(command.reference + "/capture.json")) {
    capture = ReadCapture(command.reference);
  } else {
    backend = MakeEngine(command.reference);
    Request request = command.prompt.MakeRequest();
    request.schedule = SchedulesOf(command.schedule).front();
    request.raw_tensors = true;
    request.trace = command.layer < 0    ? "full"
                    : command.layer == 0 ? "embeddings,blk0/*"
                                         : fmt::format("blk{}/layer_out,blk{}/*", command.layer - 1, command.layer);
    if (const ProbeResult probe = backend->Probe(); !probe.available) {
      throw std::runtime_error(
          fmt::format("{} is not available: {}; {}", backend->name(), probe.problem, probe.remedy));
    }
    progress.Show(fmt::format("running {} ...", backend->name()));
    capture = backend->Run(request);
  }
  if (const std::string hash = HashFile(command.prompt.model); capture.model.blake3 != hash) {
    throw std::runtime_error(fmt::format(
        "{}: is of another model: {}, blake3 {:.12}..., but --model {} has {:.12}...; give the file that was captured",
        command.reference, capture.model.path, capture.model.blake3, command.prompt.model, hash));
  }
  ReplayRun run;
  run.reference = capture.backend;
  run.model = capture.model;
  run.schedule = ScheduleName(capture.request.schedule);
  const bitnet::ArithmeticOrder& order = OrderFor(capture.backend, model);
  run.order = order.name;
  run.order_is_known = KnownOrder(capture.backend, model) != nullptr;
  Replay replay(model, capture, order, static_cast<size_t>(command.prompt.run.Threads(command.prompt.model)));
  run.results = ReplayAll(command, replay, n_layer, progress);
  if (run.results.empty()) {
    throw std::runtime_error(fmt::format("--stage: '{}' is no operation of {}", command.point,
                                         command.layer == -2 ? "this model" : fmt::format("layer {}", command.layer)));
  }
  progress.Show("");
  fmt::print("{}", command.format == "json" ? DumpJson(ReplayJson(run)) : ReplayText(run, ColorWanted()));
  return ExitCode(run);
}

}  // namespace

void AddReplayCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<ReplayCommand>();
  Options options(app, "replay", "Run our operations on the reference's own inputs: which one is guilty");
  command->prompt.AddTo(options);
  options.Add("--reference", command->reference, EngineHelp() + ", or a capture");
  options.Add("--layer", command->layer, "one layer; -1: embeddings, output_norm and logits",
              {.range = {{-1, 100000}}, .show_default = false});
  options.Add("--stage", command->point, "one operation, as ffn_down");
  AddScheduleOption(options, command->schedule);
  AddFormatOption(options, command->format, {"text", "json"});
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
