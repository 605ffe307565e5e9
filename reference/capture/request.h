// What an engine is asked to do. A Request is data: it is written as JSON for engines that run in a process of their
// own.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_REQUEST_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reference/capture/json_value.h"

namespace parity {

enum class Schedule {
  kBatch,         // the prompt in batches of n_ubatch positions
  kTokenByToken,  // the prompt one position at a time
};

struct Request {
  std::string model;                              // path of the GGUF file
  std::string tokenizer;                          // path of a tokenizer.json; empty: the one in the GGUF file
  std::string prompt;                             // what the user typed
  std::string prompt_template = "raw";            // never auto: who makes the request resolves it
  std::string text;                               // the prompt in its template: what is tokenized
  bool add_special = true;                        // add BOS if the vocabulary says so (false: `text` writes it itself)
  bool parse_special = true;                      // text that spells a special token becomes that token
  std::optional<std::vector<int32_t>> token_ids;  // in place of `text`: no tokenizer is used
  int positions = 0;                              // logits are kept for the first N prompt positions; 0: all
  int max_tokens = 0;                             // greedy tokens to generate after the prompt
  bool ignore_eos = true;                         // go on after an end-of-generation token
  Schedule schedule = Schedule::kBatch;
  int n_ctx = 0;       // 0: prompt + max_tokens, rounded up to a multiple of 256
  int n_ubatch = 512;  // positions in one batch
  int threads = 2;
  uint64_t seed = 42;
  std::string trace = "none";  // none, core, full, or a selection (stage and layer globs)
  bool raw_tensors = false;    // keep the traced tensors as .npy
  std::string cpu_variant;     // which build of the reference's kernels ("zen4", "haswell"); empty: its own choice
  std::string i2s_layout;      // of the file's I2_S weights, where that is not x86's ("arm"); no file says it
  std::vector<std::string> override_kv;  // in place of what the model's file says: "KEY=TYPE:VALUE" (kv_override.h)
  JsonValue extra;                       // unknown keys, kept
};

// JSON with schema "bitnet-parity/request/1". FromJson throws std::runtime_error naming `origin` (a file name) and the
// key.
nlohmann::json ToJson(const Request& request);
Request RequestFromJson(const nlohmann::json& json, const std::string& origin);
// From a file.
Request ReadRequest(const std::string& path);

// Positions that the context must hold: the request's n_ctx, or what prompt and tokens need. Throws std::runtime_error
// where n_ctx is too small for them.
int ContextSize(const Request& request, size_t n_prompt_tokens);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_REQUEST_H_
