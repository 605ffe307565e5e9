// The words for which cells, layers and numbers are wrong.
#include "parity_tests/diagnose/where.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace parity {
namespace {

// One cell a position and head; those listed are wrong in all of their `width` numbers.
Fit FitOf(int positions, int heads, const std::vector<std::pair<int, int>>& wrong, size_t width = 8) {
  Fit fit;
  for (int position = 0; position < positions; ++position) {
    for (int head = 0; head < std::max(heads, 1); ++head) {
      Cell cell{.position = position, .head = heads == 0 ? -1 : head, .elements = width};
      if (std::find(wrong.begin(), wrong.end(), std::pair(position, heads == 0 ? -1 : head)) != wrong.end()) {
        cell.error = 10;
        cell.n_wrong = width;
        cell.first_wrong = 0;
        cell.last_wrong = static_cast<int64_t>(width) - 1;
      }
      fit.cells.push_back(cell);
    }
  }
  return fit;
}

const std::vector<Batch> kOneBatch = {{0, 8}};

std::string Positions(const std::vector<int>& wrong, const std::vector<Batch>& batches = kOneBatch,
                      size_t n_prompt = 8) {
  std::vector<std::pair<int, int>> cells;
  for (const int at : wrong) cells.emplace_back(at, -1);
  return WhichCells(FitOf(8, 0, cells), batches, n_prompt);
}

TEST(WhichCells, Positions) {
  EXPECT_EQ(Positions({0, 1, 2, 3, 4, 5, 6, 7}), "");
  EXPECT_EQ(Positions({3}), "at position 3 alone");
  EXPECT_EQ(Positions({5, 6, 7}), "from position 5 on");
  EXPECT_EQ(Positions({1, 2}), "at positions 1, 2");
  EXPECT_EQ(Positions({1, 4, 7}), "at every 3rd position from 1 on");
  EXPECT_EQ(Positions({0, 2, 3, 4, 7}), "at positions 0, 2 to 4, 7");
}

TEST(WhichCells, PromptBatchesAndDecode) {
  EXPECT_EQ(Positions({6, 7}, {{0, 6}, {6, 1}, {7, 1}}, 6), "while decoding alone");
  EXPECT_EQ(Positions({0, 1, 2, 3, 4, 5}, {{0, 6}, {6, 1}, {7, 1}}, 6), "in the prompt alone");
  EXPECT_EQ(Positions({2, 5}, {{0, 3}, {3, 3}, {6, 1}, {7, 1}}, 6), "at the last position of each batch");
}

TEST(WhichCells, HeadsAndStretches) {
  EXPECT_EQ(WhichCells(FitOf(2, 4, {{0, 3}, {1, 3}}), {{0, 2}}, 2), "in head 3 alone");
  EXPECT_EQ(WhichCells(FitOf(2, 4, {{0, 1}, {0, 2}, {1, 1}, {1, 2}}), {{0, 2}}, 2), "in heads 1, 2");
  Fit fit = FitOf(2, 0, {{0, -1}, {1, -1}}, 256);
  for (Cell& cell : fit.cells) {
    cell.first_wrong = 240;
    cell.last_wrong = 255;
    cell.n_wrong = 14;
  }
  EXPECT_EQ(WhichCells(fit, {{0, 2}}, 2), "elements 240 to 255");
  for (Cell& cell : fit.cells) cell.n_wrong = 2;  // strays say nothing
  EXPECT_EQ(WhichCells(fit, {{0, 2}}, 2), "");
}

TEST(WhichLayers, InWords) {
  EXPECT_EQ(WhichLayers({}, 4), "");
  EXPECT_EQ(WhichLayers({2}, 4), "in layer 2");
  EXPECT_EQ(WhichLayers({0, 1, 2, 3}, 4), "in all 4 layers");
  EXPECT_EQ(WhichLayers({0, 2, 3}, 4), "in layers 0, 2, 3");
}

}  // namespace
}  // namespace parity
