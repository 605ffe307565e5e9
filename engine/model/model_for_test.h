// A model small enough to read, whose parts a test may change before it is written.
//
//   TinyModel tiny({.architecture = "llama"});
//   tiny.tensors.erase("blk.0.attn_q.weight");
//   Model::Load(tiny.Write());                    // removed with `tiny`
#ifndef BITNET_PARITY_ENGINE_MODEL_MODEL_FOR_TEST_H_
#define BITNET_PARITY_ENGINE_MODEL_MODEL_FOR_TEST_H_

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/gguf/gguf.h"
#include "engine/graph/graph.h"
#include "engine/model/hyperparameters.h"

namespace bitnet {

struct TinyShape {
  std::string architecture = "bitnet";
  TensorType type = TensorType::kF32;            // projections
  TensorType embedding_type = TensorType::kF32;  // token_embd
  uint32_t n_vocab = 40;
  uint32_t n_embd = 256;
  uint32_t n_layer = 2;
  uint32_t n_head = 4;
  uint32_t n_head_kv = 2;
  uint32_t n_ff = 512;
  float rope_base = 10000.0f;
  float rms_eps = 1e-5f;
  bool untied = false;
  bool norms_in = false;
  uint32_t window = 0;  // attention.sliding_window
};

struct TinyTensor {
  TensorType type;
  std::vector<uint64_t> shape;  // GGUF's order
  std::vector<float> values;
};

class TinyModel {
 public:
  explicit TinyModel(const TinyShape& s = {}) : shape(s) {
    const std::string p = s.architecture + ".";
    metadata["general.architecture"] = s.architecture;
    metadata[p + "embedding_length"] = s.n_embd;
    metadata[p + "block_count"] = s.n_layer;
    metadata[p + "attention.head_count"] = s.n_head;
    metadata[p + "attention.head_count_kv"] = s.n_head_kv;
    metadata[p + "feed_forward_length"] = s.n_ff;
    metadata[p + "context_length"] = uint32_t{512};
    metadata[p + "attention.layer_norm_rms_epsilon"] = s.rms_eps;
    metadata[p + "rope.freq_base"] = s.rope_base;
    if (s.window != 0) metadata[p + "attention.sliding_window"] = s.window;
    ForEachWeight(Graph(), [&](const WeightInfo& w, size_t layer) {
      if (w.weight == Weight::kOutput && !s.untied) return;
      const size_t rows = WidthOf(w.rows, Graph()), cols = WidthOf(w.cols, Graph());
      if (w.rows == Width::kOne) {
        AddGamma(TensorName(w, layer), cols);
      } else {
        AddMatrix(TensorName(w, layer), w.in_layer ? s.type : s.embedding_type, rows, cols);
      }
    });
  }

  ~TinyModel() {
    std::error_code ignored;
    for (const std::string& path : written_) std::filesystem::remove(path, ignored);
  }

  // The path of a new file.
  std::string Write() {
    static int counter = 0;
    written_.push_back((std::filesystem::temp_directory_path() /
                        fmt::format("tiny_model.{}.{}.gguf", static_cast<int>(getpid()), counter++))
                           .string());
    GgufWriter writer(written_.back());
    for (const auto& [key, value] : metadata) writer.Set(key, value);
    for (const auto& [name, tensor] : tensors) writer.DeclareTensor(name, tensor.type, tensor.shape);
    writer.WriteHeader();
    for (const auto& [name, tensor] : tensors) {
      const uint64_t cols = tensor.shape[0], rows = tensor.values.size() / cols;
      std::vector<std::byte> bytes(TensorBytes(tensor.type, rows, cols));
      QuantizeTensor(tensor.type, tensor.values, rows, cols, bytes);
      writer.WriteTensor(bytes);
    }
    writer.Finish();
    return written_.back();
  }

  GraphShape Graph() const {
    Parts parts = FindArchitecture(shape.architecture)->parts;
    if (shape.norms_in) parts.Add(When::kNormsIn);
    return {.n_vocab = shape.n_vocab,
            .n_embd = shape.n_embd,
            .n_layer = shape.n_layer,
            .n_head = shape.n_head,
            .n_head_kv = shape.n_head_kv,
            .head_dim = shape.n_embd / shape.n_head,
            .n_ff = shape.n_ff,
            .parts = parts};
  }

  TinyShape shape;
  std::map<std::string, MetadataValue> metadata;
  std::map<std::string, TinyTensor> tensors;

 private:
  // Ternary, so that most types hold the same numbers; outputs of normed inputs have a deviation near 1.
  void AddMatrix(const std::string& name, TensorType type, uint64_t rows, uint64_t cols) {
    std::vector<float> values(rows * cols);
    const float scale = std::exp2(std::round(-0.5f * std::log2(static_cast<float>(cols))));
    for (float& v : values) v = (static_cast<int>(generator_() % 3) - 1) * scale;
    // What the file will hold.
    std::vector<std::byte> bytes(TensorBytes(type, rows, cols));
    QuantizeTensor(type, values, rows, cols, bytes);
    DequantizeTensor(type, bytes, rows, cols, values);
    tensors[name] = {type, {cols, rows}, std::move(values)};
  }
  void AddGamma(const std::string& name, uint64_t size) {
    std::uniform_real_distribution<float> near_one(0.5f, 1.5f);
    std::vector<float> values(size);
    for (float& v : values) v = near_one(generator_);
    tensors[name] = {TensorType::kF32, {size}, std::move(values)};
  }

  std::mt19937 generator_{11};
  std::vector<std::string> written_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_MODEL_FOR_TEST_H_
