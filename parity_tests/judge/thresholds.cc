#include "parity_tests/judge/thresholds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "parity_tests/judge/rungs.h"
#include "parity_tests/judge/settings.h"
#include "reference/capture/suggest.h"

namespace parity {
namespace {

constexpr char kSchema[] = "bitnet-parity/thresholds/1";
constexpr char kBuiltIn[] = "thresholds.json";
constexpr char kExact[] = "exact";

// The rung of that name, if a profile has limits for it.
const RungInfo* FindLimited(std::string_view name) {
  for (const RungInfo& rung : Rungs()) {
    if (rung.name == name && rung.limits != LimitsUse::kNone) return &rung;
  }
  return nullptr;
}

std::vector<std::string> LimitedNames() {
  std::vector<std::string> names;
  for (const RungInfo& rung : Rungs()) {
    if (rung.limits != LimitsUse::kNone) names.emplace_back(rung.name);
  }
  return names;
}

// Sets one limit. `where` names it in messages.
void Set(Profile& profile, std::string_view name, std::string_view key, double value, const std::string& where) {
  const RungInfo* rung = FindLimited(name);
  if (rung == nullptr) {
    throw std::runtime_error(fmt::format("{}: stage \"{}\" has no thresholds; those that have are {}{}", where, name,
                                         fmt::join(LimitedNames(), ", "), DidYouMean(name, LimitedNames())));
  }
  if (rung->rung == Rung::kDecode && key == "tie") {
    if (!(value >= 0) || std::isinf(value)) {
      throw std::runtime_error(
          fmt::format("{}: found {}, expected a distance of two logits, at least 0", where, value));
    }
    profile.decode_tie = value;
    return;
  }
  const bool tie_cosine = rung->rung == Rung::kDecode && key == "tie_cosine";
  Metric metric = Metric::kCosine;
  try {
    if (!tie_cosine) metric = MetricFromName(key);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(
        fmt::format("{}: {}{}", where, error.what(), rung->rung == Rung::kDecode ? ", tie, tie_cosine" : ""));
  }
  const bool share = IsShare(metric);
  const double low = metric == Metric::kCosine ? -1 : 0;
  const double high = HigherIsBetter(metric) ? 1 : std::numeric_limits<double>::max();
  if (!(value >= low && value <= high)) {
    throw std::runtime_error(
        fmt::format("{}: found {}, expected {}", where, value,
                    share ? "a share from 0 to 1"
                          : (metric == Metric::kCosine ? "a cosine from -1 to 1" : "a finite number, at least 0")));
  }
  (tie_cosine ? profile.decode_tie_cosine : profile.limits[rung->rung][metric]) = value;
}

}  // namespace

Profile LoadProfile(const std::string& file, const std::string& name) {
  JsonFields top = ReadSettings(file, kBuiltIn, kSchema);
  Profile profile;
  top.Read("default", &profile.name);
  if (!name.empty()) profile.name = name;
  JsonFields profiles = top.Object("profiles");
  const std::string origin = SettingsName(file, kBuiltIn);
  const std::vector<std::string> in_file = profiles.Keys();
  if (std::find(in_file.begin(), in_file.end(), profile.name) == in_file.end()) {
    if (profile.name == kExact) return ExactProfile();
    throw std::runtime_error(fmt::format("{}: no profile \"{}\"; there are {}{}", origin, profile.name,
                                         fmt::join(ProfileNames(file), ", "),
                                         DidYouMean(profile.name, ProfileNames(file))));
  }
  JsonFields rungs = profiles.Object(profile.name);
  for (const std::string& rung : rungs.Keys()) {
    if (rung == "comment") continue;
    JsonFields limits = rungs.Object(rung);
    for (const std::string& metric : limits.Keys()) {
      double value = 0;
      limits.Read(metric, &value);
      Set(profile, rung, metric, value, fmt::format("{}: profiles.{}.{}.{}", origin, profile.name, rung, metric));
    }
  }
  for (const RungInfo& rung : Rungs()) {
    if (rung.limits != LimitsUse::kRequired || !profile.limits[rung.rung].empty()) continue;
    rungs.Fail(std::string(rung.name), "no limit at all; a profile judges by at least one metric");
  }
  return profile;
}

std::vector<std::string> ProfileNames(const std::string& file) {
  std::vector<std::string> names = ReadSettings(file, kBuiltIn, kSchema).Object("profiles").Keys();
  names.emplace_back(kExact);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Profile ExactProfile() {
  Profile profile{.name = kExact, .limits = {}, .decode_tie = 0, .overrides = {}};
  for (const RungInfo& rung : Rungs()) {
    if (rung.limits != LimitsUse::kNone) profile.limits[rung.rung] = {{Metric::kBitIdentical, 1}};
  }
  return profile;
}

Profile OpenProfile() {
  Profile profile{.name = "open", .limits = {}, .decode_tie = std::numeric_limits<double>::max(), .overrides = {}};
  for (const RungInfo& rung : Rungs()) {
    if (rung.limits != LimitsUse::kNone) profile.limits[rung.rung] = {{Metric::kCosine, -1.0}};
  }
  return profile;
}

void Override(Profile& profile, std::string_view assignment) {
  const std::string where = fmt::format("threshold \"{}\"", assignment);
  const size_t dot = assignment.find('.');
  const size_t equals = assignment.find('=');
  if (dot == std::string_view::npos || equals == std::string_view::npos || dot > equals) {
    throw std::runtime_error(fmt::format("{}: expected stage.metric=number, as in positions.mse=1e-5", where));
  }
  const std::string_view text = assignment.substr(equals + 1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::runtime_error(fmt::format("{}: \"{}\" is not a number", where, text));
  }
  Set(profile, assignment.substr(0, dot), assignment.substr(dot + 1, equals - dot - 1), value, where);
  profile.overrides.emplace_back(assignment);
}

void OverrideCosine(Profile& profile, double limit) {
  Override(profile, fmt::format("first-logit.cosine={}", limit));
  Override(profile, fmt::format("positions.cosine={}", limit));
}

double Severity(Metric metric, double value, double limit) {
  const double off = HigherIsBetter(metric) ? 1 - value : value;
  const double most = HigherIsBetter(metric) ? 1 - limit : limit;
  if (most > 0) return off / most;
  return off > 0 ? std::numeric_limits<double>::infinity() : 0;
}

Limits LimitsOf(const Profile& profile, Rung rung) {
  const auto found = profile.limits.find(rung);
  if (found != profile.limits.end() && !found->second.empty()) return found->second;
  return rung == Rung::kDecode ? LimitsOf(profile, Rung::kPositions) : Limits();
}

double TieWithin(const Profile& profile, std::span<const float> reference) {
  const auto is_nan = [](float x) { return std::isnan(x); };
  if (profile.decode_tie_cosine >= 1 || std::ranges::any_of(reference, is_nan)) return profile.decode_tie;
  // Without the hundredth that is furthest from zero: a mask is no measure of the others.
  std::vector<double> squares;
  for (const float x : reference) squares.push_back(static_cast<double>(x) * x);
  const size_t n = squares.size() - (squares.size() + 99) / 100;
  std::nth_element(squares.begin(), squares.begin() + static_cast<ptrdiff_t>(n), squares.end());
  const double sum = std::accumulate(squares.begin(), squares.begin() + static_cast<ptrdiff_t>(n), 0.0);
  const double within = n == 0 ? 0 : std::sqrt(2 * (1 - profile.decode_tie_cosine) * sum / static_cast<double>(n));
  return std::isfinite(within) ? std::max(profile.decode_tie, within) : profile.decode_tie;
}

std::string_view GradeName(Grade grade) {
  constexpr std::string_view kNames[] = {"OK", "WARN", "FAIL"};
  return kNames[static_cast<size_t>(grade)];
}

Grade GradeRow(const RowMetrics& row, const Limits& limits) {
  if (row.non_finite > 0) return Grade::kFail;
  Grade grade = Grade::kOk;
  for (const auto& [metric, limit] : limits) {
    const double value = MetricValue(row, metric);
    if (!Meets(metric, value, limit)) return Grade::kFail;
    if (Severity(metric, value, limit) > 0.5) grade = Grade::kWarn;
  }
  return grade;
}

}  // namespace parity
