// The models that bitnet.cpp supports, made by generate_model's presets, against every live reference: both schedules,
// a prompt of text and 32 greedy tokens, and the share of the logits whose bits are equal.
//
//   preset_table                          all of them, with two layers each
//   preset_table --layers 0 NAME...       some of them, whole
//   preset_table --write-page             the same, and the generated section of docs/models.md
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "fixtures/presets.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/mistakes/pages.h"
#include "parity_tests/suites/live_reference.h"

namespace parity {
namespace {

constexpr char kPrompt[] = "In the beginning God created the heaven and the earth. In 1925, 3.14+x";
constexpr int kTokens = 32;

struct Settings {
  std::vector<std::string> names;
  std::vector<std::string> references = {"llama.cpp", "bitnet.cpp"};
  uint32_t layers = 2;
  bool write_page = false;
};

// What a reference that does not know a file's types or names is given in its place, and the words for it.
std::string FitTo(const std::string& reference, GenerateOptions& o) {
  std::string words;
  if (reference != "llama.cpp") return words;
  if (o.type == bitnet::TensorType::kI2_S) {
    // What llama-quantize makes of rows that TQ2_0 does not hold.
    const bool fits = o.n_embd % 256 == 0 && o.n_ff % 256 == 0;
    o.type = fits ? bitnet::TensorType::kTQ2_0 : bitnet::TensorType::kQ4_0;
    words += ", not I2_S";
  }
  if (o.pre == "falcon_e") {
    o.pre = "llama-bpe";
    words += ", pre llama-bpe";
  }
  if (o.architecture == "bitnet-b1.58") {
    o.architecture = "bitnet";
    words += ", bitnet (SiLU)";
  }
  if (o.norms_in) {
    o.norms_in = false;
    o.norm_type = bitnet::TensorType::kF32;
    words += ", without *_norm_in, norms F32";
  }
  return words;
}

struct Share {
  size_t equal = 0, all = 0;
  void Add(std::span<const float> a, std::span<const float> b) {
    all += std::max(a.size(), b.size());
    equal += std::max(a.size(), b.size()) - DifferentBits(a, b);
  }
};

// What an engine that does not run a file says of it: behind the words that llama.cpp's loader puts in front.
std::string Reason(const std::string& message) {
  constexpr std::string_view kWords = "error loading model: ";
  const size_t at = message.find(kWords);
  const std::string text = at == std::string::npos ? message : message.substr(at + kWords.size());
  return text.substr(0, text.find('\n'));
}

// "100 % of 10,773,504 logits, 32 tokens", or why there is no comparison.
std::string Judge(Comparison& comparison, Request request, bool& good) {
  const Climbed climbed = comparison.Climb(request, {.profile = {}, .expected = "exact"});
  if (!climbed.captures) {
    good = climbed.not_supported;
    for (const RungResult& rung : climbed.verdict.rungs) {
      if (!rung.message.empty()) return Reason(rung.message);
    }
    return "no answer";
  }
  const Capture &ours = climbed.captures->candidate, &theirs = climbed.captures->reference;
  Share bits;
  bits.Add(ours.logits.data, theirs.logits.data);
  bits.Add(ours.decode_logits.data, theirs.decode_logits.data);
  size_t same = 0;
  while (same < ours.generated.size() && same < theirs.generated.size() &&
         ours.generated[same] == theirs.generated[same])
    ++same;
  good = climbed.verdict.parity() && bits.equal == bits.all && same == kTokens;
  const double percent = 100.0 * static_cast<double>(bits.equal) / static_cast<double>(std::max<size_t>(bits.all, 1));
  std::string found = fmt::format("{:.4g} % of {} logits, {} tokens", percent, bits.all, same);
  if (const auto failed = climbed.verdict.failed_rung()) {
    found += fmt::format("; {}", Reason(climbed.verdict.rung(*failed).message));
  }
  return found;
}

// One line of the table.
std::string Line(const Preset& preset, const std::string& reference, const Settings& settings, bool& good) {
  const TemporaryDirectory directory;
  GenerateOptions o = preset.Options();
  const uint32_t whole = o.n_layer;
  if (settings.layers != 0) o.n_layer = settings.layers;
  const std::string changed = FitTo(reference, o);
  o.output = directory.path() + "/model.gguf";
  o.vocab_from = VocabularyFile(preset);
  const std::string file = fmt::format("{} {}, {} of {} layers{}{}", o.architecture, bitnet::TypeName(o.type),
                                       o.n_layer, whole, changed, o.vocab_from.empty() ? ", no vocabulary" : "");
  const auto line = [&](const std::string& batch, const std::string& token) {
    return fmt::format("| {} | {} | {} | {} | {} |\n", preset.name, file, reference, batch, token);
  };
  Comparison comparison("native", reference);
  if (const auto problem = comparison.Probe()) return line(Reason(problem->message), "");
  GenerateModel(o);
  Request request;
  request.model = o.output;
  request.prompt = request.text = kPrompt;
  if (o.vocab_from.empty()) request.token_ids = std::vector<int32_t>{1, 17, 39, 2, 5, 28};
  request.max_tokens = kTokens;
  std::vector<std::string> found;
  for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
    request.schedule = schedule;
    bool right = false;
    found.push_back(Judge(comparison, request, right));
    good = good && right;
    if (found.back() == found.front() && found.size() > 1) found.back() = "the same";
  }
  return line(found[0], found[1]);
}

void WritePage(const std::string& table) {
  const std::string path = PARITY_SOURCE_DIR "/docs/models.md";
  std::stringstream old;
  old << std::ifstream(path).rdbuf();
  const std::string text = WithSection(old.str(), "presets", table);
  std::ofstream(path) << text;
}

int Print(const Settings& settings) {
  std::string table =
      "| preset | file | reference | one batch | a token at a time |\n"
      "| --- | --- | --- | --- | --- |\n";
  fmt::print("{}", table);
  int wrong = 0;
  for (const std::string& name : settings.names) {
    for (const std::string& reference : settings.references) {
      bool good = true;
      const std::string line = Line(*FindPreset(name), reference, settings, good);
      fmt::print("{}", line);
      std::fflush(stdout);
      table += line;
      wrong += !good;
    }
  }
  if (settings.write_page) WritePage(table);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  parity::Settings settings;
  CLI::App app("The models that bitnet.cpp supports, by preset, against every live reference");
  app.option_defaults()->always_capture_default();
  app.add_option("names", settings.names, "Presets; none: all of the 17")->check(CLI::IsMember(parity::PresetNames()));
  app.add_option("--reference", settings.references, "References, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--layers", settings.layers, "Layers of each model; 0: as many as it has");
  app.add_flag("--write-page", settings.write_page, "Write the table into docs/models.md");
  try {
    app.parse(argc, argv);
    if (settings.names.empty()) {
      for (const std::string& name : parity::PresetNames()) {
        if (name != "2b4t") settings.names.push_back(name);
      }
    }
    return parity::Print(settings);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "preset_table: {}\n", error.what());
    return 2;
  }
}
