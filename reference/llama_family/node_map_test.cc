#include "reference/llama_family/node_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

std::string PointOf(const char* node, const char* op) {
  const MappedNode mapped = MapNode(ParseNodeName(node), op);
  return mapped.kind == NodeKind::kInternal ? "internal" : std::string(PointName(mapped.point));
}

TEST(NodeMapTest, NamesCarryTheirLayer) {
  EXPECT_EQ(ParseNodeName("attn_norm-29").base, "attn_norm");
  EXPECT_EQ(ParseNodeName("attn_norm-29").layer, 29);
  EXPECT_EQ(ParseNodeName("result_norm").layer, -1);
  EXPECT_EQ(ParseNodeName("cache_k_l12").base, "cache_k");
  EXPECT_EQ(ParseNodeName("cache_k_l12").layer, 12);
  EXPECT_EQ(ParseNodeName("cache_v_l0").layer, 0);
  for (const char* odd : {"", "-", "-3", "x-", "x-y", "x-1y", "x-99999999999999999999", "cache_k", "cache_k_l",
                          "cache_k_lx", "cache_k_l1 (view)"}) {
    EXPECT_EQ(ParseNodeName(odd).base, odd);
    EXPECT_EQ(ParseNodeName(odd).layer, -1);
  }
}

TEST(NodeMapTest, TheOperationTellsProjectionFromRotation) {
  EXPECT_EQ(PointOf("Qcur-0", "MUL_MAT"), "q_proj");
  EXPECT_EQ(PointOf("Qcur-0", "ADD"), "q_proj");
  EXPECT_EQ(PointOf("Qcur-0", "ROPE"), "q_rope");
  EXPECT_EQ(PointOf("Kcur-3", "SCALE"), "k_proj");
  EXPECT_EQ(PointOf("Kcur-3", "ROPE"), "k_rope");
  EXPECT_FALSE(MapNode({"Qcur", 0}, "MUL_MAT").is_view);
  EXPECT_TRUE(MapNode({"Qcur", 0}, "RESHAPE").is_view);
}

TEST(NodeMapTest, BothGenerationsOfNames) {
  EXPECT_EQ(PointOf("embd", "GET_ROWS"), "embeddings");
  EXPECT_EQ(PointOf("inp_embd", "GET_ROWS"), "embeddings");
  EXPECT_EQ(PointOf("kq-1", "MUL_MAT"), "attn_scores");
  EXPECT_EQ(PointOf("kq_soft_max-1", "SOFT_MAX"), "attn_scores_softmax");
  EXPECT_EQ(PointOf("kq_soft_max_ext-1", "SOFT_MAX"), "attn_scores_softmax");
  EXPECT_EQ(PointOf("attn_out-1", "MUL_MAT"), "attn_o_proj");
  EXPECT_EQ(PointOf("attn_o_out-1", "MUL_MAT"), "attn_o_proj");
  EXPECT_EQ(PointOf("kqv_out-1", "CONT"), "attn_out");
  EXPECT_EQ(PointOf("kqv_merged_cont-1", "CONT"), "attn_out");  // where kqv_out is the projection
  EXPECT_EQ(PointOf("kqv_out-1", "MUL_MAT"), "attn_o_proj");
  EXPECT_EQ(PointOf("kqv_out-1", "SCALE"), "attn_o_proj");
  EXPECT_EQ(PointOf("ffn_sub_out-1", "GLU"), "ffn_act");
  EXPECT_EQ(PointOf("ffn_out-1", "FUSED_MUL_UNARY"), "ffn_act");
  EXPECT_EQ(PointOf("ffn_gate_par-1", "MUL"), "ffn_act");
  EXPECT_EQ(PointOf("ffn_out-1", "MUL_MAT"), "ffn_down");
  EXPECT_EQ(PointOf("ffn_out-1", "GLU"), "ffn_act");
  EXPECT_EQ(PointOf("ffn_gate_s-1", "SCALE"), "ffn_gate");
  EXPECT_EQ(PointOf("ffn_out-1", "SCALE"), "ffn_down");
  EXPECT_EQ(PointOf("ffn_out-1", "MUL"), "ffn_act");
  EXPECT_EQ(PointOf("result_output", "MUL_MAT"), "logits");
}

TEST(NodeMapTest, AProductWithoutANameGoesByItsWeights) {
  EXPECT_EQ(ParseNodeName("blk.3.attn_output.weight").base, "attn_output.weight");
  EXPECT_EQ(ParseNodeName("blk.3.attn_output.weight").layer, 3);
  EXPECT_EQ(PointOf("blk.3.attn_output.weight", "MUL_MAT"), "attn_o_proj");
  EXPECT_EQ(PointOf("blk.3.attn_output.weight", "ADD"), "unknown");
  EXPECT_EQ(PointOf("blk.3.ffn_norm.weight", "FUSED_RMS_NORM"), "ffn_norm");
  EXPECT_EQ(PointOf("ffn_norm-3", "FUSED_RMS_NORM"), "ffn_norm");
  EXPECT_EQ(PointOf("ffn_norm-3", "ADD"), "ffn_inp");
  EXPECT_EQ(ParseNodeName("blk.x.attn_output.weight").layer, -1);
}

TEST(NodeMapTest, WhatIsKnownAndNoStageIsNotReported) {
  EXPECT_EQ(PointOf("norm-0", "RMS_NORM"), "internal");
  EXPECT_EQ(PointOf("cache_k_l0 (view)", "VIEW"), "internal");
  EXPECT_EQ(PointOf("cache_k_l0", "SET_ROWS"), "internal");
  EXPECT_EQ(PointOf("node_31", "GET_ROWS"), "internal");
  EXPECT_EQ(PointOf("node_31", "MUL_MAT"), "internal");
}

TEST(NodeMapTest, WhatIsNotKnownIsReported) {
  EXPECT_EQ(PointOf("ffn_moe_gate-0", "MUL_MAT_ID"), "unknown");
  EXPECT_EQ(PointOf("node_31", "SOFT_MAX"), "unknown");
  EXPECT_EQ(PointOf("attn_q_norm-0", "MUL"), "unknown");
}

TEST(NodeMapTest, EveryPointHasANode) {
  const char* nodes[][2] = {
      {"inp_scaled", "SCALE"},    {"attn_norm-0", "MUL"},       {"Qcur-0", "MUL_MAT"},         {"Kcur-0", "MUL_MAT"},
      {"Vcur-0", "MUL_MAT"},      {"Qcur_normed-0", "MUL"},     {"Kcur_normed-0", "MUL"},      {"Qcur-0", "ROPE"},
      {"Kcur-0", "ROPE"},         {"kq-0", "MUL_MAT"},          {"kq_soft_max-0", "SOFT_MAX"}, {"kqv_out-0", "CONT"},
      {"attn_sub_norm-0", "MUL"}, {"attn_out-0", "MUL_MAT"},    {"attn_post_norm-0", "MUL"},   {"sa_out-0", "ADD"},
      {"ffn_norm-0", "MUL"},      {"ffn_gate-0", "MUL_MAT"},    {"ffn_up-0", "MUL_MAT"},       {"ffn_swiglu-0", "GLU"},
      {"ffn_sub_norm-0", "MUL"},  {"ffn_down-0", "MUL_MAT"},    {"ffn_post_norm-0", "MUL"},    {"l_out-0", "ADD"},
      {"result_norm", "MUL"},     {"result_output", "MUL_MAT"},
  };
  size_t i = 0;
  for (const bitnet::PointInfo& p : bitnet::kGraph) {
    if (p.when == bitnet::When::kNormsIn) continue;  // no reference here has them
    ASSERT_LT(i, std::size(nodes));
    EXPECT_EQ(PointOf(nodes[i][0], nodes[i][1]), p.name);
    ++i;
  }
  EXPECT_EQ(i, std::size(nodes));
}

}  // namespace
}  // namespace parity
