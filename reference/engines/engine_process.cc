#include "reference/engines/engine_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/backend.h"

namespace parity {

std::string DescribeFailure(const std::string& engine, const std::string& command, const ProcessResult& result) {
  return fmt::format("{}: `{}` {}. {}", engine, command, result.Describe(),
                     result.last_words.empty() ? "It said nothing." : "Its last words:\n" + result.last_words);
}

void RunEngineProcess(
    const std::string& engine, const Request& request, const std::string& directory,
    const std::function<std::vector<std::string>(const std::string&, const std::string&)>& make_argv) {
  const TemporaryDirectory work;
  const std::string request_file = work.path() + "/request.json";
  // The child may have another working directory in mind: give it absolute paths.
  Request absolute = request;
  absolute.model = std::filesystem::absolute(request.model).string();
  if (!request.tokenizer.empty()) absolute.tokenizer = std::filesystem::absolute(request.tokenizer).string();
  WriteJsonFile(request_file, ToJson(absolute));
  const std::string out = std::filesystem::absolute(directory).string();
  const std::vector<std::string> argv = make_argv(request_file, out);
  const ProcessResult result = RunProcess(argv, TimeLimit());
  if (!result.ok()) {
    const std::string message = DescribeFailure(engine, fmt::format("{}", fmt::join(argv, " ")), result);
    if (result.start_error.empty() && !result.timed_out && result.exit_code == kExitUnsupportedModel) {
      throw ModelNotSupported(message +
                              fmt::format(" Exit code {} means that it cannot run this model.", kExitUnsupportedModel));
    }
    throw std::runtime_error(message);
  }
  if (!std::filesystem::exists(out + "/capture.json")) {
    throw std::runtime_error(fmt::format(
        "{}: `{}` ended well but left no capture: {}/capture.json was expected (docs/capture-format.md). {}", engine,
        fmt::join(argv, " "), out,
        result.last_words.empty() ? "It said nothing." : "Its last words:\n" + result.last_words));
  }
}

}  // namespace parity
