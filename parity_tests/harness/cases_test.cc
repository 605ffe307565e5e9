#include "parity_tests/harness/cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

namespace parity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string ErrorOfShard(const std::string& text) {
  try {
    ParseShard(text);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Cases, AShardIsAFraction) {
  EXPECT_EQ(ParseShard("2/3").index, 2u);
  EXPECT_EQ(ParseShard("2/3").count, 3u);
  for (const char* bad : {"", "2", "0/3", "4/3", "1/0", "a/3", "2/3x", "-1/3", "2/", "/3", "1.5/3"}) {
    EXPECT_THAT(ErrorOfShard(bad), testing::HasSubstr("expected i/n with i from 1 to n")) << bad;
  }
}

TEST(Cases, EveryCaseIsInOneShard) {
  const std::vector<std::string> groups = {"a", "b", "a", "c", "b", "d", "a", "e"};
  const std::vector<uint64_t> weights = {5, 1, 7, 2, 9, 4, 1, 0};
  for (size_t n = 1; n <= 12; ++n) {
    std::set<size_t> seen;
    for (size_t i = 1; i <= n; ++i) {
      for (const size_t c : ShareOf(groups, weights, {i, n})) EXPECT_TRUE(seen.insert(c).second) << i << "/" << n;
    }
    EXPECT_EQ(seen.size(), groups.size()) << n;
  }
}

TEST(Cases, AModelStaysTogetherUnlessItIsMoreThanAShare) {
  // Four models of equal weight on two shards: two each.
  EXPECT_THAT(ShareOf({"a", "a", "b", "b", "c", "c", "d", "d"}, {1, 1, 1, 1, 1, 1, 1, 1}, {1, 2}),
              ElementsAre(0, 1, 4, 5));
  // One model alone is cut, in its order.
  EXPECT_THAT(ShareOf({"a", "a", "a", "a", "a", "a"}, {1, 1, 1, 1, 1, 1}, {2, 3}), ElementsAre(2, 3));
  // By weight, not by number.
  EXPECT_THAT(ShareOf({"big", "s", "t", "u"}, {30, 10, 10, 10}, {1, 2}), ElementsAre(0));
  EXPECT_THAT(ShareOf({"a"}, {1}, {2, 2}), IsEmpty());
}

TEST(Cases, TheContentIsOfFilesAndNotOfPaths) {
  const auto content = [](const std::string& model, uint64_t seed) {
    RunCase c;
    c.request.model = model;
    c.request.seed = seed;
    AddContent(c, [](const std::string& path) { return path.substr(path.rfind('/') + 1); });
    return c.planned.content;
  };
  EXPECT_EQ(content("/a/m", 1), content("/b/m", 1));
  EXPECT_NE(content("/a/m", 1), content("/a/n", 1));
  EXPECT_NE(content("/a/m", 1), content("/a/m", 2));
}

// The suites' own way: PARITY_SHARD.
TEST(Cases, AMatrixIsCutByModels) {
  const ParityMatrix whole =
      LoadMatrix(PARITY_SOURCE_DIR "/fixtures/parity_matrix.json", PARITY_SOURCE_DIR "/fixtures/prompts.json",
                 PARITY_BINARY_DIR "/fixtures/models");
  std::map<size_t, std::set<size_t>> shards_of;  // a model's
  size_t cases = 0;
  for (size_t i = 1; i <= 3; ++i) {
    ParityMatrix part = whole;
    KeepShard(part, {i, 3});
    cases += part.cases.size();
    EXPECT_GT(part.cases.size(), whole.cases.size() / 10);
    for (const Case& c : part.cases) shards_of[c.model].insert(i);
  }
  EXPECT_EQ(cases, whole.cases.size());
  size_t cut = 0;
  for (const auto& [model, shards] : shards_of) cut += shards.size() > 1 ? 1 : 0;
  EXPECT_LE(cut, 1u) << "only the F32 model is more than a third of all";
}

}  // namespace
}  // namespace parity
