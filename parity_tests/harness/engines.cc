#include "parity_tests/harness/engines.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "parity_tests/harness/native_backend.h"
#include "reference/capture/suggest.h"

namespace parity {

std::span<const EngineRow> Engines() {
  static const std::vector<EngineRow> rows = [] {
    std::vector<EngineRow> all;
    all.push_back({.name = "native",
                   .argument = "ORDER",
                   .what = "",
                   .make = [](const EngineRow&, const std::string& order, const EngineOptions&) {
                     return MakeNativeBackend(order);
                   }});
    all.insert(all.end(), ReferenceEngines().begin(), ReferenceEngines().end());
    return all;
  }();
  return rows;
}

std::unique_ptr<Backend> MakeEngine(const std::string& spec, const EngineOptions& options) {
  try {
    return MakeBackend(spec, Engines(), options);
  } catch (const std::runtime_error& error) {
    std::vector<std::string> names;
    for (const EngineRow& row : Engines()) names.emplace_back(row.name);
    const std::string name = spec.substr(0, spec.find(':'));
    if (std::find(names.begin(), names.end(), name) != names.end()) throw;  // another thing is wrong
    throw std::runtime_error(error.what() + DidYouMean(name, names));
  }
}

std::unique_ptr<Backend> MakeCandidateFor(const std::string& spec, const BackendInfo& reference,
                                          const EngineOptions& options) {
  return spec == "native" ? MakeNativeBackendFor(reference) : MakeEngine(spec, options);
}

std::string EngineHelp(Which which) {
  std::string text;
  for (const EngineRow& row : Engines()) {
    if (row.live || which == Which::kAll) text += (text.empty() ? "" : ", ") + row.Help();
  }
  return text;
}

std::vector<std::string> RequiredEngines() {
  std::vector<std::string> names;
  const char* value = std::getenv("PARITY_REQUIRE");
  std::istringstream list(value == nullptr ? "" : value);
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

bool IsRequired(const std::string& engine) {
  const std::vector<std::string> names = RequiredEngines();
  return std::find(names.begin(), names.end(), engine) != names.end();
}

}  // namespace parity
