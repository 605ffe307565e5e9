#include "parity_tests/cli/prompt_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "engine/gguf/gguf.h"
#include "engine/tokenizer/prompt_template.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/judge/settings.h"

namespace parity {
void AddPromptTemplateOption(Options& options, std::string& value, const std::string& condition) {
  std::vector<std::string> words;
  for (const bitnet::PromptTemplate t : bitnet::AllPromptTemplates()) words.emplace_back(bitnet::PromptTemplateName(t));
  const std::string help = fmt::format("{}{}, or auto: what the file's own chat template does, raw where it has none",
                                       condition, fmt::join(words, ", "));
  words.emplace_back("auto");
  options.Add("--prompt-template", value, help, {.words = words});
}

void AddChatTemplateFileOption(Options& options, std::string& value) {
  options.Add("--chat-template-file", value, "a Jinja chat template in place of the model's own, for auto");
}

void PromptOptions::AddTo(Options& options) {
  options.Add("--model", model, "GGUF file", {.required = true});
  options.Add("--tokenizer", tokenizer, "tokenizer.json; without it the vocabulary in the GGUF file");
  if (several) {
    options.Add("--prompt", prompts, "text of the prompt; may be given more than once");
  } else {
    options.Add("--prompt", prompt, "text of the prompt");
  }
  options.Add("--token-ids", token_ids, "ids in place of a prompt, as 1,2,3", {.excludes = "--prompt"});
  options.Add("--system", system, "system turn, where the template has one");
  AddPromptTemplateOption(options, prompt_template);
  AddChatTemplateFileOption(options, chat_template_file);
  options.Flag("--no-parse-special", no_parse_special, "text that spells a special token stays text");
  options.Add("--n-ctx", n_ctx, "context; 0: prompt and tokens, rounded up to a multiple of 256",
              {.at_least = 0, .show_default = false});
  options.Add("--n-ubatch", n_ubatch, "positions in one batch", {.at_least = 1});
  run.AddTo(options);
}

Request PromptOptions::MakeRequestOf(const std::string& text) const {
  PromptOptions options = *this;
  options.prompt = text;
  options.token_ids.clear();
  return options.MakeRequest();
}

Request PromptOptions::MakeRequest(const Prompt& of_file) const {
  PromptOptions options = *this;
  options.prompt = of_file.text;
  options.prompt_template = of_file.prompt_template;
  options.system = of_file.system;
  options.no_parse_special = !of_file.parse_special;
  return options.MakeRequest();
}

std::vector<Prompt> ChoosePrompts(const std::string& file, const std::vector<std::string>& ids) {
  std::vector<Prompt> all = LoadPrompts(file), chosen;
  if (ids.empty()) return all;
  for (const std::string& id : ids) {
    const auto found = std::find_if(all.begin(), all.end(), [&id](const Prompt& p) { return p.id == id; });
    if (found == all.end()) {
      std::string known;
      for (const Prompt& p : all) known += (known.empty() ? "" : ", ") + p.id;
      throw std::runtime_error(fmt::format(
          "--prompt: '{}' is no prompt of {}; it has {}. A text of your own goes into a file of prompts (--prompts)",
          id, SettingsName(file, "prompts.json"), known));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

Request PromptOptions::MakeRequest() const {
  CheckModel(model);
  Request request;
  request.model = model;
  request.tokenizer = tokenizer;
  request.n_ctx = n_ctx;
  request.n_ubatch = n_ubatch;
  request.threads = run.Threads(model);
  request.seed = run.seed;
  request.cpu_variant = run.cpu_variant;
  request.override_kv = run.override_kv;
  request.i2s_layout = run.i2s_layout;
  if (!token_ids.empty()) {
    request.token_ids = token_ids;
    return request;
  }
  if (!prompt) throw std::runtime_error("--prompt: found none, expected the text of a prompt, or --token-ids");
  std::string note;
  SetPrompt({.id = "",
             .text = *prompt,
             .prompt_template = prompt_template,
             .system = system,
             .parse_special = !no_parse_special,
             .chat_template_file = chat_template_file},
            request, &note);
  if (!note.empty()) Note("note: " + note);
  return request;
}

void GiveIdsWithoutVocabulary(Request& request) {
  if (request.tokenizer.empty() && !request.token_ids) return;
  constexpr std::string_view kKey = "tokenizer.ggml.model";
  const bitnet::GgufFile file = OpenModel(SourceOf(request));
  const std::string vocabulary = file.GetOr<std::string>(kKey, "");
  if (!vocabulary.empty() && vocabulary != "no_vocab") return;
  if (!request.token_ids) {
    request.token_ids = LoadTokenizer(request)->Encode(request.text, {request.add_special, request.parse_special});
    Note(fmt::format("note: {} has no vocabulary: every engine gets the {} ids of {}", request.model,
                     request.token_ids->size(), request.tokenizer));
  }
  if (vocabulary.empty()) request.override_kv.push_back(fmt::format("{}=str:no_vocab", kKey));
}

}  // namespace parity
