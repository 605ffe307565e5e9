#include "parity_tests/cli/prompt_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <stdexcept>

#include "parity_tests/harness/matrix.h"

namespace parity {

void PromptOptions::AddTo(CLI::App& command) {
  command.add_option("--model", model, "GGUF file")->required();
  command.add_option("--tokenizer", tokenizer, "tokenizer.json; without it the vocabulary in the GGUF file");
  CLI::Option* text = command.add_option("--prompt", prompt, "text of the prompt");
  command.add_option("--token-ids", token_ids, "ids in place of a prompt, as 1,2,3")->delimiter(',')->excludes(text);
  command.add_option("--system", system, "system turn, where the template has one");
  command
      .add_option("--prompt-template", prompt_template, "raw, instruct, llama3-chat, or auto: what the model asks for")
      ->check(CLI::IsMember({"raw", "instruct", "llama3-chat", "auto"}))
      ->capture_default_str();
  command.add_flag("--no-parse-special", no_parse_special, "text that spells a special token stays text");
  command.add_option("--n-ctx", n_ctx, "context; 0: prompt and tokens, rounded up to a multiple of 256")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--n-ubatch", n_ubatch, "positions in one batch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  run.AddTo(command);
}

Request PromptOptions::MakeRequest() const {
  if (!std::filesystem::is_regular_file(model))
    throw std::runtime_error(fmt::format("--model: {}: no such file", model));
  Request request;
  request.model = model;
  request.tokenizer = tokenizer;
  request.n_ctx = n_ctx;
  request.n_ubatch = n_ubatch;
  request.threads = run.Threads();
  request.seed = run.seed;
  request.cpu_variant = run.cpu_variant;
  if (!token_ids.empty()) {
    request.token_ids = token_ids;
    return request;
  }
  if (!prompt) throw std::runtime_error("--prompt: found none, expected the text of a prompt, or --token-ids");
  SetPrompt({.id = "",
             .text = *prompt,
             .prompt_template = prompt_template,
             .system = system,
             .parse_special = !no_parse_special},
            request);
  return request;
}

}  // namespace parity
