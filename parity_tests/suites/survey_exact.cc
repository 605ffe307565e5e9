// What the survey of an engine's tensors finds of every mistake of the table, made by the exact oracle in every layer,
// in the first, a middle and the last, and of forty that no row describes.
//
//   survey_exact                     every way of every mistake: F32, TQ2_0 and I2_S
//   survey_exact norm_epsilon        of one mistake
//   survey_exact unknown             mistakes that no row describes
//   survey_exact pairs 50            two mistakes at once, at random
//   survey_exact --write-page        all of them, into docs/faults-exact.md
//   survey_exact explain M.gguf      how long the ladder and its explanation take on a model, mistake by mistake
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sstream>

#include "parity_tests/diagnose/survey.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/mistakes/pages.h"

namespace parity {
namespace {

constexpr const char* kFormats[] = {"f32", "tq2_0", "i2_s"};
constexpr int kEveryLayer = -2;

// A change of some operations, in one layer or in all.
struct Fault {
  std::string id;  // of the row that describes it; empty: none does
  std::string how;
  PointSet points;  // that it is in
  int layer = kEveryLayer;
  std::function<void(const bitnet::Model&, Point, int layer, Parameters&)> change;

  bool In(Point point, int at) const { return points.Has(point) && (layer == kEveryLayer || at == layer || at < 0); }
};

class Bench {
 public:
  explicit Bench(const std::string& format) {
    request_.model = fmt::format("{}/fixtures/models/kjv-bitnet.{}.gguf", PARITY_BINARY_DIR, format);
    request_.prompt = request_.text = "In the beginning God created the heaven and the earth.";
    request_.max_tokens = 3;
    request_.trace = "full";
    request_.raw_tensors = true;
    loaded_ = LoadModel(SourceOf(request_));
    healthy_ = MakeOracleBackend({.kernels = true})->Run(request_).logits;
  }
  const bitnet::Model& model() const { return loaded_->model; }
  bitnet::GraphShape shape() const { return bitnet::ShapeOf(model().hyperparameters); }

  // Nothing where the faults change no more than the place of a rounding.
  std::optional<Survey> SurveyOf(const std::vector<Fault>& faults) {
    const auto engine =
        MakeOracleBackend({.kernels = true, .change = [&](const auto& model, Point point, int layer, Parameters& p) {
                             for (const Fault& fault : faults) {
                               if (fault.In(point, layer)) fault.change(model, point, layer, p);
                             }
                           }});
    const Capture capture = engine->Run(request_);
    if (IsHealthy(capture.logits)) return std::nullopt;
    return SurveyCapture({.model = &model(), .order = &UsualOrder(model()), .problem = {}}, capture);
  }

 private:
  bool IsHealthy(const Matrix& logits) const {
    constexpr double kRounding = 1e-5;  // of the largest logit
    double largest = 0, difference = 0;
    for (size_t i = 0; i < logits.data.size(); ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(healthy_.data[i])));
      const double d = std::fabs(static_cast<double>(logits.data[i]) - healthy_.data[i]);
      difference = std::max(difference, std::isnan(d) ? INFINITY : d);
    }
    return difference <= kRounding * largest;
  }

  Request request_;
  std::shared_ptr<const LoadedModel> loaded_;
  Matrix healthy_;  // logits
};

struct Tally {
  int runs = 0, no_effect = 0, found = 0, placed = 0, named = 0, among = 0, unnamed = 0, misleading = 0;
  std::vector<double> seconds;

  void Add(const Tally& other) {
    runs += other.runs, no_effect += other.no_effect, found += other.found, placed += other.placed;
    named += other.named, among += other.among, unnamed += other.unnamed, misleading += other.misleading;
    seconds.insert(seconds.end(), other.seconds.begin(), other.seconds.end());
  }
  std::string Row(const std::string& id) const {
    return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", id, runs, found, placed, named, among, unnamed,
                       misleading);
  }
};
constexpr const char* kHead =
    "| mistake | runs | found | placed | named | of them beside others that fit as well | without a cause | misleading "
    "|\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";

bool Named(const SurveyFinding& f, const std::string& id) {
  return std::any_of(f.causes.begin(), f.causes.end(), [&id](const Cause& c) { return c.id == id; });
}

// A number that a whole engine means is a habit: the survey then says so, and that is the answer.
bool IsHabitOf(const Survey& s, const Fault& fault) {
  return std::any_of(s.habits.begin(), s.habits.end(), [&fault](const Habit& h) { return h.id == fault.id; });
}

void Judge(const Survey& survey, const Fault& fault, Tally& tally, std::string& words) {
  if (survey.findings.empty() && IsHabitOf(survey, fault)) {
    ++tally.found, ++tally.placed, ++tally.named;
    return;
  }
  if (survey.findings.empty()) {
    words = "NOT FOUND";
    return;
  }
  ++tally.found;
  const SurveyFinding& first = survey.findings[0];
  const bool placed = fault.In(first.place.point, first.place.layer);
  tally.placed += placed;
  words = placed ? "" : fmt::format("place {}; ", first.where);
  if (fault.id.empty() ? first.causes.empty() : Named(first, fault.id)) {
    ++tally.named;
    tally.among += first.causes.size() > 1;
  } else if (first.causes.empty()) {
    ++tally.unnamed;
    words += "no cause";
  } else {
    ++tally.misleading;
    words += fmt::format("MISLEADING {} ({}): {}", first.causes[0].id, CertaintyName(first.causes[0].certainty),
                         first.causes[0].evidence);
  }
}

Tally Try(Bench& bench, const std::string& format, const Fault& fault) {
  Tally tally;
  const auto start = std::chrono::steady_clock::now();
  std::string words;
  const std::optional<Survey> survey = bench.SurveyOf({fault});
  if (!survey) {
    ++tally.no_effect;
    return tally;
  }
  ++tally.runs;
  Judge(*survey, fault, tally, words);
  tally.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!words.empty()) {
    std::string names;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (fault.points.Has(info.point)) names += fmt::format("{}{}", names.empty() ? "" : " ", info.name);
    }
    fmt::print("{} {}: {} [{}] layer {}: {}\n", format, fault.id, fault.how, names, fault.layer, words);
    std::fflush(stdout);
  }
  return tally;
}

// The layers that a mistake is made in.
std::vector<int> LayersOf(const bitnet::GraphShape& shape, const PointSet& points) {
  const bool in_layer = std::any_of(bitnet::kGraph.begin(), bitnet::kGraph.end(), [&](const bitnet::PointInfo& info) {
    return points.Has(info.point) && info.in_layer;
  });
  if (!in_layer) return {kEveryLayer};
  const auto n = static_cast<int>(shape.n_layer);
  return {kEveryLayer, 0, n / 2, n - 1};
}

std::vector<Fault> FaultsOf(const bitnet::Model& model, const Mistake& mistake) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  PointSet points;
  size_t ways = 0;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    const PointSet& wanted = mistake.made_in.empty() ? mistake.points : mistake.made_in;
    if (!wanted.Has(info.point) || !bitnet::Exists(info, shape)) continue;
    points.Add(info.point);
    ways = std::max(ways, mistake.changes({model, info.point, info.in_layer ? 0 : -1, 0}).size());
  }
  std::vector<Fault> faults;
  for (size_t way = 0; way < ways; ++way) {
    const auto change = [&mistake, way](const bitnet::Model& m, Point point, int layer, Parameters& p) {
      const std::vector<Change> changes = mistake.changes({m, point, layer, 0});
      if (way < changes.size()) changes[way].apply(p);
    };
    std::string how;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      if (!points.Has(info.point) || !how.empty()) continue;
      const std::vector<Change> changes = mistake.changes({model, info.point, info.in_layer ? 0 : -1, 0});
      if (way < changes.size()) how = changes[way].how;
    }
    for (const int layer : LayersOf(shape, points)) {
      faults.push_back({std::string(mistake.id), how, points, layer, change});
    }
  }
  return faults;
}

// What no row of the table says, of a number y of an output: its place in a batch's rows, and the number.
struct Oddity {
  const char* how;
  float (*of)(size_t i, float y);
};
constexpr Oddity kOddities[] = {
    {"its square root, with its sign", [](size_t, float y) { return std::copysign(std::sqrt(std::fabs(y)), y); }},
    {"its hyperbolic tangent", [](size_t, float y) { return std::tanh(y); }},
    {"its magnitude", [](size_t, float y) { return std::fabs(y); }},
    {"x / (1 + abs x)", [](size_t, float y) { return y / (1 + std::fabs(y)); }},
    {"every seventh number three times", [](size_t i, float y) { return i % 7 == 3 ? 3 * y : y; }},
    {"every other number with its sign turned", [](size_t i, float y) { return i % 2 == 1 ? -y : y; }},
    {"a wave added", [](size_t i, float y) { return y + 0.05f * std::sin(0.3f * static_cast<float>(i)); }},
    {"x + x^2 / 4", [](size_t, float y) { return y + y * y / 4; }},
    {"the sine", [](size_t, float y) { return std::sin(y); }},
    {"numbers below 0.05 as 0.05", [](size_t, float y) { return std::fabs(y) < 0.05f ? 0.05f : y; }},
    {"three bits of mantissa",
     [](size_t, float y) {
       int exponent = 0;
       const float m = std::frexp(y, &exponent);
       return std::ldexp(std::round(m * 8) / 8, exponent);
     }},
};

std::vector<Fault> UnknownFaults(const bitnet::Model& model) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  std::vector<Fault> faults;
  size_t next = 0;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (!bitnet::Exists(info, shape)) continue;
    for (int k = 0; k < 2; ++k) {
      const Oddity& oddity = kOddities[next++ % std::size(kOddities)];
      const auto change = [&oddity](const bitnet::Model&, Point, int, Parameters& p) {
        p.spoil = [&oddity](std::vector<float>& y) {
          for (size_t i = 0; i < y.size(); ++i) y[i] = oddity.of(i, y[i]);
        };
      };
      for (const int layer : LayersOf(shape, {info.point})) {
        faults.push_back({"", fmt::format("{} of {}", oddity.how, info.name), {info.point}, layer, change});
      }
    }
  }
  return faults;
}

struct Table {
  std::string rows;
  Tally all;
  size_t names = 0;
  std::set<std::string> ways;
};

// `faults_of` a model, each tried; a row for each `name_of` them.
Table TableOf(const std::function<std::vector<Fault>(const bitnet::Model&)>& faults_of,
              const std::function<std::string(const Fault&)>& name_of) {
  Table table;
  std::map<std::string, Tally> by_name;
  for (const char* format : kFormats) {
    Bench bench(format);
    for (const Fault& fault : faults_of(bench.model())) {
      const Tally tally = Try(bench, format, fault);
      by_name[name_of(fault)].Add(tally);
      if (tally.runs > 0) table.ways.insert(fault.id + fault.how);
    }
  }
  for (const auto& [name, tally] : by_name) {
    if (tally.runs == 0) continue;
    table.rows += tally.Row(name);
    table.all.Add(tally);
    ++table.names;
  }
  return table;
}

Table OfTheTable(const std::string& only) {
  const auto faults = [&only](const bitnet::Model& model) {
    std::vector<Fault> all;
    for (const Mistake& mistake : AllMistakes()) {
      if (!mistake.tried || mistake.changes == nullptr || mistake.slack > 0) continue;
      if (!only.empty() && only != mistake.id) continue;
      for (Fault& fault : FaultsOf(model, mistake)) all.push_back(std::move(fault));
    }
    return all;
  };
  return TableOf(faults, [](const Fault& fault) { return fault.id; });
}

Table OfUnknown() {
  return TableOf(UnknownFaults, [](const Fault& fault) { return fault.how; });
}

std::string Summary(const Table& table, const char* named) {
  std::vector<double> seconds = table.all.seconds;
  std::sort(seconds.begin(), seconds.end());
  const Tally& t = table.all;
  return fmt::format(
      "{} mistakes, {} ways of making them, {} runs ({} more change nothing but rounding here):\n"
      "{} found, {} placed, {} {} ({} of them beside others that fit as well),\n"
      "{} without a cause, {} misleading; median {:.2f} s, {:.2f} s at most\n",
      table.names, table.ways.size(), t.runs, t.no_effect, t.found, t.placed, t.named, named, t.among, t.unnamed,
      t.misleading, seconds.empty() ? 0 : seconds[seconds.size() / 2], seconds.empty() ? 0 : seconds.back());
}

int Pairs(int n) {
  std::mt19937 random(13);
  int both = 0, done = 0;
  std::map<std::string, std::unique_ptr<Bench>> benches;
  while (done < n) {
    const std::string format = kFormats[random() % std::size(kFormats)];
    std::unique_ptr<Bench>& bench = benches[format];
    if (!bench) bench = std::make_unique<Bench>(format);
    std::vector<Fault> pair;
    while (pair.size() < 2) {
      const Mistake& mistake = AllMistakes()[random() % AllMistakes().size()];
      if (!mistake.tried || mistake.changes == nullptr || mistake.slack > 0 || mistake.habit) continue;
      const std::vector<Fault> faults = FaultsOf(bench->model(), mistake);
      if (faults.empty()) continue;
      Fault fault = faults[random() % faults.size()];
      if (!bench->SurveyOf({fault})) continue;  // it changes nothing
      if (!pair.empty() && pair[0].points.first() == fault.points.first()) continue;
      pair.push_back(std::move(fault));
    }
    const std::optional<Survey> survey = bench->SurveyOf(pair);
    const auto named = [&survey](const Fault& fault) {
      return survey && std::any_of(survey->findings.begin(), survey->findings.end(), [&](const SurveyFinding& f) {
               return fault.In(f.place.point, f.place.layer) && Named(f, fault.id);
             });
    };
    const bool right = named(pair[0]) && named(pair[1]);
    both += right;
    ++done;
    fmt::print("{}: {} {} ({}, layer {}) and {} ({}, layer {})\n", right ? "yes" : "NO", format, pair[0].id,
               pair[0].how, pair[0].layer, pair[1].id, pair[1].how, pair[1].layer);
    std::fflush(stdout);
  }
  fmt::print("{} of {} pairs: both named\n", both, n);
  return 0;
}

// The whole answer that a user waits for: both engines, the ladder, where and why.
int ExplainOn(const std::string& path, const std::string& only) {
  Request request;
  request.model = path;
  request.prompt = request.text = "In the beginning God created the heaven and the earth.";
  request.max_tokens = 2;
  request.threads = 2;
  const std::shared_ptr<const LoadedModel> loaded = LoadModel(SourceOf(request));
  const bitnet::GraphShape shape = bitnet::ShapeOf(loaded->model.hyperparameters);
  std::vector<double> all;
  for (const char* id : {"rope_base", "norm_epsilon", "gqa_mapping", "activation_function", "weights_code_map",
                         "softmax_scale", "residual", "kv_wrong_cell", "weights_of_another_layer", "logits_changed"}) {
    if (!only.empty() && only != id) continue;
    const std::vector<Fault> faults = FaultsOf(loaded->model, FindMistake(id));
    for (const Fault& fault : faults) {
      const bool layer = fault.layer == kEveryLayer || fault.layer == static_cast<int>(shape.n_layer) / 2;
      if (fault.how != faults.front().how || !layer) continue;
      Comparison comparison(
          [&fault](const BackendInfo&) {
            return MakeOracleBackend(
                {.kernels = true, .change = [&fault](const auto& model, Point point, int layer, Parameters& p) {
                   if (fault.In(point, layer)) fault.change(model, point, layer, p);
                 }});
          },
          "native");
      const auto now = [] { return std::chrono::steady_clock::now(); };
      const auto start = now();
      comparison.Climb(request, {});
      const auto between = now();
      const Climbed climbed = comparison.Climb(request, {.profile = {}, .explain = true});
      const double ladder = std::chrono::duration<double>(between - start).count();
      const double explanation = std::chrono::duration<double>(now() - between).count() - ladder;
      all.push_back(explanation);
      const auto& causes = climbed.explanation ? climbed.explanation->diagnosis.causes : std::vector<Cause>{};
      fmt::print("{} ({}), layer {}: ladder {:.1f} s, explanation {:.1f} s: {}\n", fault.id, fault.how, fault.layer,
                 ladder, explanation, causes.empty() ? "no cause" : causes[0].id);
      std::fflush(stdout);
    }
  }
  std::sort(all.begin(), all.end());
  if (!all.empty()) fmt::print("median {:.1f} s, {:.1f} s at most\n", all[all.size() / 2], all.back());
  return 0;
}

int Tables(const std::string& only, bool write_page) {
  const bool known_alone = !only.empty() && only != "unknown", unknown_alone = only == "unknown";
  std::string known, unknown;
  int misleading = 0;
  if (!unknown_alone) {
    const Table table = OfTheTable(only);
    known = kHead + table.rows + "\n" + Summary(table, "named");
    misleading += table.all.misleading;
    fmt::print("{}\n", known);
  }
  if (!known_alone) {
    const Table table = OfUnknown();
    unknown = kHead + table.rows + "\n" + Summary(table, "rightly not named");
    misleading += table.all.misleading;
    fmt::print("{}\n", unknown);
  }
  if (write_page) {
    const std::string path = PARITY_SOURCE_DIR "/docs/faults-exact.md";
    std::stringstream old;
    old << std::ifstream(path).rdbuf();
    std::ofstream(path) << WithSection(WithSection(old.str(), "known", known), "unknown", unknown);
  }
  return misleading == 0 ? 0 : 1;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "explain" && argc > 2) return parity::ExplainOn(argv[2], argc > 3 ? argv[3] : "");
  if (mode == "pairs") return parity::Pairs(argc > 2 ? std::atoi(argv[2]) : 20);
  const bool write_page = mode == "--write-page";
  return parity::Tables(write_page ? "" : mode, write_page);
}
