// What the survey of an engine's tensors finds of each mistake of the not-exact engine, in every layer and in one.
//
//   survey_table                     the table: F32, TQ2_0 and I2_S
//   survey_table rope_base           of one mistake
//   survey_table --write-page        in every layer alone, into docs/faults-not-exact.md
//   survey_table healthy 300         runs of the sound engine, with other prompts, models and habits
//   survey_table pairs 50            two mistakes at once, at random
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "parity_tests/diagnose/survey.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/mistakes/pages.h"
#include "parity_tests/suites/not_exact_faults.h"

namespace parity {
namespace {

using Fault = NotExactFault;

struct Run {
  std::string model, arguments;
  std::string prompt = "In the beginning God created the heaven and the earth.";
  Schedule schedule = Schedule::kBatch;
};

Survey SurveyOf(const Run& run) {
  const auto engine = MakeEngine(fmt::format("exec:{}/fixtures/not_exact_engine {}", PARITY_BINARY_DIR, run.arguments));
  Request request;
  request.model = fmt::format("{}/fixtures/models/{}.gguf", PARITY_BINARY_DIR, run.model);
  request.prompt = request.text = run.prompt;
  request.max_tokens = 3;
  request.schedule = run.schedule;
  request.trace = "full";
  request.raw_tensors = true;
  const Capture capture = engine->Run(request);
  const auto loaded = LoadModel(SourceOf(request));
  return SurveyCapture({.model = &loaded->model, .order = &UsualOrder(loaded->model), .problem = {}}, capture, nullptr,
                       2);
}

struct Tally {
  int n = 0, found = 0, placed = 0, named = 0, among = 0, misleading = 0, missing = 0;
  double seconds = 0, slowest = 0;
};

// "yes", or what of it is wrong.
std::string Judge(const Survey& survey, const Fault& fault, int layer, Tally& tally) {
  ++tally.n;
  if (survey.findings.empty()) return "NOT FOUND";
  ++tally.found;
  const SurveyFinding& first = survey.findings[0];
  const bool there = layer < 0 || first.layers.empty() || first.layers[0] == layer;
  // A small epsilon shows in the norms whose rows are small.
  const bool of_norms = std::string(fault.name).starts_with("epsilon");
  const bool placed =
      (of_norms ? bitnet::InfoOf(first.place.point).op == bitnet::Op::kNorm : first.place.point == fault.point) &&
      there;
  tally.placed += placed;
  const std::string cause = first.causes.empty() ? "" : first.causes[0].id;
  bool right = fault.cause == nullptr ? cause.empty() : cause == fault.cause;
  if (!right && fault.cause != nullptr) {
    right = std::any_of(first.causes.begin(), first.causes.end(), [&](const Cause& c) { return c.id == fault.cause; });
    tally.among += right;
  }
  tally.named += right;
  std::string judgement = placed ? "" : " place";
  if (right) return judgement.empty() ? "yes" : "NO:" + judgement;
  ++(cause.empty() ? tally.missing : tally.misleading);
  return fmt::format("NO:{} {}", judgement, cause.empty() ? "no cause" : "MISLEADING");
}

std::string Row(const std::string& model, const Fault& fault, const char* where, const Survey& s,
                const std::string& judgement) {
  std::string place, cause, estimate;
  if (!s.findings.empty()) {
    const SurveyFinding& f = s.findings[0];
    place = f.where;
    estimate = f.estimate;
    if (!f.causes.empty()) cause = fmt::format("{} ({})", f.causes[0].id, CertaintyName(f.causes[0].certainty));
  }
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", model, fault.name, where, place, cause, estimate,
                     judgement);
}

int Table(bool write_page, const std::string& only) {
  Tally tally;
  std::string table =
      "| format | mistake | layer | found | cause | what the numbers say | right |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n";
  fmt::print("{}", table);
  for (const char* format : {"f32", "tq2_0", "i2_s"}) {
    for (const Fault& fault : NotExactFaults()) {
      if (!only.empty() && only != fault.name) continue;
      if (*fault.only != 0 && std::string(fault.only).find(format) == std::string::npos) continue;
      const std::vector<int> layers = write_page ? std::vector<int>{-1} : std::vector<int>{-1, 0, 3, 5};
      for (const int layer : layers) {
        if (layer >= 0 && !fault.in_layer) continue;
        const std::string argument = layer < 0 ? fault.name : fmt::format("{}:{}", fault.name, layer);
        const auto start = std::chrono::steady_clock::now();
        std::string row;
        try {
          const Survey s =
              SurveyOf({.model = fmt::format("kjv-bitnet.{}", format), .arguments = "--fault " + argument});
          row = Row(format, fault, layer < 0 ? "all" : fmt::format("{}", layer).c_str(), s,
                    Judge(s, fault, layer, tally));
        } catch (const std::exception& error) {
          row = fmt::format("| {} | {} | {} | | | | {} |\n", format, fault.name, layer, error.what());
        }
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        tally.seconds += seconds;
        tally.slowest = std::max(tally.slowest, seconds);
        fmt::print("{}", row);
        std::fflush(stdout);
        table += row;
      }
    }
  }
  fmt::print(
      "\n{} runs: {} found, {} placed, {} named rightly or rightly not named ({} of them beside others that fit as "
      "well), {} without a cause, {} misleading; "
      "{:.2f} s each, {:.2f} s at most\n",
      tally.n, tally.found, tally.placed, tally.named, tally.among, tally.missing, tally.misleading,
      tally.seconds / tally.n, tally.slowest);
  if (write_page) {
    const std::string path = PARITY_SOURCE_DIR "/docs/faults-not-exact.md";
    std::stringstream old;
    old << std::ifstream(path).rdbuf();
    const std::string text = WithSection(old.str(), "faults", table);
    std::ofstream(path) << text;
  }
  return tally.misleading == 0 ? 0 : 1;
}

// Words of the models' own training text.
std::string RandomPrompt(std::mt19937& random) {
  constexpr const char* kWords[] = {"And",      "the",    "LORD",   "said", "unto",  "Moses", "behold",
                                    "of",       "earth",  "waters", "day",  "night", "he",    "they",
                                    "children", "Israel", "spake",  "king", "house", "7"};
  std::string prompt;
  for (size_t n = 1 + random() % 24; n > 0; --n)
    prompt += std::string(prompt.empty() ? "" : " ") + kWords[random() % std::size(kWords)];
  return prompt;
}

int Healthy(int n) {
  std::mt19937 random(7);
  const auto pick = [&random](std::initializer_list<const char*> of) { return of.begin()[random() % of.size()]; };
  int accused = 0;
  for (int i = 0; i < n; ++i) {
    const Run run{.model = pick({"kjv-bitnet.f32", "kjv-bitnet.tq2_0", "kjv-bitnet.i2_s", "kjv-bitnet.f16",
                                 "kjv-bitnet-b1.58.tq2_0", "kjv-bitnet-b1.58.i2_s", "kjv-bitnet.q8_0"}),
                  .arguments = fmt::format("--kv {} --floats {} --head {} --exp {} --rope {} --sums {} --tq2 {}",
                                           pick({"f32", "f16"}), pick({"f32", "f16"}), pick({"int8", "file"}),
                                           pick({"fast", "libm"}), pick({"double", "float"}), pick({"eight", "double"}),
                                           pick({"block", "row"})),
                  .prompt = RandomPrompt(random),
                  .schedule = random() % 2 == 0 ? Schedule::kBatch : Schedule::kTokenByToken};
    const Survey s = SurveyOf(run);
    if (s.findings.empty()) continue;
    ++accused;
    const SurveyFinding& f = s.findings[0];
    fmt::print("accused: {} {} \"{}\": {} {} {:.3g} {}\n", run.model, run.arguments, run.prompt, f.where, f.estimate,
               f.times_the_limit, f.causes.empty() ? "" : f.causes[0].id);
    std::fflush(stdout);
  }
  fmt::print("{} of {} sound runs accused\n", accused, n);
  return accused == 0 ? 0 : 1;
}

int Pairs(int n) {
  std::mt19937 random(11);
  int both = 0, below = 0;
  const std::span<const Fault> faults = NotExactFaults();
  for (int i = 0; i < n;) {
    const Fault &a = faults[random() % faults.size()], &b = faults[random() % faults.size()];
    if (a.point == b.point || a.cause == nullptr || b.cause == nullptr) continue;
    const auto argument = [&random](const Fault& f) {
      return f.in_layer ? fmt::format("--fault {}:{}", f.name, random() % 6) : fmt::format("--fault {}", f.name);
    };
    const char* model = random() % 2 == 0 ? "kjv-bitnet.tq2_0" : "kjv-bitnet.i2_s";
    const std::string words_a = argument(a), words_b = argument(b);
    const Run run{.model = model, .arguments = words_a + " " + words_b};
    const auto named = [](const Survey& s, const Fault& f) {
      return std::any_of(s.findings.begin(), s.findings.end(), [&f](const SurveyFinding& found) {
        return found.place.point == f.point && std::any_of(found.causes.begin(), found.causes.end(),
                                                           [&f](const Cause& cause) { return cause.id == f.cause; });
      });
    };
    const Survey s = SurveyOf(run);
    const bool right = named(s, a) && named(s, b);
    // A mistake that changes less than a rounding does is not seen alone either: such a pair is not counted.
    std::string unseen;
    for (const auto& [fault, words] : {std::pair(&a, words_a), std::pair(&b, words_b)}) {
      if (named(s, *fault) || named(SurveyOf({.model = run.model, .arguments = words}), *fault)) continue;
      unseen += fmt::format(" ({} is not seen alone either)", words);
    }
    fmt::print("{}: {} {}{}\n", right ? "yes" : unseen.empty() ? "NO" : "--", run.model, run.arguments, unseen);
    std::fflush(stdout);
    both += right;
    i += unseen.empty();
    below += !unseen.empty();
  }
  fmt::print("{} of {} pairs: both named; {} more with a mistake that is not seen alone either\n", both, n, below);
  return 0;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const int n = argc > 2 ? std::atoi(argv[2]) : 20;
  if (mode == "healthy") return parity::Healthy(n);
  if (mode == "pairs") return parity::Pairs(n);
  const bool write_page = mode == "--write-page";
  return parity::Table(write_page, write_page ? "" : mode);
}
