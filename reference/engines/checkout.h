// An engine of the llama.cpp family that a user has built or installed, as it is on disk.
//
//   Checkout found = FindCheckout("bitnet.cpp", layout, "/home/me/BitNet");
//   if (!found.problem.empty()) ... found.problem, found.remedy ...
#ifndef BITNET_PARITY_REFERENCE_ENGINES_CHECKOUT_H_
#define BITNET_PARITY_REFERENCE_ENGINES_CHECKOUT_H_

#include <string>
#include <vector>

namespace parity {

// Where an engine has what a runner needs, below its checkout, and the environment variables that name both.
struct CheckoutLayout {
  std::string llama = {};                   // the folder of llama.cpp: "." or "3rdparty/llama.cpp"
  std::vector<std::string> libraries = {};  // folders, in the order to look
  std::string variable = {};                // "BITNET_CPP_DIR": the checkout
  std::string libraries_variable = {};      // "BITNET_CPP_LIB_DIR": the one folder of libraries, in place of those
};

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

// Never throws: `problem` says what is missing. All paths in it are absolute.
Checkout FindCheckout(const std::string& engine, const CheckoutLayout& layout, const std::string& directory);

// "" where it is not set.
std::string EnvironmentVariable(const std::string& name);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_CHECKOUT_H_
