#include "parity_tests/suites/ctest_file.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/rungs.h"

namespace parity {
namespace {

// One short line, without what would end a CMake list or an argument.
std::string LabelText(std::string text) {
  constexpr size_t kLongest = 72;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  for (char& c : text) {
    if (c == ';' || c == ']' || c == '[' || c == '\n' || c == '\\') c = ' ';
  }
  return text;
}

}  // namespace

std::string CtestFile(const std::vector<CtestTest>& tests, const std::string& program, const std::string& answers) {
  std::set<std::string> below;
  for (const CtestTest& t : tests) below.insert(t.below);
  std::string text;
  for (const CtestTest& t : tests) {
    text += t.absent
                ? fmt::format("add_test([==[{}]==] echo [==[[  SKIPPED ] {}]==])\n", t.name, LabelText(t.skipped))
                : fmt::format("add_test([==[{}]==] [==[{}]==] [==[--gtest_filter={}]==])\n", t.name, program, t.filter);
    text += fmt::format("set_tests_properties([==[{}]==] PROPERTIES TIMEOUT {} LABELS [==[{}{}]==]", t.name,
                        t.timeout_seconds, t.labels, t.skipped.empty() ? "" : ";skipped: " + LabelText(t.skipped));
    text += " SKIP_REGULAR_EXPRESSION [==[\\[  SKIPPED \\]]==]";
    if (!t.probes) text += fmt::format(" ENVIRONMENT [==[PARITY_RUNNER_ANSWERS={}]==]", answers);
    if (below.contains(t.name)) text += fmt::format(" FIXTURES_SETUP [==[{}]==]", t.name);
    if (!t.below.empty()) text += fmt::format(" FIXTURES_REQUIRED [==[{}]==]", t.below);
    text += ")\n";
  }
  return text;
}

std::string ParameterName(const std::string& name) {
  std::string parameter;
  for (const char c : name) parameter += c == '.' ? std::string("__") : std::string(1, c);
  return parameter;
}

std::vector<CtestTest> LadderTests(const ParityMatrix& matrix,
                                   const std::function<std::string(const std::string&)>& absence) {
  std::vector<CtestTest> tests;
  std::string absent, skipped;  // of the case at hand
  const auto add = [&](Rung rung, const std::string& name, std::string labels, const std::string& below) {
    tests.push_back({.name = fmt::format("{}.{}", InfoOf(rung).suite, name),
                     .filter = fmt::format("{}.Passes/{}", InfoOf(rung).suite, ParameterName(name)),
                     .labels = std::move(labels),
                     .skipped = skipped,
                     .absent = !absent.empty(),
                     .probes = rung == Rung::kPreflight,
                     .below = below});
    return tests.back().name;
  };
  std::set<std::string> models;
  for (const Case& c : matrix.cases) {
    const MatrixModel& model = matrix.models[c.model];
    absent = skipped = absence(c.reference);
    if (const auto found = model.not_supported_by.find(c.reference); found != model.not_supported_by.end()) {
      if (absent.empty()) skipped = found->second;
    }
    const std::string preflight = ModelName(matrix, c);
    if (models.insert(preflight).second) {
      add(Rung::kPreflight, preflight,
          fmt::format("ladder;{};{};{}", RungName(Rung::kPreflight), c.reference, model.format), "");
    }
    std::string below = fmt::format("{}.{}", InfoOf(Rung::kPreflight).suite, preflight);
    for (const RungInfo& info : Rungs()) {
      if (info.rung == Rung::kPreflight) continue;
      below =
          add(info.rung, CaseName(matrix, c),
              fmt::format("ladder;{};{};{};{}", info.name, c.reference, model.format, ScheduleName(c.schedule)), below);
    }
  }
  return tests;
}

}  // namespace parity
