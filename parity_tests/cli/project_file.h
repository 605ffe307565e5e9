// bitnet-parity.toml: options that nobody wants to type each time.
//
//   model = "model.gguf"          # of every command that has such an option
//   [ladder]
//   reference = "bitnet.cpp"      # of this one
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_PROJECT_FILE_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_PROJECT_FILE_H_

namespace CLI {
class App;
}

namespace parity {

inline constexpr const char* kProjectFile = "bitnet-parity.toml";

// Adds --config: the file named, or kProjectFile where it stands in the working directory. What the command line says
// wins, and the file over environment variables.
void AddProjectFile(CLI::App& app);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_PROJECT_FILE_H_
