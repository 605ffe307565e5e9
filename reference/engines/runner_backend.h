// llama.cpp and bitnet.cpp: a runner program, compiled against the engine's own headers, in a process of its own.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BACKEND_H_

#include <memory>
#include <string>
#include <vector>

#include "reference/engines/backend.h"

namespace parity {

struct RunnerNames {
  std::string engine;    // "llama.cpp"
  std::string program;   // "llama_cpp_runner"
  std::string variable;  // environment variable that names the program
  std::string built_at;  // where this build puts it; "" where it does not build it
  std::string remedy;    // how to get it
};

std::unique_ptr<Backend> MakeRunnerBackend(const RunnerNames& names);
std::unique_ptr<Backend> MakeLlamaCppBackend();
std::unique_ptr<Backend> MakeBitnetCppBackend();

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BACKEND_H_
