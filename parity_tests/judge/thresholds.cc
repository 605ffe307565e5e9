#include "parity_tests/judge/thresholds.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace parity {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSchema = "bitnet-parity/thresholds/1";

Json ReadFile(const std::string& file) {
  std::ifstream in(file);
  if (!in) {
    throw std::runtime_error(fmt::format("{}: cannot be opened; expected the thresholds ({})", file, kSchema));
  }
  Json json;
  try {
    json = Json::parse(in);
  } catch (const Json::exception& error) {
    throw std::runtime_error(fmt::format("{}: not valid JSON: {}", file, error.what()));
  }
  const auto schema = json.is_object() ? json.find("schema") : json.end();
  if (!json.is_object() || schema == json.end() || *schema != kSchema) {
    throw std::runtime_error(fmt::format("{}: schema: found {}, expected \"{}\"", file,
                                         json.is_object() && schema != json.end() ? schema->dump() : "none", kSchema));
  }
  for (const char* key : {"profiles", "default"}) {
    if (!json.contains(key)) throw std::runtime_error(fmt::format("{}: {}: missing", file, key));
  }
  if (!json["profiles"].is_object()) {
    throw std::runtime_error(fmt::format("{}: profiles: found {}, expected an object of profiles by name", file,
                                         json["profiles"].type_name()));
  }
  if (!json["default"].is_string()) {
    throw std::runtime_error(
        fmt::format("{}: default: found {}, expected a profile's name", file, json["default"].type_name()));
  }
  return json;
}

// The limits of `stage`, or nullptr where a profile has no such stage.
Limits* StageLimits(Profile& profile, std::string_view rung) {
  if (rung == "first-logit") return &profile.first_logit;
  if (rung == "positions") return &profile.positions;
  if (rung == "decode") return &profile.decode;
  return nullptr;
}

// Sets one limit. `where` names it in messages.
void Set(Profile& profile, std::string_view rung, std::string_view key, double value, const std::string& where) {
  Limits* limits = StageLimits(profile, rung);
  if (limits == nullptr) {
    throw std::runtime_error(fmt::format(
        "{}: stage \"{}\" has no thresholds; those that have are first-logit, positions, decode", where, rung));
  }
  if (rung == "decode" && key == "tie") {
    if (!(value >= 0) || std::isinf(value)) {
      throw std::runtime_error(
          fmt::format("{}: found {}, expected a distance of two logits, at least 0", where, value));
    }
    profile.decode_tie = value;
    return;
  }
  Metric metric;
  try {
    metric = MetricFromName(key);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}: {}{}", where, error.what(), rung == "decode" ? ", tie" : ""));
  }
  const bool share = metric == Metric::kTop5Overlap || metric == Metric::kBitIdentical;
  const double low = metric == Metric::kCosine ? -1 : 0;
  const double high = HigherIsBetter(metric) ? 1 : std::numeric_limits<double>::max();
  if (!(value >= low && value <= high)) {
    throw std::runtime_error(
        fmt::format("{}: found {}, expected {}", where, value,
                    share ? "a share from 0 to 1"
                          : (metric == Metric::kCosine ? "a cosine from -1 to 1" : "a finite number, at least 0")));
  }
  (*limits)[metric] = value;
}

}  // namespace

Profile LoadProfile(const std::string& file, const std::string& name) {
  const Json json = ReadFile(file);
  Profile profile;
  profile.name = name.empty() ? json["default"].get<std::string>() : name;
  const auto found = json["profiles"].find(profile.name);
  if (found == json["profiles"].end()) {
    throw std::runtime_error(
        fmt::format("{}: no profile \"{}\"; there are {}", file, profile.name, fmt::join(ProfileNames(file), ", ")));
  }
  const std::string where = fmt::format("{}: profiles.{}", file, profile.name);
  if (!found->is_object()) {
    throw std::runtime_error(fmt::format("{}: found {}, expected an object", where, found->type_name()));
  }
  for (const auto& [rung, limits] : found->items()) {
    if (rung == "comment") continue;
    if (!limits.is_object()) {
      throw std::runtime_error(fmt::format("{}.{}: found {}, expected an object", where, rung, limits.type_name()));
    }
    for (const auto& [key, value] : limits.items()) {
      const std::string field = fmt::format("{}.{}.{}", where, rung, key);
      if (!value.is_number()) {
        throw std::runtime_error(fmt::format("{}: found {}, expected a number", field, value.type_name()));
      }
      Set(profile, rung, key, value.get<double>(), field);
    }
  }
  if (profile.first_logit.empty() || profile.positions.empty()) {
    throw std::runtime_error(fmt::format("{}: {}: no limit at all; a profile judges by at least one metric", where,
                                         profile.first_logit.empty() ? "first-logit" : "positions"));
  }
  return profile;
}

std::vector<std::string> ProfileNames(const std::string& file) {
  std::vector<std::string> names;
  const Json json = ReadFile(file);
  for (const auto& [name, profile] : json["profiles"].items()) names.push_back(name);
  return names;
}

Profile ExactProfile() {
  const Limits all = {{Metric::kBitIdentical, 1}};
  return {.name = "exact", .first_logit = all, .positions = all, .decode = all, .decode_tie = 0, .overrides = {}};
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

}  // namespace parity
