// What an operation of the forward pass depends on beside its inputs.
//
//   Parameters p = ParametersOf(model, Point::kAttnNorm, 3);   // as the model's file says
//   p.norm.eps = 1e-2f;                                        // a mistake
//   Tensor y = arithmetic.Compute(Point::kAttnNorm, p, inputs);
//
// A mistake of an engine is a change of these parameters: the oracle then makes it in a whole forward pass, and the
// diagnosis makes it in one operation on an engine's own inputs.
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_PARAMETERS_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_PARAMETERS_H_

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/model/model.h"

namespace parity {

using bitnet::Point;

// Positions first .. first + n - 1, evaluated together.
struct Batch {
  size_t first = 0;
  size_t n = 0;
};

// y = x / sqrt(mean(x^2) + eps) * gamma
struct NormParameters {
  std::vector<float> gamma;  // [cols]
  float eps = 0;
  bool subtract_mean = false;
  // From here on: what no engine order covers. Such a norm is computed in double.
  bool eps_outside = false;  // y = x / (sqrt(mean(x^2)) + eps) * gamma
  float divisor = 0;         // of the sum of squares; 0: cols
  float share = 1;           // of a row, from its first element on, whose squares are added
  bool Plain() const { return eps_outside || divisor != 0 || share != 1; }
};

// How the activations of a product are rounded before they meet the weights.
struct Quantizing {
  enum class Group { kAsTheFormat, kRow, kBlock, kBatch };            // what shares a scale
  enum class Rounding { kNearest, kTruncating, kAway, kFloor, kUp };  // kUp: floor(x + 1 - nearest_from)
  enum class Largest { kMagnitude, kValue, kMeanMagnitude };          // what becomes `levels`
  Group group = Group::kAsTheFormat;
  size_t block = 0;  // of kBlock
  Rounding rounding = Rounding::kNearest;
  float nearest_from = 0.5f;  // the fraction from which kNearest and kUp go up
  Largest largest = Largest::kMagnitude;
  float levels = 127;
  float lowest = -128;  // what is below is clipped to it
  bool wraps = false;   // past int8's range, where the format clips
  bool none = false;    // not rounded at all: float32 activations times the decoded weights
  bool to_f16 = false;  // to F16, where the order keeps float32
  bool operator==(const Quantizing&) const = default;
};

// Weights as float32.
struct DecodedWeights {
  explicit DecodedWeights(const bitnet::WeightMatrix& from);
  bitnet::WeightMatrix matrix() const;  // views this

  bitnet::WeightMatrix of;
  std::vector<float> values;  // [rows, cols]
};

// Sums of int8 products kept in 16 bits, which wrap: weight i of a row is added to sum i / neighbours % sums.
struct NarrowSums {
  size_t sums = 1;
  size_t neighbours = 1;
  size_t weights = 0;  // of a row, before the sums are widened and begin at 0 again; 0: all that share a scale
  bool codes = false;  // of 0, 1, 2 times q, and the sum of q taken off in 32 bits; not of -1, 0, +1
};

struct ProductParameters {
  bitnet::WeightMatrix w;
  std::shared_ptr<const std::vector<std::byte>> bytes;  // what `w` views, where that is not the model's file
  Quantizing quantizing = {};
  // Row r of the weights as float32 [cols], where no format holds what is multiplied. The product is then computed in
  // double, with activations as `w.type` and `quantizing` say.
  std::function<void(size_t r, float* values)> read_row;
  // What the engine makes of a block of the file's bytes before it multiplies with it.
  std::function<void(std::byte* block)> read_block;
  std::optional<NarrowSums> narrow;  // ternary weights alone
  bool Plain() const {
    return read_row || narrow || quantizing.none || quantizing.to_f16 || quantizing.group == Quantizing::Group::kBlock;
  }
  // The product with these rows of the matrix alone.
  ProductParameters Rows(size_t first, size_t n) const;
  // The same product, with bytes of its own in place of `read_block`.
  ProductParameters Read() const;
  std::shared_ptr<const DecodedWeights> decoded;  // what is of another `w` is not used
  // The same product, with what it makes of the weights kept: the rows that `read_row` gives, or decoded ones, which
  // are then multiplied in float32.
  ProductParameters Kept() const;
};

// The embeddings: the row of token id + shift, times a factor.
struct LookupParameters {
  int shift = 0;
  float factor = 1;
};

struct RopeParameters {
  float base = 0;
  bitnet::RopeLayout layout = bitnet::RopeLayout::kNeox;
  bitnet::RopeScaling scaling;
  std::span<const float> divisors;  // [n_rot / 2] or none
  int shift = 0;                    // the position that it rotates by, less the token's own
  // From here on: what no engine order covers. Such a rotation is computed in double.
  std::function<double(size_t i, const Batch& batch)> position;  // that query i of the batch is rotated by
  double turns = 1;                                              // every angle is multiplied by it
  std::function<double(double angle)> angle_as;                  // what becomes of an angle behind that
  double exponent = 1;                                           // pair i turns by base^(-2i * exponent / n_rot)
  size_t n_rot = 0;                                              // numbers of a head that turn; 0: the model's
  size_t pairs = 0;    // so many pairs of a head turn, from the first on; 0: all
  size_t heads = 0;    // so many heads turn, from the first on; 0: all
  bool exact = false;  // angles are not multiplied up from pair to pair in float32
  bool Plain() const {
    return position || turns != 1 || angle_as || exponent != 1 || n_rot != 0 || pairs != 0 || heads != 0 || exact;
  }
};

// What K and V are kept in.
enum class CacheType { kF16, kF32, kBF16, kTruncatedF16, kQ80 };

struct AttentionParameters {
  float query_scale = 1;  // of the queries, before their scores
  float scale = 0;        // of the scores, in the softmax
  size_t window = 0;      // keys that a query attends at most, its own among them; 0: all
  // How many keys query i of the batch attends, from the first on. Empty: up to its own (causal).
  std::function<size_t(size_t i, const Batch& batch)> n_keys;
  // The key and value head that a query head reads. Empty: head / (n_head / n_head_kv).
  std::function<size_t(size_t head)> kv_head;
  // Where a key's numbers start in the layer's K cells, [cells, n_head_kv * head_dim] as one array. Empty: at its cell
  // and head.
  std::function<size_t(size_t kv_head, size_t cell)> key_at;
  // The position whose K and V are in a cell; nothing: an empty cell. Empty: the cell's own.
  std::function<std::optional<size_t>(size_t cell)> row_of;
  size_t stale = 0;  // cells in front that hold rows of an earlier prompt
  // One bit of the F16 in the cache turned over, of K or V at a cell and a column of n_head_kv * head_dim.
  struct FlippedBit {
    bool key = true;
    size_t cell = 0;
    size_t column = 0;
    int bit = 0;
  };
  std::optional<FlippedBit> flipped;
  // From here on: what no engine order covers. Such an operation is computed in double.
  CacheType cache = CacheType::kF16;
  // Whether Q and the probabilities are rounded to F16 before they meet K and V; nothing: as the order says.
  std::optional<bool> rounds_query = {};
  // What becomes of a score before the softmax, scaled already; -inf: the key is not attended.
  std::function<double(size_t head, size_t position, size_t key, double score)> score_as;
  std::function<bool(size_t key, size_t n_keys)> summed;  // whose exponential is in the sum; empty: every key's
  double sink = 0;                                        // added to the sum of exponentials
  double exp_base = 0;                                    // of the exponential; 0: e
  bool normalized = true;
  bool PlainDot() const { return cache != CacheType::kF16 || rounds_query; }
  bool PlainSoftmax() const { return score_as || summed || sink != 0 || exp_base != 0 || !normalized; }
};

struct GateParameters {
  bitnet::Activation activation = bitnet::Activation::kSilu;
  bool swapped = false;                                 // the activation is applied to up
  std::function<double(double gate, double up)> curve;  // in double, in place of activation(gate) * up
};

// The residual stream: branch times a plus stream times b.
struct AddParameters {
  float branch = 1;
  float stream = 1;
};

struct Parameters {
  NormParameters norm;
  ProductParameters product;
  RopeParameters rope;
  AttentionParameters attention;
  GateParameters gate;
  LookupParameters lookup;
  AddParameters add;
  // Tensors of the same layer that are read in place of the inputs that the graph names; kUnknown: those. What enters
  // the layer is kLayerOut.
  std::array<Point, 2> reads = {Point::kUnknown, Point::kUnknown};
  int row_shift = 0;  // row i of the result is the one of position i + row_shift, as far as the batch goes
  float factor = 1;   // of the output
  bool skip = false;  // norms and RoPE: the input is handed on as it is
  std::function<void(std::vector<float>&)> spoil;  // changes the output when all is done
};

// As the model's file says. `layer`: -1 outside the layers.
Parameters ParametersOf(const bitnet::Model& model, Point point, int layer);

// Where an operation with these parameters takes input `which` from.
bitnet::Source InputOf(const Parameters& p, const bitnet::PointInfo& info, size_t which, int layer,
                       const bitnet::GraphShape& shape);

// The tensor that a point multiplies with or scales by: of LayerWeights, or outside the layers.
const bitnet::WeightMatrix& MatrixOf(const bitnet::Model& model, bitnet::Weight weight, int layer);
std::span<const float> GammaOf(const bitnet::Model& model, bitnet::Weight weight, int layer);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_PARAMETERS_H_
