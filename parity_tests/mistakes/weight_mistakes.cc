// Mistakes in how weights are read.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/formats/codec.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/oracle/ternary.h"

namespace parity {
namespace {

using Changes = std::vector<Change>;
using bitnet::InfoOf;

constexpr PointSet kProjections = {Point::kQProj,   Point::kKProj, Point::kVProj,  Point::kAttnOProj,
                                   Point::kFfnGate, Point::kFfnUp, Point::kFfnDown};

constexpr PointSet kProjectionsAndHead = {Point::kQProj,   Point::kKProj, Point::kVProj,   Point::kAttnOProj,
                                          Point::kFfnGate, Point::kFfnUp, Point::kFfnDown, Point::kLogits};

const bitnet::WeightMatrix& MatrixAt(const Site& site) {
  return MatrixOf(site.model, InfoOf(site.point).weight, site.layer);
}

bool IsTernary(const Site& site) { return bitnet::FormatOf(MatrixAt(site).type).is_ternary(); }

Changes LinearOrder(const Site& site) {
  if (!IsTernary(site)) return {};
  const size_t codes = MatrixAt(site).type == bitnet::TensorType::kTQ1_0 ? 5 : 4;
  return {{fmt::format("the weights with {} neighbours read from each byte", codes == 4 ? "four" : "five"),
           [](Parameters& p) { ReadLinearly(p.product); }}};
}

Changes ScaleDropped(const Site& site) {
  if (!IsTernary(site)) return {};
  return {{"the weights with scale 1", [](Parameters& p) { ReadWithoutScale(p.product); }}};
}

Changes CodesSwapped(const Site& site) {
  if (!IsTernary(site)) return {};
  return {{"the weights with codes 0 and 2 exchanged", [](Parameters& p) {
             ReadWithCodes(p.product, [](uint8_t code) { return static_cast<uint8_t>(2 - code); });
           }}};
}

// The codes of every block in another order. `block`: how many weights a block must have at least.
Changes BlockOrder(const Site& site) {
  if (!IsTernary(site)) return {};
  const size_t block = bitnet::FormatOf(MatrixAt(site).type).block_weights;
  Changes changes;
  const auto add = [&](const char* how, size_t least, std::function<size_t(size_t)> from) {
    if (block < least) return;
    changes.push_back({how, [from = std::move(from)](Parameters& p) { ReadInOrder(p.product, from); }});
  };
  add("blocks of 128 in 32 bytes read as blocks of 64 in 16 bytes (ARM)", 128, [](size_t i) {
    const size_t half = i % 128 / 64, row = i % 64 / 16, byte = i % 16;
    return i / 128 * 128 + row * 32 + half * 16 + byte;
  });
  add("blocks of 64 in 16 bytes read as blocks of 128 in 32 bytes (x86)", 128, [](size_t i) {
    const size_t row = i % 128 / 32, half = i % 32 / 16, byte = i % 16;
    return i / 128 * 128 + half * 64 + row * 16 + byte;
  });
  add("the four codes of a byte in reverse order", 128,
      [](size_t i) { return i / 128 * 128 + (3 - i % 128 / 32) * 32 + i % 32; });
  add("halves of 64 exchanged", 128, [](size_t i) { return i ^ 64; });
  add("halves of 128 exchanged", 256, [](size_t i) { return i ^ 128; });
  add("the bytes of each 32 in reverse order", 128, [](size_t i) { return i / 32 * 32 + 31 - i % 32; });
  add("neighbouring weights exchanged", 128, [](size_t i) { return i ^ 1; });
  return changes;
}

Changes CodeMap(const Site& site) {
  if (!IsTernary(site)) return {};
  Changes changes;
  for (const char* map : {"012", "021", "102", "120", "201"}) {
    if (std::string_view(map) == "012") continue;
    changes.push_back(
        {fmt::format("codes 0, 1, 2 as {}, {}, {}", map[0] - '1', map[1] - '1', map[2] - '1'), [map](Parameters& p) {
           ReadWithCodes(p.product,
                         [map](uint8_t code) { return code > 2 ? code : static_cast<uint8_t>(map[code] - '0'); });
         }});
  }
  return changes;
}

// Weights as a function of what stands in the file, row by row.
Change AsRead(std::string how, const bitnet::WeightMatrix& w, std::function<void(size_t r, float* row)> change) {
  return {std::move(how), [w, change = std::move(change)](Parameters& p) {
            p.product.read_row = [w, change](size_t r, float* row) {
              bitnet::WeightRow(w, r, row);
              change(r, row);
            };
          }};
}

float LargestOf(const float* row, size_t n) {
  float largest = 0;
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(row[i]));
  return largest;
}

Changes CodeOffset(const Site& site) {
  if (!IsTernary(site)) return {};
  const bitnet::WeightMatrix& w = MatrixAt(site);
  const size_t group = std::min<size_t>(bitnet::FormatOf(w.type).block_weights, w.cols);
  const auto offset = [&](const char* how, float by) {
    return AsRead(how, w, [cols = w.cols, group, by](size_t, float* row) {
      for (size_t at = 0; at < cols; at += group) {
        const float scale = LargestOf(row + at, group);
        for (size_t i = at; i < at + group; ++i) row[i] += by * scale;
      }
    });
  };
  return {offset("codes less 2: the sum of the activations is taken off twice", -1),
          offset("codes 0, 1, 2 as they are: the 1 is not taken off", 1)};
}

Changes ScaleMisused(const Site& site) {
  if (!IsTernary(site)) return {};
  const bitnet::WeightMatrix& w = MatrixAt(site);
  const size_t group = bitnet::FormatOf(w.type).ternary->scale_at < 0 ? w.cols : bitnet::FormatOf(w.type).block_weights;
  const auto scaled = [&](const char* how, float (*to)(float)) {
    return AsRead(how, w, [cols = w.cols, group, to](size_t, float* row) {
      for (size_t at = 0; at < cols; at += group) {
        const float scale = LargestOf(row + at, group);
        if (scale == 0) continue;
        for (size_t i = at; i < at + group; ++i) row[i] = row[i] / scale * to(scale);
      }
    });
  };
  Changes changes = {scaled("divided by the scale", [](float s) { return 1 / s; }),
                     scaled("multiplied by the scale twice", [](float s) { return s * s; })};
  if (group < w.cols) {
    const auto of_block = [&](const char* how, bool first) {
      return AsRead(how, w, [cols = w.cols, group, first](size_t, float* row) {
        std::vector<float> scales;
        for (size_t at = 0; at < cols; at += group) scales.push_back(LargestOf(row + at, group));
        for (size_t at = 0; at < cols; at += group) {
          const size_t b = at / group, other = first ? 0 : (b + 1) % scales.size();
          if (scales[b] == 0) continue;
          for (size_t i = at; i < at + group; ++i) row[i] = row[i] / scales[b] * scales[other];
        }
      });
    };
    changes.push_back(of_block("each block with the scale of the next", false));
    changes.push_back(of_block("each block with the scale of the row's first", true));
  }
  // Scales of other tensors: 1-bit models have one a tensor, whatever keeps it.
  if (site.layer < 0) return changes;
  const auto scale_of = [](const bitnet::WeightMatrix& of) {
    std::vector<float> row(of.cols);
    float largest = 0;
    for (size_t r = 0; r < std::min<size_t>(of.rows, 4); ++r) {
      bitnet::WeightRow(of, r, row.data());
      largest = std::max(largest, LargestOf(row.data(), row.size()));
    }
    return largest;
  };
  const float own = scale_of(w);
  for (const bitnet::PointInfo& other : bitnet::kGraph) {
    if (!kProjections.Has(other.point) || other.point == site.point) continue;
    const bitnet::WeightMatrix& of = MatrixOf(site.model, other.weight, site.layer);
    const float scale = scale_of(of);
    if (of.type != w.type || scale == own || own == 0) continue;
    const bool of_tensor = bitnet::FormatOf(w.type).ternary->scale_at < 0;
    changes.push_back({fmt::format("the scale of {}", other.name), [of_tensor, scale, own](Parameters& p) {
                         if (of_tensor) {
                           p.product.w.scale = scale;
                         } else {
                           p.factor = scale / own;
                         }
                       }});
  }
  return changes;
}

Changes OtherLayer(const Site& site) {
  if (site.layer < 0) return {};
  Changes changes;
  for (int layer = 0; layer < static_cast<int>(site.model.hyperparameters.n_layer); ++layer) {
    if (layer == site.layer) continue;
    const bitnet::WeightMatrix& w = MatrixOf(site.model, InfoOf(site.point).weight, layer);
    changes.push_back({fmt::format("the weights of layer {}", layer), [w](Parameters& p) { p.product.w = w; }});
  }
  return changes;
}

Changes RowOrder(const Site& site) {
  const bitnet::WeightMatrix w = MatrixAt(site);
  Changes changes;
  const auto rows = [&](const char* how, std::function<size_t(size_t)> from) {
    changes.push_back({how, [w, from = std::move(from)](Parameters& p) {
                         p.product.read_row = [w, from](size_t r, float* row) { bitnet::WeightRow(w, from(r), row); };
                       }});
  };
  const size_t n = w.rows;
  rows("rows read one too far", [n](size_t r) { return (r + 1) % n; });
  rows("rows in reverse order", [n](size_t r) { return n - 1 - r; });
  if (w.rows == w.cols && w.rows <= 1024) {
    std::vector<float> values(w.rows * w.cols);
    for (size_t r = 0; r < w.rows; ++r) bitnet::WeightRow(w, r, values.data() + r * w.cols);
    auto shared = std::make_shared<const std::vector<float>>(std::move(values));
    changes.push_back({"the matrix transposed", [n, shared](Parameters& p) {
                         p.product.read_row = [n, shared](size_t r, float* row) {
                           for (size_t i = 0; i < n; ++i) row[i] = (*shared)[i * n + r];
                         };
                       }});
  }
  if (site.point != Point::kQProj && site.point != Point::kKProj) return changes;
  const size_t dim = site.model.hyperparameters.n_embd_head, half = dim / 2;
  rows("the rows of each head permuted: halves taken for neighbours", [dim, half](size_t r) {
    const size_t i = r % dim;
    return r - i + (i % 2) * half + i / 2;
  });
  rows("the rows of each head permuted: neighbours taken for halves", [dim, half](size_t r) {
    const size_t i = r % dim;
    return r - i + i % half * 2 + i / half;
  });
  return changes;
}

bool IsGateOrUp(Point point) { return point == Point::kFfnGate || point == Point::kFfnUp; }

// The product with another matrix of the layer that has the same shape.
Changes OtherTensors(const Site& site, bool gate_up) {
  if (site.layer < 0 || gate_up != IsGateOrUp(site.point)) return {};
  const bitnet::WeightMatrix& own = MatrixAt(site);
  Changes changes;
  for (const bitnet::PointInfo& other : bitnet::kGraph) {
    if (!kProjections.Has(other.point) || other.point == site.point || (gate_up && !IsGateOrUp(other.point))) continue;
    const bitnet::WeightMatrix& w = MatrixOf(site.model, other.weight, site.layer);
    if (w.rows != own.rows || w.cols != own.cols) continue;
    changes.push_back(
        {fmt::format("the product with the weights of {}", other.name), [w](Parameters& p) { p.product.w = w; }});
  }
  return changes;
}
Changes WrongTensor(const Site& site) { return OtherTensors(site, false); }

Changes GateUpSwapped(const Site& site) {
  if (site.point != Point::kFfnAct) return OtherTensors(site, true);
  return {{"the activation applied to up, times gate", [](Parameters& p) { p.gate.swapped = true; }}};
}

// A head with weights of its own that were never loaded.
Changes HeadNotTied(const Site& site) {
  return {{"a head of random weights", [](Parameters& p) {
             bitnet::WeightMatrix& w = p.product.w;
             std::mt19937 random(1);
             std::normal_distribution<float> normal(0, 0.02f);
             std::vector<float> values(w.rows * w.cols);
             for (float& v : values) v = normal(random);
             std::vector<std::byte> bytes(bitnet::TensorBytes(w.type, w.rows, w.cols));
             bitnet::QuantizeTensor(w.type, values, w.rows, w.cols, bytes);
             p.product.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
             w.data = p.product.bytes->data();
           }}};
}

const Mistake kMistakes[] = {
    {.id = "weights_linear_order",
     .what = "ternary codes are read in linear, not in interleaved order",
     .remedy = "read a byte's four codes 32 weights apart (engine/formats has the layouts)",
     .points = kProjections,
     .changes = LinearOrder,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "weights_scale_dropped",
     .what = "the scale of ternary weights is not applied",
     .remedy = "multiply by the block's F16 scale (TQ1_0, TQ2_0) or by the tensor's float32 behind the codes (I2_S)",
     .points = kProjections,
     .changes = ScaleDropped,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "weights_codes_swapped",
     .what = "the codes 0 and 2 are exchanged",
     .remedy = "codes 0, 1, 2 are -1, 0, +1",
     .points = kProjections,
     .changes = CodesSwapped,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "gate_up_swapped",
     .what = "ffn_gate and ffn_up are exchanged",
     .remedy = "the activation is applied to the gate",
     .points = {Point::kFfnGate, Point::kFfnUp, Point::kFfnAct},
     .changes = GateUpSwapped,
     .made_in = {Point::kFfnGate, Point::kFfnUp},
     .rung = "first-logit",
     .position = 0,
     .place = Point::kFfnGate},
    {.id = "wrong_tensor",
     .what = "another tensor of the layer is multiplied",
     .remedy = "check the tensors' names",
     .points = kProjections,
     .changes = WrongTensor},
    {.id = "weights_block_order",
     .what = "the codes of a block are read in another order",
     .remedy = "engine/formats has the layouts; I2_S on x86 has 128 weights in 32 bytes, on ARM 64 in 16",
     .points = kProjections,
     .changes = BlockOrder,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "weights_code_map",
     .what = "the codes stand for other numbers",
     .remedy = "codes 0, 1, 2 are -1, 0, +1",
     .points = kProjections,
     .changes = CodeMap},
    {.id = "weights_code_offset",
     .what = "the sum of the activations is not taken off once",
     .remedy = "sum of (code - 1) * q = sum of code * q - sum of q",
     .points = kProjections,
     .changes = CodeOffset,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kQProj},
    {.id = "weights_scale_misused",
     .what = "the scale of ternary weights is applied in another way",
     .remedy = "multiply by the block's own scale (TQ1_0, TQ2_0) or the tensor's own (I2_S), once",
     .points = kProjections,
     .changes = ScaleMisused},
    {.id = "weights_of_another_layer",
     .what = "the weights of another layer are multiplied",
     .remedy = "check the tensors' names and the layer that they are read for",
     .points = kProjections,
     .changes = OtherLayer},
    {.id = "weights_row_order",
     .what = "the rows of a matrix are read in another order",
     .remedy = "rows are contiguous; converters permute Q and K for interleaved RoPE alone",
     .points = kProjectionsAndHead,
     .changes = RowOrder},
    {.id = "head_not_tied",
     .what = "the head does not use token_embd",
     .remedy = "without output.weight, the head is token_embd",
     .points = {Point::kLogits},
     .changes = HeadNotTied,
     .tried = false,
     .rung = "first-logit",
     .position = 0,
     .place = Point::kLogits},
};

}  // namespace

std::span<const Mistake> WeightMistakes() { return kMistakes; }

}  // namespace parity
