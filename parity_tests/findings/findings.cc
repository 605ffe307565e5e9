// Names and short derived values of the findings.
#include <algorithm>
#include <stdexcept>

#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/noise.h"
#include "parity_tests/findings/said.h"

namespace parity {
namespace {

WorstRows Worst(const NoiseFloor& floor, bool like_only) {
  WorstRows worst;
  for (const NoiseRow& row : floor.rows) {
    if (row.like_schedules || !like_only) worst.Add(row.worst);
  }
  return worst;
}

}  // namespace

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kPass:
      return "pass";
    case Status::kFail:
      return "fail";
    case Status::kSkip:
      return "skip";
    case Status::kNotReached:
      return "not reached";
    case Status::kNotJudged:
      return "not judged";
  }
  throw std::runtime_error("status: a value outside the enumeration");
}

std::optional<Rung> Verdict::failed_rung() const {
  const auto failed =
      std::find_if(rungs.begin(), rungs.end(), [](const RungResult& result) { return result.status == Status::kFail; });
  if (failed == rungs.end()) return std::nullopt;
  return failed->rung;
}

bool Verdict::parity() const { return !failed_rung() && rung(Rung::kPreflight).status == Status::kPass; }

bool Verdict::limited() const {
  return std::any_of(rungs.begin(), rungs.end(),
                     [](const RungResult& r) { return r.status == Status::kNotJudged || !r.partly.empty(); });
}

std::vector<Rung> Verdict::not_covered() const {
  std::vector<Rung> missing;
  for (const Rung wanted : required) {
    const RungResult& result = rung(wanted);
    if (parity() && (result.status != Status::kPass || !result.partly.empty())) missing.push_back(wanted);
  }
  return missing;
}

Outcome Verdict::outcome() const {
  const Status preflight = rung(Rung::kPreflight).status;
  if (preflight == Status::kSkip) return Outcome::kSkipped;
  if (preflight != Status::kPass) return Outcome::kError;
  if (failed_rung()) return Outcome::kDivergence;
  if (!limited()) return not_covered().empty() ? Outcome::kParity : Outcome::kError;
  const bool judged = std::any_of(rungs.begin(), rungs.end(), [](const RungResult& r) {
    return r.rung != Rung::kPreflight && r.status == Status::kPass;
  });
  return judged && not_covered().empty() ? Outcome::kLimitedParity : Outcome::kError;
}

std::string_view OutcomeName(Outcome outcome) {
  constexpr std::string_view kNames[] = {"parity", "parity, limited coverage", "divergence", "skipped", "error"};
  return kNames[static_cast<size_t>(outcome)];
}

std::string_view TensorStatusName(TensorStatus status) {
  constexpr std::string_view kNames[] = {"equal", "differs", "suspicious", "shape"};
  return kNames[static_cast<size_t>(status)];
}

int64_t TraceDiff::count(TensorStatus status) const {
  return std::count_if(tensors.begin(), tensors.end(), [=](const TensorDifference& d) { return d.status == status; });
}

std::string_view ReplayVerdictName(ReplayVerdict verdict) {
  switch (verdict) {
    case ReplayVerdict::kExact:
      return "exact";
    case ReplayVerdict::kWithin:
      return "within tolerance";
    case ReplayVerdict::kGuilty:
      return "guilty";
    case ReplayVerdict::kNotTraced:
      return "not traced";
  }
  return "";
}

std::string_view BisectVerdictName(BisectVerdict verdict) {
  constexpr std::string_view kNames[] = {"no divergence", "not reproducible", "tokens",   "shapes",
                                         "choice",        "operation",        "rounding", "not traced"};
  return kNames[static_cast<size_t>(verdict)];
}

ShownTexts TextsAsShown(std::string_view a, std::string_view b) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto blanks = [&](std::string_view text) { return std::min(text.find_first_not_of(kBlank), text.size()); };
  ShownTexts texts{.a = a.substr(0, a.find_last_not_of(kBlank) + 1),  // npos + 1 is 0
                   .b = b.substr(0, b.find_last_not_of(kBlank) + 1)};
  if ((blanks(a) == 0) == (blanks(b) == 0)) return texts;
  texts.lost_in_front_of_b = blanks(texts.b);
  texts.a.remove_prefix(blanks(texts.a));
  texts.b.remove_prefix(texts.lost_in_front_of_b);
  return texts;
}

std::optional<Parting> PartAt(const Said& a, const Said& b) {
  const auto first_other = [](const auto& x, const auto& y) {
    return static_cast<size_t>(std::mismatch(x.begin(), x.end(), y.begin(), y.end()).first - x.begin());
  };
  if (a.printed.empty() && b.printed.empty()) {
    if (a.ids == b.ids) return std::nullopt;
    const size_t at = first_other(a.ids, b.ids);
    return Parting{
        .at = at, .both = a.Text(0, at), .rest_a = a.Text(at, a.ids.size()), .rest_b = b.Text(at, b.ids.size())};
  }
  const std::string text_a = a.Text(), text_b = b.Text();
  const ShownTexts texts = TextsAsShown(text_a, text_b);
  if (texts.a == texts.b) return std::nullopt;
  size_t at = first_other(texts.a, texts.b);
  const auto inside = [&at](std::string_view text) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  while (at > 0 && (inside(texts.a) || inside(texts.b))) --at;
  return Parting{.at = at,
                 .bytes = true,
                 .both = std::string(texts.a.substr(0, at)),
                 .rest_a = std::string(texts.a.substr(at)),
                 .rest_b = std::string(texts.b.substr(at))};
}

std::string_view AtFaultName(AtFault side) {
  constexpr std::string_view kNames[] = {"unknown", "candidate", "reference", "neither"};
  return kNames[static_cast<size_t>(side)];
}

std::string_view CertaintyName(Certainty certainty) {
  constexpr std::string_view kNames[] = {"possible", "likely", "certain"};
  return kNames[static_cast<size_t>(certainty)];
}

bool Explanation::located_by_survey() const {
  if (baseline || !candidate || candidate->findings.empty() || diagnosis.at_fault == AtFault::kReference) return false;
  if (!bisection) return true;
  const BisectVerdict v = bisection->verdict;
  return v == BisectVerdict::kOperation || v == BisectVerdict::kRounding || v == BisectVerdict::kNotTraced;
}

bool Explanation::habits_alone() const {
  return candidate && candidate->findings.empty() && candidate->not_traced == 0 && !candidate->habits.empty();
}

Place Explanation::location() const {
  if (located_by_survey()) return candidate->findings.front().place;
  if (diagnosis.at_fault == AtFault::kReference) return diagnosis.location;
  return bisection && bisection->place.position >= 0 ? bisection->place : diagnosis.location;
}

WorstRows NoiseFloor::Like() const { return Worst(*this, true); }
WorstRows NoiseFloor::All() const { return Worst(*this, false); }

}  // namespace parity
