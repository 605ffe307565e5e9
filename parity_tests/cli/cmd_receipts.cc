// bitnet-parity verify-receipt and receipts: what earlier runs left, checked, listed and compared.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/report/receipt.h"
#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

struct VerifyCommand {
  std::string file, model;
  ReceiptDemands demands;
};

int Verify(const VerifyCommand& command) {
  const nlohmann::json receipt = ReadJsonFile(command.file);
  ReceiptDemands demands = command.demands;
  if (!command.model.empty()) demands.model_blake3 = HashFile(command.model);
  const std::vector<std::string> problems = ReceiptProblems(receipt, command.file, demands);
  for (const std::string& problem : problems) fmt::print("{}\n", Utf8(problem));
  if (!problems.empty()) {
    fmt::print("{}: {} problems\n", command.file, problems.size());
    return 1;
  }
  size_t kernels = 0;
  for (const nlohmann::json& run : receipt["runs"]) kernels = std::max(kernels, run["candidate"]["kernels"].size());
  fmt::print("{}: sound; {} runs, {} kernels of the candidate; exit code of the run {}\n", command.file,
             receipt["runs"].size(), kernels, receipt["exit_code"].dump());
  return 0;
}

// A field of a receipt that may be anything: as one short line.
std::string Text(const nlohmann::json& json, const nlohmann::json::json_pointer& at) {
  if (!json.contains(at)) return "?";
  const nlohmann::json& value = json[at];
  return Utf8(value.is_string() ? value.get<std::string>() : value.dump());
}

int List(const std::string& directory) {
  if (!fs::is_directory(directory)) throw std::runtime_error(fmt::format("{}: no such folder", directory));
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".json") continue;
    nlohmann::json receipt;
    try {
      receipt = ReadJsonFile(entry.path().string());
    } catch (const std::exception&) {
      continue;  // another file
    }
    if (!receipt.is_object() || receipt.value("schema", nlohmann::json()) != "bitnet-parity/receipt/1") continue;
    const auto text = [&receipt](const char* at) { return Text(receipt, nlohmann::json::json_pointer(at)); };
    const bool sound = ReceiptProblems(receipt, entry.path().string(), {}).empty();
    lines.push_back(fmt::format("{}  {}  {}  {} against {}  {}  {}  {}", text("/time"), text("/command"),
                                text("/runs/0/verdict"), text("/runs/0/candidate/name"), text("/runs/0/reference/name"),
                                fs::path(text("/runs/0/model/path")).filename().string(), sound ? "sound" : "NOT SOUND",
                                fs::relative(entry.path(), directory).string()));
  }
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) fmt::print("{}\n", line);
  if (lines.empty()) fmt::print("no receipts in {}\n", directory);
  return 0;
}

int Diff(const std::string& a, const std::string& b) {
  const std::vector<std::string> lines = ReceiptDifferences(ReadJsonFile(a), ReadJsonFile(b));
  for (const std::string& line : lines) fmt::print("{}\n", Utf8(line));
  if (lines.empty()) fmt::print("equal but for times\n");
  return lines.empty() ? 0 : 1;
}

int Run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "ls") return List(words[1]);
  if (words.size() == 3 && words[0] == "diff") return Diff(words[1], words[2]);
  throw std::runtime_error(
      fmt::format("receipts: found '{}', expected ls FOLDER, or diff FILE FILE", fmt::join(words, " ")));
}

}  // namespace

void AddVerifyReceiptCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<VerifyCommand>();
  Options options(app, "verify-receipt", "Check a receipt: 0 sound, 1 it cannot be true, or a demand is not met");
  options.Add("file,--file", command->file, "the receipt (--receipt)", {.required = true});
  options.Add("--model", command->model, "the GGUF file that it must be about", {.show_default = false});
  options.Add("--require-kernel", command->demands.kernels,
              "glob that a kernel of the candidate must match, as 'matmul.TQ2_0.*'; may be repeated");
  options.Flag("--require-gpu-kernels", command->demands.gpu_kernels, "the candidate must have run kernels of a GPU");
  options.Run(exit_code, [command] { return Verify(*command); });
}

void AddReceiptsCommand(CLI::App& app, int& exit_code) {
  auto words = std::make_shared<std::vector<std::string>>();
  Options options(app, "receipts", "List the receipts of a folder (ls FOLDER), or compare two (diff FILE FILE)");
  options.Files("words", *words, "ls FOLDER, or diff FILE FILE");
  options.Run(exit_code, [words] { return Run(*words); });
}

}  // namespace parity
