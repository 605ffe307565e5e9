#include "engine/trace/trace.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

namespace bitnet {
namespace {

TEST(StageName, EachStageHasItsOwn) {
  std::set<std::string> names;
  for (int s = 0; s < kStageCount; ++s) {
    const std::string name(StageName(static_cast<Stage>(s)));
    EXPECT_FALSE(name.empty());
    for (const char c : name) EXPECT_TRUE(std::islower(static_cast<unsigned char>(c)) || c == '_') << name;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
}

// Names stand in captures on disk: they never change.
TEST(StageName, IsTheNameInCaptures) {
  EXPECT_EQ(StageName(Stage::kEmbeddings), "embeddings");
  EXPECT_EQ(StageName(Stage::kQRope), "q_rope");
  EXPECT_EQ(StageName(Stage::kAttnScoresSoftmax), "attn_scores_softmax");
  EXPECT_EQ(StageName(Stage::kAttnOProj), "attn_o_proj");
  EXPECT_EQ(StageName(Stage::kFfnInp), "ffn_inp");
  EXPECT_EQ(StageName(Stage::kFfnSubNorm), "ffn_sub_norm");
  EXPECT_EQ(StageName(Stage::kLayerOut), "layer_out");
  EXPECT_EQ(StageName(Stage::kOutputNorm), "output_norm");
  EXPECT_EQ(StageName(Stage::kLogits), "logits");
}

}  // namespace
}  // namespace bitnet
