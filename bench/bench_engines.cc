// How fast a candidate is beside a reference: both answer the same request by turns, round by round, so that what else
// the machine does meets both.
//
//   bench_engines --model 2b.gguf --reference bitnet.cpp --threads 2 --rounds 5
//
// Prompt: tokens a second, the logits of every position among it. Decode: greedy tokens a second.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "reference/engines/backend.h"

namespace parity {
namespace {

struct Speed {
  double prompt;  // tokens a second
  double decode;
};

Speed SpeedOf(const Capture& c) {
  const auto rate = [](size_t n, double ms) { return ms > 0 ? 1000.0 * static_cast<double>(n) / ms : 0.0; };
  // The first greedy token comes with the prompt's logits.
  return {rate(c.tokens.size(), c.timings.prompt_ms), rate(c.generated.size() - 1, c.timings.decode_ms)};
}

double Median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

// A line of the table: each engine's median and best round, the median of the rounds' ratios.
void Print(const std::string& what, const std::vector<Speed>& ours, const std::vector<Speed>& theirs,
           double Speed::*figure) {
  std::vector<double> a, b, ratios;
  for (size_t i = 0; i < ours.size(); ++i) {
    a.push_back(ours[i].*figure);
    b.push_back(theirs[i].*figure);
    ratios.push_back(a.back() / b.back());
  }
  fmt::print("| {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.2f} | {:.2f} to {:.2f} |\n", what, Median(a),
             *std::max_element(a.begin(), a.end()), Median(b), *std::max_element(b.begin(), b.end()), Median(ratios),
             *std::min_element(ratios.begin(), ratios.end()), *std::max_element(ratios.begin(), ratios.end()));
}

int Run(int argc, char** argv) {
  Request request;
  std::string candidate_spec = "native", reference_spec = "llama.cpp";
  int rounds = 5, prompt_tokens = 64;
  request.max_tokens = 32;
  CLI::App app("Tokens a second of a candidate and a reference, by turns");
  app.option_defaults()->always_capture_default();
  app.add_option("--model", request.model, "GGUF file")->required();
  app.add_option("--reference", reference_spec, EngineHelp(Which::kLive));
  app.add_option("--candidate", candidate_spec, EngineHelp(Which::kLive));
  app.add_option("--threads", request.threads, "Threads of each")->check(CLI::Range(1, 1024));
  app.add_option("--rounds", rounds, "Rounds")->check(CLI::Range(1, 1000));
  app.add_option("--prompt", prompt_tokens, "Tokens of the prompt")->check(CLI::Range(1, 1 << 20));
  app.add_option("--decode", request.max_tokens, "Greedy tokens")->check(CLI::Range(2, 1 << 20));
  app.add_option("--schedule", request.schedule, "batch, or token: the prompt a token at a time")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Schedule>{{"batch", Schedule::kBatch}, {"token", Schedule::kTokenByToken}}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::vector<int32_t> ids(static_cast<size_t>(prompt_tokens));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((i * 7919 + 13) % 1000);
  request.token_ids = ids;

  Comparison comparison(candidate_spec, reference_spec);
  comparison.Run(request);  // both read the model for the first time
  std::vector<Speed> ours, theirs;
  for (int round = 0; round < rounds; ++round) {
    const Captures answers = comparison.Run(request);
    theirs.push_back(SpeedOf(answers.reference));
    ours.push_back(SpeedOf(answers.candidate));
    fmt::print(stderr, "round {}: prompt {:.1f} and {:.1f}, decode {:.1f} and {:.1f} tokens/s\n", round + 1,
               ours.back().prompt, theirs.back().prompt, ours.back().decode, theirs.back().decode);
  }
  fmt::print("| tokens/s | {0} | best | {1} | best | ratio | rounds |\n| --- | --- | --- | --- | --- | --- | --- |\n",
             comparison.candidate().name(), comparison.reference().name());
  Print("prompt", ours, theirs, &Speed::prompt);
  Print("decode", ours, theirs, &Speed::decode);
  return 0;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  try {
    return parity::Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_engines: {}\n", error.what());
    return 2;
  }
}
