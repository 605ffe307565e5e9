// What the search finds where nothing is known of an engine but its logits, or what it prints: every way of every
// mistake of the table, in every layer, the first, a middle and the last.
//
//   search_table logits --model tq2_0 --every 8     of 8 positions; every eighth case
//   search_table text                               of 48 tokens after one prompt
//   search_table texts                              after three prompts
//   search_table both                               of one, beside the logits of its last position
//   search_table logits --engine not-exact          mistakes of fixtures/not_exact_engine
//   search_table healthy 300                        texts of sound engines, exact or not
//
// Prints a line for each case that is not answered rightly, and a row of the table in docs/whatbug.md.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>

#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/search/hypothesis_trial.h"
#include "parity_tests/search/search.h"
#include "parity_tests/suites/not_exact_faults.h"

namespace parity {
namespace {

constexpr size_t kPositions = 8;
constexpr int kTokens = 48;
constexpr const char* kTextPrompts[] = {"And God said", "In the beginning", "The king of Israel"};
constexpr const char* kLogitsPrompt = "And the LORD said unto Moses, Go";

struct Options {
  std::string evidence = {}, engine = "exact", only = {};
  std::vector<std::string> models = {"tq2_0", "f32", "i2_s"};
  size_t every = 1, from = 0;
};

// An engine with one mistake.
struct Case {
  std::string id, how, where;  // of the row of the table; `id` empty: none describes it
  std::function<Capture(const Request&)> run;
};

// Prompts of a model, and a search that keeps what hypotheses answer.
class Bench {
 public:
  Bench(const Options& options, const std::string& model) {
    const bool logits = options.evidence == "logits";
    const size_t prompts = logits || options.evidence != "texts" ? 1 : std::size(kTextPrompts);
    for (size_t i = 0; i < prompts; ++i)
      AddPrompt(model, logits ? kLogitsPrompt : kTextPrompts[i], logits ? 0 : kTokens);
    loaded_ = LoadModel(SourceOf(requests_.front()));
    for (const Request& request : requests_) {
      tokenizer_ = LoadTokenizer(request);
      ids_.push_back(tokenizer_->Encode(request.text, {.add_special = true, .parse_special = true}));
      told_.push_back(
          {{.request = request, .right = ids_.back(), .tokenizer = tokenizer_.get(), .file = &loaded_->model.file},
           ""});
      healthy_.push_back(MakeOracleBackend({.kernels = true})->Run(request));
    }
    search_ = std::make_unique<Search>(SearchOptions{.model = &loaded_->model,
                                                     .order = &UsualOrder(loaded_->model),
                                                     .tokens = told_.front().tokens,
                                                     .threads = 1,
                                                     .keep_answers = true});
  }

  const bitnet::Model& model() const { return loaded_->model; }
  const TokenSite& site() const { return told_.front().tokens; }

  // Nothing where the engine's answers are those of a sound one.
  std::optional<SearchResult> Find(const Options& options, const Case& c) {
    bool differs = false;
    std::vector<Capture> captures;
    for (size_t i = 0; i < requests_.size(); ++i) {
      captures.push_back(c.run(requests_[i]));
      told_[i].text = TextOf(captures[i]);
      differs |= options.evidence == "logits" ? Differ(FirstRows(captures[i].logits), FirstRows(healthy_[i].logits))
                                              : told_[i].text != TextOf(healthy_[i]);
    }
    if (!differs) return std::nullopt;
    if (options.evidence == "logits") return search_->ByLogits(FirstRows(captures[0].logits));
    if (options.evidence == "both") {
      const Matrix& all = captures[0].logits;
      const Matrix last{.rows = 1, .cols = all.cols, .data = {all.data.end() - all.cols, all.data.end()}};
      const int64_t at = static_cast<int64_t>(ids_[0].size()) - 1;
      return search_->ByTextAndLogits(told_[0].text, *tokenizer_, last, {&at, 1});
    }
    return search_->ByTexts(told_, *tokenizer_);
  }

 private:
  void AddPrompt(const std::string& model, const char* prompt, int max_tokens) {
    Request& request = requests_.emplace_back();
    request.model = fmt::format("{}/fixtures/models/{}.gguf", PARITY_BINARY_DIR,
                                model.find('.') == std::string::npos ? "kjv-bitnet." + model : model);
    request.prompt = request.text = prompt;
    request.max_tokens = max_tokens;
    request.threads = 1;
  }
  std::string TextOf(const Capture& capture) const {
    std::string text;
    for (const int32_t id : capture.generated) text += tokenizer_->Piece(id);
    return text;
  }
  static Matrix FirstRows(Matrix logits) {
    logits.rows = std::min<int64_t>(logits.rows, kPositions);
    logits.data.resize(static_cast<size_t>(logits.rows * logits.cols));
    return logits;
  }
  // By more than the place of a rounding.
  static bool Differ(const Matrix& a, const Matrix& b) {
    constexpr double kRounding = 1e-5;
    double largest = 0, difference = 0;
    for (size_t i = 0; i < std::min(a.data.size(), b.data.size()); ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(b.data[i])));
      const double d = std::fabs(static_cast<double>(a.data[i]) - b.data[i]);
      difference = std::max(difference, std::isnan(d) ? INFINITY : d);
    }
    return difference > kRounding * largest;
  }

  std::deque<Request> requests_;
  std::deque<std::vector<int32_t>> ids_;
  std::shared_ptr<const LoadedModel> loaded_;
  std::shared_ptr<const bitnet::Tokenizer> tokenizer_;
  std::vector<Told> told_;
  std::vector<Capture> healthy_;
  std::unique_ptr<Search> search_;
};

// Every way of every mistake, in the operations that the table's engine has it in.
std::vector<Case> ExactCases(const Bench& bench, bool prompts_too) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(bench.model().hyperparameters);
  const auto n_layer = static_cast<int>(shape.n_layer);
  std::vector<Case> cases;
  for (const Hypothesis& h : AllHypotheses(bench.model(), bench.site())) {
    const std::string id(h.mistake->id), where = WhereOf(h, shape);
    if (h.mistake->tokens != nullptr) {
      if (!prompts_too) continue;
      cases.push_back({id, h.how, where, [h](const Request& request) {
                         const auto tokenizer = LoadTokenizer(request);
                         const std::vector<int32_t> right =
                             tokenizer->Encode(request.text, {.add_special = true, .parse_special = true});
                         Request wrong = request;
                         wrong.token_ids = PromptWith(h, {.request = request,
                                                          .right = right,
                                                          .tokenizer = tokenizer.get(),
                                                          .file = &LoadModel(SourceOf(request))->model.file});
                         return MakeOracleBackend({.kernels = true})->Run(wrong);
                       }});
      continue;
    }
    const bool asked = h.layer < 0 || h.layer == 0 || h.layer == n_layer / 2 || h.layer == n_layer - 1;
    if (h.mistake->changes == nullptr || !asked || h.points != UsualPoints(*h.mistake, shape)) continue;
    cases.push_back({id, h.how, where, [h](const Request& request) {
                       const auto change = [&h](const bitnet::Model& model, Point point, int layer, Parameters& p) {
                         if (!h.in_place(point, layer)) return;
                         const std::vector<Change> ways = h.mistake->changes({model, point, layer, h.position});
                         if (h.variant < ways.size()) ways[h.variant].apply(p);
                       };
                       return MakeOracleBackend({.kernels = true, .change = change})->Run(request);
                     }});
  }
  return cases;
}

std::vector<Case> NotExactCases(const std::string& model, int n_layer) {
  std::vector<Case> cases;
  for (const NotExactFault& fault : NotExactFaults()) {
    if (fault.cause == nullptr) continue;
    if (*fault.only != 0 && std::string(fault.only).find(model) == std::string::npos) continue;
    for (const int layer : {-1, 0, n_layer / 2, n_layer - 1}) {
      if (layer >= 0 && !fault.in_layer) continue;
      const std::string argument = layer < 0 ? fault.name : fmt::format("{}:{}", fault.name, layer);
      cases.push_back(
          {fault.cause, fault.name, layer < 0 ? "everywhere" : fmt::format("in layer {}", layer),
           [argument](const Request& request) {
             return MakeEngine(fmt::format("exec:{}/fixtures/not_exact_engine --fault {}", PARITY_BINARY_DIR, argument))
                 ->Run(request);
           }});
    }
  }
  return cases;
}

struct Tally {
  int n = 0, same = 0, alone = 0, first = 0, named = 0, wrong = 0, undecided = 0;
  std::vector<double> seconds;
};

// "", or what is not right of it.
std::string Judge(const SearchResult& r, const std::string& id, Tally& tally) {
  ++tally.n;
  tally.seconds.push_back(r.seconds);
  const bool named = std::any_of(r.best.begin(), r.best.end(), [&](const HypothesisResult& h) { return h.id == id; });
  tally.named += named;
  if (r.certainty && r.best[0].id == id) {
    ++tally.first;
    tally.alone += *r.certainty != Certainty::kPossible;
    return "";
  }
  const std::string best = r.best.empty() ? "nothing" : NameOf(r.best[0]);
  if (r.certainty && *r.certainty != Certainty::kPossible) {
    ++tally.wrong;
    return fmt::format("WRONG {}: {}", CertaintyName(*r.certainty), r.verdict);
  }
  ++tally.undecided;
  return fmt::format("{}{}; first {}; {}", r.certainty ? "possible" : "undecided", named ? ", named" : "", best,
                     r.verdict);
}

double Percent(int part, int whole) { return whole == 0 ? 0 : 100.0 * part / whole; }

int Table(const Options& options) {
  int wrong = 0;
  for (const std::string& model : options.models) {
    Bench bench(options, model);
    const auto n_layer = static_cast<int>(bench.model().hyperparameters.n_layer);
    const std::vector<Case> cases =
        options.engine == "exact" ? ExactCases(bench, options.evidence != "logits") : NotExactCases(model, n_layer);
    Tally tally;
    for (size_t i = options.from; i < cases.size(); i += options.every) {
      const Case& c = cases[i];
      if (!options.only.empty() && options.only != c.id) continue;
      const std::optional<SearchResult> found = bench.Find(options, c);
      if (!found) {
        ++tally.same;
        continue;
      }
      if (const std::string words = Judge(*found, c.id, tally); !words.empty()) {
        fmt::print("{} {}: {}, {}: {}\n", model, c.id, c.how, c.where, words);
        std::fflush(stdout);
      }
    }
    std::sort(tally.seconds.begin(), tally.seconds.end());
    const auto& s = tally.seconds;
    fmt::print("| {} | {} | {} | {} of {} | {} | {:.0f} % | {:.0f} % | {:.0f} % | {} | {} | {:.2f} s, {:.2f} s |\n",
               options.evidence, options.engine, model, tally.n,
               (cases.size() - options.from + options.every - 1) / options.every, tally.same,
               Percent(tally.alone, tally.n), Percent(tally.first, tally.n), Percent(tally.named, tally.n), tally.wrong,
               tally.undecided, s.empty() ? 0 : s[s.size() / 2], s.empty() ? 0 : s.back());
    std::fflush(stdout);
    wrong += tally.wrong;
  }
  return wrong == 0 ? 0 : 1;
}

// Words of the models' own training text.
std::string RandomPrompt(std::mt19937& random) {
  constexpr const char* kWords[] = {"And",      "the",    "LORD",   "said", "unto",  "Moses", "behold",
                                    "of",       "earth",  "waters", "day",  "night", "he",    "they",
                                    "children", "Israel", "spake",  "king", "house", "7"};
  std::string prompt;
  for (size_t n = 1 + random() % 12; n > 0; --n)
    prompt += std::string(prompt.empty() ? "" : " ") + kWords[random() % std::size(kWords)];
  return prompt;
}

int Healthy(int n) {
  std::mt19937 random(17);
  const auto pick = [&random](std::initializer_list<const char*> of) { return of.begin()[random() % of.size()]; };
  int accused = 0, other_text = 0;
  for (int i = 0; i < n; ++i) {
    Request request;
    request.model = fmt::format("{}/fixtures/models/{}.gguf", PARITY_BINARY_DIR,
                                pick({"kjv-bitnet.tq2_0", "kjv-bitnet.i2_s", "kjv-bitnet-b1.58.tq2_0"}));
    request.prompt = request.text = RandomPrompt(random);
    request.max_tokens = 24;
    request.schedule = random() % 2 == 0 ? Schedule::kBatch : Schedule::kTokenByToken;
    const bool exact = random() % 3 == 0;
    const std::string habits = fmt::format("--kv {} --floats {} --head {} --exp {} --rope {} --tq2 {}",
                                           pick({"f32", "f16"}), pick({"f32", "f16"}), pick({"int8", "file"}),
                                           pick({"fast", "libm"}), pick({"double", "float"}), pick({"block", "row"}));
    const auto engine =
        exact ? MakeOracleBackend({.kernels = true})
              : MakeEngine(fmt::format("exec:{}/fixtures/not_exact_engine {}", PARITY_BINARY_DIR, habits));
    const auto loaded = LoadModel(SourceOf(request));
    const auto tokenizer = LoadTokenizer(request);
    const std::vector<int32_t> ids = tokenizer->Encode(request.text, {.add_special = true, .parse_special = true});
    std::string text;
    for (const int32_t id : engine->Run(request).generated) text += tokenizer->Piece(id);
    Search search(
        {.model = &loaded->model,
         .order = &UsualOrder(loaded->model),
         .tokens = {.request = request, .right = ids, .tokenizer = tokenizer.get(), .file = &loaded->model.file},
         .threads = 1});
    const SearchResult r = search.ByText(text, *tokenizer);
    other_text += !r.healthy.prints_the_text();
    if (!r.certainty) continue;
    const bool habit = r.best[0].habit;
    accused += !habit;
    fmt::print("{}: {} {} \"{}\": {} {}: {}\n", habit ? "a habit" : "ACCUSED", request.model, exact ? "exact" : habits,
               request.prompt, CertaintyName(*r.certainty), r.verdict, text);
    std::fflush(stdout);
  }
  fmt::print("{} of {} sound texts accused; {} of them are not the healthy model's own\n", accused, n, other_text);
  return accused == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Options options{.evidence = argc > 1 ? argv[1] : ""};
  if (options.evidence == "healthy") return Healthy(argc > 2 ? std::atoi(argv[2]) : 20);
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--model") options.models = {value};
    if (name == "--engine") options.engine = value;
    if (name == "--only") options.only = value;
    if (name == "--every") options.every = static_cast<size_t>(std::max(1, std::atoi(value.c_str())));
    if (name == "--from") options.from = static_cast<size_t>(std::atoi(value.c_str()));
  }
  const bool known = options.evidence == "logits" || options.evidence == "text" || options.evidence == "texts" ||
                     options.evidence == "both";
  if (!known || (options.engine != "exact" && options.engine != "not-exact")) {
    fmt::print(stderr,
               "usage: search_table logits|text|texts|both [--model M] [--engine exact|not-exact] [--every N]\n");
    return 2;
  }
  fmt::print(
      "| from | engine | model | cases | change nothing | alone | first | named | wrong | undecided | median, most |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  return Table(options);
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) { return parity::Main(argc, argv); }
