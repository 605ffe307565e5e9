// A text as one word of a shell, for commands that are printed to be pasted.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_SHELL_WORD_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_SHELL_WORD_H_

#include <string>
#include <string_view>

namespace parity {

// `text` in single quotes. `shell`: sh (POSIX: bash, zsh and the like), fish, or pwsh.
std::string ShellWord(std::string_view text, std::string_view shell = "sh");

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_SHELL_WORD_H_
