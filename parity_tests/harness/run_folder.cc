#include "parity_tests/harness/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/capture/whole_file.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlanFile = "run.json";
constexpr const char* kResultFile = "case.json";

std::string Dump(const nlohmann::json& json) { return json.dump(2) + "\n"; }

std::string PlanFile(const std::string& directory) { return directory + "/" + kPlanFile; }

// Whether two folders hold the same result of a case.
bool SameResult(const CaseResult& a, const CaseResult& b) { return ToJson(a) == ToJson(b); }

}  // namespace

RunFolder::RunFolder(std::string directory) : directory_(std::move(directory)) {
  if (!fs::exists(PlanFile(directory_))) {
    throw std::runtime_error(
        fmt::format("{}: found no {}, expected the folder of a sweep or a matrix (--out)", directory_, kPlanFile));
  }
  plan_ = ReadRunPlan(PlanFile(directory_));
}

void RunFolder::Open(bool resume, const std::vector<PlannedCase>& cases) const {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error || !fs::is_directory(directory_)) {
    throw std::runtime_error(fmt::format("--out: {}: cannot be made: {}; name a directory that can be written to",
                                         directory_, error ? error.message() : "a file stands there"));
  }
  if (fs::exists(PlanFile(directory_))) {
    const std::string difference = Difference(ReadRunPlan(PlanFile(directory_)), plan_);
    if (!difference.empty()) {
      throw std::runtime_error(fmt::format("--out: {}: holds another run ({}); name another folder, or remove this one",
                                           directory_, difference));
    }
  } else if (!fs::is_empty(directory_)) {
    throw std::runtime_error(
        fmt::format("--out: {}: is not empty and holds no run (no {}); name another folder, or empty this one",
                    directory_, kPlanFile));
  }
  WriteWhole(PlanFile(directory_), Dump(ToJson(plan_)));
  if (resume) return;
  for (const PlannedCase& c : cases) fs::remove(CaseDirectory(c.names.id) + "/" + kResultFile);
}

std::optional<CaseResult> RunFolder::Find(const PlannedCase& c, const std::string& engines) {
  const std::string file = CaseDirectory(c.names.id) + "/" + kResultFile;
  struct stat status = {};
  if (stat(file.c_str(), &status) != 0) return std::nullopt;
  const int64_t time = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  Read& read = read_[c.names.id];
  if (read.time != time || read.size != static_cast<uint64_t>(status.st_size)) {
    read = {time, static_cast<uint64_t>(status.st_size), ReadCaseResult(file)};
  }
  if (read.result.content != c.content || (!engines.empty() && read.result.engines != engines)) return std::nullopt;
  return read.result;
}

void RunFolder::Publish(const CaseResult& result) const {
  const std::string directory = CaseDirectory(result.names.id);
  fs::create_directories(directory);
  WriteWhole(directory + "/" + kResultFile, Dump(ToJson(result)));
}

std::vector<CaseResult> RunFolder::Results() {
  std::vector<CaseResult> results;
  for (const PlannedCase& c : plan_.cases) {
    if (std::optional<CaseResult> result = Find(c)) results.push_back(std::move(*result));
  }
  return results;
}

RunFolder MergeRuns(const std::vector<std::string>& directories, const std::string& out) {
  std::vector<RunFolder> folders;
  for (const std::string& directory : directories) {
    folders.emplace_back(directory);
    const std::string difference = Difference(folders.back().plan(), folders.front().plan());
    if (!difference.empty()) {
      throw std::runtime_error(fmt::format("{}: of another run than {} ({}); merge the shards of one run", directory,
                                           directories.front(), difference));
    }
  }
  const RunPlan& plan = folders.front().plan();
  std::vector<std::string> missing;
  std::vector<std::pair<std::string, std::string>> copies;  // id, folder
  for (const PlannedCase& c : plan.cases) {
    std::optional<CaseResult> found;
    for (RunFolder& folder : folders) {
      const std::optional<CaseResult> result = folder.Find(c);
      if (!result) continue;
      if (found && !SameResult(*found, *result)) {
        throw std::runtime_error(fmt::format("case {}: {} and {} hold different results; keep one of them", c.names.id,
                                             copies.back().second, folder.directory()));
      }
      if (!found) copies.emplace_back(c.names.id, folder.directory());
      found = result;
    }
    if (!found) missing.push_back(c.names.id);
  }
  if (!missing.empty()) {
    throw std::runtime_error(
        fmt::format("no result of {} of {} cases: {}; run them with --case ID or --shard, and "
                    "--resume",
                    missing.size(), plan.cases.size(), fmt::join(missing, ", ")));
  }
  RunFolder merged(out, plan);
  merged.Open(/*resume=*/true, {});
  for (const auto& [id, directory] : copies) {
    const std::string from = directory + "/" + id, to = merged.CaseDirectory(id);
    std::error_code error;
    if (fs::equivalent(from, to, error)) continue;
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  }
  return merged;
}

}  // namespace parity
