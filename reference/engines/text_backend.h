// text:COMMAND: any program that prints. The command runs in a shell; what stands in braces is filled in:
//
//   text:./llama-cli -m {model} -p {prompt} -n {max_tokens} --temp 0
//
// {model} {prompt} {prompt_file} {max_tokens} {seed} {threads} {n_ctx}. Without {prompt} and {prompt_file} the prompt
// is its standard input. Of what it prints the answer is kept: TextBetween has the rules.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_TEXT_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_TEXT_BACKEND_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reference/engines/backend.h"

namespace parity {

// `begin`, `end`: regular expressions, or empty; see TextBetween. Throws std::runtime_error where one is none.
std::unique_ptr<Backend> MakeTextBackend(const std::string& command, const std::string& begin, const std::string& end);

// The answer in what a program printed. It begins behind the first match of `begin`; without one, behind the prompt
// where that stands at the start of a line; else at the start. It ends before the first match of `end` behind that;
// without one, before "[end of text]" at the end. White space at its end goes. `notes` says what was cut off and why.
// Throws std::runtime_error where an expression is none, or `begin` is not found.
std::string TextBetween(std::string_view printed, std::string_view prompt, const std::string& begin,
                        const std::string& end, std::vector<std::string>* notes);

// `command` with its placeholders as the positional parameters of a shell, "$1" and so on, quoted so that a value stays
// one word wherever it stands; `names`: the placeholders in that order.
std::string ShellCommand(std::string_view command, const std::vector<std::string>& names);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_TEXT_BACKEND_H_
