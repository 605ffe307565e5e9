// A runner for an engine that a user has built, compiled when it is first asked for: LLAMA_CPP_DIR or BITNET_CPP_DIR in
// the environment is enough. It is kept in the user's cache ($XDG_CACHE_HOME/bitnet-parity/runners), under a name that
// changes with the engine's libraries and headers, our sources, and the compiler.
//
//   Checkout found = FindCheckout("bitnet.cpp", layout, "/home/me/BitNet");
//   if (found.problem.empty()) std::string program = BuildRunner(found);
#ifndef BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BUILD_H_
#define BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BUILD_H_

#include <string>
#include <vector>

namespace parity {

// Where an engine of the llama.cpp family has what a runner needs, below its checkout.
struct CheckoutLayout {
  std::string llama = {};                   // the folder of llama.cpp: "." or "3rdparty/llama.cpp"
  std::vector<std::string> libraries = {};  // folders, in the order to look
};

// A checkout, or an installation, as it is on disk.
struct Checkout {
  std::string engine = {};  // "bitnet.cpp"
  std::string directory = {};
  std::vector<std::string> headers = {};    // folders
  std::vector<std::string> libraries = {};  // files: libllama first
  std::string generation = {};              // "up to July 2026"; empty where one is like the other
  std::string version = {};                 // commits, or what a library's name says
  std::string compiler = {};                // its signature in the library that computes
  std::string problem = {};                 // why no runner can be built against it
  std::string remedy = {};
};

// Never throws: `problem` says what is missing.
Checkout FindCheckout(const std::string& engine, const CheckoutLayout& layout, const std::string& directory);

struct BuiltRunner {
  std::string program = {};
  std::string problem = {};  // with the compiler's first error
  std::string remedy = {};
};

// The program, compiled now or before.
BuiltRunner BuildRunner(const Checkout& checkout);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BUILD_H_
