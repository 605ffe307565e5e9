#include "parity_tests/cli/climb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "parity_tests/cli/common.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/json_report.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"

namespace parity {

Climbed ClimbOnce(Comparison& comparison, const Request& request, const ClimbOptions& options) {
  Progress progress;
  comparison.progress = [&progress](const std::string& what) { progress.Show(what); };
  Climbed climbed = comparison.Climb(request, options);
  comparison.progress = nullptr;
  if (climbed.captures && !request.token_ids && request.prompt.empty()) {
    climbed.verdict.notes.push_back("the prompt is empty: nothing but the template and BOS was compared");
  }
  if (climbed.captures && request.positions > static_cast<int>(climbed.captures->reference.tokens.size())) {
    climbed.verdict.notes.push_back(fmt::format("{} positions were asked for, and the prompt has {}", request.positions,
                                                climbed.captures->reference.tokens.size()));
  }
  return climbed;
}

void CheckDirectory(const std::string& option, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error && std::filesystem::is_directory(directory) && access(directory.c_str(), W_OK) == 0) return;
  throw std::runtime_error(fmt::format("{}: {}: cannot be written to: {}; name a directory that can", option, directory,
                                       error ? error.message() : std::strerror(errno)));
}

void CheckHoldsNoOther(const std::string& option, const std::string& directory, const Request& request) {
  const std::string file = directory + "/capture.json";
  if (!std::filesystem::exists(file)) return;
  const Request kept = RequestFromJson(ReadJsonFile(file).value("request", nlohmann::json()), file);
  const auto model_of = [](const Request& r) { return std::filesystem::path(r.model).filename(); };
  if (model_of(kept) == model_of(request) && kept.text == request.text && kept.token_ids == request.token_ids) return;
  throw std::runtime_error(
      fmt::format("{}: {} is a capture of another request ({}, {}); remove it, or name another directory", option,
                  directory, model_of(kept).string(), kept.token_ids ? "token ids" : Quote(kept.prompt)));
}

HtmlClimb HtmlClimbOf(const Climbed& climbed) {
  return {.verdict = &climbed.verdict,
          .explanation = climbed.explanation ? &*climbed.explanation : nullptr,
          .captures = climbed.captures ? &*climbed.captures : nullptr,
          .piece_of = climbed.captures ? PieceLookup(climbed.verdict.request) : nullptr};
}

nlohmann::json ClimbJson(const Climbed& climbed) {
  nlohmann::json json = JsonReport(climbed.verdict);
  if (climbed.explanation) json["explanation"] = ExplanationJson(*climbed.explanation);
  return json;
}

}  // namespace parity
