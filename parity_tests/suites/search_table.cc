// Prints what the search finds of each mistake, in the first, the middle, the last and every layer, where nothing is
// known but logits or text.
//
//   search_table [MODEL...]      models by the suffix of their name: tq2_0 f32 i2_s
#include <fmt/format.h>

#include <map>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/search/search.h"

namespace parity {
namespace {

struct Tally {
  int n = 0, right = 0, within_five = 0, wrong = 0, unseen = 0;
  double seconds = 0, slowest = 0;
};

struct Fault {
  const Mistake* mistake;
  int layer;
};

std::vector<Fault> Faults(int n_layer) {
  std::vector<Fault> faults;
  for (const Mistake& m : AllMistakes()) {
    if (!m.tried || m.slack > 0 || (m.changes == nullptr && m.tokens == nullptr)) continue;
    if (!m.InLayer()) {
      faults.push_back({&m, -1});
      continue;
    }
    for (const int layer : {0, n_layer / 2, n_layer - 1, OracleSpec::kEveryLayer}) faults.push_back({&m, layer});
  }
  return faults;
}

// "right": named first and alone; "alike": others fit as well; "five": among the best; "wrong"; "none".
std::string Judge(const SearchResult& r, std::string_view id, Tally& tally) {
  ++tally.n;
  tally.seconds += r.seconds;
  tally.slowest = std::max(tally.slowest, r.seconds);
  const auto found = std::find_if(r.best.begin(), r.best.end(), [&](const HypothesisResult& h) { return h.id == id; });
  if (found != r.best.end()) ++tally.within_five;
  if (!r.certainty) return "none";
  if (r.best[0].id == id) {
    ++tally.right;
    return *r.certainty == Certainty::kPossible ? "alike" : "right";
  }
  if (*r.certainty != Certainty::kPossible) {
    ++tally.wrong;
    return "WRONG";
  }
  return found != r.best.end() ? "five" : "none";
}

void Print(const std::string& suffix, const char* prompt, std::map<std::string, Tally>& tallies) {
  Request request;
  request.model = fmt::format("{}/fixtures/models/kjv-bitnet.{}.gguf", PARITY_BINARY_DIR, suffix);
  request.prompt = request.text = prompt;
  request.max_tokens = 48;
  request.threads = 2;
  const auto loaded = LoadModel(SourceOf(request));
  const auto tokenizer = LoadTokenizer(request);
  const std::vector<int32_t> ids = tokenizer->Encode(request.text, {.add_special = true, .parse_special = true});
  const auto text_of = [&](const Capture& capture) {
    std::string text;
    for (const int32_t id : capture.generated) text += tokenizer->Piece(id);
    return text;
  };
  Search search(
      {.model = &loaded->model,
       .order = &UsualOrder(loaded->model),
       .tokens = {.request = request, .right = ids, .tokenizer = tokenizer.get(), .file = &loaded->model.file},
       .threads = 2});
  const std::string healthy = text_of(MakeOracleBackend({.kernels = true})->Run(request));
  for (const Fault& fault : Faults(static_cast<int>(loaded->model.hyperparameters.n_layer))) {
    const std::string id(fault.mistake->id);
    const Capture capture = MakeOracleBackend({.mistake = id, .layer = fault.layer, .kernels = true})->Run(request);
    const std::string text = text_of(capture);
    const std::string where = fault.layer == OracleSpec::kEveryLayer ? "all" : std::to_string(fault.layer);
    std::string by_logits = "same logits", by_text = "same text";
    if (fault.mistake->tokens == nullptr) {
      const SearchResult r = search.ByLogits(capture.logits);
      if (!r.healthy.every_bit) by_logits = Judge(r, id, tallies["logits"]);
    }
    if (text != healthy) {
      const SearchResult r = search.ByText(text, *tokenizer);
      by_text = fmt::format("{} ({})", Judge(r, id, tallies["text"]), r.best.empty() ? "" : r.best[0].id);
    }
    fmt::print("| {} | {} | {} | {} | {} |\n", suffix, id, where, by_logits, by_text);
    std::fflush(stdout);
  }
}

int Main(int argc, char** argv) {
  std::vector<std::string> models(argv + 1, argv + argc);
  if (models.empty()) models = {"tq2_0", "f32", "i2_s"};
  std::map<std::string, Tally> tallies;
  fmt::print("| model | mistake | layer | from logits | from text |\n| --- | --- | --- | --- | --- |\n");
  for (const std::string& model : models) Print(model, "And God said", tallies);
  for (const auto& [evidence, t] : tallies) {
    fmt::print(
        "\nfrom {}: {} searched, {} named first, {} among the best five, {} wrong with certainty; {:.2f} s each, "
        "at most {:.2f} s\n",
        evidence, t.n, t.right, t.within_five, t.wrong, t.seconds / std::max(t.n, 1), t.slowest);
  }
  return 0;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) { return parity::Main(argc, argv); }
