#include "engine/model/i2_s_evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/formats/codec.h"
#include "engine/formats/i2_s.h"

namespace bitnet {
namespace {

// A matrix and the norm whose output it multiplies.
struct NormedMatrix {
  const char* matrix;
  const char* norm;
};
constexpr NormedMatrix kNormed[] = {
    {"attn_q", "attn_norm"}, {"attn_output", "attn_sub_norm"}, {"ffn_up", "ffn_norm"}, {"ffn_down", "ffn_sub_norm"}};

double Correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

// How often each code stands in a column, over all rows of a tensor in our own layout.
std::array<std::vector<double>, 4> ColumnCounts(std::span<const std::byte> tensor, uint64_t rows, uint64_t cols) {
  std::array<std::vector<double>, 4> counts;
  for (std::vector<double>& of_code : counts) of_code.resize(cols);
  const auto* block = reinterpret_cast<const BlockI2_S*>(tensor.data());
  uint8_t codes[BlockI2_S::kWeights];
  for (uint64_t r = 0; r < rows; ++r) {
    for (uint64_t c = 0; c < cols; c += BlockI2_S::kWeights) {
      (block++)->Unpack(codes);
      for (size_t k = 0; k < BlockI2_S::kWeights; ++k) ++counts[codes[k]][c + k];
    }
  }
  return counts;
}

struct Read {
  const TensorInfo* matrix;
  std::vector<double> gamma;
};

std::vector<Read> MatricesBehindNorms(const GgufFile& file) {
  uint64_t layers = 0;
  while (file.FindTensor(fmt::format("blk.{}.attn_norm.weight", layers)) != nullptr) ++layers;
  std::vector<Read> reads;
  if (layers == 0) return reads;
  for (const uint64_t layer : std::set<uint64_t>{0, layers / 2, layers - 1}) {
    for (const NormedMatrix& n : kNormed) {
      const TensorInfo* matrix = file.FindTensor(fmt::format("blk.{}.{}.weight", layer, n.matrix));
      const TensorInfo* norm = file.FindTensor(fmt::format("blk.{}.{}.weight", layer, n.norm));
      if (matrix == nullptr || norm == nullptr || !norm->is_own() || norm->rows() != 1) continue;
      if (matrix->type != TensorType::kI2_S || !matrix->is_own() || matrix->cols() != norm->cols()) continue;
      std::vector<float> gamma(norm->cols());
      DequantizeTensor(norm->type, file.Data(*norm), 1, norm->cols(), gamma);
      Read read{matrix, {}};
      for (const float g : gamma) read.gamma.push_back(std::fabs(g));
      reads.push_back(std::move(read));
    }
  }
  return reads;
}

}  // namespace

std::optional<I2sEvidence> ExamineI2s(const GgufFile& file) {
  const std::vector<Read> reads = MatricesBehindNorms(file);
  if (reads.empty()) return std::nullopt;
  I2sEvidence e;
  double weights = 0;
  for (const I2sLayout& layout : AllI2sLayouts()) {
    std::array<double, 3> correlation = {};
    for (const Read& read : reads) {
      const uint64_t rows = read.matrix->rows(), cols = read.matrix->cols();
      if (layout.group == 0 && rows % 4 != 0) continue;
      const auto counts = ColumnCounts(RewriteI2s(file.Data(*read.matrix), rows, cols, layout), rows, cols);
      for (size_t zero = 0; zero < 3; ++zero) {
        correlation[zero] -= Correlation(read.gamma, counts[zero]) / static_cast<double>(reads.size());
      }
      weights += static_cast<double>(rows * cols);
      e.share_of_3 += std::accumulate(counts[3].begin(), counts[3].end(), 0.0);
    }
    for (int zero = 0; zero < 3; ++zero) e.fits.push_back({&layout, zero, correlation[static_cast<size_t>(zero)]});
  }
  e.share_of_3 /= weights;
  std::stable_sort(e.fits.begin(), e.fits.end(),
                   [](const auto& a, const auto& b) { return a.correlation > b.correlation; });
  return e;
}

bool I2sEvidence::is_clear() const {
  return fits[0].correlation > 0.25 && fits[0].correlation > fits[1].correlation + 0.1;
}

std::string I2sEvidence::Warning() const {
  std::string warning;
  if (share_of_3 > 0) {
    warning =
        fmt::format("{:.2g} % of the codes are 3, which is no ternary weight: damaged, or no I2_S", 100 * share_of_3);
  }
  const Fit& best = fits.front();
  if (!is_clear() || (best.layout == &AllI2sLayouts().front() && best.zero_code == 1)) return warning;
  const auto own = std::find_if(fits.begin(), fits.end(),
                                [](const Fit& f) { return f.layout == &AllI2sLayouts().front() && f.zero_code == 1; });
  constexpr const char* kMaps[] = {"/0+- or /0-+", "", "/+-0 or /-+0"};
  return fmt::format(
      "{}{}columns go with the norms before them when read as {}, code {} as 0 (correlation {:.2f}), and "
      "not as this engine reads them ({:.2f}): the layout seems to be {}{}",
      warning, warning.empty() ? "" : "; ", best.layout->words, best.zero_code, best.correlation, own->correlation,
      best.layout->name, kMaps[best.zero_code]);
}

}  // namespace bitnet
