// `ctest-init DIR`: a CMake project that runs this command on the user's models and prompts, each as a CTest case.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/gguf/gguf.h"
#include "parity_tests/cli/climb.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/matrix.h"
#include "reference/engines/program_files.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

struct CtestInitCommand {
  std::string directory, model, candidate = "native", profile = "strict";
  std::vector<std::string> references = {"llama.cpp"}, prompts;
};

constexpr const char* kProject =
    R"cmake(# The ladder on your models: a CTest case for each model, reference and prompt of parity_matrix.json and prompts.json.
#   cmake -S . -B build && ctest --test-dir build --output-on-failure
cmake_minimum_required(VERSION 3.25)
project(parity NONE)
enable_testing()

find_program(BITNET_PARITY bitnet-parity REQUIRED)
set(PARITY_CANDIDATE "@CANDIDATE@" CACHE STRING "Engine under test, as `bitnet-parity ladder --candidate` takes it")
set(PARITY_MODELS "@MODELS@" CACHE PATH "Directory of the models that parity_matrix.json names")
option(PARITY_REQUIRE "A reference that is missing fails its cases, which are skipped otherwise" OFF)

set(matrix ${CMAKE_SOURCE_DIR}/parity_matrix.json)
set(prompts ${CMAKE_SOURCE_DIR}/prompts.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${matrix} ${prompts})
file(READ ${matrix} matrix_json)
file(READ ${prompts} prompts_json)

# json_list(VARIABLE JSON KEY...): the strings of an array; empty where there is none.
function(json_list variable json)
  set(list "")
  string(JSON length ERROR_VARIABLE none LENGTH "${json}" ${ARGN})
  if(NOT none AND length GREATER 0)
    math(EXPR last "${length} - 1")
    foreach(i RANGE ${last})
      string(JSON value GET "${json}" ${ARGN} ${i})
      list(APPEND list "${value}")
    endforeach()
  endif()
  set(${variable} "${list}" PARENT_SCOPE)
endfunction()

json_list(all_references "${matrix_json}" references)
set(all_prompts "")
string(JSON count LENGTH "${prompts_json}" prompts)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON id GET "${prompts_json}" prompts ${i} id)
  list(APPEND all_prompts ${id})
endforeach()

string(JSON count LENGTH "${matrix_json}" models)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON model GET "${matrix_json}" models ${i} id)
  json_list(model_references "${matrix_json}" models ${i} references)
  json_list(model_prompts "${matrix_json}" models ${i} prompts)
  if(NOT model_references)
    set(model_references ${all_references})
  endif()
  if(NOT model_prompts)
    set(model_prompts ${all_prompts})
  endif()
  foreach(reference IN LISTS model_references)
    foreach(prompt IN LISTS model_prompts)
      set(name parity.${reference}.${model}.${prompt})
      add_test(NAME ${name} COMMAND ${BITNET_PARITY} matrix --matrix ${matrix} --prompts ${prompts} --models ${PARITY_MODELS}
        --candidate ${PARITY_CANDIDATE} --reference ${reference} --model ${model} --prompt ${prompt} --explain)
      set_tests_properties(${name} PROPERTIES LABELS "parity;${reference};${model}")
      if(NOT PARITY_REQUIRE)
        set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "${reference} is not available")
      endif()
    endforeach()
  endforeach()
endforeach()
)cmake";

// A string inside double quotes of CMake.
std::string CmakeText(const std::string& text) {
  std::string out;
  for (const char c : text) out += std::string(c == '"' || c == '\\' || c == '$' ? "\\" : "") + c;
  return out;
}

std::string Project(const CtestInitCommand& command) {
  std::string text = kProject;
  const fs::path models = fs::absolute(command.model).parent_path();
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"@CANDIDATE@", command.candidate},
                                    std::pair<std::string, std::string>{"@MODELS@", models.string()}}) {
    text.replace(text.find(name), name.size(), CmakeText(value));
  }
  return text;
}

// The type of most of the weights: "tq2_0".
std::string FormatOf(const std::string& model) {
  std::map<std::string, size_t> bytes;
  const bitnet::GgufFile file = bitnet::GgufFile::Open(model);
  for (const bitnet::TensorInfo& tensor : file.tensors()) bytes[tensor.type_name()] += tensor.bytes;
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string format = most == bytes.end() ? "none" : most->first.substr(0, most->first.find(' '));
  for (char& c : format) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return format;
}

std::string IdOf(const std::string& model) {
  std::string id = fs::path(model).stem().string();
  for (char& c : id) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
  }
  return std::isalnum(static_cast<unsigned char>(id.empty() ? '_' : id.front())) != 0 ? id : "m" + id;
}

nlohmann::json MatrixJson(const CtestInitCommand& command) {
  return {{"schema", "bitnet-parity/matrix/1"},
          {"max_tokens", 32},
          {"n_ubatch", 512},
          {"threads", RunOptions().Threads(command.model)},
          {"schedules", {"batch", "token"}},
          {"profile", command.profile},
          {"profile_elsewhere", "cosine"},
          {"references", command.references},
          {"models",
           {{{"id", IdOf(command.model)},
             {"file", fs::path(command.model).filename().string()},
             {"format", FormatOf(command.model)}}}}};
}

nlohmann::json PromptsJson(const CtestInitCommand& command) {
  nlohmann::json prompts = nlohmann::json::array();
  for (size_t i = 0; i < command.prompts.size(); ++i) {
    prompts.push_back({{"id", fmt::format("prompt_{}", i + 1)}, {"text", command.prompts[i]}, {"template", "raw"}});
  }
  for (const Prompt& prompt : command.prompts.empty() ? LoadPrompts("") : std::vector<Prompt>()) {
    prompts.push_back({{"id", prompt.id}, {"text", prompt.text}, {"template", prompt.prompt_template}});
    if (!prompt.system.empty()) prompts.back()["system"] = prompt.system;
    if (!prompt.parse_special) prompts.back()["parse_special"] = false;
  }
  return {{"schema", "bitnet-parity/prompts/1"}, {"prompts", std::move(prompts)}};
}

int Run(const CtestInitCommand& command) {
  const std::map<std::string, std::string> files = {{"CMakeLists.txt", Project(command)},
                                                    {"parity_matrix.json", DumpJson(MatrixJson(command))},
                                                    {"prompts.json", DumpJson(PromptsJson(command))}};
  CheckDirectory("directory", command.directory);
  for (const auto& [name, text] : files) {
    if (const fs::path path = fs::path(command.directory) / name; fs::exists(path)) {
      throw std::runtime_error(
          fmt::format("{}: is there already; remove it, or name another directory", path.string()));
    }
  }
  for (const auto& [name, text] : files) {
    std::ofstream out(fs::path(command.directory) / name, std::ios::binary);
    out << text;
    out.close();
    if (!out) throw std::runtime_error(fmt::format("{}/{}: cannot write", command.directory, name));
  }
  // CMake finds an installed program; of one in its build tree it is told.
  const std::string program =
      BuildTree() ? fmt::format(" -DBITNET_PARITY={}", fs::read_symlink("/proc/self/exe").string()) : "";
  fmt::print(
      "{0}: CMakeLists.txt, parity_matrix.json, prompts.json. Next:\n  cmake -S {0} -B {0}/build{1} && ctest "
      "--test-dir "
      "{0}/build --output-on-failure\n",
      command.directory, program);
  const ProbeResult probe = MakeEngine(command.candidate)->Probe();
  if (!probe.available) {
    fmt::print(stderr, "note: until {} is there every case fails: {}\n", command.candidate, probe.problem);
  }
  return 0;
}

}  // namespace

void AddCtestInitCommand(CLI::App& app, int& exit_code) {
  auto command = std::make_shared<CtestInitCommand>();
  Options options(app, "ctest-init", "Write a CMake project that runs the ladder on your models as CTest cases");
  options.Add("directory", command->directory, "where to write it", {.required = true, .value = "DIR"});
  options.Add("--model", command->model, "GGUF file; parity_matrix.json takes more", {.required = true});
  AddCandidateOption(options, command->candidate);
  options.Add("--reference", command->references, "engine to compare with; may be repeated", {.value = "ENGINE"});
  options.Add("--profile", command->profile, "limits that judge: cosine for an engine that rounds in its own places",
              {.words = {"strict", "cosine", "exact"}});
  options.Add("--prompt", command->prompts, "text of a prompt, may be repeated; without it the built-in ones");
  options.Run(exit_code, [command] { return Run(*command); });
}

}  // namespace parity
