// A loaded model and the forward pass over it.
//
//   Model model = Model::Load("model.gguf");
//   Context context(model, {.n_ctx = 512, .threads = 2});
//   context.Forward(prompt_ids, LogitsFor::kAll, logits);      // prompt as one batch: logits [n, n_vocab]
//   int32_t next = Argmax(last row);
//   context.Forward({&next, 1}, LogitsFor::kLast, logits);     // one token more
#ifndef BITNET_PARITY_ENGINE_MODEL_MODEL_H_
#define BITNET_PARITY_ENGINE_MODEL_MODEL_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/formats/i2_s_layouts.h"
#include "engine/gguf/gguf.h"
#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"
#include "engine/model/hyperparameters.h"
#include "engine/model/kv_cache.h"
#include "engine/model/trace.h"
#include "engine/model/weights.h"

namespace bitnet {

struct LoadOptions {
  I2sLayout i2s_layout = AllI2sLayouts().front();  // of the file's I2_S tensors
};

struct Model {
  GgufFile file;
  Hyperparameters hyperparameters;
  ModelWeights weights;

  // Maps the file, checks every tensor that the architecture needs. Throws std::runtime_error on anything that is wrong
  // with it, and on a CPU that the kernels do not run on.
  static Model Load(const std::string& path, const LoadOptions& options = {}) {
    return FromFile(GgufFile::Open(path), options);
  }
  static Model FromFile(GgufFile file, const LoadOptions& options = {});
};

struct ContextOptions {
  size_t n_ctx = 512;
  size_t threads = 1;
  const ArithmeticOrder* order = nullptr;  // nullptr: the first of AllOrders()
  TraceSink* trace = nullptr;              // not owned
};

enum class LogitsFor { kNone, kLast, kAll };

class Context {
 public:
  Context(const Model& model, const ContextOptions& options);
  ~Context();

  // Runs positions n_past() .. n_past() + tokens.size() - 1 as one batch. Logits of the last or of every position are
  // written to `logits`: [1 or tokens.size(), n_vocab]. Throws if a token is outside the vocabulary or the context is
  // full.
  void Forward(std::span<const int32_t> tokens, LogitsFor which, std::span<float> logits);

  size_t n_past() const;
  size_t n_ctx() const;    // as asked for
  size_t n_cells() const;  // of the KV cache
  // How many keys, from the first on, the query at a position read, as the attention kernel masked them: the most of
  // all layers. Throws std::out_of_range for a position that was not run.
  int KeysAttended(size_t position) const;
  // The first of them in the first layer, which may have a window.
  int FirstKey(size_t position) const;
  const ArithmeticOrder& order() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The index of the largest logit; of equals the first. Throws if there is none (all NaN).
int32_t Argmax(std::span<const float> logits);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_MODEL_H_
