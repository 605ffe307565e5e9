// `record`: keep what a live reference says, for machines that do not have it (recorded:DIR).
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>

#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/judge/settings.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

struct RecordOptions {
  std::string reference;
  std::string out;
  std::string trace = "none";
  bool dump_raw = false;
  // One capture of a file of the user's ...
  std::string model;
  std::optional<std::string> prompt;
  std::string prompt_template = "raw";
  std::string schedule = "batch";
  int max_tokens = 32;
  // ... or, without a model, those that the matrix lists.
  std::string matrix_file, prompts_file, models;  // empty: what is built in and shipped
  RunOptions run;
};

// A recording is read on other machines: it names files without the directories of this one.
void Keep(Capture capture, const std::string& directory) {
  capture.model.path = std::filesystem::path(capture.model.path).filename();
  capture.request.model = std::filesystem::path(capture.request.model).filename();
  capture.request.tokenizer = std::filesystem::path(capture.request.tokenizer).filename();
  std::filesystem::create_directories(std::filesystem::absolute(directory).parent_path());
  WriteCapture(capture, directory);
  fmt::print("{}  {} prompt tokens, {} generated\n", directory, capture.tokens.size(), capture.generated.size());
}

void RecordOne(const RecordOptions& o, Backend& backend) {
  Request request;
  request.model = o.model;
  SetPrompt({.id = "", .text = *o.prompt, .prompt_template = o.prompt_template, .system = ""}, request);
  request.max_tokens = o.max_tokens;
  request.schedule = SchedulesOf(o.schedule).front();
  request.threads = o.run.Threads(o.model);
  request.seed = o.run.seed;
  request.cpu_variant = o.run.cpu_variant;
  request.override_kv = o.run.override_kv;
  request.i2s_layout = o.run.i2s_layout;
  request.trace = o.trace;
  request.raw_tensors = o.dump_raw;
  CheckHoldsNoOther("--out", o.out, request);
  Keep(backend.Run(request), o.out);
}

void RecordMatrix(const RecordOptions& o, Backend& backend) {
  const ParityMatrix matrix = LoadMatrix(o.matrix_file, o.prompts_file, o.models);
  const std::string out = o.out.empty() ? matrix.recorded_directory : o.out;
  size_t kept = 0;
  for (const Case& c : matrix.cases) {
    const MatrixModel& model = matrix.models[c.model];
    const bool recorded = c.reference == "recorded" && std::find(model.references.begin(), model.references.end(),
                                                                 o.reference) != model.references.end();
    if (!recorded) continue;
    Request request = MakeRequest(matrix, c);
    request.cpu_variant = o.run.cpu_variant;
    request.override_kv = o.run.override_kv;
    request.i2s_layout = o.run.i2s_layout;
    if (c.schedule == Schedule::kBatch) request.trace = o.trace;
    const std::string name = CaseName(matrix, {o.reference, c.model, c.prompt, c.schedule});
    Keep(backend.Run(request), out + "/" + name);
    ++kept;
  }
  if (kept == 0) {
    throw std::runtime_error(fmt::format("{}: models: no model of {} lists prompts under \"recorded\"",
                                         SettingsName(o.matrix_file, "parity_matrix.json"), o.reference));
  }
}

void CheckOptions(const RecordOptions& o) {
  if (o.trace != "none") TraceSelection check(o.trace);
  if (o.model.empty() && (o.prompt || o.dump_raw)) {
    throw std::runtime_error(fmt::format("{}: needs --model: without it the matrix says what is recorded",
                                         o.prompt ? "--prompt" : "--dump-raw"));
  }
  if (o.model.empty()) return;
  CheckModel(o.model);
  if (!o.prompt) throw std::runtime_error("--prompt: missing; give the text of the prompt");
  if (o.out.empty()) throw std::runtime_error("--out: missing; name the directory of the new capture");
}

void Record(const RecordOptions& o) {
  o.run.ApplyTimeout();
  CheckOptions(o);
  const std::unique_ptr<Backend> backend = MakeEngine(o.reference);
  const ProbeResult probe = backend->Probe();
  if (!probe.available) throw std::runtime_error(fmt::format("{}: {}; {}", o.reference, probe.problem, probe.remedy));
  if (o.model.empty()) {
    RecordMatrix(o, *backend);
  } else {
    RecordOne(o, *backend);
  }
}

}  // namespace

void AddRecordCommand(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<RecordOptions>();
  Options options(app, "record", "Keep what a live reference says, for machines without it (recorded:DIR)");
  options.Add("--reference", o->reference, EngineHelp(Which::kLive), {.required = true});
  options.Add("--model", o->model, "GGUF file; without it the cases that the matrix lists as recorded");
  options.Add("--prompt", o->prompt, "with --model: the prompt");
  AddPromptTemplateOption(options, o->prompt_template, "with --model: ");
  options.Add("--schedule", o->schedule, "with --model: batch or token", {.words = {"batch", "token"}});
  options.Add("--max-tokens", o->max_tokens, "with --model: greedy tokens", {.range = {{0, 1 << 20}}});
  options.Add("--trace", o->trace, "none, core, full or a selection");
  options.Flag("--dump-raw", o->dump_raw, "with --model: traced tensors as .npy too");
  options.Add("--out", o->out, "directory of the capture, or of all (fixtures/recorded)");
  AddSettingsOption(options, "--matrix", o->matrix_file, "file of models and references");
  AddSettingsOption(options, "--prompts", o->prompts_file, "file of prompts");
  options.Add("--models", o->models, "directory of the matrix's models; without it that of the shipped ones");
  o->run.AddTo(options);
  options.Run(exit_code, [o] {
    Record(*o);
    return 0;
  });
}

}  // namespace parity
