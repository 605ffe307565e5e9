// A runner for an engine that a user has built, compiled when it is first asked for: LLAMA_CPP_DIR or BITNET_CPP_DIR in
// the environment is enough. It is kept in the user's cache ($XDG_CACHE_HOME/bitnet-parity/runners), under a name that
// changes with the engine's libraries, our sources, the compiler, and every header that is included, except the
// system's. Processes that ask at once wait for the one that compiles. What failed is not tried again for ten minutes.
//
//   Checkout found = FindCheckout("bitnet.cpp", layout, "/home/me/BitNet");
//   if (found.problem.empty()) std::string program = BuildRunner(found).program;
#ifndef BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BUILD_H_
#define BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BUILD_H_

#include <optional>
#include <string>
#include <vector>

#include "reference/engines/checkout.h"

namespace parity {

// What a runner is compiled from beside the engine's own headers and libraries.
struct RunnerSources {
  std::string root = {};                    // the folder in which reference/llama_family/main.cc is
  std::vector<std::string> includes = {};   // folders of headers that are neither ours nor the engine's
  std::vector<std::string> libraries = {};  // files, or "-lfmt"
};

struct BuiltRunner {
  std::string program = {};
  std::string problem = {};  // with the compiler's first error
  std::string remedy = {};
};

// The program, compiled now or before. `sources`: nothing: those of this build tree or installation.
BuiltRunner BuildRunner(const Checkout& checkout, const std::optional<RunnerSources>& sources = {});

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BUILD_H_
