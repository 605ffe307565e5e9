#include "parity_tests/judge/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

namespace parity {
namespace {

using Row = std::vector<float>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(CompareRows, EqualRowsAreAtTheBestOfEveryMetric) {
  const Row row = {3.0f, -1.0f, 0.5f, 2.0f, 8.0f, -7.0f};
  const RowMetrics m = CompareRows(row, row);
  EXPECT_EQ(m.mse, 0);
  EXPECT_EQ(m.max_abs, 0);
  EXPECT_EQ(m.l2, 0);
  EXPECT_EQ(m.kl, 0);
  EXPECT_EQ(m.cosine, 1);
  EXPECT_EQ(m.top5_overlap, 1);
  EXPECT_EQ(m.bit_identical, 1);
  EXPECT_EQ(m.max_ulp, 0);
  EXPECT_EQ(m.non_finite, 0);
}

TEST(CompareRows, HandComputedDistances) {
  // Differences 0, 3, 0, -4: squares 9 + 16 = 25.
  const RowMetrics m = CompareRows(Row{1, 5, 2, 0}, Row{1, 2, 2, 4});
  EXPECT_DOUBLE_EQ(m.mse, 6.25);
  EXPECT_DOUBLE_EQ(m.max_abs, 4);
  EXPECT_DOUBLE_EQ(m.l2, 5);
  EXPECT_EQ(m.worst_column, 3);
  EXPECT_DOUBLE_EQ(m.bit_identical, 0.5);
  // dot = 1 + 10 + 4 + 0 = 15; |a|^2 = 30, |b|^2 = 25.
  EXPECT_DOUBLE_EQ(m.cosine, 15 / std::sqrt(30.0 * 25.0));
}

TEST(CompareRows, CosineOfKnownAngles) {
  EXPECT_DOUBLE_EQ(CompareRows(Row{1, 0}, Row{0, 1}).cosine, 0);
  EXPECT_DOUBLE_EQ(CompareRows(Row{2, -1}, Row{-2, 1}).cosine, -1);
  EXPECT_DOUBLE_EQ(CompareRows(Row{1, 1}, Row{1, 0}).cosine, std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(CompareRows(Row{3, 4, 5}, Row{6, 8, 10}).cosine, 1);
  EXPECT_DOUBLE_EQ(CompareRows(Row{0, 0}, Row{0, 1}).cosine, 0);
  EXPECT_DOUBLE_EQ(CompareRows(Row{0, 0}, Row{0, 0}).cosine, 1);
}

TEST(CompareRows, KlOfTwoOutcomes) {
  // p = (1/4, 3/4), q = (1/2, 1/2): KL = ln 2 - H(p).
  const float log3 = std::log(3.0f);
  const double p = 1 / (1 + std::exp(static_cast<double>(log3)));
  const double expected = p * std::log(2 * p) + (1 - p) * std::log(2 * (1 - p));
  EXPECT_NEAR(CompareRows(Row{0, 0}, Row{0, log3}).kl, expected, 1e-15);
  // And the other direction is another number: -ln 2 - (ln p + ln(1-p)) / 2.
  EXPECT_NEAR(CompareRows(Row{0, log3}, Row{0, 0}).kl, -std::log(2.0) - 0.5 * (std::log(p) + std::log(1 - p)), 1e-15);
}

TEST(CompareRows, KlOfOneShiftedLogitAmongEquals) {
  // The reference is uniform over n; one of the candidate's logits is higher by t: KL = ln((n - 1 + e^t) / n) - t / n.
  for (const int n : {2, 100, 128256}) {
    for (const float t : {1e-3f, 1.0f, 30.0f}) {
      Row candidate(static_cast<size_t>(n), 5.0f), reference(static_cast<size_t>(n), 5.0f);
      candidate[1] += t;
      const double shift = static_cast<double>(candidate[1]) - 5.0;
      const double expected = std::log((n - 1 + std::exp(shift)) / n) - shift / n;
      EXPECT_NEAR(CompareRows(candidate, reference).kl, expected, 1e-11 + 1e-9 * expected) << n << " " << t;
    }
  }
}

TEST(CompareRows, KlIgnoresAShiftOfAllLogits) {
  const Row reference = {1, 2, 3, 4};
  const Row shifted = {65, 66, 67, 68};  // exact in float32
  const RowMetrics m = CompareRows(shifted, reference);
  EXPECT_NEAR(m.kl, 0, 1e-14);
  EXPECT_DOUBLE_EQ(m.mse, 64.0 * 64.0);
}

TEST(CompareRows, KlDoesNotOverflow) {
  const double kl = CompareRows(Row{3e38f, -3e38f}, Row{3e38f, 3e38f}).kl;
  EXPECT_TRUE(std::isfinite(kl));
  EXPECT_GT(kl, 1e38);
  EXPECT_NEAR(CompareRows(Row{1000, 0}, Row{999, 0}).kl, 0, 1e-300);
}

TEST(CompareRows, SumsAreTakenInDouble) {
  // A difference of 2^-12 in each of 2^20 values: in float32 the sum of squares would stop growing at 2^0.
  const size_t n = size_t{1} << 20;
  const Row a(n, 1.0f + 0x1p-12f), b(n, 1.0f);
  const RowMetrics m = CompareRows(a, b);
  EXPECT_EQ(m.mse, 0x1p-24);
  EXPECT_EQ(m.max_abs, 0x1p-12);
  EXPECT_EQ(m.l2, 0x1p-2);
}

TEST(CompareRows, Top1AndTop10Overlap) {
  Row reference(20), swapped(20);
  for (size_t i = 0; i < 20; ++i) reference[i] = swapped[i] = static_cast<float>(20 - i);
  std::swap(swapped[0], swapped[1]);   // another largest
  std::swap(swapped[9], swapped[10]);  // another tenth
  const RowMetrics m = CompareRows(swapped, reference);
  EXPECT_DOUBLE_EQ(m.top1_overlap, 0);
  EXPECT_DOUBLE_EQ(m.top5_overlap, 1);
  EXPECT_DOUBLE_EQ(m.top10_overlap, 0.9);
  EXPECT_DOUBLE_EQ(m.mean_abs, 4.0 / 20);
  EXPECT_DOUBLE_EQ(CompareRows(reference, reference).top1_overlap, 1);
}

TEST(CompareRows, Top5Overlap) {
  const Row reference = {10, 9, 8, 7, 6, 5, 4};
  EXPECT_DOUBLE_EQ(CompareRows(Row{6, 7, 8, 9, 10, 5, 4}, reference).top5_overlap, 1.0);     // order does not count
  EXPECT_DOUBLE_EQ(CompareRows(Row{10, 9, 8, 7, 6, 6.5f, 4}, reference).top5_overlap, 0.8);  // one came in
  EXPECT_DOUBLE_EQ(CompareRows(Row{0, 1, 2, 3, 4, 5, 6}, reference).top5_overlap, 0.6);
  EXPECT_DOUBLE_EQ(CompareRows(Row{1, 2}, Row{2, 1}).top5_overlap, 1.0);  // fewer than five columns
  const Row low = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, high = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
  EXPECT_DOUBLE_EQ(CompareRows(low, high).top5_overlap, 0.0);
}

TEST(CompareRows, UlpDistanceCountsRepresentableValues) {
  EXPECT_EQ(CompareRows(Row{1.0f}, Row{std::nextafter(1.0f, 2.0f)}).max_ulp, 1);
  EXPECT_EQ(CompareRows(Row{1.0f}, Row{2.0f}).max_ulp, 8388608);
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(CompareRows(Row{-tiny}, Row{tiny}).max_ulp, 2);
  const float max = std::numeric_limits<float>::max();
  EXPECT_EQ(CompareRows(Row{-max}, Row{max}).max_ulp, 2.0 * 0x7F7FFFFF);
}

TEST(CompareRows, NamesTheFurthestOfTheValuesThatDiffer) {
  const float up = std::nextafter(1.0f, 2.0f), up2 = std::nextafter(up, 2.0f);
  RowMetrics m = CompareRows(Row{5, up, up2, up2, 7}, Row{5, 1, 1, 1, 7});
  EXPECT_EQ(m.differing, 3);
  EXPECT_EQ(m.max_ulp, 2);
  EXPECT_EQ(m.furthest.column, 2);  // the first of equals
  EXPECT_EQ(m.furthest.candidate, up2);
  EXPECT_EQ(m.furthest.reference, 1);
  // The largest distance in ULP and the largest difference are two things.
  m = CompareRows(Row{1000.5f, 1e-20f}, Row{1000, 1e-21f});
  EXPECT_EQ(m.worst_column, 0);
  EXPECT_EQ(m.furthest.column, 1);
  EXPECT_EQ(CompareRows(Row{1, 2}, Row{1, 2}).furthest.column, -1);
  // Zeros of both signs are no distance apart, and yet are other bits.
  m = CompareRows(Row{1, -0.0f}, Row{1, 0.0f});
  EXPECT_EQ(m.differing, 1);
  EXPECT_EQ(m.furthest.column, 1);
  // A NaN is further than anything, before or behind it.
  m = CompareRows(Row{3, kNan, 3, kInf}, Row{1, 1, 1, 1});
  EXPECT_EQ(m.furthest.column, 1);
  EXPECT_EQ(m.max_ulp, std::numeric_limits<double>::infinity());
  EXPECT_EQ(m.differing, 4);
}

TEST(CompareRows, ZerosOfBothSignsAreEqualButNotIdentical) {
  const RowMetrics m = CompareRows(Row{0.0f, 1.0f}, Row{-0.0f, 1.0f});
  EXPECT_EQ(m.mse, 0);
  EXPECT_EQ(m.max_ulp, 0);
  EXPECT_EQ(m.bit_identical, 0.5);
}

class NonFinite : public testing::TestWithParam<float> {};

TEST_P(NonFinite, IsDivergenceOnEitherSideAndOnBoth) {
  const Row sound = {1, 2, 3};
  Row broken = sound;
  broken[1] = GetParam();
  const std::pair<Row, Row> pairs[] = {{broken, sound}, {sound, broken}, {broken, broken}};
  for (const auto& [candidate, reference] : pairs) {
    const RowMetrics m = CompareRows(candidate, reference);
    EXPECT_EQ(m.non_finite, 1);
    EXPECT_EQ(m.worst_column, 1);
    EXPECT_EQ(m.bit_identical, 0);
    EXPECT_EQ(m.cosine, -1);
    for (const Metric metric : kMetrics) {
      const double loosest_limit = HigherIsBetter(metric) ? 1e-9 : 1e300;
      EXPECT_FALSE(Meets(metric, MetricValue(m, metric), loosest_limit)) << MetricName(metric);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Values, NonFinite, testing::Values(kNan, -kNan, kInf, -kInf));

TEST(CompareRows, RefusesRowsThatCannotBeCompared) {
  EXPECT_THROW(CompareRows(Row{1, 2}, Row{1}), std::runtime_error);
  EXPECT_THROW(CompareRows(Row{}, Row{}), std::runtime_error);
}

TEST(TopK, OrdersByValueThenByColumn) {
  EXPECT_THAT(TopK(Row{1, 5, 3, 5, 2}, 3), testing::ElementsAre(1, 3, 2));
  EXPECT_THAT(TopK(Row{1, 2}, 5), testing::ElementsAre(1, 0));
  EXPECT_THAT(TopK(Row{7, kNan, 9, kNan, kInf}, 4), testing::ElementsAre(1, 3, 4, 2));
  EXPECT_THAT(TopK(Row{1, 2}, 0), testing::IsEmpty());
}

TEST(TopK, EqualsASortOfRandomRows) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> value(0, 40);  // many ties
  for (int round = 0; round < 50; ++round) {
    Row row(97);
    for (float& x : row) x = static_cast<float>(value(random));
    std::vector<int32_t> all(row.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
    std::stable_sort(all.begin(), all.end(), [&row](int32_t a, int32_t b) {
      return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
    });
    all.resize(kTopK);
    EXPECT_EQ(TopK(row, kTopK), all);
  }
}

TEST(Argmax, IsTheFirstOfEquals) {
  EXPECT_EQ(Argmax(Row{1, 4, 4, 2}), 1);
  EXPECT_EQ(Argmax(Row{-kInf, -3}), 1);
  EXPECT_EQ(Argmax(Row{1, kNan}), -1);
  EXPECT_EQ(Argmax(Row{}), -1);
}

TEST(Metrics, NamesGoBothWays) {
  for (const Metric metric : kMetrics) EXPECT_EQ(MetricFromName(MetricName(metric)), metric);
  EXPECT_THROW(MetricFromName("rmse"), std::runtime_error);
}

TEST(Metrics, NanNeverMeetsALimit) {
  for (const Metric metric : kMetrics) EXPECT_FALSE(Meets(metric, kNan, HigherIsBetter(metric) ? -2 : 1e300));
}

TEST(WorstRows, KeepsTheWorstOfEachMetricAndItsPosition) {
  WorstRows worst;
  EXPECT_EQ(worst.position(Metric::kMse), -1);
  EXPECT_EQ(worst.identical_share(), 1);
  worst.Add(CompareRows(Row{1, 2, 3, 4}, Row{1, 2, 3, 4}), 0, 4);
  worst.Add(CompareRows(Row{1, 2, 3, 5}, Row{1, 2, 3, 4}), 1, 4);              // the largest difference
  worst.Add(CompareRows(Row{1.5f, 2.5f, 3.5f, 4.5f}, Row{1, 2, 3, 4}), 2, 4);  // nothing identical
  EXPECT_EQ(worst.rows(), 3);
  EXPECT_EQ(worst.value(Metric::kMaxAbs), 1);
  EXPECT_EQ(worst.position(Metric::kMaxAbs), 1);
  EXPECT_EQ(worst.value(Metric::kBitIdentical), 0);
  EXPECT_EQ(worst.position(Metric::kBitIdentical), 2);
  EXPECT_DOUBLE_EQ(worst.identical_share(), 7.0 / 12.0);
  EXPECT_EQ(worst.differing(), 5);
  EXPECT_EQ(worst.values(), 12);
  EXPECT_EQ(worst.furthest_position(), 2);
  EXPECT_EQ(worst.furthest().column, 0);  // 1.5 and 1: half a binade of 2^23
  EXPECT_EQ(worst.value(Metric::kMaxUlp), 1 << 22);

  WorstRows total;
  total.Add(WorstRows());
  EXPECT_EQ(total.position(Metric::kMse), -1);
  total.Add(worst);
  total.Add(worst);
  EXPECT_EQ(total.rows(), 6);
  EXPECT_EQ(total.value(Metric::kMaxAbs), 1);
  EXPECT_DOUBLE_EQ(total.identical_share(), 7.0 / 12.0);
  EXPECT_EQ(total.differing(), 10);
  EXPECT_EQ(total.furthest_position(), 2);
  EXPECT_EQ(total.furthest().candidate, 1.5f);
}

TEST(WorstRows, DescribesWhatDiffers) {
  WorstRows worst;
  EXPECT_EQ(DescribeDifference(worst, "position"), "");
  const Row reference(10240, 1.0f);
  worst.Add(CompareRows(reference, reference), 3, 10240);
  EXPECT_EQ(DescribeDifference(worst, "position"), "");
  EXPECT_EQ(DescribeFurthest(worst, "position"), "");
  Row candidate = reference;
  candidate[812] = 1.0f + 17 * 0x1p-23f;
  candidate[9] = candidate[10] = 1.0f + 0x1p-23f;
  worst.Add(CompareRows(candidate, reference), 4, 10240);
  EXPECT_EQ(DescribeDifference(worst, "position"),
            "3 of 20,480 logits differ; largest distance 17 ULP at position 4, token 812 (1.00000203 and 1)");
  // A later row that differs by less changes nothing; the first of equals stays.
  candidate[812] = 1.0f;
  worst.Add(CompareRows(candidate, reference), 5, 10240);
  EXPECT_EQ(DescribeFurthest(worst, "position"), "17 ULP at position 4, token 812 (1.00000203 and 1)");
  WorstRows large;
  for (int i = 0; i < 100; ++i) large.Add(CompareRows(Row(10240, 2.0f), reference), i, 10240);
  EXPECT_EQ(
      DescribeDifference(large, "generated token"),
      "1,024,000 of 1,024,000 logits differ; largest distance 8388608 ULP at generated token 0, token 0 (2 and 1)");
}

}  // namespace
}  // namespace parity
