// The ladder as GoogleTest suites, one for each stage, with the cases of the matrix as parameters:
// FirstLogit.Passes/llama_cpp__kjv_bitnet_tq2_0__capital_of_france__batch.
//
//   ladder_suites --gtest_filter='FirstLogit.*tq2_0*'
//   ladder_suites --write-ctest FILE       what CTest includes
//
// PARITY_REQUIRE=llama.cpp,...: references whose absence fails instead of being skipped. PARITY_CANDIDATE: the engine
// under test, "native" if it is not set.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>

#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/judge/rungs.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/report.h"
#include "parity_tests/suites/suite_main.h"

namespace parity {
namespace {

std::string CandidateSpec() {
  const char* spec = std::getenv("PARITY_CANDIDATE");
  return spec == nullptr || *spec == '\0' ? "native" : spec;
}

// Thrown to skip a test, with the reason.
class Skip : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the tests of one process share: the engines, the captures of the last case, and what has failed so far (CTest
// stops a case by its fixtures; a run of the whole program by this).
class Climbs {
 public:
  const Captures& Get(const Case& c) {
    const std::string name = CaseName(matrix_, c);
    if (name == name_) return captures_;
    Comparison& comparison = ComparisonFor(c.reference);
    if (const std::optional<RungResult> problem = comparison.Probe()) {
      if (IsRequired(c.reference)) throw std::runtime_error(problem->message + "\n(PARITY_REQUIRE asks for it)");
      throw Skip(problem->message);
    }
    const auto& not_supported = matrix_.models[c.model].not_supported_by;
    const auto expected = not_supported.find(c.reference);
    try {
      captures_ = comparison.Run(MakeRequest(matrix_, c));
      name_ = name;
    } catch (const ModelNotSupported& error) {
      if (expected == not_supported.end()) throw;
      throw Skip(fmt::format("{} ({})", expected->second, error.what()));
    }
    if (expected != not_supported.end()) {
      throw std::runtime_error(
          fmt::format("fixtures/parity_matrix.json: models: {}: not_supported_by says \"{}\", but {} ran it; "
                      "remove that entry",
                      matrix_.models[c.model].id, expected->second, c.reference));
    }
    return captures_;
  }

  Comparison& ComparisonFor(const std::string& reference) {
    std::unique_ptr<Comparison>& comparison = comparisons_[reference];
    if (comparison == nullptr) {
      comparison = std::make_unique<Comparison>(CandidateSpec(), ReferenceSpec(matrix_, reference), SharedCaptures());
    }
    return *comparison;
  }

  std::map<std::string, Rung> failed;  // case or model name -> stage

 private:
  const ParityMatrix& matrix_ = ShippedMatrix();
  std::map<std::string, std::unique_ptr<Comparison>> comparisons_;
  std::string name_;
  Captures captures_;
};

Climbs& TheClimbs() {
  static Climbs climbs;
  return climbs;
}

// The worst figures of a rung as CDash takes them out of a test's output.
std::string Measurements(const RungResult& result) {
  std::string out;
  for (const Metric metric : kMetrics) {
    if (result.worst.rows() == 0) break;
    out += fmt::format("<DartMeasurement name=\"{}\" type=\"numeric/double\">{}</DartMeasurement>\n",
                       MetricName(metric), result.worst.value(metric));
  }
  return out;
}

class RungTest : public testing::TestWithParam<Case> {
 protected:
  void Check(Rung rung) {
    const ParityMatrix& matrix = ShippedMatrix();
    std::map<std::string, Rung>& failed = TheClimbs().failed;
    const std::string climb = CaseName(matrix, GetParam()), model = ModelName(matrix, GetParam());
    for (const std::string& name : {climb, model}) {
      const auto below = failed.find(name);
      if (below != failed.end()) GTEST_SKIP() << "not reached: " << RungName(below->second) << " failed";
    }
    try {
      Judge(rung);
    } catch (const Skip& skip) {
      GTEST_SKIP() << skip.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    if (HasFailure()) failed.emplace(rung == Rung::kPreflight ? model : climb, rung);
  }

 private:
  void Judge(Rung rung) {
    const ParityMatrix& matrix = ShippedMatrix();
    const Captures& captures = TheClimbs().Get(GetParam());
    std::string note;
    const LadderOptions options = TheClimbs()
                                      .ComparisonFor(GetParam().reference)
                                      .Limits(captures,
                                              {.profile = {.file = PARITY_SOURCE_DIR "/fixtures/thresholds.json"},
                                               .expected = matrix.profile,
                                               .elsewhere = matrix.profile_elsewhere},
                                              &note);
    const RungResult result = JudgeRung(rung, captures.candidate, captures.reference, options);
    const std::string report = RungReport(result, captures.candidate.backend.name, captures.reference.backend.name);
    if (!note.empty()) fmt::print("note: {}\n", note);
    fmt::print("{}", Measurements(result));
    if (result.status == Status::kFail) {
      ADD_FAILURE() << report << Why(captures, options.profile);
    } else {
      fmt::print("{}", report);
    }
  }

  // Where and why the engines part; both run again, without the store.
  static std::string Why(const Captures& captures, const Profile& profile) {
    try {
      Comparison& comparison = TheClimbs().ComparisonFor(GetParam().reference);
      const Request request = MakeRequest(ShippedMatrix(), GetParam());
      const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = profile, .piece_of = {}});
      return "\n" + ExplanationText(comparison.Explain(request, captures, verdict), false);
    } catch (const std::exception& error) {
      return fmt::format("\nnot explained: {}\n", error.what());
    }
  }
};

class Preflight : public RungTest {};
class Tokens : public RungTest {};
class Shapes : public RungTest {};
class FirstLogit : public RungTest {};
class Positions : public RungTest {};
class Decode : public RungTest {};

TEST_P(Preflight, Passes) { Check(Rung::kPreflight); }
TEST_P(Tokens, Passes) { Check(Rung::kTokens); }
TEST_P(Shapes, Passes) { Check(Rung::kShapes); }
TEST_P(FirstLogit, Passes) { Check(Rung::kFirstLogit); }
TEST_P(Positions, Passes) { Check(Rung::kPositions); }
TEST_P(Decode, Passes) { Check(Rung::kDecode); }

// One case of each reference and model: preflight asks for no more.
std::vector<Case> Models() {
  std::vector<Case> cases;
  std::set<std::string> models;
  for (const Case& c : ShippedMatrix().cases) {
    if (models.insert(ModelName(ShippedMatrix(), c)).second) cases.push_back(c);
  }
  return cases;
}

std::string NameOfModel(const testing::TestParamInfo<Case>& info) {
  return ParameterName(ModelName(ShippedMatrix(), info.param));
}
std::string NameOfCase(const testing::TestParamInfo<Case>& info) {
  return ParameterName(CaseName(ShippedMatrix(), info.param));
}

INSTANTIATE_TEST_SUITE_P(, Preflight, testing::ValuesIn(Models()), NameOfModel);
INSTANTIATE_TEST_SUITE_P(, Tokens, testing::ValuesIn(ShippedMatrix().cases), NameOfCase);
INSTANTIATE_TEST_SUITE_P(, Shapes, testing::ValuesIn(ShippedMatrix().cases), NameOfCase);
INSTANTIATE_TEST_SUITE_P(, FirstLogit, testing::ValuesIn(ShippedMatrix().cases), NameOfCase);
INSTANTIATE_TEST_SUITE_P(, Positions, testing::ValuesIn(ShippedMatrix().cases), NameOfCase);
INSTANTIATE_TEST_SUITE_P(, Decode, testing::ValuesIn(ShippedMatrix().cases), NameOfCase);

// Why the tests of a reference will be skipped: it, or the candidate, is not there; "" if they will not.
std::string Absence(const std::string& reference) {
  static std::map<std::string, std::string> absent;
  const auto [entry, added] = absent.try_emplace(reference);
  if (added && !IsRequired(reference)) {
    const auto problem = Comparison(CandidateSpec(), ReferenceSpec(ShippedMatrix(), reference)).Probe();
    if (problem) entry->second = problem->message.substr(0, problem->message.find('\n'));
  }
  return entry->second;
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  return parity::SuiteMain(argc, argv, [] { return parity::LadderTests(parity::ShippedMatrix(), parity::Absence); });
}
