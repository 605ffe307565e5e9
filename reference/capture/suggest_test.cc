#include "reference/capture/suggest.h"

#include <gtest/gtest.h>

namespace parity {
namespace {

TEST(Suggest, EditDistance) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("ladder", "ladder"), 0u);
  EXPECT_EQ(EditDistance("laddr", "ladder"), 1u);
  EXPECT_EQ(EditDistance("alder", "ladder"), 2u);
  EXPECT_EQ(EditDistance("--modle", "--model"), 1u);  // two neighbours changed places
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(Suggest, TheNearestWordOrNone) {
  const std::vector<std::string> known = {"strict", "cosine", "exact", "first-logit"};
  EXPECT_EQ(Nearest("srict", known), "strict");
  EXPECT_EQ(Nearest("EXACT", known), "exact");
  EXPECT_EQ(Nearest("first_logit", known), "first-logit");
  EXPECT_EQ(Nearest("first", known), "first-logit");  // its beginning
  EXPECT_EQ(Nearest("lax", known), "");
  EXPECT_EQ(Nearest("", known), "");
  EXPECT_EQ(Nearest(std::string(100000, 'x'), known), "");
  EXPECT_EQ(DidYouMean("cosin", known), "; did you mean 'cosine'?");
  EXPECT_EQ(DidYouMean("zzz", known), "");
}

}  // namespace
}  // namespace parity
