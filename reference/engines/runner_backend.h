// An engine behind a runner: a program compiled against the engine's own headers, in a
// process of its own. Where PARITY_RUNNER_ANSWERS names a folder, what a runner says of itself is kept there and not
// asked again: the hundreds of processes of one ctest run share it.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BACKEND_H_

#include <memory>
#include <string>
#include <vector>

#include "reference/engines/backend.h"
#include "reference/engines/checkout.h"

namespace parity {

struct Runner {
  std::string program = {};    // "llama_cpp_runner"; empty: the engine has none
  std::string variable = {};   // environment variable that names the program
  std::string package = {};    // the engine as an npm package, by its place in the source tree
  std::string checkout = {};   // where else a checkout of the engine is looked for, below the user's home
  CheckoutLayout layout = {};  // of a checkout
  std::string remedy = {};     // how to get it
};

std::unique_ptr<Backend> MakeRunnerBackend(const std::string& engine, const Runner& runner);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_RUNNER_BACKEND_H_
