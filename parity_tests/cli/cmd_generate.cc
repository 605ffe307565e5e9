// `generate`: our engine alone, without a reference.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/kernels/targets.h"
#include "engine/model/model.h"
#include "engine/model/sampler.h"
#include "engine/tokenizer/prompt_template.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/capture_sink.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "reference/capture/hash.h"

namespace parity {
namespace {

struct GenerateOptions {
  std::string model;
  std::string tokenizer;
  std::string prompt;
  std::string system;
  std::string prompt_template = "auto", chat_template_file;
  std::string order;
  std::string format = "text";
  int max_tokens = 64;
  int n_ctx = 0;
  bool ignore_eos = false;
  std::vector<int32_t> stop_ids;
  bool greedy = false;
  bool dump_ids = false;
  std::string trace_dir, trace, trace_select;
  bool dump_raw = false;
  bitnet::SamplerOptions sampler;
  RunOptions run;
};

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// Nothing unless a trace directory is given. Without --trace: core, or what --trace-select lets through of everything.
// Throws where the model's layers and the run's positions have nothing of it.
std::unique_ptr<DirectorySink> MakeTrace(const GenerateOptions& o, int n_layer, int positions) {
  if (o.trace_dir.empty()) {
    if (!o.trace.empty() || !o.trace_select.empty() || o.dump_raw) {
      throw std::runtime_error("--trace, --trace-select and --dump-raw need --trace-dir (or BITNET_TRACE_DIR)");
    }
    return nullptr;
  }
  if (!bitnet::kTracepoints) {
    throw std::runtime_error("--trace-dir: this build has no tracepoints; configure with -DPARITY_TRACEPOINTS=ON");
  }
  const std::string points = !o.trace.empty() ? o.trace : o.trace_select.empty() ? "core" : "full";
  const std::string spec = JoinTraceSpec(points, o.trace_select);
  const TraceSelection selection(spec);
  bool any = false;
  for (const bitnet::PointInfo& point : bitnet::kGraph) {
    for (int layer = point.in_layer ? 0 : -1; layer < (point.in_layer ? n_layer : 0); ++layer) {
      for (int position = 0; position < positions && !any; ++position)
        any = selection.Wants(point.point, layer, position);
    }
  }
  if (!any) {
    throw std::runtime_error(
        fmt::format("--trace-select: '{}' selects nothing: the model has layers 0 to {}, the run positions 0 to {}",
                    spec, n_layer - 1, positions - 1));
  }
  return std::make_unique<DirectorySink>(spec, o.trace_dir, o.dump_raw);
}

void FinishTrace(const GenerateOptions& o, const bitnet::Model& model, const bitnet::Context& context,
                 const std::vector<int32_t>& prompt, const std::vector<int32_t>& generated, DirectorySink& trace) {
  Capture run;
  run.backend = {.name = "native",
                 .version = "",
                 .build = fmt::format("arithmetic of {}", context.order().name),
                 .simd = bitnet::TargetName(context.order()),
                 .threads = o.run.Threads(o.model)};
  run.model.path = o.model;
  run.model.blake3 = HashFile(o.model);
  run.model.architecture = model.hyperparameters.architecture;
  run.tokens = prompt;
  run.generated = generated;
  trace.Finish(run);
}

bitnet::ChatPrompt Format(const GenerateOptions& o, const bitnet::Tokenizer& tokenizer) {
  const bitnet::PromptTemplate chosen = bitnet::ParsePromptTemplate(o.prompt_template);
  if (chosen != bitnet::PromptTemplate::kAuto) {
    return {bitnet::FormatPrompt(chosen, o.prompt, o.system), o.prompt_template};
  }
  if (o.chat_template_file.empty()) return bitnet::FormatAuto(tokenizer, o.prompt, o.system);
  return bitnet::FormatChat(bitnet::ReadChatTemplate(o.chat_template_file), tokenizer, o.prompt, o.system);
}

void Generate(const GenerateOptions& o) {
  const bitnet::Model model = ReadModel({o.model, o.run.override_kv, o.run.i2s_layout});
  const bitnet::ArithmeticOrder& order = OrderNamed(o.order, model);
  const bitnet::Tokenizer tokenizer = o.tokenizer.empty() ? bitnet::Tokenizer::FromGguf(model.file, DialectOf(order))
                                                          : bitnet::Tokenizer::FromTokenizerJson(o.tokenizer);
  const auto [formatted, chosen] = Format(o, tokenizer);
  const std::vector<int32_t> prompt =
      tokenizer.Encode(formatted.text, {.add_special = formatted.add_special, .parse_special = true});
  if (prompt.empty()) throw std::runtime_error("the prompt has no tokens; nothing can follow it");
  if (bitnet::LeadingBosCount(prompt, tokenizer) > 1) Note("note: the prompt begins with BOS more than once");

  const size_t needed = prompt.size() + static_cast<size_t>(o.max_tokens);
  std::unique_ptr<DirectorySink> trace =
      MakeTrace(o, static_cast<int>(model.hyperparameters.n_layer), static_cast<int>(needed));
  bitnet::Context context(model, {.n_ctx = o.n_ctx > 0 ? static_cast<size_t>(o.n_ctx) : needed,
                                  .threads = static_cast<size_t>(o.run.Threads(o.model)),
                                  .order = &order,
                                  .trace = trace.get()});
  bitnet::SamplerOptions sampling = o.sampler;
  sampling.seed = o.run.seed;
  if (o.greedy) sampling.temperature = 0;
  bitnet::Sampler sampler(sampling);

  const Clock::time_point start = Clock::now();
  std::vector<float> logits(model.hyperparameters.n_vocab);
  constexpr size_t kBatch = 512;
  for (size_t first = 0; first < prompt.size(); first += kBatch) {
    const std::span<const int32_t> batch = std::span(prompt).subspan(first, std::min(kBatch, prompt.size() - first));
    const bool last = first + batch.size() == prompt.size();
    context.Forward(batch, last ? bitnet::LogitsFor::kLast : bitnet::LogitsFor::kNone, logits);
  }
  const Clock::time_point prompt_done = Clock::now();

  std::vector<int32_t> generated;
  const bool stream = o.format == "text";
  while (generated.size() < static_cast<size_t>(o.max_tokens)) {
    const int32_t id = sampler.Next(logits);
    if (!o.ignore_eos && tokenizer.IsEndOfGeneration(id)) break;
    if (std::find(o.stop_ids.begin(), o.stop_ids.end(), id) != o.stop_ids.end()) break;
    generated.push_back(id);
    if (stream && !o.dump_ids) {
      fmt::print("{}", tokenizer.Decode({&id, 1}, {.render_special = true}));
      std::fflush(stdout);
    }
    if (generated.size() < static_cast<size_t>(o.max_tokens)) {
      context.Forward({&id, 1}, bitnet::LogitsFor::kLast, logits);
    }
  }
  const Clock::time_point done = Clock::now();
  if (trace != nullptr) {
    FinishTrace(o, model, context, prompt, generated, *trace);
    Note(fmt::format("{} traces in {}", trace->size(), o.trace_dir));
  }
  const double prompt_rate = static_cast<double>(prompt.size()) / Seconds(start, prompt_done);
  const double decode_rate = static_cast<double>(generated.size()) / Seconds(prompt_done, done);
  if (stream) {
    fmt::print("{}\n", o.dump_ids ? fmt::format("{}", fmt::join(generated, " ")) : "");
    Note(fmt::format("prompt {} tokens, {:.1f} tokens/s; generated {}, {:.1f} tokens/s", prompt.size(), prompt_rate,
                     generated.size(), decode_rate));
    return;
  }
  const nlohmann::json json = {{"prompt_template", chosen},
                               {"tokens", prompt},
                               {"generated", generated},
                               {"text", tokenizer.Decode(generated, {.render_special = true})},
                               {"order", std::string(context.order().name)},
                               {"seed", sampling.seed},
                               {"prompt_tokens_per_second", prompt_rate},
                               {"decode_tokens_per_second", decode_rate}};
  fmt::print("{}", DumpJson(json));
}

}  // namespace

void AddGenerateCommand(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<GenerateOptions>();
  Options options(app, "generate", "Run our engine alone: the prompt, and what follows it");
  options.Add("--model", o->model, "GGUF file", {.required = true});
  options.Add("--tokenizer", o->tokenizer, "tokenizer.json; without it the vocabulary in the GGUF file");
  options.Add("--prompt", o->prompt, "Text to go on from", {.required = true});
  options.Add("--system", o->system, "System text, for templates that have one");
  AddPromptTemplateOption(options, o->prompt_template);
  AddChatTemplateFileOption(options, o->chat_template_file);
  options.Add("--max-tokens", o->max_tokens, "Tokens to generate", {.range = {{0, 1 << 20}}});
  options.Add("--n-ctx", o->n_ctx, "Positions that the KV cache holds; 0: as many as are needed",
              {.range = {{0, 1 << 24}}, .show_default = false});
  options.Add("--temperature", o->sampler.temperature, "0: greedy");
  options.Add("--top-k", o->sampler.top_k, "Draw from the k largest; 0: from all");
  options.Add("--top-p", o->sampler.top_p, "Draw from the fewest tokens whose probabilities add up to p");
  options.Flag("--greedy", o->greedy, "The largest logit, whatever the other options say");
  options.Flag("--ignore-eos", o->ignore_eos, "Go on after an end-of-generation token");
  options.Add("--stop-id", o->stop_ids, "Stop in front of one of these tokens, as 128009,128001");
  options.Flag("--dump-ids", o->dump_ids, "Print token ids in place of text");
  options.Add("--order", o->order,
              "Order of operations (llama.cpp-avx512, ...); without it the one of the weights' usual reference");
  AddFormatOption(options, o->format, {"text", "json"});
  options.Add("--trace-dir", o->trace_dir, "Write the forward pass's tensors there, a .trace file each",
              {.environment = "BITNET_TRACE_DIR"});
  options.Add("--trace", o->trace, "What is traced: core (default), full, or globs over stages");
  options.Add("--trace-select", o->trace_select, "Filters, as seq=0-3;layer=0,5-7;stage=attn_*",
              {.environment = "BITNET_TRACE_SELECT"});
  options.Flag("--dump-raw", o->dump_raw, "Keep the traced tensors as .npy too");
  o->run.AddNativeTo(options);
  options.Run(exit_code, [o] {
    Generate(*o);
    return 0;
  });
}

}  // namespace parity
