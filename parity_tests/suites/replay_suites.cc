// Replay as GoogleTest suites: every operation of the forward pass, ours on the reference's own inputs, one test for
// each (reference, model, schedule, operation, layer):
// Replay.Passes/llama_cpp__kjv_bitnet_tq2_0__batch__ffn_down__layer_3. Exact where the order of operations of the
// reference's build is known, within the operation's tolerance elsewhere.
//
//   replay_suites --gtest_filter='Replay.*tq2_0*ffn_down*'
//   replay_suites --write-ctest FILE       what CTest includes: one test for each operation, over all layers
//
// PARITY_REQUIRE=llama.cpp,...: references whose absence fails instead of being skipped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <ostream>

#include "engine/model/model.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/replay_verdict.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/suites/suite_main.h"
#include "reference/engines/capture_store.h"

namespace parity {
namespace {

constexpr std::string_view kPrompt = "capital_of_france";

// Live references and models that they run, with one prompt: nothing accumulates, so more of them show little more.
std::vector<Case> ReplayCases() {
  const ParityMatrix& matrix = ShippedMatrix();
  std::vector<Case> cases;
  for (const Case& c : matrix.cases) {
    if (matrix.prompts[c.prompt].id == kPrompt && c.reference != "recorded" &&
        !matrix.models[c.model].not_supported_by.contains(c.reference)) {
      cases.push_back(c);
    }
  }
  return cases;
}

// "llama_cpp.kjv_bitnet_tq2_0.batch.ffn_down"
std::string NameOf(const Case& c, Point point) {
  return fmt::format("{}.{}.{}", ModelName(ShippedMatrix(), c), ScheduleName(c.schedule), PointName(point));
}

// Why a reference is absent; "" if it is there.
std::string Absence(const std::string& reference) {
  static std::map<std::string, std::string> known;
  const auto [entry, added] = known.try_emplace(reference);
  if (added) {
    const ProbeResult probe = MakeEngine(reference)->Probe();
    if (!probe.available) entry->second = fmt::format("{} is not available: {}", reference, probe.problem);
  }
  return entry->second;
}

// The capture and the model of one case, shared by the tests of a process.
class Replays {
 public:
  Replay& Get(const Case& c) {
    const std::string name = CaseName(ShippedMatrix(), c);
    if (name == name_) return *replay_;
    replay_.reset();
    Request request = MakeRequest(ShippedMatrix(), c);
    request.max_tokens = 0;
    request.trace = "full";
    request.raw_tensors = true;
    capture_ = CaptureStore(SharedCaptures()).Get(*MakeEngine(c.reference), request);
    model_.emplace(bitnet::Model::Load(request.model));
    exact_ = KnownOrder(capture_.backend, *model_) != nullptr;
    replay_ = std::make_unique<Replay>(*model_, capture_, OrderFor(capture_.backend, *model_));
    name_ = name;
    return *replay_;
  }
  bool exact() const { return exact_; }

 private:
  std::string name_;
  Capture capture_;
  std::optional<bitnet::Model> model_;
  std::unique_ptr<Replay> replay_;
  bool exact_ = false;
};

Replays& TheReplays() {
  static Replays replays;
  return replays;
}

struct Operation {
  Case c;
  Point point;
  int layer;  // -1 outside the layers

  std::string Name() const { return NameOf(c, point) + (layer < 0 ? ".outside" : fmt::format(".layer_{}", layer)); }
  friend std::ostream& operator<<(std::ostream& out, const Operation& o) { return out << o.Name(); }
};

const bitnet::Hyperparameters& HyperparametersOf(const Case& c) {
  static std::map<size_t, bitnet::Hyperparameters> known;
  const auto found = known.find(c.model);
  if (found != known.end()) return found->second;
  const bitnet::GgufFile file = bitnet::GgufFile::Open(ShippedMatrix().models[c.model].path);
  return known[c.model] = bitnet::ReadHyperparameters(file);
}

// In the order of the computation.
std::vector<Operation> AllOperations() {
  std::vector<Operation> operations;
  for (const Case& c : ReplayCases()) {
    const bitnet::Hyperparameters& h = HyperparametersOf(c);
    for (const bitnet::PointInfo& p : bitnet::kGraph) {
      if (!bitnet::Exists(p, bitnet::ShapeOf(h))) continue;
      const int first = p.in_layer ? 0 : -1, last = p.in_layer ? static_cast<int>(h.n_layer) - 1 : -1;
      for (int layer = first; layer <= last; ++layer) operations.push_back({c, p.point, layer});
    }
  }
  return operations;
}

namespace suite {

class Replay : public testing::TestWithParam<Operation> {
 protected:
  static void Check() {
    const auto& [c, point, layer] = GetParam();
    if (const std::string absence = Absence(c.reference); !absence.empty()) {
      if (!IsRequired(c.reference)) GTEST_SKIP() << absence;
      FAIL() << absence << "\n(PARITY_REQUIRE asks for it)";
    }
    try {
      Judge(TheReplays().Get(c).Operation(point, layer));
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }

 private:
  static void Judge(const ReplayResult& r) {
    const auto& [c, point, layer] = GetParam();
    const std::string what =
        fmt::format("{}{}: {}, {} of {} elements differ, max abs {:.3g}, {:.3g} of the tolerance ({:.3g} units)",
                    layer < 0 ? "" : fmt::format("layer {} ", layer), bitnet::PointName(point),
                    ReplayVerdictName(r.verdict), r.differing, r.elements, r.max_abs, r.max_error, r.tolerance_units);
    fmt::print("{}\n", what);
    ASSERT_NE(r.verdict, ReplayVerdict::kNotTraced) << what << "; missing: " << r.missing;
    EXPECT_GT(r.elements, 0) << what;
    const bool good = !Fails(r, TheReplays().exact());
    EXPECT_TRUE(good) << what
                      << fmt::format(
                             "\nposition {}, element {}: {:.9g} follows from the reference's inputs, it has {:.9g}",
                             r.place.position, r.index, r.ours, r.reference)
                      << (TheReplays().exact() ? "\nthe order of the reference's build is known: every bit must agree"
                                               : "");
  }
};

TEST_P(Replay, Passes) { Check(); }

INSTANTIATE_TEST_SUITE_P(, Replay, testing::ValuesIn(AllOperations()),
                         [](const auto& info) { return ParameterName(info.param.Name()); });

}  // namespace suite

// One for each operation, over all layers.
std::vector<CtestTest> ReplayTests() {
  std::vector<CtestTest> tests;
  for (const Operation& o : AllOperations()) {
    if (o.layer > 0) continue;
    const std::string name = NameOf(o.c, o.point), absence = IsRequired(o.c.reference) ? "" : Absence(o.c.reference);
    tests.push_back({.name = "Replay." + name,
                     .filter = fmt::format("Replay.Passes/{}__*", ParameterName(name)),
                     .labels = fmt::format("replay;{};{};{}", o.c.reference, ShippedMatrix().models[o.c.model].format,
                                           ScheduleName(o.c.schedule)),
                     .skipped = absence,
                     .absent = !absence.empty(),
                     .timeout_seconds = 300});
  }
  return tests;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) { return parity::SuiteMain(argc, argv, parity::ReplayTests); }
