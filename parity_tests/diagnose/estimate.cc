#include "parity_tests/diagnose/estimate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "engine/kernels/matmul.h"

namespace parity {
namespace {

using bitnet::Op;
using Row = std::span<const float>;

// A form fits where what it leaves is a thousandth of what was to be explained.
constexpr double kFits = 1e-3;

struct Evidence {
  const TracedOperation& op;
  const Parameters& right;
  Tensor ours;
  std::vector<size_t> rows;  // positions with something wrong

  Row found(size_t i) const { return op.output().row(i); }
  Row expected(size_t i) const { return ours.row(i); }
};

double Dot(Row a, Row b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double DistanceSquared(Row a, Row b, double factor) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = a[i] - factor * static_cast<double>(b[i]);
    sum += d * d;
  }
  return sum;
}

// What is left of the wrong rows' deviation, as a share, where row i is `with(i)` in place of the expected one.
template <typename With>
double Left(const Evidence& e, With with) {
  double left = 0, all = 0;
  for (const size_t i : e.rows) {
    const Row row = with(i);
    if (row.size() != e.found(i).size()) return 1;
    left += DistanceSquared(e.found(i), row, 1);
    all += DistanceSquared(e.found(i), e.expected(i), 1);
  }
  return all > 0 ? std::sqrt(left / all) : 1;
}

std::string NotFinite(const Evidence& e) {
  size_t nan = 0, infinite = 0;
  int first = -1;
  for (const size_t i : e.rows) {
    for (const float v : e.found(i)) {
      nan += std::isnan(v);
      infinite += std::isinf(v);
      if (!std::isfinite(v) && first < 0) first = static_cast<int>(i);
    }
  }
  if (nan + infinite == 0) return "";
  return fmt::format("{} numbers are not finite, of finite inputs, first at position {}: they are born here",
                     nan + infinite, first);
}

std::string Zeros(const Evidence& e) {
  size_t zeros = 0, wrong = 0;
  for (const size_t i : e.rows) {
    const Row a = e.found(i), b = e.expected(i);
    for (size_t j = 0; j < std::min(a.size(), b.size()); ++j) {
      if (std::fabs(a[j] - b[j]) <= kFits * std::fabs(b[j])) continue;
      ++wrong;
      zeros += a[j] == 0;
    }
  }
  return wrong > 0 && zeros == wrong ? fmt::format("{} numbers are 0 that should not be", zeros) : "";
}

std::string Factor(const Evidence& e) {
  double ab = 0, bb = 0, left = 0, all = 0;
  for (const size_t i : e.rows) {
    if (e.found(i).size() != e.expected(i).size()) return "";
    ab += Dot(e.found(i), e.expected(i));
    bb += Dot(e.expected(i), e.expected(i));
  }
  const double factor = bb > 0 ? ab / bb : 0;
  for (const size_t i : e.rows) {
    left += DistanceSquared(e.found(i), e.expected(i), factor);
    all += DistanceSquared(e.found(i), e.expected(i), 1);
  }
  if (all == 0 || std::sqrt(left / all) > kFits) return "";
  return fmt::format("{:.6g} times what follows from the inputs", factor);
}

std::string OtherRow(const Evidence& e) {
  const int n = static_cast<int>(e.ours.n());
  for (const int by : {-1, 1, -2, 2}) {
    const double left = Left(
        e, [&](size_t i) { return e.expected(static_cast<size_t>(std::clamp(static_cast<int>(i) + by, 0, n - 1))); });
    if (left < kFits) return fmt::format("each row holds what belongs to the position {:+}", by);
  }
  for (size_t k = 0; k < e.ours.n(); ++k) {
    const double left = Left(e, [&](size_t) { return e.expected(k); });
    if (left < kFits) return fmt::format("the rows hold what belongs to position {}", k);
  }
  return "";
}

std::string Unchanged(const Evidence& e) {
  if (e.op.a().n() != e.ours.n()) return "";
  const double left = Left(e, [&](size_t i) { return e.op.a().row(i); });
  return left < kFits ? "the input, handed on as it is" : "";
}

// Whose numbers stand in each column: a permutation of what follows from the inputs.
std::string Columns(const Evidence& e) {
  const size_t n = e.expected(e.rows[0]).size();
  if (e.found(e.rows[0]).size() != n) return "";
  const auto key = [&](bool found, size_t j) {
    std::vector<float> of;
    for (const size_t i : e.rows) of.push_back(found ? e.found(i)[j] : e.expected(i)[j]);
    return of;
  };
  std::map<float, std::vector<size_t>> by_value;
  for (size_t j = 0; j < n; ++j) by_value[key(false, j)[0]].push_back(j);
  size_t moved = 0, known = 0;
  std::map<int64_t, size_t> by;
  std::string example;
  for (size_t j = 0; j < n; ++j) {
    const std::vector<float> wanted = key(true, j);
    const float slack = 1e-5f * std::fabs(wanted[0]) + 1e-30f;
    for (auto at = by_value.lower_bound(wanted[0] - slack); at != by_value.end() && at->first <= wanted[0] + slack;
         ++at) {
      const auto same = std::find_if(at->second.begin(), at->second.end(), [&](size_t k) {
        const std::vector<float> has = key(false, k);
        return std::equal(has.begin(), has.end(), wanted.begin(),
                          [](float x, float y) { return std::fabs(x - y) <= 1e-4f * std::fabs(y) + 1e-30f; });
      });
      if (same == at->second.end()) continue;
      ++known;
      moved += *same != j;
      ++by[static_cast<int64_t>(*same) - static_cast<int64_t>(j)];
      if (*same != j && example.empty()) example = fmt::format("element {} holds what belongs to {}", j, *same);
      break;
    }
  }
  if (known * 10 < n * 9 || moved * 4 < n) return "";
  const auto most = std::max_element(by.begin(), by.end(), [](auto& x, auto& y) { return x.second < y.second; });
  if (most->second * 10 > n * 9) return fmt::format("each element holds what belongs to the element {:+}", most->first);
  return fmt::format("the right numbers in another order: {}", example);
}

std::string Residual(const Evidence& e) {
  double aa = 0, bb = 0, ab = 0, ya = 0, yb = 0;
  for (const size_t i : e.rows) {
    const Row y = e.found(i), a = e.op.a().row(i), b = e.op.b().row(i);
    aa += Dot(a, a), bb += Dot(b, b), ab += Dot(a, b), ya += Dot(y, a), yb += Dot(y, b);
  }
  const double det = aa * bb - ab * ab;
  if (det <= 1e-9 * aa * bb) return "";
  const double branch = (ya * bb - yb * ab) / det, stream = (yb * aa - ya * ab) / det;
  double left = 0, all = 0;
  for (const size_t i : e.rows) {
    const Row y = e.found(i), a = e.op.a().row(i), b = e.op.b().row(i);
    for (size_t j = 0; j < y.size(); ++j) {
      const double d = y[j] - branch * a[j] - stream * b[j], was = static_cast<double>(y[j]) - a[j] - b[j];
      left += d * d;
      all += was * was;
    }
  }
  if (std::sqrt(left / all) < kFits) {
    return fmt::format("{:.6g} times the branch plus {:.6g} times the residual, expected 1 and 1", branch, stream);
  }
  return fmt::format(
      "no sum of branch and residual: the best, {:.4g} and {:.4g} times, leaves {:.2g} of the difference", branch,
      stream, std::sqrt(left / all));
}

// y = x * (a factor of the row) * (a factor of the column), with gamma expected in the columns.
std::string Norm(const Evidence& e) {
  const std::vector<float>& gamma = e.right.norm.gamma;
  const size_t cols = gamma.size();
  std::vector<double> column(cols, 0), weight(cols, 0);
  std::vector<double> row(e.rows.size());
  for (size_t k = 0; k < e.rows.size(); ++k) {
    const Row x = e.op.a().row(e.rows[k]), y = e.found(e.rows[k]), right = e.expected(e.rows[k]);
    if (x.size() != cols || y.size() != cols) return "";
    const double rr = Dot(right, right);
    row[k] = rr > 0 ? Dot(y, right) / rr : 0;
    for (size_t j = 0; j < cols; ++j) {
      column[j] += static_cast<double>(y[j]) * right[j] * row[k];
      weight[j] += static_cast<double>(right[j]) * right[j] * row[k] * row[k];
    }
  }
  double left = 0, all = 0, low = INFINITY, high = -INFINITY;
  for (size_t j = 0; j < cols; ++j) {
    column[j] = weight[j] > 0 ? column[j] / weight[j] : 1;
    low = std::min(low, column[j]);
    high = std::max(high, column[j]);
  }
  for (size_t k = 0; k < e.rows.size(); ++k) {
    const Row y = e.found(e.rows[k]), right = e.expected(e.rows[k]);
    for (size_t j = 0; j < cols; ++j) {
      const double d = y[j] - row[k] * column[j] * right[j], was = static_cast<double>(y[j]) - right[j];
      left += d * d;
      all += was * was;
    }
  }
  // One row is always a factor for each column.
  if (e.rows.size() < 3 || std::sqrt(left / all) > 10 * kFits) return "";
  const auto [least, most] = std::minmax_element(row.begin(), row.end());
  std::string words;
  if (high - low > 1e-3) words = fmt::format("gamma has factors of {:.4g} to {:.4g} from column to column", low, high);
  if (std::fabs(*least - 1) > 1e-4 || std::fabs(*most - 1) > 1e-4) {
    words += fmt::format("{}each row has a factor, {:.6g} to {:.6g}, by what it is divided", words.empty() ? "" : "; ",
                         *least, *most);
  }
  return words;
}

std::string Rotation(const Evidence& e) {
  const bitnet::Hyperparameters& h = e.op.model().hyperparameters;
  const size_t half = h.n_rot / 2, i = e.rows.back();
  const Row x = e.op.a().row(i), y = e.found(i), right = e.expected(i);
  const bool neox = e.right.rope.layout == bitnet::RopeLayout::kNeox;
  std::string words;
  for (const size_t pair : {size_t{0}, half / 4, half / 2}) {
    const size_t a = neox ? pair : 2 * pair, b = neox ? pair + half : 2 * pair + 1;
    const auto angle = [&](Row to) {
      return std::atan2(static_cast<double>(x[a]) * to[b] - static_cast<double>(x[b]) * to[a],
                        static_cast<double>(x[a]) * to[a] + static_cast<double>(x[b]) * to[b]);
    };
    const double before = std::hypot(x[a], x[b]), after = std::hypot(y[a], y[b]);
    if (std::fabs(after - before) > 1e-2 * before) {
      return fmt::format("elements {} and {} of head 0 are not turned together: their length is {:.4g}, and was {:.4g}",
                         a, b, after, before);
    }
    words += fmt::format("{}pair {} turns by {:.4f} (expected {:.4f})", words.empty() ? "" : ", ", pair, angle(y),
                         angle(right));
  }
  return fmt::format("at position {}, head 0: {}", i, words);
}

// ln p against the score: its slope is the scale.
std::string Softmax(const Evidence& e) {
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  size_t n = 0, zeros = 0;
  std::string first_zero;
  double least = INFINITY, most = 0;
  const size_t heads = e.op.model().hyperparameters.n_head;
  for (const size_t i : e.rows) {
    const Row s = e.op.a().row(i), p = e.found(i);
    const size_t keys = s.size() / heads;
    if (p.size() != s.size()) return fmt::format("{} keys, expected {}", p.size() / heads, keys);
    for (size_t head = 0; head < heads; ++head) {
      double sum = 0, mean_s = 0, mean_p = 0;
      size_t used = 0;
      for (size_t k = head * keys; k < (head + 1) * keys; ++k) {
        sum += p[k];
        if (p[k] == 0 && zeros++ == 0) {
          first_zero = fmt::format("that of key {} at position {}, head {}", k - head * keys, i, head);
        }
        if (p[k] > 1e-20f && std::isfinite(s[k])) mean_s += s[k], mean_p += std::log(p[k]), ++used;
      }
      least = std::min(least, sum);
      most = std::max(most, sum);
      if (used < 2) continue;
      mean_s /= static_cast<double>(used), mean_p /= static_cast<double>(used);
      for (size_t k = head * keys; k < (head + 1) * keys; ++k) {
        if (p[k] <= 1e-20f || !std::isfinite(s[k])) continue;
        const double x = s[k] - mean_s, y = std::log(p[k]) - mean_p;
        sx += x, sy += y, sxx += x * x, sxy += x * y, ++n;
      }
    }
  }
  std::vector<std::string> off;
  if (n > 0 && sxx > 0 && std::fabs(sxy / sxx - e.right.attention.scale) > kFits * e.right.attention.scale) {
    off.push_back(
        fmt::format("the scale of the scores is about {:.6g}, expected {:.6g}", sxy / sxx, e.right.attention.scale));
  }
  if (zeros > 0) off.push_back(fmt::format("{} probabilities are 0, first {}", zeros, first_zero));
  if (least < 1 - kFits || most > 1 + kFits) {
    off.push_back(fmt::format("a row adds up to {:.6g} to {:.6g}", least, most));
  }
  return fmt::format("{}", fmt::join(off, "; "));
}

// The curve from gate to output over up, at a few places.
std::string Curve(const Evidence& e) {
  std::map<double, std::pair<double, double>> curve;  // by gate: found, expected
  for (const double at : {-2.0, -1.0, -0.5, 0.5, 1.0, 2.0}) {
    double nearest = INFINITY;
    std::pair<double, std::pair<double, double>> point;
    for (const size_t i : e.rows) {
      const Row gate = e.op.a().row(i), up = e.op.b().row(i), y = e.found(i), right = e.expected(i);
      for (size_t j = 0; j < gate.size(); ++j) {
        if (std::fabs(up[j]) < 1e-6f || std::fabs(gate[j] - at) >= nearest) continue;
        nearest = std::fabs(gate[j] - at);
        point = {gate[j], {y[j] / static_cast<double>(up[j]), right[j] / static_cast<double>(up[j])}};
      }
    }
    if (nearest < 0.25) curve.insert(point);
  }
  if (curve.empty()) return "";
  std::string words;
  for (const auto& [gate, y] : curve) {
    words += fmt::format("{}{:.3g} gives {:.4g} ({:.4g})", words.empty() ? "" : ", ", gate, y.first, y.second);
  }
  return "of gate, output over up, expected in brackets: " + words;
}

std::string OtherToken(const Evidence& e) {
  const bitnet::WeightMatrix& w = e.right.product.w;
  const size_t i = e.rows[0];
  const Row y = e.found(i);
  if (y.size() != w.cols || w.rows > 40000) return "";
  Values row(w.cols);
  for (size_t id = 0; id < w.rows; ++id) {
    bitnet::WeightRow(w, id, row.data());
    if (DistanceSquared(y, row, 1) <= 1e-6 * Dot(row, row)) {
      return fmt::format("position {} holds the embedding of token {}", i, id);
    }
  }
  return "";
}

std::string OfOperation(const Evidence& e) {
  switch (bitnet::InfoOf(e.op.point()).op) {
    case Op::kLookup:
      return OtherToken(e);
    case Op::kNorm:
      return Norm(e);
    case Op::kRope:
      return Rotation(e);
    case Op::kSoftmax:
      return Softmax(e);
    case Op::kGate:
      return Curve(e);
    case Op::kAdd:
      return Residual(e);
    case Op::kProduct:
    case Op::kScores:
    case Op::kValues:
      return "";
  }
  return "";
}

}  // namespace

std::string Estimate(const TracedOperation& op, const Parameters& right, const Fit& null) {
  Evidence e{.op = op, .right = right, .ours = op.Compute(right), .rows = {}};
  std::set<size_t> rows;
  for (const Cell& c : null.cells) {
    if (c.wrong()) rows.insert(static_cast<size_t>(c.position));
  }
  for (const size_t i : rows) {
    if (e.found(i).size() == e.expected(i).size()) e.rows.push_back(i);
  }
  if (e.rows.empty()) {
    const size_t i = *rows.begin();
    return fmt::format("{} numbers at position {}, expected {}", e.found(i).size(), i, e.expected(i).size());
  }
  if (std::string words = NotFinite(e); !words.empty()) return words;
  const bool of_one_width = bitnet::InfoOf(op.point()).width != bitnet::Width::kKeys;
  for (const auto form : {Zeros, Factor}) {
    if (std::string words = form(e); !words.empty()) return words;
  }
  for (const auto form : {OtherRow, Unchanged, Columns}) {
    if (!of_one_width) break;
    if (std::string words = form(e); !words.empty()) return words;
  }
  return OfOperation(e);
}

}  // namespace parity
