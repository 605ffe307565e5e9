// What every engine in a process of its own shares: write the request, run the command, read the capture, and turn
// every way of failing into one error.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_ENGINE_PROCESS_H_
#define BITNET_PARITY_REFERENCE_ENGINES_ENGINE_PROCESS_H_

#include <functional>
#include <string>
#include <vector>

#include "reference/capture/request.h"
#include "reference/engines/process.h"

namespace parity {

// Exit code by which an engine says that it is sound but cannot run this model.
inline constexpr int kExitUnsupportedModel = 3;

// "llama.cpp: /path/runner crashed with SIGSEGV. Its last words: ..."
std::string DescribeFailure(const std::string& engine, const std::string& command, const ProcessResult& result);

// Runs the command that `make_argv` makes of (request file, directory of the capture), which must leave a capture at
// `directory`. Throws ModelNotSupported (exit code 3), or std::runtime_error with the engine's last words.
void RunEngineProcess(const std::string& engine, const Request& request, const std::string& directory,
                      const std::function<std::vector<std::string>(const std::string&, const std::string&)>& make_argv);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_ENGINE_PROCESS_H_
