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
#include "reference/engines/known_faults.h"
#include "reference/engines/process.h"
#include "reference/engines/program_files.h"
#include "reference/engines/runner_build.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

bool IsExecutable(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

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
    if (!FindProgram(result)) return result;
    result.found.push_back(program_);
    const ProcessResult answer = Answer();
    if (!answer.ok()) {
      // A library that is missing is told by the dynamic loader, on standard error.
      result.problem = DescribeFailure(engine_, program_ + " info", answer);
      return result;
    }
    try {
      info_ = nlohmann::json::parse(answer.output);
      JsonFields fields(info_, program_ + " info");
      fields.Read("version", &result.version);
      fields.Read("libraries", &libraries_);
      BackendInfo build{.name = engine_, .version = result.version, .build = info_.value("build", ""), .simd = ""};
      for (const KnownFault& fault : KnownFaultsOf(build)) result.known_faults.push_back(Describe(fault));
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

  // The runner that a variable names; or one for the checkout that others name, compiled where it is not there yet; or
  // what was built with this program; or one for the checkout in its usual place.
  bool FindProgram(ProbeResult& result) {
    std::vector<std::string> places = RunnerPlaces(runner_.program);
    const std::string named = EnvironmentVariable(runner_.variable), checkout = NamedCheckout();
    if (!named.empty()) places = {named};
    if (named.empty() && !checkout.empty()) return FindBuiltFor(checkout, places) || CompileFor(checkout, result);
    for (const std::string& place : places) {
      result.looked_in.push_back(place);
      if (program_.empty() && IsExecutable(place)) program_ = place;
    }
    if (!program_.empty()) return true;
    std::error_code error;
    if (named.empty() && !runner_.checkout.empty() && fs::is_directory(UsualCheckout(), error)) {
      return CompileFor(UsualCheckout(), result);
    }
    result.problem = fmt::format("no runner at {}", fmt::join(places, ", "));
    return false;
  }

  std::string UsualCheckout() const { return EnvironmentVariable("HOME") + "/" + runner_.checkout; }

  // Libraries that are named belong to a checkout, which may be in its usual place.
  std::string NamedCheckout() const {
    const std::string named = EnvironmentVariable(runner_.layout.variable);
    const bool libraries = !EnvironmentVariable(runner_.layout.libraries_variable).empty();
    return named.empty() && libraries && !runner_.checkout.empty() ? UsualCheckout() : named;
  }

  // What was built with this program may be of that very checkout, or of the libraries that are named.
  bool FindBuiltFor(const std::string& checkout, const std::vector<std::string>& places) {
    const std::string libraries = EnvironmentVariable(runner_.layout.libraries_variable);
    std::error_code error;
    const std::string below = fs::weakly_canonical(libraries.empty() ? checkout : libraries, error).string() + "/";
    if (error) return false;
    for (const std::string& place : places) {
      if (!IsExecutable(place)) continue;
      program_ = place;
      const nlohmann::json info = nlohmann::json::parse(Answer().output, nullptr, /*allow_exceptions=*/false);
      for (const auto& library : info.is_object() ? info.value("libraries", nlohmann::json()) : nlohmann::json()) {
        if (library.is_string() && library.get<std::string>().starts_with(below)) return true;
      }
    }
    program_.clear();
    return false;
  }

  bool CompileFor(const std::string& directory, ProbeResult& result) {
    const Checkout checkout = FindCheckout(engine_, runner_.layout, directory);
    result.looked_in.push_back(directory);
    const std::string libraries = EnvironmentVariable(runner_.layout.libraries_variable);
    if (!libraries.empty()) result.looked_in.push_back(libraries);
    if (!checkout.generation.empty()) result.details.push_back("generation: " + checkout.generation);
    BuiltRunner built{.problem = checkout.problem, .remedy = checkout.remedy};
    if (checkout.problem.empty()) built = BuildRunner(checkout);
    result.problem = built.problem;
    if (!built.problem.empty()) result.remedy = built.remedy;
    program_ = built.program;
    return !program_.empty();
  }

  // What `RUNNER info` says, now or before.
  ProcessResult Answer() const {
    if (const std::optional<std::string> kept = KeptAnswer())
      return {.exit_code = 0, .start_error = "", .output = *kept, .last_words = ""};
    ProcessResult process = RunProcess({program_, "info"}, TimeLimit());
    if (process.ok()) KeepAnswer(process.output);
    return process;
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
