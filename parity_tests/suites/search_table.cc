// What the search finds where nothing is known of an engine but its logits, or what it prints: every way of every
// mistake of the table, in every layer, the first, a middle and the last.
//
//   search_table logits --model tq2_0 --every 8     of 8 positions; every eighth case
//   search_table text                               of 48 tokens after one prompt
//   search_table texts                              after three prompts
//   search_table both                               of one, beside the logits of its last position
//   search_table logits --engine not-exact          mistakes of fixtures/not_exact_engine
//   search_table healthy --n 300                    texts of sound engines, exact or not
//
// `--seconds S` ends a table after the case during which they pass, and an interrupt (SIGINT, SIGTERM) after the case
// that is at work: the row then says how many there were.
//
// Prints a line for each case that is not answered rightly, and a row of the table in docs/whatbug.md:
//
// - no change: the same logits, or the same texts, as those of this engine without the mistake;
// - sound: a text that a sound engine may print, because only near-ties differ; nobody is to be accused of it;
// - of the rest: *alone*, one mistake is named as likely or certain, and it and its layer are right; *right*, it is
// named
//   first, or nothing tells it from the first; *named*, it is among those that are named; *wrong*, another mistake or
//   layer is named as likely or certain.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

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
  size_t every = 1, from = 0, n = 300;
  double seconds = 0;  // 0: until all is done
};

// An engine with one mistake.
struct Case {
  std::string id, how, where;  // of the row of the table; `id` empty: none describes it
  std::function<Capture(const Request&)> run;
};

bool IsExact(const Options& options) { return options.engine == "exact"; }

volatile std::sig_atomic_t interrupted = 0;

// Until when a table is made.
class Deadline {
 public:
  explicit Deadline(double seconds) : seconds_(seconds) {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
  }
  bool Passed() const {
    const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - start_;
    return interrupted != 0 || (seconds_ > 0 && gone.count() > seconds_);
  }

 private:
  double seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// The engine of fixtures/not_exact_engine with these flags.
Capture RunNotExact(const std::string& flags, const Request& request) {
  return MakeEngine(fmt::format("exec:{}/fixtures/not_exact_engine {}", PARITY_BINARY_DIR, flags))->Run(request);
}

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
      healthy_.push_back(IsExact(options) ? MakeOracleBackend({.kernels = true})->Run(request)
                                          : RunNotExact("", request));
    }
    search_ = std::make_unique<Search>(SearchOptions{.model = &loaded_->model,
                                                     .order = &UsualOrder(loaded_->model),
                                                     .tokens = told_.front().tokens,
                                                     .threads = 1,
                                                     .keep_answers = true});
  }

  const bitnet::Model& model() const { return loaded_->model; }
  const TokenSite& site() const { return told_.front().tokens; }

  // Nothing where the answers are those of the engine without the mistake.
  std::optional<SearchResult> Find(const Options& options, const Case& c) {
    bool differs = false;
    std::vector<Capture> captures;
    for (size_t i = 0; i < requests_.size(); ++i) {
      captures.push_back(c.run(requests_[i]));
      told_[i].text = GeneratedText(captures[i]);
      differs |= options.evidence == "logits" ? Differ(FirstRows(captures[i].logits), FirstRows(healthy_[i].logits))
                                              : told_[i].text != GeneratedText(healthy_[i]);
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
      cases.push_back({fault.cause, fault.name, layer < 0 ? "everywhere" : fmt::format("in layer {}", layer),
                       [argument](const Request& request) { return RunNotExact("--fault " + argument, request); }});
    }
  }
  return cases;
}

struct Tally {
  int n = 0, same = 0, sound = 0, alone = 0, right = 0, named = 0, wrong = 0, undecided = 0;
  std::vector<double> seconds;
};

// "in layer 3" of "q_rope, k_rope in layer 3"; "" of what is in no layer alone.
std::string LayerOf(const std::string& where) {
  const size_t at = where.find("in layer ");
  return at == std::string::npos ? "" : where.substr(at, where.find_first_not_of("0123456789", at + 9) - at);
}

// The mistake, in that layer, is this answer or among what is alike to it.
bool IsCase(const HypothesisResult& r, const Case& c) {
  const std::string layer = LayerOf(c.where);
  return r.id == c.id && (LayerOf(r.where) == layer || std::ranges::any_of(r.alike, [&](const std::string& alike) {
                            return LayerOf(alike) == layer;
                          }));
}

// "", or what is not right of it.
std::string Judge(const SearchResult& r, const Case& c, Tally& tally) {
  tally.seconds.push_back(r.seconds);
  if (r.from_text && r.healthy.may_print_the_text()) {
    ++tally.sound;
    return "";
  }
  ++tally.n;
  const std::vector<std::string> rivals = Rivals(r);
  bool named = false, right = false;
  for (const HypothesisResult& h : r.best) {
    if (!IsCase(h, c)) continue;
    named = true;
    right |= &h == &r.best[0] || std::ranges::find(rivals, h.id) != rivals.end();
  }
  tally.named += named;
  const bool sure = r.certainty && *r.certainty != Certainty::kPossible;
  if (r.certainty && right) {
    ++tally.right;
    tally.alone += sure;
    return "";
  }
  if (sure) {
    ++tally.wrong;
    return fmt::format("WRONG {}: {}", CertaintyName(*r.certainty), r.verdict);
  }
  ++tally.undecided;
  const std::string best = r.best.empty() ? "nothing" : NameOf(r.best[0]);
  return fmt::format("{}{}; first {}; {}", r.certainty ? "possible" : "undecided", named ? ", named" : "", best,
                     r.verdict);
}

double Percent(int part, int whole) { return whole == 0 ? 0 : 100.0 * part / whole; }

int Table(const Options& options) {
  const Deadline deadline(options.seconds);
  int wrong = 0;
  for (const std::string& model : options.models) {
    Bench bench(options, model);
    const auto n_layer = static_cast<int>(bench.model().hyperparameters.n_layer);
    const std::vector<Case> cases =
        IsExact(options) ? ExactCases(bench, options.evidence != "logits") : NotExactCases(model, n_layer);
    Tally tally;
    for (size_t i = options.from; i < cases.size() && !deadline.Passed(); i += options.every) {
      const Case& c = cases[i];
      if (!options.only.empty() && options.only != c.id) continue;
      const std::optional<SearchResult> found = bench.Find(options, c);
      if (!found) {
        ++tally.same;
        continue;
      }
      if (const std::string words = Judge(*found, c, tally); !words.empty()) {
        fmt::print("{} {}: {}, {}: {}\n", model, c.id, c.how, c.where, words);
        std::fflush(stdout);
      }
    }
    std::sort(tally.seconds.begin(), tally.seconds.end());
    const auto& s = tally.seconds;
    fmt::print(
        "| {} | {} | {} | {} of {} | {} | {} | {:.0f} % | {:.0f} % | {:.0f} % | {} | {} | {:.2f} s, {:.2f} s |\n",
        options.evidence, options.engine, model, tally.n + tally.sound + tally.same, cases.size(), tally.same,
        tally.sound, Percent(tally.alone, tally.n), Percent(tally.right, tally.n), Percent(tally.named, tally.n),
        tally.wrong, tally.undecided, s.empty() ? 0 : s[s.size() / 2], s.empty() ? 0 : s.back());
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

int Healthy(const Options& options) {
  const Deadline deadline(options.seconds);
  std::mt19937 random(17);
  const auto pick = [&random](std::initializer_list<const char*> of) { return of.begin()[random() % of.size()]; };
  int accused = 0, other_text = 0, n = 0;
  for (; n < static_cast<int>(options.n) && !deadline.Passed(); ++n) {
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
    const auto loaded = LoadModel(SourceOf(request));
    const auto tokenizer = LoadTokenizer(request);
    const std::vector<int32_t> ids = tokenizer->Encode(request.text, {.add_special = true, .parse_special = true});
    const std::string text =
        GeneratedText(exact ? MakeOracleBackend({.kernels = true})->Run(request) : RunNotExact(habits, request));
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

// Throws on what is none.
Options ReadOptions(int argc, char** argv) {
  Options options{.evidence = argc > 1 ? argv[1] : ""};
  const auto one_of = [](const std::string& name, const std::string& value, std::initializer_list<const char*> words) {
    if (std::ranges::find(words, value) != words.end()) return value;
    throw std::runtime_error(fmt::format("{}: found '{}', expected one of {}", name, value, fmt::join(words, ", ")));
  };
  const auto number = [](const std::string& name, const std::string& value, size_t least) {
    size_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error == std::errc() && end == value.data() + value.size() && n >= least) return n;
    throw std::runtime_error(fmt::format("{}: found '{}', expected a whole number >= {}", name, value, least));
  };
  one_of("evidence", options.evidence, {"logits", "text", "texts", "both", "healthy"});
  for (int i = 2; i < argc; i += 2) {
    const std::string name =
        one_of("option", argv[i], {"--model", "--engine", "--only", "--every", "--from", "--n", "--seconds"});
    if (i + 1 == argc) throw std::runtime_error(name + ": found no value, expected one");
    const std::string value = argv[i + 1];
    if (name == "--model") options.models = {value};
    if (name == "--engine") options.engine = one_of(name, value, {"exact", "not-exact"});
    if (name == "--only") options.only = FindMistake(value).id;
    if (name == "--every") options.every = number(name, value, 1);
    if (name == "--from") options.from = number(name, value, 0);
    if (name == "--n") options.n = number(name, value, 1);
    if (name == "--seconds") options.seconds = static_cast<double>(number(name, value, 1));
  }
  return options;
}

int Main(int argc, char** argv) {
  Options options;
  try {
    options = ReadOptions(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr,
               "search_table: {}\nusage: search_table logits|text|texts|both [--model M] [--engine exact|not-exact] "
               "[--every N] [--from N] [--only MISTAKE] [--seconds S]\n       search_table healthy [--n TEXTS] "
               "[--seconds S]\n",
               error.what());
    return 2;
  }
  if (options.evidence == "healthy") return Healthy(options);
  fmt::print(
      "| from | engine | model | cases | no change | sound | alone | right | named | wrong | undecided | median, most "
      "|\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  return Table(options);
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) { return parity::Main(argc, argv); }
