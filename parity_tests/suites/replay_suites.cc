// Replay as GoogleTest suites: every operation of the forward pass, ours on the reference's own inputs, one test for
// each (reference, model, schedule, operation, layer): Replay.llama_cpp.kjv_bitnet_tq2_0.batch.ffn_down.layer_3. Exact
// where the order of operations of the reference's build is known, within the operation's tolerance elsewhere.
//
//   replay_suites --gtest_filter='Replay.*tq2_0*ffn_down*'
//   replay_suites --write-ctest FILE       what CTest includes: one test for each operation, over all layers
//
// PARITY_REQUIRE=llama.cpp,...: references whose absence fails instead of being skipped.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>

#include "engine/model/model.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/pair.h"
#include "parity_tests/judge/replay_verdict.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/suites/ctest_file.h"
#include "reference/engines/capture_store.h"

namespace parity {
namespace {

constexpr const char* kFixtures = PARITY_SOURCE_DIR "/fixtures";
constexpr const char* kModels = PARITY_BINARY_DIR "/fixtures/models";
constexpr const char* kCaptures = PARITY_BINARY_DIR "/captures";
constexpr std::string_view kPrompt = "capital_of_france";
constexpr int kTimeoutSeconds = 300;

// Live references and models that they run, with one prompt: nothing accumulates, so more of them show little more.
std::vector<Case> ReplayCases(const ParityMatrix& matrix) {
  std::vector<Case> cases;
  for (const Case& c : matrix.cases) {
    if (matrix.prompts[c.prompt].id == kPrompt && c.reference != "recorded" &&
        !matrix.models[c.model].not_supported_by.contains(c.reference)) {
      cases.push_back(c);
    }
  }
  return cases;
}

std::string TestName(const ParityMatrix& matrix, const Case& c, bitnet::Point point) {
  return fmt::format("{}.{}.{}", ModelName(matrix, c), ScheduleName(c.schedule), bitnet::PointName(point));
}

// Why a reference is absent; "" if it is there.
std::string Absence(const std::string& reference) {
  static std::map<std::string, std::string> known;
  const auto [entry, added] = known.try_emplace(reference);
  if (added) {
    const ProbeResult probe = MakeAnyBackend(reference)->Probe();
    if (!probe.available) entry->second = fmt::format("{} is not available: {}", reference, probe.problem);
  }
  return entry->second;
}

// The capture and the model of one case, shared by the tests of a process.
class Replays {
 public:
  explicit Replays(const ParityMatrix& matrix) : matrix_(matrix) {}

  Replay& Get(const Case& c) {
    const std::string name = CaseName(matrix_, c);
    if (name == name_) return *replay_;
    replay_.reset();
    Request request = MakeRequest(matrix_, c);
    request.max_tokens = 0;
    request.trace = "full";
    request.raw_tensors = true;
    capture_ = CaptureStore(kCaptures).Get(*MakeAnyBackend(c.reference), request);
    model_.emplace(bitnet::Model::Load(request.model));
    const std::string order = OrderOf(capture_.backend);
    exact_ = !order.empty();
    replay_ =
        std::make_unique<Replay>(*model_, capture_, exact_ ? bitnet::FindOrder(order) : bitnet::DefaultOrder(*model_));
    name_ = name;
    return *replay_;
  }
  bool exact() const { return exact_; }

 private:
  const ParityMatrix& matrix_;
  std::string name_;
  Capture capture_;
  std::optional<bitnet::Model> model_;
  std::unique_ptr<Replay> replay_;
  bool exact_ = false;
};

class OperationTest : public testing::Test {
 public:
  OperationTest(Case c, bitnet::Point point, int layer, Replays* replays)
      : case_(std::move(c)), stage_(point), layer_(layer), replays_(replays) {}

  void TestBody() override {
    if (const std::string absence = Absence(case_.reference); !absence.empty()) {
      if (!IsRequired(case_.reference)) GTEST_SKIP() << absence;
      FAIL() << absence << "\n(PARITY_REQUIRE asks for it)";
    }
    try {
      Judge(replays_->Get(case_).Operation(stage_, layer_));
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }

 private:
  void Judge(const ReplayResult& r) const {
    const std::string what =
        fmt::format("{}{}: {}, {} of {} elements differ, max abs {:.3g}, {:.3g} of the tolerance ({:.3g} units)",
                    layer_ < 0 ? "" : fmt::format("layer {} ", layer_), bitnet::PointName(stage_),
                    ReplayVerdictName(r.verdict), r.differing, r.elements, r.max_abs, r.max_error, r.tolerance_units);
    fmt::print("{}\n", what);
    ASSERT_NE(r.verdict, ReplayVerdict::kNotTraced) << what << "; missing: " << r.missing;
    EXPECT_GT(r.elements, 0) << what;
    const bool good = !Fails(r, replays_->exact());
    EXPECT_TRUE(good) << what
                      << fmt::format(
                             "\nposition {}, element {}: {:.9g} follows from the reference's inputs, it has {:.9g}",
                             r.place.position, r.index, r.ours, r.reference)
                      << (replays_->exact() ? "\nthe order of the reference's build is known: every bit must agree"
                                            : "");
  }

  Case case_;
  bitnet::Point stage_;
  int layer_;
  Replays* replays_;
};

// The operations of a model, in the order of the computation.
std::vector<bitnet::Point> Operations(const bitnet::Hyperparameters& h) {
  std::vector<bitnet::Point> points;
  for (int s = 0; s < bitnet::kPointCount; ++s) {
    const auto point = static_cast<bitnet::Point>(s);
    const bool sub_norm = point == bitnet::Point::kAttnSubNorm || point == bitnet::Point::kFfnSubNorm;
    if (!sub_norm || h.has_sub_norms) points.push_back(point);
  }
  return points;
}

bool InLayer(bitnet::Point point) {
  return point != bitnet::Point::kEmbeddings && point != bitnet::Point::kOutputNorm && point != bitnet::Point::kLogits;
}

bitnet::Hyperparameters HyperparametersOf(const MatrixModel& model) {
  return bitnet::ReadHyperparameters(bitnet::GgufFile::Open(model.path));
}

void RegisterAll(const ParityMatrix& matrix, Replays* replays) {
  for (const Case& c : ReplayCases(matrix)) {
    const bitnet::Hyperparameters h = HyperparametersOf(matrix.models[c.model]);
    for (const bitnet::Point point : Operations(h)) {
      const int first = InLayer(point) ? 0 : -1, last = InLayer(point) ? static_cast<int>(h.n_layer) - 1 : -1;
      for (int layer = first; layer <= last; ++layer) {
        const std::string name =
            TestName(matrix, c, point) + (layer < 0 ? ".outside" : fmt::format(".layer_{}", layer));
        testing::RegisterTest(
            "Replay", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
            [c, point, layer, replays]() -> testing::Test* { return new OperationTest(c, point, layer, replays); });
      }
    }
  }
}

void WriteCtest(const ParityMatrix& matrix, const std::string& file) {
  const std::string program = std::filesystem::canonical("/proc/self/exe").string();
  const std::string temporary = fmt::format("{}.{}", file, getpid());
  std::ofstream out(temporary);
  for (const Case& c : ReplayCases(matrix)) {
    const MatrixModel& model = matrix.models[c.model];
    const std::string absence = IsRequired(c.reference) ? "" : Absence(c.reference);
    const std::string labels = fmt::format("replay;{};{};{}{}", c.reference, model.format, ScheduleName(c.schedule),
                                           absence.empty() ? "" : ";skipped: " + LabelText(absence));
    for (const bitnet::Point point : Operations(HyperparametersOf(model))) {
      const std::string name = "Replay." + TestName(matrix, c, point);
      out << fmt::format("add_test([==[{0}]==] [==[{1}]==] [==[--gtest_filter={0}.*]==])\n", name, program);
      out << fmt::format(
          "set_tests_properties([==[{}]==] PROPERTIES TIMEOUT {} LABELS [==[{}]==] SKIP_REGULAR_EXPRESSION "
          "[==[\\[  SKIPPED \\]]==])\n",
          name, kTimeoutSeconds, labels);
    }
  }
  out.close();
  if (!out) throw std::runtime_error(fmt::format("{}: cannot be written", temporary));
  std::filesystem::rename(temporary, file);
}

int Main(int argc, char** argv) {
  const ParityMatrix matrix =
      LoadMatrix(fmt::format("{}/parity_matrix.json", kFixtures), fmt::format("{}/prompts.json", kFixtures), kModels);
  if (argc == 3 && std::string_view(argv[1]) == "--write-ctest") {
    WriteCtest(matrix, argv[2]);
    return 0;
  }
  Replays replays(matrix);
  RegisterAll(matrix, &replays);
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    fmt::print(stderr, "replay_suites: unknown argument {}; known are --write-ctest FILE and GoogleTest's\n", argv[1]);
    return 2;
  }
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  try {
    return parity::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "replay_suites: {}\n", error.what());
    return 2;
  }
}
