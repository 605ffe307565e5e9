#include "parity_tests/oracle/scalar_model.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/gguf/quants.h"
#include "reference/engines/backend.h"

namespace parity {
namespace {

using bitnet::TensorType;

uint16_t HalfAt(const std::byte* p) {
  uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return bits;
}

// Linear: four neighbours in a byte, in the order of the bits that the format counts from.
void DecodeTq20(const bitnet::WeightMatrix& w, CodeOrder order, ScalarMatrix* m) {
  const auto* block = reinterpret_cast<const uint8_t*>(w.data);
  for (size_t b = 0; b < w.rows * w.cols / 256; ++b, block += 66) {
    for (size_t i = 0; i < 256; ++i) {
      const size_t byte = order == CodeOrder::kLinear ? i / 4 : i / 128 * 32 + i % 32;
      const size_t shift = order == CodeOrder::kLinear ? i % 4 * 2 : i % 128 / 32 * 2;
      m->codes[b * 256 + i] = block[byte] >> shift & 3;
    }
    m->d[b] = bitnet::F32FromF16(HalfAt(reinterpret_cast<const std::byte*>(block + 64)));
  }
}

void DecodeI2S(const bitnet::WeightMatrix& w, CodeOrder order, ScalarMatrix* m) {
  const auto* block = reinterpret_cast<const uint8_t*>(w.data);
  for (size_t b = 0; b < w.rows * w.cols / 128; ++b, block += 32) {
    for (size_t i = 0; i < 128; ++i) {
      const size_t byte = order == CodeOrder::kLinear ? i / 4 : i % 32;
      const size_t place = order == CodeOrder::kLinear ? i % 4 : i / 32;
      m->codes[b * 128 + i] = block[byte] >> (6 - 2 * place) & 3;
    }
  }
}

void DecodeTq10(const bitnet::WeightMatrix& w, ScalarMatrix* m) {
  std::vector<float> row(w.cols);
  const size_t bytes = w.cols / 256 * 54;
  for (size_t r = 0; r < w.rows; ++r) {
    const std::byte* data = w.data + r * bytes;
    bitnet::DequantizeRow(TensorType::kTQ1_0, {data, bytes}, row);
    for (size_t b = 0; b < w.cols / 256; ++b) {
      const float d = bitnet::F32FromF16(HalfAt(data + b * 54 + 52));
      m->d[r * w.cols / 256 + b] = d;
      for (size_t i = b * 256; i < b * 256 + 256; ++i) {
        m->codes[r * w.cols + i] = row[i] == 0 ? 1 : (row[i] > 0) == (d > 0) ? 2 : 0;
      }
    }
  }
}

}  // namespace

ScalarMatrix Decode(const bitnet::WeightMatrix& w, CodeOrder order) {
  ScalarMatrix m{.type = w.type, .rows = w.rows, .cols = w.cols, .f32 = {}, .f16 = {}, .codes = {}, .d = {}};
  const size_t n = w.rows * w.cols;
  switch (w.type) {
    case TensorType::kF32:
      m.f32.resize(n);
      std::memcpy(m.f32.data(), w.data, n * sizeof(float));
      return m;
    case TensorType::kF16:
      m.f16.resize(n);
      std::memcpy(m.f16.data(), w.data, n * sizeof(uint16_t));
      return m;
    case TensorType::kI2_S:
      m.codes.resize(n);
      m.scale = w.scale;
      DecodeI2S(w, order, &m);
      return m;
    case TensorType::kTQ1_0:
    case TensorType::kTQ2_0:
      m.codes.resize(n);
      m.d.resize(n / 256);
      if (w.type == TensorType::kTQ1_0) {
        DecodeTq10(w, &m);
      } else {
        DecodeTq20(w, order, &m);
      }
      return m;
    default:
      throw ModelNotSupported(
          fmt::format("weights of type {}: found, expected F32, F16, TQ1_0, TQ2_0 or I2_S; convert "
                      "the model",
                      bitnet::TypeName(w.type)));
  }
}

std::shared_ptr<const ScalarLayer> DecodeLayer(const bitnet::LayerWeights& w, CodeOrder order) {
  const auto copy = [](std::span<const float> x) { return std::vector<float>(x.begin(), x.end()); };
  return std::make_shared<const ScalarLayer>(ScalarLayer{.attn_norm = copy(w.attn_norm),
                                                         .attn_sub_norm = copy(w.attn_sub_norm),
                                                         .ffn_norm = copy(w.ffn_norm),
                                                         .ffn_sub_norm = copy(w.ffn_sub_norm),
                                                         .q = Decode(w.attn_q, order),
                                                         .k = Decode(w.attn_k, order),
                                                         .v = Decode(w.attn_v, order),
                                                         .o = Decode(w.attn_output, order),
                                                         .gate = Decode(w.ffn_gate, order),
                                                         .up = Decode(w.ffn_up, order),
                                                         .down = Decode(w.ffn_down, order)});
}

ScalarModel DecodeModel(const bitnet::Model& model) {
  const bitnet::ModelWeights& w = model.weights;
  ScalarModel m{
      .h = model.hyperparameters, .output_norm = {}, .embeddings = {}, .head = Decode(w.output), .layers = {}};
  m.output_norm.assign(w.output_norm.begin(), w.output_norm.end());
  m.embeddings.resize(w.token_embd.rows * w.token_embd.cols);
  for (size_t r = 0; r < w.token_embd.rows; ++r) {
    const size_t bytes = bitnet::TensorBytes(w.token_embd.type, 1, w.token_embd.cols);
    bitnet::DequantizeRow(w.token_embd.type, {w.token_embd.data + r * bytes, bytes},
                          {m.embeddings.data() + r * w.token_embd.cols, w.token_embd.cols});
  }
  for (const bitnet::LayerWeights& layer : w.layers) m.layers.push_back(DecodeLayer(layer));
  return m;
}

}  // namespace parity
