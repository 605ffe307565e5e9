// Where a program of this project finds what belongs to it. Everything is relative to the running program, so an
// installation can be moved:
//
//   PREFIX/bin/bitnet-parity   PREFIX/libexec/bitnet-parity/llama_cpp_runner   PREFIX/share/bitnet-parity/models
//
// A program in its build tree finds what was built there.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_PROGRAM_FILES_H_
#define BITNET_PARITY_REFERENCE_ENGINES_PROGRAM_FILES_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace parity {

// The root of the build tree in which the running program stands, if it does.
std::optional<std::filesystem::path> BuildTree();

// The sources of that build tree, as its CMake cache tells.
std::optional<std::filesystem::path> SourceTree();

// Where a runner may be, in the order to look: beside the program, in an installation's libexec, in the build tree.
std::vector<std::string> RunnerPlaces(const std::string& program);

// The directory of that name ("models", "recorded"): in an installation's share, or in the build tree.
std::string DataDirectory(const std::string& name);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_PROGRAM_FILES_H_
