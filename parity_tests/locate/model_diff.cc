#include "parity_tests/locate/model_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>

#include "engine/formats/codec.h"
#include "engine/gguf/gguf.h"
#include "engine/graph/graph.h"

namespace parity {
namespace {

// What is left of a tensor that is a multiple of another, over its norm: float32's own rounding.
constexpr double kExactRest = 1e-6;

constexpr uint64_t kHashStep = 0x9e3779b97f4a7c15;

uint64_t Mixed(uint64_t hash, float value) {
  value += 0.0f;  // -0 counts as 0
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  hash = (hash ^ bits) * kHashStep;
  return hash ^ (hash >> 29);
}

// Sums over pairs of values: how far B is from a multiple of A.
struct Fit {
  double aa = 0, ab = 0, bb = 0;

  void Add(double a, double b) {
    aa += a * a;
    ab += a * b;
    bb += b * b;
  }
  double factor() const { return aa > 0 ? ab / aa : 0; }
  double rest() const { return bb > 0 ? std::sqrt(std::max(0.0, 1 - (aa > 0 ? ab * ab / aa / bb : 0))) : 0; }
  bool fits() const { return aa == 0 ? bb == 0 : bb > 0 && rest() < kExactRest; }
};

// The rows of one tensor as float32, one after the other.
class Rows {
 public:
  Rows(const bitnet::GgufFile& file, const bitnet::TensorInfo& tensor)
      : type_(tensor.type),
        data_(file.Data(tensor)),
        scale_(bitnet::TensorScale(tensor.type, data_)),
        row_bytes_(bitnet::RowBytes(tensor.type, tensor.cols())),
        values_(tensor.cols()) {}

  std::span<const float> Row(uint64_t row) {
    bitnet::FormatOf(type_).decode(data_.subspan(row * row_bytes_, row_bytes_), scale_, values_);
    return values_;
  }

 private:
  bitnet::TensorType type_;
  std::span<const std::byte> data_;
  float scale_;
  size_t row_bytes_;
  std::vector<float> values_;
};

// Hashes of each row and column of a tensor.
struct Hashes {
  std::vector<uint64_t> rows, cols;

  Hashes(uint64_t n_rows, uint64_t n_cols) : rows(n_rows), cols(n_cols) {}
  void Add(uint64_t row, std::span<const float> values) {
    for (size_t i = 0; i < values.size(); ++i) {
      rows[row] = Mixed(rows[row], values[i]);
      cols[i] = Mixed(cols[i], values[i]);
    }
  }
};

bool IsPermutation(std::vector<uint64_t> a, std::vector<uint64_t> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

// "row 1 of A is row 64 of B, 2 is 1, 3 is 65": where the first that moved went.
std::string Moves(const char* what, const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  std::unordered_map<uint64_t, size_t> place;
  for (size_t i = b.size(); i-- > 0;) place[b[i]] = i;
  std::string out;
  size_t moved = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (++moved > 3) continue;
    out += moved == 1 ? fmt::format("{} {} of A is {} {} of B", what, i, what, place.at(a[i]))
                      : fmt::format(", {} is {}", i, place.at(a[i]));
  }
  return fmt::format("{}; {} of {} moved", out, moved, a.size());
}

// Whether `type` makes of `from` what `to` is, row by row.
bool IsRounding(Rows from, bitnet::TensorType type, Rows to, uint64_t n_rows, uint64_t n_cols) {
  const bitnet::Format& format = bitnet::FormatOf(type);
  if (format.encode == nullptr || format.tensor_extra > 0) return false;
  std::vector<std::byte> packed(bitnet::RowBytes(type, n_cols));
  std::vector<float> rounded(n_cols);
  for (uint64_t row = 0; row < n_rows; ++row) {
    const std::span<const float> values = from.Row(row);
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) return false;
    format.encode(values, 1.0f, packed);
    format.decode(packed, 1.0f, rounded);
    const std::span<const float> wanted = to.Row(row);
    if (!std::equal(rounded.begin(), rounded.end(), wanted.begin())) return false;
  }
  return true;
}

// What one pass over both tensors tells.
struct Sweep {
  Fit all;
  bool same_values = true, rows_fit = true;
  double least_factor = std::numeric_limits<double>::infinity(), most_factor = -least_factor;
  double max_abs = 0;
  int64_t differing = 0;
  uint64_t first_row = 0, first_col = 0;
  float first_a = 0, first_b = 0;
  Hashes a, b;

  Sweep(Rows rows_a, Rows rows_b, uint64_t n_rows, uint64_t n_cols) : a(n_rows, n_cols), b(n_rows, n_cols) {
    for (uint64_t row = 0; row < n_rows; ++row) AddRow(row, rows_a.Row(row), rows_b.Row(row));
  }

  void AddRow(uint64_t row, std::span<const float> of_a, std::span<const float> of_b) {
    a.Add(row, of_a);
    b.Add(row, of_b);
    Fit fit;
    for (size_t i = 0; i < of_a.size(); ++i) {
      fit.Add(of_a[i], of_b[i]);
      if (of_a[i] == of_b[i] || (std::isnan(of_a[i]) && std::isnan(of_b[i]))) continue;
      if (differing++ == 0) {
        first_row = row;
        first_col = i;
        first_a = of_a[i];
        first_b = of_b[i];
      }
      max_abs = std::max(max_abs, std::abs(static_cast<double>(of_a[i]) - of_b[i]));
    }
    all.aa += fit.aa;
    all.ab += fit.ab;
    all.bb += fit.bb;
    rows_fit = rows_fit && fit.fits();
    if (fit.aa > 0) {
      least_factor = std::min(least_factor, fit.factor());
      most_factor = std::max(most_factor, fit.factor());
    }
    same_values = differing == 0;
  }
};

TensorRelation RelationOf(const Sweep& sweep, TensorDiff& diff) {
  if (sweep.same_values) return TensorRelation::kSameValues;
  if (sweep.all.fits()) return TensorRelation::kScaled;
  if (sweep.rows_fit && sweep.a.rows.size() > 1) {
    diff.detail = fmt::format("{:.6g} to {:.6g}", sweep.least_factor, sweep.most_factor);
    return TensorRelation::kRowsScaled;
  }
  if (IsPermutation(sweep.a.rows, sweep.b.rows)) {
    diff.detail = Moves("row", sweep.a.rows, sweep.b.rows);
    return TensorRelation::kRowsPermuted;
  }
  if (IsPermutation(sweep.a.cols, sweep.b.cols)) {
    diff.detail = Moves("column", sweep.a.cols, sweep.b.cols);
    return TensorRelation::kColumnsPermuted;
  }
  if (sweep.a.rows == sweep.b.cols) return TensorRelation::kTransposed;
  diff.detail = fmt::format("{} of {} differ, first at row {} column {}: A {:.8g}, B {:.8g}", sweep.differing,
                            sweep.a.rows.size() * sweep.a.cols.size(), sweep.first_row, sweep.first_col, sweep.first_a,
                            sweep.first_b);
  return TensorRelation::kOther;
}

std::string ShapeOf(const bitnet::TensorInfo& tensor) { return fmt::format("[{}]", fmt::join(tensor.shape, ", ")); }

TensorDiff DiffTensors(const std::string& name, const bitnet::GgufFile& file_a, const bitnet::GgufFile& file_b) {
  TensorDiff diff{.name = name};
  const bitnet::TensorInfo *a = file_a.FindTensor(name), *b = file_b.FindTensor(name);
  if (a != nullptr) std::tie(diff.type_a, diff.shape_a) = std::pair(a->type_name(), ShapeOf(*a));
  if (b != nullptr) std::tie(diff.type_b, diff.shape_b) = std::pair(b->type_name(), ShapeOf(*b));
  if (a == nullptr || b == nullptr) {
    diff.relation = TensorRelation::kMissing;
    return diff;
  }
  if (a->shape != b->shape) {
    diff.relation = TensorRelation::kShape;
    return diff;
  }
  const std::span<const std::byte> bytes_a = file_a.Data(*a), bytes_b = file_b.Data(*b);
  if (a->type == b->type && std::equal(bytes_a.begin(), bytes_a.end(), bytes_b.begin(), bytes_b.end())) return diff;
  for (const bitnet::TensorInfo* tensor : {a, b}) {
    if (tensor->is_own() && bitnet::FormatOf(tensor->type).has_codec()) continue;
    diff.relation = TensorRelation::kNotRead;
    diff.detail = tensor->type_name();
    return diff;
  }
  const Sweep sweep(Rows(file_a, *a), Rows(file_b, *b), a->rows(), a->cols());
  diff.factor = sweep.all.factor();
  diff.rest = sweep.all.rest();
  diff.max_abs = sweep.max_abs;
  diff.relation = RelationOf(sweep, diff);
  if (diff.relation != TensorRelation::kOther || a->type == b->type) return diff;
  for (const auto& [from_file, from, to_file, to] :
       {std::tuple(&file_a, a, &file_b, b), std::tuple(&file_b, b, &file_a, a)}) {
    if (!IsRounding(Rows(*from_file, *from), to->type, Rows(*to_file, *to), a->rows(), a->cols())) continue;
    diff.relation = TensorRelation::kRounded;
    diff.detail = to->type_name();
    return diff;
  }
  return diff;
}

// Where a tensor stands in the computation: before the layers, in a layer, behind them.
std::tuple<int, int, size_t, std::string> RankOf(const std::string& name) {
  int layer = -1, length = 0;
  const bool in_layer = std::sscanf(name.c_str(), "blk.%d.%n", &layer, &length) == 1 && length > 0;
  const std::string short_name = name.substr(static_cast<size_t>(in_layer ? length : 0));
  size_t rank = bitnet::kWeightCount;
  for (size_t i = 0; i < bitnet::kWeightCount; ++i) {
    if (bitnet::kWeights[i].in_layer == in_layer &&
        short_name.starts_with(std::string(bitnet::kWeights[i].name) + ".")) {
      rank = i;
    }
  }
  const bool behind =
      rank == static_cast<size_t>(bitnet::Weight::kOutputNorm) || rank == static_cast<size_t>(bitnet::Weight::kOutput);
  return {in_layer ? 1 : behind ? 2 : 0, layer, rank, name};
}

std::string Text(const std::string& value) { return fmt::format("\"{}\"", value); }
template <typename T>
std::string Text(const T& value) {
  return fmt::format("{}", value);
}

// The text of element `i` of an array; "nothing" behind its end.
std::string Element(const bitnet::MetadataArray& array, size_t i) {
  return std::visit(
      [i](const auto& values) -> std::string {
        if (i >= values.size()) return "nothing";
        if constexpr (std::is_same_v<std::decay_t<decltype(values[0])>, std::shared_ptr<bitnet::MetadataArray>>) {
          return "an array";
        } else {
          return Text(values[i]);
        }
      },
      array.values);
}

size_t SizeOf(const bitnet::MetadataArray& array) {
  return std::visit([](const auto& values) { return values.size(); }, array.values);
}

// Numbers of any width are equal if they are the same number. Adds a line to `out` if the values differ.
void DiffValues(const std::string& key, const bitnet::MetadataValue* a, const bitnet::MetadataValue* b,
                std::vector<KeyDiff>& out) {
  const auto array_of = [](const bitnet::MetadataValue* value) -> const bitnet::MetadataArray* {
    const auto* array = value ? std::get_if<std::shared_ptr<bitnet::MetadataArray>>(value) : nullptr;
    return array ? array->get() : nullptr;
  };
  const bitnet::MetadataArray *array_a = array_of(a), *array_b = array_of(b);
  if (array_a != nullptr && array_b != nullptr) {
    const size_t size_a = SizeOf(*array_a), size_b = SizeOf(*array_b);
    for (size_t i = 0; i < std::max(size_a, size_b); ++i) {
      const std::string of_a = Element(*array_a, i), of_b = Element(*array_b, i);
      if (of_a == of_b) continue;
      out.push_back({key, fmt::format("{} values, [{}] = {}", size_a, i, of_a),
                     fmt::format("{} values, [{}] = {}", size_b, i, of_b)});
      return;
    }
    return;
  }
  const auto text = [](const bitnet::MetadataValue* value) -> std::string {
    if (value == nullptr) return "";
    return std::visit(
        [](const auto& v) -> std::string {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::shared_ptr<bitnet::MetadataArray>>) {
            return fmt::format("{} values", SizeOf(*v));
          } else {
            return Text(v);
          }
        },
        *value);
  };
  std::string of_a = text(a), of_b = text(b);
  if (of_a != of_b) out.push_back({key, std::move(of_a), std::move(of_b)});
}

constexpr std::string_view kArchitecture = "general.architecture";

// A key without the architecture's name in front, so that two names of one architecture can be compared.
struct Key {
  std::string name;
  bool of_architecture;

  auto operator<=>(const Key&) const = default;
  static Key Of(const std::string& key, const std::string& architecture) {
    const bool own = key.starts_with(architecture + ".");
    return {own ? key.substr(architecture.size() + 1) : key, own};
  }
  std::string In(const std::string& architecture) const { return of_architecture ? architecture + "." + name : name; }
};

void DiffMetadata(const bitnet::GgufFile& a, const bitnet::GgufFile& b, ModelDiff& diff) {
  const std::string arch_a = a.GetOr<std::string>(kArchitecture, ""), arch_b = b.GetOr<std::string>(kArchitecture, "");
  std::vector<Key> keys;  // in the order of file A, then what B has beside them
  std::set<Key> seen;
  for (const auto& [file, arch] : {std::pair(&a, &arch_a), std::pair(&b, &arch_b)}) {
    for (const auto& [name, value] : file->metadata()) {
      const Key key = Key::Of(name, *arch);
      if (seen.insert(key).second) keys.push_back(key);
    }
  }
  for (const Key& key : keys) {
    std::vector<KeyDiff>& of_kind = key.of_architecture || key.name == kArchitecture ? diff.hyperparameters
                                    : key.name.starts_with("tokenizer.")             ? diff.vocabulary
                                                                                     : diff.other;
    DiffValues(key.name, a.Find(key.In(arch_a)), b.Find(key.In(arch_b)), of_kind);
  }
}

}  // namespace

ModelDiff DiffModels(const std::string& a, const std::string& b,
                     const std::function<void(const std::string&)>& progress) {
  const bitnet::GgufFile file_a = bitnet::GgufFile::Open(a), file_b = bitnet::GgufFile::Open(b);
  ModelDiff diff{.a = a, .b = b};
  DiffMetadata(file_a, file_b, diff);
  std::set<std::tuple<int, int, size_t, std::string>> names;
  for (const bitnet::GgufFile* file : {&file_a, &file_b}) {
    for (const bitnet::TensorInfo& tensor : file->tensors()) names.insert(RankOf(tensor.name));
  }
  for (const auto& rank : names) {
    const std::string& name = std::get<std::string>(rank);
    if (progress) progress(fmt::format("comparing {} ...", name));
    diff.tensors.push_back(DiffTensors(name, file_a, file_b));
  }
  return diff;
}

}  // namespace parity
