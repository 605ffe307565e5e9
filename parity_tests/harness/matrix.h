// What the ladder is climbed with: models, prompts, schedules, references (fixtures/parity_matrix.json,
// fixtures/prompts.json).
//
//   ParityMatrix matrix = LoadMatrix(fixtures + "/parity_matrix.json", fixtures + "/prompts.json", models_directory);
//   for (const Case& c : matrix.cases) ... MakeRequest(matrix, c) ...
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_MATRIX_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_MATRIX_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reference/capture/request.h"

namespace parity {

struct Prompt {
  std::string id;  // letters, digits, underscores
  std::string text;
  std::string prompt_template;  // a word of --prompt-template; not from a file: auto
  std::string system;           // the system turn, where the template has one
  bool parse_special = true;
  std::string chat_template_file = {};  // a Jinja template in place of the model's own, for auto
  std::optional<int> max_tokens = {};   // greedy tokens to generate, where nobody says otherwise
};

// Of a prompt that does not say.
inline constexpr int kMaxTokens = 4;

struct MatrixModel {
  std::string id;                    // "kjv-bitnet.tq2_0"
  std::string path;                  // of the GGUF file
  std::string format;                // "tq2_0"
  std::vector<std::string> prompts;  // ids
  std::vector<Schedule> schedules;
  std::vector<std::string> references;                  // engines that it is compared with
  std::vector<std::string> recorded;                    // ids of the prompts of which fixtures/recorded holds captures
  std::map<std::string, std::string> not_supported_by;  // reference -> why it cannot run this model
};

// One climb.
struct Case {
  std::string reference;  // "llama.cpp", "bitnet.cpp", "recorded"
  size_t model = 0;       // index in ParityMatrix::models
  size_t prompt = 0;      // index in ParityMatrix::prompts
  Schedule schedule = Schedule::kBatch;
};

struct ParityMatrix {
  std::optional<int> max_tokens = {};  // of every prompt; nothing: each prompt's own
  int n_ubatch = 0;
  int threads = 0;
  std::string profile;            // judges where the reference's build has an order of operations that ours can follow
  std::string profile_elsewhere;  // judges where it has none
  std::vector<Prompt> prompts;
  std::vector<MatrixModel> models;
  std::vector<Case> cases;         // by reference, model, prompt, schedule, in the files' order
  std::string recorded_directory;  // captures made from live references: `recorded` beside the matrix file, or shipped
};

// The prompts of a file like fixtures/prompts.json, or for "" the built-in ones; throws as LoadMatrix does.
std::vector<Prompt> LoadPrompts(const std::string& file);

// Gives the request this prompt in its template. "auto" is what the tokenizer of the request's model asks for; where
// that cannot be read, `note` says so and the prompt is taken raw. Without `note` that throws.
void SetPrompt(const Prompt& prompt, Request& request, std::string* note = nullptr);

// What MakeEngine takes for a reference of the matrix.
std::string ReferenceSpec(const ParityMatrix& matrix, const std::string& reference);

// Files that are "" are the built-in ones, and a directory that is "" is that of the shipped models. Throws
// std::runtime_error naming file, key, what was found and what was expected. With the built-in matrix and a file of
// prompts every model gets every prompt, and none is recorded.
ParityMatrix LoadMatrix(const std::string& matrix_file, const std::string& prompts_file,
                        const std::string& models_directory);

// One more model, with its cases behind the others: all of the matrix's prompts, both schedules, and every reference
// that another model has. `path`: of a GGUF file.
void AddModel(ParityMatrix& matrix, const std::string& id, const std::string& path);

// The request of a case: its prompt in its template, every position, the greedy tokens of the matrix or else of the
// prompt.
Request MakeRequest(const ParityMatrix& matrix, const Case& c);

// "llama_cpp.kjv_bitnet_tq2_0" and "llama_cpp.kjv_bitnet_tq2_0.capital_of_france.batch": what is no letter or digit
// becomes _.
std::string ModelName(const ParityMatrix& matrix, const Case& c);
std::string CaseName(const ParityMatrix& matrix, const Case& c);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_MATRIX_H_
