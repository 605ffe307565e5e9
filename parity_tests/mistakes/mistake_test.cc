#include "parity_tests/mistakes/mistake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "parity_tests/mistakes/pages.h"

namespace parity {
namespace {

TEST(Mistakes, EachIdOnceAndWithWordsAndARemedy) {
  std::set<std::string_view> ids;
  for (const Mistake& mistake : AllMistakes()) {
    EXPECT_TRUE(ids.insert(mistake.id).second) << mistake.id;
    EXPECT_FALSE(mistake.what.empty() || mistake.remedy.empty()) << mistake.id;
    EXPECT_EQ(&FindMistake(mistake.id), &mistake);
  }
  EXPECT_THROW(FindMistake("no_such_mistake"), std::logic_error);
}

TEST(Mistakes, WhatChangesAnOperationSaysWhich) {
  for (const Mistake& mistake : AllMistakes()) {
    EXPECT_EQ(mistake.changes != nullptr, !mistake.points.empty()) << mistake.id;
    EXPECT_TRUE(mistake.place == Point::kUnknown || mistake.points.Has(mistake.place)) << mistake.id;
    for (const bitnet::PointInfo& info : bitnet::kGraph) {
      EXPECT_TRUE(!mistake.made_in.Has(info.point) || mistake.points.Has(info.point)) << mistake.id;
    }
  }
}

TEST(Mistakes, FirstPointOfASet) {
  EXPECT_EQ(PointSet({Point::kFfnUp, Point::kQRope}).first(), Point::kQRope);
  EXPECT_EQ(PointSet().first(), Point::kUnknown);
  EXPECT_FALSE(PointSet({Point::kQRope}).Has(Point::kUnknown));
}

std::string Page(const char* name) {
  std::ifstream file(std::string(PARITY_SOURCE_DIR "/docs/") + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// `fault_table --write-pages` writes it anew.
TEST(Pages, ThePlaybookHasTheTable) {
  const std::string page = Page("playbook.md");
  EXPECT_TRUE(page == WithSection(page, "mistakes", PlaybookTable()))
      << "docs/playbook.md is not what the table of mistakes says; run fault_table --write-pages";
}

TEST(Pages, ASectionIsReplacedAndNothingElse) {
  EXPECT_EQ(WithSection("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n", "x", "new\n"),
            "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n");
  EXPECT_THROW(WithSection("a\n", "x", "new\n"), std::runtime_error);
}

}  // namespace
}  // namespace parity
