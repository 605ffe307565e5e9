#include "bench/baseline.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace parity {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class BaselineTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& text) {
    path_ = (std::filesystem::temp_directory_path() /
             fmt::format("baseline_test.{}.json", ::testing::UnitTest::GetInstance()->current_test_info()->name()))
                .string();
    std::ofstream(path_) << text;
    return path_;
  }
  std::string ErrorOf(const std::string& text) {
    try {
      ReadBenchmarkTimes(Write(text));
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "no error";
  }
  ~BaselineTest() override {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

 private:
  std::string path_ = "none";
};

TEST_F(BaselineTest, TakesTheFastestRepetitionInNanosecondsAndNoAggregates) {
  const auto times = ReadBenchmarkTimes(Write(R"({"benchmarks": [
    {"name": "a", "run_name": "a", "run_type": "iteration", "real_time": 3.0, "time_unit": "us"},
    {"name": "a", "run_name": "a", "run_type": "iteration", "real_time": 2.0, "time_unit": "us"},
    {"name": "a", "run_name": "a", "run_type": "iteration", "real_time": 2.5, "time_unit": "us"},
    {"name": "a_stddev", "run_name": "a", "run_type": "aggregate", "real_time": 0.5, "time_unit": "us"},
    {"name": "b", "run_name": "b", "run_type": "iteration", "real_time": 4.0, "time_unit": "ms"}]})"));
  EXPECT_THAT(times, ElementsAre(Pair("a", 2000.0), Pair("b", 4e6)));
}

TEST_F(BaselineTest, RefusesWhatIsNoRun) {
  EXPECT_THAT(ErrorOf("{\"benchmarks\": ["), HasSubstr("baseline_test"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("benchmarks"));
  EXPECT_THAT(ErrorOf(R"({"benchmarks": []})"), HasSubstr("found none"));
  EXPECT_THAT(ErrorOf(R"({"benchmarks": [{"name": "a", "real_time": 1, "time_unit": "h"}]})"), HasSubstr("found 'h'"));
  EXPECT_THAT(ErrorOf(R"({"benchmarks": [{"name": "a", "real_time": 0, "time_unit": "ns"}]})"),
              HasSubstr("expected a positive number"));
  EXPECT_THAT(
      ErrorOf(R"({"benchmarks": [{"name": "a", "run_name": "a", "error_occurred": true, "error_message": "why"}]})"),
      HasSubstr("a failed: why"));
  EXPECT_THROW(ReadBenchmarkTimes("no such file"), std::runtime_error);
}

TEST(CompareWithBaseline, DividesCurrentByBaselineAndNamesWhatIsMissing) {
  const BaselineComparison c =
      CompareWithBaseline({{"a", 100}, {"b", 10}, {"gone", 1}}, {{"a", 150}, {"b", 5}, {"new", 1}});
  ASSERT_EQ(c.ratios.size(), 2u);
  EXPECT_EQ(c.ratios[0].name, "a");
  EXPECT_DOUBLE_EQ(c.ratios[0].ratio, 1.5);
  EXPECT_DOUBLE_EQ(c.ratios[1].ratio, 0.5);
  EXPECT_THAT(c.only_in_baseline, ElementsAre("gone"));
  EXPECT_THAT(c.only_in_current, ElementsAre("new"));
}

}  // namespace
}  // namespace parity
