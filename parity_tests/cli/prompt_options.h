// Model and prompt, as every subcommand that runs engines takes them.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_PROMPT_OPTIONS_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_PROMPT_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "parity_tests/cli/common.h"
#include "parity_tests/harness/matrix.h"
#include "reference/capture/request.h"

namespace parity {

// --model, --tokenizer, --prompt, --token-ids, --system, --prompt-template, --chat-template-file, --no-parse-special,
// --n-ctx, --n-ubatch, and those of RunOptions.
struct PromptOptions {
  std::string model, tokenizer, system, prompt_template = "auto", chat_template_file;
  std::optional<std::string> prompt;
  std::vector<int32_t> token_ids;  // in place of the prompt
  bool several = false;            // --prompt may be given more than once: `prompts`
  std::vector<std::string> prompts;
  bool no_parse_special = false;
  int n_ctx = 0, n_ubatch = 512;
  RunOptions run;

  void AddTo(Options& options);
  // Without tokens to generate, as one batch. Throws where the model is not there, and where neither a prompt nor token
  // ids were given, or both.
  Request MakeRequest() const;
  // The same with another text.
  Request MakeRequestOf(const std::string& text) const;
  // The same with a prompt of a file of prompts.
  Request MakeRequest(const Prompt& of_file) const;
};

// Of a file like fixtures/prompts.json ("": the built-in one) those with these ids, in that order; all without ids.
// Throws on an id that is none of them, and lists those that are.
std::vector<Prompt> ChoosePrompts(const std::string& file, const std::vector<std::string>& ids);

// Of a model whose file has no vocabulary, for llama.cpp and its forks, which cannot split a text by a tokenizer.json:
// every engine gets the ids that it gives, and they are told that there is no vocabulary, without which they refuse the
// file. Throws where the file or the tokenizer cannot be read.
void GiveIdsWithoutVocabulary(Request& request);

// --chat-template-file.
void AddChatTemplateFileOption(Options& options, std::string& value);

// --prompt-template; `condition` ("with --model: ") stands in front of the help.
void AddPromptTemplateOption(Options& options, std::string& value, const std::string& condition = "");

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_PROMPT_OPTIONS_H_
