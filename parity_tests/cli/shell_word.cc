#include "parity_tests/cli/shell_word.h"

namespace parity {

std::string ShellWord(std::string_view text, std::string_view shell) {
  const std::string_view quote = shell == "pwsh" ? "''" : shell == "fish" ? "\\'" : "'\\''";
  std::string word = "'";
  for (const char c : text) {
    // fish reads a backslash as an escape between single quotes; the others do not.
    if (c == '\\' && shell == "fish") word += '\\';
    if (c == '\'') {
      word += quote;
    } else {
      word += c;
    }
  }
  return word + "'";
}

}  // namespace parity
