#include "parity_tests/suites/ctest_file.h"

#include <fmt/format.h>

#include <set>

#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

constexpr int kTimeoutSeconds = 600;

std::string Test(Rung rung, const std::string& name, const std::string& program, const std::string& labels,
                 const std::string& required) {
  const std::string full = fmt::format("{}.{}", InfoOf(rung).suite, name);
  std::string text = fmt::format("add_test([==[{0}]==] [==[{1}]==] [==[--gtest_filter={0}]==])\n", full, program);
  text += fmt::format("set_tests_properties([==[{}]==] PROPERTIES TIMEOUT {} LABELS [==[{}]==]", full, kTimeoutSeconds,
                      labels);
  text += fmt::format(" SKIP_REGULAR_EXPRESSION [==[\\[  SKIPPED \\]]==] FIXTURES_SETUP [==[{}]==]", full);
  if (!required.empty()) text += fmt::format(" FIXTURES_REQUIRED [==[{}]==]", required);
  return text + ")\n";
}

}  // namespace

std::string LabelText(std::string text) {
  constexpr size_t kLongest = 72;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  for (char& c : text) {
    if (c == ';' || c == ']' || c == '[' || c == '\n' || c == '\\') c = ' ';
  }
  return text;
}

std::string CtestFile(const ParityMatrix& matrix, const std::string& program,
                      const std::function<std::string(const std::string&, const MatrixModel&)>& skip_reason) {
  std::string text;
  std::set<std::string> models;
  for (const Case& c : matrix.cases) {
    const MatrixModel& model = matrix.models[c.model];
    const std::string reason = skip_reason(c.reference, model);
    const std::string skipped = reason.empty() ? "" : fmt::format(";skipped: {}", LabelText(reason));
    const std::string preflight = ModelName(matrix, c), climb = CaseName(matrix, c);
    if (models.insert(preflight).second) {
      text +=
          Test(Rung::kPreflight, preflight, program,
               fmt::format("ladder;{};{};{}{}", RungName(Rung::kPreflight), c.reference, model.format, skipped), "");
    }
    std::string below = fmt::format("{}.{}", InfoOf(Rung::kPreflight).suite, preflight);
    for (const RungInfo& info : Rungs()) {
      if (info.rung == Rung::kPreflight) continue;
      const std::string labels =
          fmt::format("ladder;{};{};{};{}{}", info.name, c.reference, model.format, ScheduleName(c.schedule), skipped);
      text += Test(info.rung, climb, program, labels, below);
      below = fmt::format("{}.{}", info.suite, climb);
    }
  }
  return text;
}

}  // namespace parity
