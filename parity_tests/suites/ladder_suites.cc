// The ladder as GoogleTest suites, one test for each stage of each (reference, model, prompt, schedule):
// FirstLogit.llama_cpp.kjv_bitnet_tq2_0.capital_of_france.batch.
//
//   ladder_suites --gtest_filter='FirstLogit.*tq2_0*'
//   ladder_suites --write-ctest FILE       what CTest includes
//
// PARITY_REQUIRE=llama.cpp,...: references whose absence fails instead of being skipped. PARITY_CANDIDATE: the engine
// under test, "native" if it is not set.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

#include "parity_tests/diagnose/explain.h"
#include "parity_tests/harness/matrix.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/harness/pair.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/report.h"
#include "parity_tests/suites/ctest_file.h"

namespace parity {
namespace {

const char* const kFixtures = PARITY_SOURCE_DIR "/fixtures";
const char* const kModels = PARITY_BINARY_DIR "/fixtures/models";
const char* const kCaptures = PARITY_BINARY_DIR "/captures";

ParityMatrix Load() {
  return LoadMatrix(fmt::format("{}/parity_matrix.json", kFixtures), fmt::format("{}/prompts.json", kFixtures),
                    kModels);
}

std::string CandidateSpec() {
  const char* spec = std::getenv("PARITY_CANDIDATE");
  return spec == nullptr || *spec == '\0' ? "native" : spec;
}

// Thrown to skip a test, with the reason.
class Skip : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the tests of one process share: the pairs of engines, the captures of the last case, and what has failed so far
// (CTest stops a case by its fixtures; a run of the whole program by this).
class Climbs {
 public:
  explicit Climbs(const ParityMatrix& matrix) : matrix_(matrix) {}

  const Captures& Get(const Case& c) {
    const std::string name = CaseName(matrix_, c);
    if (name == name_) return captures_;
    Pair& pair = PairFor(c.reference);
    if (const std::optional<RungResult> problem = pair.Probe()) {
      if (IsRequired(c.reference)) throw std::runtime_error(problem->message + "\n(PARITY_REQUIRE asks for it)");
      throw Skip(problem->message);
    }
    const auto& not_supported = matrix_.models[c.model].not_supported_by;
    const auto expected = not_supported.find(c.reference);
    try {
      captures_ = pair.Run(MakeRequest(matrix_, c));
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

  Pair& PairFor(const std::string& reference) {
    const auto [entry, added] = pairs_.try_emplace(reference);
    if (added) entry->second = std::make_unique<Pair>(CandidateSpec(), ReferenceSpec(matrix_, reference), kCaptures);
    return *entry->second;
  }

  const ParityMatrix& matrix() const { return matrix_; }
  std::map<std::string, Rung> failed;  // case or model name -> stage

 private:
  const ParityMatrix& matrix_;
  std::map<std::string, std::unique_ptr<Pair>> pairs_;
  std::string name_;
  Captures captures_;
};

class RungTest : public testing::Test {
 public:
  RungTest(Rung rung, Case c, Climbs* climbs) : stage_(rung), case_(std::move(c)), climbs_(climbs) {}

  void TestBody() override {
    const ParityMatrix& matrix = climbs_->matrix();
    const std::string climb = CaseName(matrix, case_), model = ModelName(matrix, case_);
    for (const std::string& name : {climb, model}) {
      const auto below = climbs_->failed.find(name);
      if (below != climbs_->failed.end()) GTEST_SKIP() << "not reached: " << RungName(below->second) << " failed";
    }
    try {
      Judge(matrix);
    } catch (const Skip& skip) {
      GTEST_SKIP() << skip.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    if (HasFailure()) climbs_->failed.emplace(stage_ == Rung::kPreflight ? model : climb, stage_);
  }

 private:
  void Judge(const ParityMatrix& matrix) {
    const Captures& captures = climbs_->Get(case_);
    const BackendInfo &candidate = captures.candidate.backend, &reference = captures.reference.backend;
    std::string note;
    const std::string profile =
        climbs_->PairFor(case_.reference).FairProfile(reference, matrix.profile, matrix.profile_elsewhere, &note);
    LadderOptions options;
    options.profile = LoadProfile(fmt::format("{}/thresholds.json", kFixtures), profile);
    options.piece_of = PieceLookup(captures.reference.request);
    const RungResult result = JudgeRung(stage_, captures.candidate, captures.reference, options);
    const std::string report = RungReport(result, candidate.name, reference.name);
    if (!note.empty()) fmt::print("note: {}\n", note);
    if (result.status == Status::kFail) {
      ADD_FAILURE() << report << Why(captures, options.profile);
    } else {
      fmt::print("{}", report);
    }
  }

  // Where and why the engines part; both run again, without the store.
  std::string Why(const Captures& captures, const Profile& profile) const {
    try {
      Pair& pair = climbs_->PairFor(case_.reference);
      const Request request = MakeRequest(climbs_->matrix(), case_);
      const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = profile, .piece_of = {}});
      const HeldModel held = HoldModel(request.model, captures.reference.backend);
      return "\n" +
             ExplanationText(Explain(pair.candidate(), pair.reference(), request, captures, verdict, held.own), false);
    } catch (const std::exception& error) {
      return fmt::format("\nnot explained: {}\n", error.what());
    }
  }

  Rung stage_;
  Case case_;
  Climbs* climbs_;
};

void Register(Rung rung, const std::string& name, const Case& c, Climbs* climbs) {
  testing::RegisterTest(std::string(InfoOf(rung).suite).c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [rung, c, climbs]() -> testing::Test* { return new RungTest(rung, c, climbs); });
}

void RegisterAll(const ParityMatrix& matrix, Climbs* climbs) {
  std::map<std::string, bool> models;
  for (const Case& c : matrix.cases) {
    const std::string model = ModelName(matrix, c);
    if (models.emplace(model, true).second) Register(Rung::kPreflight, model, c, climbs);
  }
  for (const RungInfo& info : Rungs()) {
    if (info.rung == Rung::kPreflight) continue;
    for (const Case& c : matrix.cases) Register(info.rung, CaseName(matrix, c), c, climbs);
  }
}

// Why the tests of a reference and a model will be skipped; "" if they will not.
std::string SkipReason(const ParityMatrix& matrix, const std::string& reference, const MatrixModel& model) {
  static std::map<std::string, std::string> absent;
  if (!absent.contains(reference)) {
    const std::optional<RungResult> problem = Pair(CandidateSpec(), ReferenceSpec(matrix, reference)).Probe();
    absent[reference] =
        problem && !IsRequired(reference) ? problem->message.substr(0, problem->message.find('\n')) : "";
  }
  if (!absent[reference].empty()) return absent[reference];
  const auto found = model.not_supported_by.find(reference);
  return found == model.not_supported_by.end() ? "" : found->second;
}

void WriteCtest(const ParityMatrix& matrix, const std::string& file) {
  const std::string program = std::filesystem::canonical("/proc/self/exe").string();
  const std::string temporary = fmt::format("{}.{}", file, getpid());
  std::ofstream out(temporary);
  out << CtestFile(matrix, program, [&](const std::string& reference, const MatrixModel& model) {
    return SkipReason(matrix, reference, model);
  });
  out.close();
  if (!out) throw std::runtime_error(fmt::format("{}: cannot be written", temporary));
  std::filesystem::rename(temporary, file);
}

int Main(int argc, char** argv) {
  const ParityMatrix matrix = Load();
  if (argc == 3 && std::string_view(argv[1]) == "--write-ctest") {
    WriteCtest(matrix, argv[2]);
    return 0;
  }
  Climbs climbs(matrix);
  RegisterAll(matrix, &climbs);
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    fmt::print(stderr, "ladder_suites: unknown argument {}; known are --write-ctest FILE and GoogleTest's\n", argv[1]);
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
    fmt::print(stderr, "ladder_suites: {}\n", error.what());
    return 2;
  }
}
