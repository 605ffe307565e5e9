// The operations of the forward pass, one at a time, on inputs that somebody gives: the one statement of what each
// operation does with its parameters. Two kinds of arithmetic stand under it:
//
//   ScalarArithmetic   plain loops over the scalar definitions: the trusted side of tests
//   KernelArithmetic   the engine's kernels: the same bits at full speed
//
//   KernelArithmetic kernels(model.hyperparameters, order, threads);
//   Tensor y = kernels.Compute(Point::kQProj, ParametersOf(model, Point::kQProj, 0), {.batch = {0, 5}, .a = &x});
#ifndef BITNET_PARITY_PARITY_TESTS_ORACLE_ARITHMETIC_H_
#define BITNET_PARITY_PARITY_TESTS_ORACLE_ARITHMETIC_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernels/activations.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/order.h"
#include "engine/kernels/thread_pool.h"
#include "parity_tests/oracle/parameters.h"

namespace parity {

using Values = std::vector<float>;

// One row a position, one behind the other. Rows are of one width, but for scores and probabilities: [n_head, keys].
struct Tensor {
  Values data;
  std::vector<size_t> ends;  // of row i in data

  size_t n() const { return ends.size(); }
  std::span<const float> row(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends[i - 1];
    return {data.data() + begin, ends[i] - begin};
  }
  void Append(std::span<const float> row) {
    data.insert(data.end(), row.begin(), row.end());
    ends.push_back(data.size());
  }
  static Tensor Uniform(Values data, size_t n);
};

// What an operation computes from; see PointInfo::inputs.
struct Inputs {
  Batch batch;
  std::span<const int32_t> tokens = {};  // embeddings: of the batch
  const Tensor* a = nullptr;             // the first input, a row for each position of the batch
  const Tensor* b = nullptr;             // the second; for scores and values K or V of all positions so far
  size_t n_cells = 0;                    // of the KV cache; 0: as many as there are rows
};

// Activations as int8, before a kernel lays them out. q: [n, cols]; d: the scale of each row or block.
struct Int8Rows {
  std::vector<int8_t> q;
  Values d;
};

class Arithmetic {
 public:
  Arithmetic(const bitnet::Hyperparameters& h, const bitnet::ArithmeticOrder& order) : h_(h), order_(order) {}
  virtual ~Arithmetic() = default;

  // One operation at every position of the batch. Throws std::logic_error where an input is missing.
  Tensor Compute(Point point, const Parameters& p, const Inputs& in);

  // How many keys each query of the batch attends, stale rows among them.
  static std::vector<size_t> KeysAttended(const AttentionParameters& p, const Batch& batch);

 protected:
  // The keys and values of one layer, as a query reads them.
  struct Cache {
    std::vector<uint16_t> k, v;
    bitnet::KvView view;
    bitnet::AttentionShape shape;
  };

  virtual void NormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) = 0;
  virtual Values Product(const bitnet::WeightMatrix& w, const Values& x, size_t n) = 0;
  virtual Values ProductInt8(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) = 0;
  virtual void RopeRow(float* x, size_t n_heads, const bitnet::RopeAngles& angles, bitnet::RopeLayout layout) = 0;
  // first: of the batch, stale rows counted. Row i of the result: [n_head, n_keys[i]].
  virtual Tensor Scores(const Values& q, size_t first, std::span<const size_t> n_keys, const Cache& cache) = 0;
  virtual void SoftmaxRow(float* x, size_t n, float scale) = 0;
  virtual Values WeightedSum(const Tensor& probabilities, size_t first, std::span<const size_t> n_keys,
                             const Cache& cache) = 0;
  virtual void GateRow(const float* gate, const float* up, bitnet::Activation activation, float* y) = 0;

  const bitnet::Hyperparameters& h_;
  const bitnet::ArithmeticOrder& order_;

 private:
  static Values Lookup(const Parameters& p, std::span<const int32_t> tokens);
  Values Norm(const NormParameters& p, const Values& x);
  Values ProductWith(const ProductParameters& p, const Values& x, size_t n);
  Values Rope(const RopeParameters& p, Values x, const Batch& batch);
  Values Gate(const GateParameters& p, const Values& gate, const Values& up);
  Tensor Softmax(const AttentionParameters& p, const Tensor& scores, const Batch& batch);
  struct CacheMap;
  CacheMap MapOf(const AttentionParameters& p, size_t n_rows, bool keys, size_t n_cells) const;
  Cache MakeCache(const AttentionParameters& p, const Tensor& rows, bool keys, size_t n_cells) const;
  static Values PlainCache(const AttentionParameters& p, const Tensor& rows, const CacheMap& map);
  Tensor PlainScores(const AttentionParameters& p, const Inputs& in) const;
  Tensor PlainValues(const AttentionParameters& p, const Inputs& in) const;
};

class ScalarArithmetic : public Arithmetic {
 public:
  using Arithmetic::Arithmetic;

 protected:
  void NormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) override;
  Values Product(const bitnet::WeightMatrix& w, const Values& x, size_t n) override;
  Values ProductInt8(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) override;
  void RopeRow(float* x, size_t n_heads, const bitnet::RopeAngles& angles, bitnet::RopeLayout layout) override;
  Tensor Scores(const Values& q, size_t first, std::span<const size_t> n_keys, const Cache& cache) override;
  void SoftmaxRow(float* x, size_t n, float scale) override;
  Values WeightedSum(const Tensor& probabilities, size_t first, std::span<const size_t> n_keys,
                     const Cache& cache) override;
  void GateRow(const float* gate, const float* up, bitnet::Activation activation, float* y) override;
};

class KernelArithmetic : public Arithmetic {
 public:
  KernelArithmetic(const bitnet::Hyperparameters& h, const bitnet::ArithmeticOrder& order, size_t threads = 1)
      : Arithmetic(h, order), pool_(threads) {}

 protected:
  void NormRow(const float* x, size_t cols, const float* gamma, float eps, float* y) override;
  Values Product(const bitnet::WeightMatrix& w, const Values& x, size_t n) override;
  Values ProductInt8(const bitnet::WeightMatrix& w, const Int8Rows& x, size_t n) override;
  void RopeRow(float* x, size_t n_heads, const bitnet::RopeAngles& angles, bitnet::RopeLayout layout) override;
  Tensor Scores(const Values& q, size_t first, std::span<const size_t> n_keys, const Cache& cache) override;
  void SoftmaxRow(float* x, size_t n, float scale) override;
  Values WeightedSum(const Tensor& probabilities, size_t first, std::span<const size_t> n_keys,
                     const Cache& cache) override;
  void GateRow(const float* gate, const float* up, bitnet::Activation activation, float* y) override;

 private:
  bitnet::ThreadPool pool_;
};

// Decoded weights [rows, cols] times x [cols], added in double: a product whose activations were not rounded to int8.
Values UnroundedProduct(const bitnet::WeightMatrix& w, const float* x);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_ORACLE_ARITHMETIC_H_
