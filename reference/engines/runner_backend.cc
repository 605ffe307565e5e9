#include "reference/engines/runner_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"
#include "reference/engines/engine_process.h"
#include "reference/engines/process.h"
#include "reference/engines/program_files.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

bool IsExecutable(const std::string& path) { return fs::is_regular_file(path) && access(path.c_str(), X_OK) == 0; }

class RunnerBackend : public DirectoryBackend {
 public:
  RunnerBackend(std::string engine, Runner runner) : engine_(std::move(engine)), runner_(std::move(runner)) {}

  std::string name() const override { return engine_; }

  ProbeResult Probe() override {
    if (!probe_) probe_ = DoProbe();
    return *probe_;
  }

  std::string Identity(const FileHasher& hash) override {
    RequireAvailable();
    if (identity_.empty()) {
      identity_ = fmt::format("{}\n{}\nrunner {}\n", engine_, info_.dump(), hash(program_));
      for (const std::string& library : libraries_) identity_ += fmt::format("{} {}\n", library, hash(library));
    }
    return identity_;
  }

  void RunTo(const Request& request, const std::string& directory) override {
    RequireAvailable();
    RunEngineProcess(engine_, request, directory, [&](const std::string& request_file, const std::string& out) {
      return std::vector<std::string>{program_, "run", "--request", request_file, "--out", out};
    });
  }

 private:
  void RequireAvailable() {
    const ProbeResult probe = Probe();
    if (!probe.available) throw std::runtime_error(fmt::format("{}: {}; {}", engine_, probe.problem, probe.remedy));
  }

  ProbeResult DoProbe() {
    ProbeResult result;
    result.remedy = runner_.remedy;
    std::vector<std::string> places;
    if (const char* value = std::getenv(runner_.variable.c_str()); value && *value) {
      places = {value};
    } else {
      places = RunnerPlaces(runner_.program);
    }
    for (const std::string& place : places) {
      result.looked_in.push_back(place);
      if (program_.empty() && IsExecutable(place)) program_ = place;
    }
    if (program_.empty()) {
      result.problem = fmt::format("no runner at {}", fmt::join(places, ", "));
      return result;
    }
    result.found.push_back(program_);
    std::optional<std::string> answer = KeptAnswer();
    if (!answer) {
      const ProcessResult process = RunProcess({program_, "info"}, TimeLimit());
      if (!process.ok()) {
        // A library that is missing is told by the dynamic loader, on standard error.
        result.problem = DescribeFailure(engine_, program_ + " info", process);
        return result;
      }
      answer = process.output;
      KeepAnswer(*answer);
    }
    try {
      info_ = nlohmann::json::parse(*answer);
      JsonFields fields(info_, program_ + " info");
      fields.Read("version", &result.version);
      fields.Read("libraries", &libraries_);
    } catch (const std::exception& error) {
      result.problem = fmt::format("{} info: not the answer of a runner: {}", program_, error.what());
      return result;
    }
    for (const auto& [key, value] : info_.items()) {
      if (value.is_string()) result.details.push_back(fmt::format("{}: {}", key, value.get<std::string>()));
    }
    result.found.insert(result.found.end(), libraries_.begin(), libraries_.end());
    result.available = true;
    result.remedy.clear();
    return result;
  }

  // The file in which the answer of `RUNNER info` is kept, or "".
  std::string AnswerFile() const {
    const char* directory = std::getenv("PARITY_RUNNER_ANSWERS");
    if (directory == nullptr || *directory == '\0') return "";
    return fmt::format("{}/{}", directory, HashText(program_));
  }
  std::optional<std::string> KeptAnswer() const {
    std::ifstream file(AnswerFile());
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  void KeepAnswer(const std::string& answer) const {
    const std::string file = AnswerFile(), temporary = fmt::format("{}.{}", file, getpid());
    if (file.empty()) return;
    fs::create_directories(fs::path(file).parent_path());
    std::ofstream(temporary) << answer;
    fs::rename(temporary, file);
  }

  std::string engine_;
  Runner runner_;
  std::optional<ProbeResult> probe_;
  std::string program_;
  nlohmann::json info_;
  std::vector<std::string> libraries_;
  std::string identity_;
};

}  // namespace

std::unique_ptr<Backend> MakeRunnerBackend(const std::string& engine, const Runner& runner) {
  return std::make_unique<RunnerBackend>(engine, runner);
}

}  // namespace parity
