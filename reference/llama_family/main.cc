// The runner: an engine of the llama.cpp family behind three subcommands. Exit codes: 0, 2 error, 3 the engine cannot
// run this model. Errors are one message on standard error, after the library's own words.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/capture/json_fields.h"
#include "reference/capture/request.h"
#include "reference/llama_family/api.h"
#include "reference/llama_family/engine.h"
#include "reference/llama_family/run.h"

namespace parity {
namespace {

constexpr int kExitError = 2;
constexpr int kExitUnsupportedModel = 3;

void PrintInfo() {
  const Library library = LoadLibrary("");
  const BackendInfo info = library.Info(0);
  std::cout << nlohmann::json{{"name", info.name},
                              {"version", info.version},
                              {"build", info.build},
                              {"libraries", library.files},
                              {"cpu_variants", library.variants},
                              {"cpu_variant", library.picked},
                              {"features", library.features}}
                   .dump(2)
            << std::endl;
}

// One JSON object a line in, one a line out, in the same order.
void TokenizeLines(const std::string& path) {
  const Library library = LoadLibrary("");
  const Model model(path, /*vocab_only=*/true);
  int line_number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const std::string origin = fmt::format("standard input:{}", ++line_number);
    nlohmann::json question;
    try {
      question = nlohmann::json::parse(line);
    } catch (const nlohmann::json::exception& error) {
      throw std::runtime_error(fmt::format("{}: not valid JSON: {}", origin, error.what()));
    }
    JsonFields fields(question, origin);
    std::string text;
    if (question.contains("bytes_hex")) {
      const nlohmann::json bytes = {{"text", {{"bytes_hex", question["bytes_hex"]}}}};
      JsonFields(bytes, origin).Read("text", &text);
    } else {
      fields.Read("text", &text);
    }
    bool add_special = true, parse_special = true;
    fields.ReadIfPresent("add_special", &add_special);
    fields.ReadIfPresent("parse_special", &parse_special);
    const std::vector<int32_t> ids = model.Tokenize(text, add_special, parse_special);
    nlohmann::json answer = {{"ids", ids}, {"pieces", nlohmann::json::array()}};
    for (int32_t id : ids) answer["pieces"].push_back(TextToJson(model.Piece(id)));
    std::cout << answer.dump() << '\n' << std::flush;
  }
}

int Main(int argc, char** argv) {
  CLI::App app{"Serves requests with a reference engine and writes captures"};
  app.require_subcommand(1);
  std::string request_path, out, model;
  bool unobserved = false;
  CLI::App* run = app.add_subcommand("run", "Serve one request");
  run->add_option("--request", request_path, "Request (JSON)")->required();
  run->add_option("--out", out, "Directory of the capture to write")->required();
  run->add_flag("--unobserved", unobserved, "Without the evaluation callback: no masks, no traces");
  CLI::App* tokenize = app.add_subcommand("tokenize", "JSON lines {text, add_special, parse_special} -> {ids, pieces}");
  tokenize->add_option("--model", model, "GGUF file")->required();
  CLI::App* info = app.add_subcommand("info", "Versions, libraries and CPU kernels, as JSON");
  CLI11_PARSE(app, argc, argv);
  try {
    if (*run) RunRequest(ReadRequest(request_path), out, !unobserved);
    if (*tokenize) TokenizeLines(model);
    if (*info) PrintInfo();
    return 0;
  } catch (const UnsupportedModel& error) {
    std::cerr << error.what() << std::endl;
    return kExitUnsupportedModel;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return kExitError;
  }
}

}  // namespace
}  // namespace parity

int main(int argc, char** argv) {
  parity::api::PrepareProcess(argv);
  return parity::Main(argc, argv);
}
