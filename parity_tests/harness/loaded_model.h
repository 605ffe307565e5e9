// Models and tokenizers that stay loaded between the runs of one process: a bisection asks the same engine a dozen
// times.
//
//   std::shared_ptr<const LoadedModel> loaded = LoadModel({"model.gguf"});
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_LOADED_MODEL_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_LOADED_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "reference/capture/capture.h"

namespace parity {

struct LoadedModel {
  bitnet::Model model;
  ModelInfo info;  // with the file's hash
};

// What captures say of a model's sizes.
nlohmann::json HyperparametersJson(const bitnet::GgufFile& file, const bitnet::Hyperparameters& h);

// A model's file, and how it is read.
struct ModelSource {
  std::string path;
  std::vector<std::string> override_kv = {};  // in place of what it says (reference/capture/kv_override.h)
  std::string i2s_layout = {};                // of its I2_S tensors (engine/formats/i2_s_layouts.h); empty: x86
};
ModelSource SourceOf(const Request& request);

// The file, with `override_kv` in place of what it says.
bitnet::GgufFile OpenModel(const ModelSource& source);

// The model in such a file. Throws as Model::Load does, and where this engine does not read a key of the architecture
// that is overridden: it is misspelt, or another engine may read it.
bitnet::Model ReadModel(const ModelSource& source);

// The same. The last one is kept until another is asked for or the file's size, time or inode change. Safe to call from
// several threads.
std::shared_ptr<const LoadedModel> LoadModel(const ModelSource& source);

// The tokenizer of a request: its tokenizer.json, or the vocabulary in the model's file. Nothing where the request has
// token ids and the vocabulary cannot be read, since no text needs it. The last one is kept, as above.
std::shared_ptr<const bitnet::Tokenizer> LoadTokenizer(
    const Request& request, bitnet::TokenizerDialect dialect = bitnet::TokenizerDialect::kLlamaCpp);

// Text of a token id of the request's tokenizer, which is read when it is first asked for; ids without a text, and
// models without a vocabulary, give "".
std::function<std::string(int32_t)> PieceLookup(const Request& request);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_LOADED_MODEL_H_
