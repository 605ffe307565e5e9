// A live reference still says what was recorded of it (fixtures/recorded): the same tokens and shapes, and, where
// version and instruction set are the recording's, every logit and traced tensor to the bit. Elsewhere the distance is
// reported and not judged. Without the live engine a test is skipped with the reason; PARITY_REQUIRE makes that a
// failure.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/thresholds.h"
#include "reference/engines/backend.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kRecorded = PARITY_SOURCE_DIR "/fixtures/recorded";
const std::string kBuilds = PARITY_SOURCE_DIR "/fixtures/recorded_builds";

// The captures of one engine, by directory.
std::vector<std::string> CapturesOf(const std::string& engine) {
  std::string prefix = engine + ".";
  std::replace(prefix.begin(), prefix.end() - 1, '.', '_');
  std::vector<std::string> directories;
  for (const auto& entry : std::filesystem::directory_iterator(kRecorded)) {
    if (entry.path().filename().string().starts_with(prefix)) directories.push_back(entry.path());
  }
  std::sort(directories.begin(), directories.end());
  return directories;
}

struct Reproduction {
  bool same_build = false;           // version and instruction set are the recording's
  std::vector<std::string> changed;  // what is not as recorded and has to be
  std::string figures;
};

// The first tensor, in the order of the computation, that has another hash; "" where all are as recorded.
std::string FirstOtherTensor(const Capture& live, const Capture& recorded) {
  for (const TraceRecord& was : recorded.traces) {
    const auto is = std::find_if(live.traces.begin(), live.traces.end(),
                                 [&](const TraceRecord& record) { return record.name == was.name; });
    if (is == live.traces.end()) return fmt::format("{}: recorded, not traced any more", was.name);
    if (is->blake3 != was.blake3) {
      return fmt::format("{}: other bits (rms {}, recorded {}), the first of the computation", was.name, is->rms,
                         was.rms);
    }
  }
  return "";
}

Reproduction Compare(const Capture& live, const Capture& recorded) {
  Reproduction r;
  r.same_build = live.backend.version == recorded.backend.version && live.backend.simd == recorded.backend.simd;
  LadderOptions options;
  options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", "exact");
  for (const RungInfo& rung : Rungs()) {
    const RungResult result = JudgeRung(rung.rung, live, recorded, options);
    const bool judged = r.same_build || rung.limits == LimitsUse::kNone;
    if (judged && result.status == Status::kFail) {
      r.changed.push_back(fmt::format("{}: {}", rung.name, result.message));
    }
    if (result.rows.empty()) continue;
    r.figures += fmt::format("{}{}: max abs {:.2g}, KL {:.2g}, {:.4g}% of the bits", r.figures.empty() ? "" : "; ",
                             rung.name, result.worst.value(Metric::kMaxAbs), result.worst.value(Metric::kKl),
                             100 * result.worst.identical_share());
  }
  if (r.same_build) {
    const std::string tensor = FirstOtherTensor(live, recorded);
    if (!tensor.empty()) r.changed.push_back(tensor);
  }
  return r;
}

class RecordedTest : public testing::TestWithParam<std::string> {};

TEST_P(RecordedTest, ALiveEngineReproducesIt) {
  const std::string& engine = GetParam();
  const std::vector<std::string> directories = CapturesOf(engine);
  ASSERT_FALSE(directories.empty()) << kRecorded << ": no capture of " << engine;
  const std::unique_ptr<Backend> backend = MakeEngine(engine);
  const ProbeResult probe = backend->Probe();
  if (!probe.available) {
    const std::string reason = fmt::format("{}: {}; {}", engine, probe.problem, probe.remedy);
    if (IsRequired(engine)) FAIL() << reason;
    GTEST_SKIP() << reason;
  }
  for (const std::string& directory : directories) {
    SCOPED_TRACE(directory);
    const Capture recorded = ReadCapture(directory);
    Request request = recorded.request;
    request.model = PARITY_BINARY_DIR "/fixtures/models/" + recorded.model.path;
    const Capture live = backend->Run(request);
    const Reproduction r = Compare(live, recorded);
    EXPECT_THAT(r.changed, IsEmpty()) << "recorded of " << recorded.backend.build << "\nlive " << live.backend.build;
    if (!r.same_build) {
      std::cout << fmt::format("{}: recorded of {} {}, live {} {}: {}\n",
                               std::filesystem::path(directory).filename().string(), recorded.backend.version,
                               recorded.backend.simd, live.backend.version, live.backend.simd, r.figures);
    }
  }
}

// The references that run in a program of their own, and of which the matrix keeps captures.
std::vector<std::string> RecordedEngines() {
  std::vector<std::string> names;
  for (const EngineRow& row : ReferenceEngines()) {
    if (!row.runner.program.empty() && !row.orders.empty()) names.push_back(row.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Engines, RecordedTest, testing::ValuesIn(RecordedEngines()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

// Builds that are on no one machine: the native engine follows each where its order of operations is known, bit for
// bit, and stays within the limits of cosine where it is not.
class RecordedBuildTest : public testing::TestWithParam<std::string> {};

TEST_P(RecordedBuildTest, TheNativeEngineClimbsAgainstIt) {
  const std::string folder = kBuilds + "/" + GetParam();
  int n_captures = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path());
    const Capture recorded = ReadCapture(entry.path());
    Request request = recorded.request;
    request.model = PARITY_BINARY_DIR "/fixtures/models/" + recorded.model.path;
    const bool order_known = !OrderOf(recorded.backend).empty();
    const bool of_unknown_order = GetParam().starts_with("ik_llama_cpp") || GetParam().starts_with("llama_cpp_b3889");
    EXPECT_NE(order_known, of_unknown_order) << recorded.backend.simd << ", " << recorded.backend.build;
    Comparison comparison("native", "recorded:" + folder);
    const Climbed climbed = comparison.Climb(request, {.profile = {.name = order_known ? "exact" : "cosine"}});
    EXPECT_TRUE(climbed.verdict.parity()) << climbed.verdict.rung(*climbed.verdict.failed_rung()).message;
    EXPECT_EQ(Figures(climbed.verdict).rows(), recorded.logits.rows);
    EXPECT_EQ(climbed.verdict.rung(Rung::kDecode).rows.size(), recorded.generated.size());
    ++n_captures;
  }
  EXPECT_GE(n_captures, 2);  // both schedules
}

std::vector<std::string> RecordedBuilds() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kBuilds)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Builds, RecordedBuildTest, testing::ValuesIn(RecordedBuilds()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// What an engine that has changed would be told.
class ChangedTest : public testing::Test {
 protected:
  Capture recorded_ = ReadCapture(kRecorded + "/llama_cpp.kjv_bitnet_tq2_0.hello.batch");
  Capture live_ = recorded_;
};

TEST_F(ChangedTest, NothingIsNamedWhereNothingChanged) {
  const Reproduction r = Compare(live_, recorded_);
  EXPECT_TRUE(r.same_build);
  EXPECT_THAT(r.changed, IsEmpty());
  EXPECT_THAT(r.figures, HasSubstr("positions: max abs 0, KL 0, 100% of the bits"));
}

TEST_F(ChangedTest, TokensAndShapes) {
  live_.tokens[1] += 1;
  EXPECT_THAT(Compare(live_, recorded_).changed, ElementsAre(HasSubstr("tokens: ")));
  live_ = recorded_;
  live_.shapes.kv_cells += 256;
  EXPECT_THAT(Compare(live_, recorded_).changed, ElementsAre(AllOf(HasSubstr("shapes: "), HasSubstr("cells"))));
}

TEST_F(ChangedTest, OneBitOfOneLogit) {
  float& logit = live_.logits.data[static_cast<size_t>(live_.logits.cols) + 7];
  logit = std::nextafter(logit, 100.0f);
  EXPECT_THAT(Compare(live_, recorded_).changed, Contains(HasSubstr("positions: ")));
}

TEST_F(ChangedTest, TheFirstTensor) {
  ASSERT_GT(recorded_.traces.size(), 9u);
  live_.traces[5].blake3[0] ^= 1;
  live_.traces[8].blake3[0] ^= 1;
  EXPECT_THAT(Compare(live_, recorded_).changed, ElementsAre(HasSubstr(recorded_.traces[5].name + ": other bits")));
}

TEST_F(ChangedTest, AnotherBuildIsMeasuredNotJudged) {
  live_.backend.simd = "haswell";
  for (float& logit : live_.logits.data) logit += 0.5f;
  live_.traces[5].blake3[0] ^= 1;
  Reproduction r = Compare(live_, recorded_);
  EXPECT_FALSE(r.same_build);
  EXPECT_THAT(r.changed, IsEmpty());
  EXPECT_THAT(r.figures, HasSubstr("positions: max abs 0.5, "));
  live_.tokens[1] += 1;  // but a tokenizer has no build
  EXPECT_THAT(Compare(live_, recorded_).changed, ElementsAre(HasSubstr("tokens: ")));
}

}  // namespace
}  // namespace parity
