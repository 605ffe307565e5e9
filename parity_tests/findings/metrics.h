// The metrics of logits, and the worst values of many rows. parity_tests/judge/metrics.h computes them.
#ifndef BITNET_PARITY_PARITY_TESTS_FINDINGS_METRICS_H_
#define BITNET_PARITY_PARITY_TESTS_FINDINGS_METRICS_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace parity {

// A value on both sides.
struct ValuePair {
  int64_t column = -1;  // -1: there is none
  float candidate = 0;
  float reference = 0;
};

struct RowMetrics {
  double mse = 0;            // mean of (candidate - reference)^2, logits squared
  double max_abs = 0;        // largest |candidate - reference|, logits
  double mean_abs = 0;       // mean of |candidate - reference|, logits
  double l2 = 0;             // sqrt of the sum of (candidate - reference)^2, logits
  double kl = 0;             // KL(softmax(reference) || softmax(candidate)), nats
  double cosine = 1;         // of the angle between the rows; 1 for two zero rows, 0 if only one is zero
  double top1_overlap = 1;   // 1 where both rows have the same largest logit, else 0
  double top5_overlap = 1;   // share of the reference's five largest logits that are among the candidate's five
  double top10_overlap = 1;  // of ten
  double bit_identical = 1;  // share of values whose 32 bits are equal
  double max_ulp = 0;        // largest distance in representable float32 values; +0 and -0 are at distance 0
  int64_t differing = 0;     // values whose 32 bits are not equal
  ValuePair furthest;        // of those, the first that is max_ulp apart; or the first non-finite one
  int64_t worst_column = 0;  // where max_abs is; or the first non-finite column
  int64_t non_finite = 0;    // columns with a NaN or an infinity on either side
};

// The metrics by name, in the order in which reports list them.
enum class Metric {
  kMse,
  kMaxAbs,
  kMeanAbs,
  kL2,
  kKl,
  kCosine,
  kTop1Overlap,
  kTop5Overlap,
  kTop10Overlap,
  kBitIdentical,
  kMaxUlp
};
inline constexpr std::array<Metric, 11> kMetrics = {Metric::kMse,          Metric::kMaxAbs,      Metric::kMeanAbs,
                                                    Metric::kL2,           Metric::kKl,          Metric::kCosine,
                                                    Metric::kTop1Overlap,  Metric::kTop5Overlap, Metric::kTop10Overlap,
                                                    Metric::kBitIdentical, Metric::kMaxUlp};

std::string_view MetricName(Metric metric);    // "mse", "max_abs", ...
Metric MetricFromName(std::string_view name);  // throws on an unknown name and lists the known ones
double MetricValue(const RowMetrics& row, Metric metric);
bool IsShare(Metric metric);                            // from 0 to 1: overlaps, bit_identical
bool HigherIsBetter(Metric metric);                     // the cosine and shares
bool Meets(Metric metric, double value, double limit);  // value <= limit, or >= if higher is better; NaN never meets

// The worst of many rows, metric by metric, and where it was.
class WorstRows {
 public:
  // All that it knows, for files.
  struct Parts {
    int64_t rows = 0;
    int64_t values = 0;
    int64_t differing = 0;
    int64_t non_finite = 0;
    ValuePair furthest = {};
    double furthest_ulp = 0;
    int64_t furthest_position = -1;
    std::array<double, kMetrics.size()> worst = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0};
    std::array<int64_t, kMetrics.size()> position = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  };

  WorstRows() = default;
  explicit WorstRows(const Parts& parts) : parts_(parts) {}

  // `columns`: length of the row that `row` describes.
  void Add(const RowMetrics& row, int64_t position, int64_t columns);
  void Add(const WorstRows& other);

  int64_t rows() const { return parts_.rows; }
  double value(Metric metric) const { return parts_.worst[static_cast<size_t>(metric)]; }
  // -1 before the first row.
  int64_t position(Metric metric) const { return parts_.position[static_cast<size_t>(metric)]; }
  int64_t non_finite() const { return parts_.non_finite; }
  int64_t values() const { return parts_.values; }
  int64_t differing() const { return parts_.differing; }
  // The values that value(kMaxUlp) is about, and the position of their row; column and position -1 if no bit
  // differs.
  const ValuePair& furthest() const { return parts_.furthest; }
  int64_t furthest_position() const { return parts_.furthest_position; }
  // Share of all values that are bit-identical, over all rows; 1 before the first row.
  double identical_share() const;
  const Parts& parts() const { return parts_; }

 private:
  void AddFurthest(const ValuePair& pair, double ulp, int64_t position);

  Parts parts_;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_FINDINGS_METRICS_H_
