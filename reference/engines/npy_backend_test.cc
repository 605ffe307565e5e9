// Logits that somebody saved.
#include "reference/engines/npy_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference/capture/error_for_test.h"
#include "reference/capture/npy.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NpyBackendTest : public testing::Test {
 protected:
  Capture Read(std::vector<int64_t> shape, const std::string& at = "") {
    size_t n = 1;
    for (const int64_t d : shape) n *= static_cast<size_t>(d);
    WriteNpy(file_, shape, std::vector<float>(n, 1.5f));
    return MakeNpyBackend(file_, at)->Run(Request());
  }

  TemporaryDirectory root_;
  std::string file_ = root_.path() + "/logits.npy";
};

TEST_F(NpyBackendTest, RowsAreOfTheFirstPositionsOrTheLast) {
  const Capture first = Read({3, 4});
  EXPECT_EQ(first.logits.rows, 3);
  EXPECT_EQ(first.logits.cols, 4);
  EXPECT_THAT(first.positions, IsEmpty());
  EXPECT_TRUE(first.shown.logits);
  EXPECT_FALSE(first.shown.text || first.shown.tokens);
  EXPECT_THAT(Read({4}).positions, ElementsAre(-1));
  EXPECT_THAT(Read({4}, "first").positions, IsEmpty());
  EXPECT_THAT(Read({2, 4}, "last").positions, ElementsAre(-2, -1));
  EXPECT_THAT(Read({3, 4}, "0,4,-1").positions, ElementsAre(0, 4, -1));
  EXPECT_THAT(RowPositions(Read({3, 4}, "0,4,-1"), 9), ElementsAre(0, 4, 8));
}

TEST_F(NpyBackendTest, WhatIsWrongIsSaid) {
  EXPECT_THAT(ErrorOf([&] { Read({2, 3, 4}); }), HasSubstr("found [2, 3, 4], expected [positions, n_vocab]"));
  EXPECT_THAT(ErrorOf([&] { Read({0, 4}); }), HasSubstr("no dimension is 0"));
  EXPECT_THAT(ErrorOf([&] { Read({2, 4}, "0,4,-1"); }), HasSubstr("found 3 positions, expected 2"));
  for (const char* at : {"middle", "1,", "1;2", ",", "99999999999"}) {
    EXPECT_THAT(ErrorOf([&] { Read({2, 4}, at); }), HasSubstr("--logits-at: found '")) << at;
  }
  EXPECT_THAT(ErrorOf([&] {
                RowPositions(Read({2, 4}, "0,4"), 4);
              }),
              HasSubstr("is of position 4, and the prompt has 4 tokens"));
  EXPECT_FALSE(MakeNpyBackend(root_.path() + "/none.npy", "")->Probe().available);
}

}  // namespace
}  // namespace parity
