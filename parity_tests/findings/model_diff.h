// Two model files, compared by meaning. parity_tests/locate/model_diff.h makes it.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_MODEL_DIFF_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_MODEL_DIFF_H_

#include <string>
#include <string_view>
#include <vector>

namespace parity {

// How tensor B follows from tensor A.
enum class TensorRelation {
  kSameBytes,
  kSameValues,       // another type or packing, equal float32 values
  kRounded,          // what one file's type makes of the other file's values
  kScaled,           // B = factor * A
  kRowsScaled,       // each row of B is that row of A times a factor of its own
  kRowsPermuted,     // the rows of A in another order
  kColumnsPermuted,  // its columns in another order
  kTransposed,       // B[i][j] = A[j][i]
  kOther,            // none of these
  kShape,            // two shapes
  kNotRead,          // a type that this program does not decode, with other bytes
  kMissing,          // in one file alone
};
std::string_view RelationName(TensorRelation relation);  // "same_values"

struct TensorDiff {
  std::string name = {};
  TensorRelation relation = TensorRelation::kSameBytes;
  std::string type_a = {}, type_b = {};    // empty: that file has no such tensor
  std::string shape_a = {}, shape_b = {};  // "[256, 2048]", the contiguous dimension first
  double factor = 1;                       // least squares: B = factor * A
  double rest = 0;                         // norm of B - factor * A over the norm of B
  double max_abs = 0;                      // largest |B - A|
  std::string detail = {};                 // where rows or columns went, or which value is the first that differs

  // The forward pass gets other numbers.
  bool breaks_parity() const {
    return relation != TensorRelation::kSameBytes && relation != TensorRelation::kSameValues;
  }
};

// A metadata key with two values; empty: the file lacks it.
struct KeyDiff {
  std::string key = {};
  std::string a = {}, b = {};
};

struct ModelDiff {
  std::string a = {}, b = {};                 // paths
  std::vector<KeyDiff> hyperparameters = {};  // without the architecture's name in front
  std::vector<KeyDiff> vocabulary = {};       // tokenizer.*
  std::vector<KeyDiff> other = {};            // names, licenses, file types: no engine computes with them
  std::vector<TensorDiff> tensors = {};       // of both files, in the order of the computation

  bool equal() const;
  // nullptr if none does.
  const TensorDiff* first_that_breaks_parity() const;
};

// "B is A times 2.42 (rest 0)": the relation of a tensor in words.
std::string Describe(const TensorDiff& diff);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_MODEL_DIFF_H_
