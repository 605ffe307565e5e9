// What exec: and text: know of a command before they run it.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_COMMAND_LINE_H_
#define BITNET_PARITY_REFERENCE_ENGINES_COMMAND_LINE_H_

#include <string>

#include "reference/engines/backend.h"

namespace parity {

// Whether its first word is a program. A command that begins with a quote, a variable or a brace is left to the shell.
// `name`: of the kind of engine, as "exec".
ProbeResult ProbeCommand(const std::string& name, const std::string& command);

// The command's text, and the contents of every file that it names.
std::string CommandIdentity(const std::string& command, const FileHasher& hash);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_COMMAND_LINE_H_
