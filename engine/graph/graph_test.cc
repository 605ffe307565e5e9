#include "engine/graph/graph.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

namespace bitnet {
namespace {

constexpr GraphShape kShape = {.n_vocab = 40,
                               .n_embd = 256,
                               .n_layer = 3,
                               .n_head = 4,
                               .n_head_kv = 2,
                               .head_dim = 64,
                               .n_ff = 512,
                               .parts = Parts(When::kSubNorms)};

GraphShape With(Parts parts) {
  GraphShape shape = kShape;
  shape.parts = parts;
  return shape;
}
GraphShape WithoutSubNorms() { return With(Parts()); }
const GraphShape kGemma = With(Parts(When::kHeadNorms, When::kPostNorms));
const GraphShape kGemmaEmbedding = With(Parts(When::kHeadNorms, When::kPostNorms, When::kNormsIn));

Source From(Point point, size_t which, int layer, const GraphShape& shape = kShape) {
  return SourceOf(InfoOf(point), which, layer, shape);
}

TEST(Graph, EachRowStandsWhereItsPointSays) {
  for (size_t i = 0; i < kGraph.size(); ++i) EXPECT_EQ(static_cast<size_t>(kGraph[i].point), i) << kGraph[i].name;
  for (size_t i = 0; i < kWeights.size(); ++i) EXPECT_EQ(static_cast<size_t>(kWeights[i].weight), i);
}

TEST(Graph, EachPointHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const PointInfo& p : kGraph) {
    for (const char c : p.name) EXPECT_TRUE(std::islower(static_cast<unsigned char>(c)) || c == '_') << p.name;
    EXPECT_TRUE(names.insert(p.name).second) << p.name;
    EXPECT_EQ(PointFromName(p.name), p.point);
  }
  EXPECT_EQ(PointFromName("qq"), Point::kUnknown);
}

// Names stand in captures on disk: they never change.
TEST(Graph, NamesAreThoseInCaptures) {
  EXPECT_EQ(PointName(Point::kEmbeddings), "embeddings");
  EXPECT_EQ(PointName(Point::kQRope), "q_rope");
  EXPECT_EQ(PointName(Point::kAttnScoresSoftmax), "attn_scores_softmax");
  EXPECT_EQ(PointName(Point::kAttnOProj), "attn_o_proj");
  EXPECT_EQ(PointName(Point::kFfnInp), "ffn_inp");
  EXPECT_EQ(PointName(Point::kFfnSubNorm), "ffn_sub_norm");
  EXPECT_EQ(PointName(Point::kLayerOut), "layer_out");
  EXPECT_EQ(PointName(Point::kOutputNorm), "output_norm");
  EXPECT_EQ(PointName(Point::kLogits), "logits");
  EXPECT_EQ(PointName(Point::kQNorm), "q_norm");
  EXPECT_EQ(PointName(Point::kAttnPostNorm), "attn_post_norm");
  EXPECT_EQ(PointName(Point::kFfnPostNorm), "ffn_post_norm");
  EXPECT_EQ(PointName(Point::kVNormIn), "v_norm_in");
  EXPECT_EQ(PointName(Point::kDownNormIn), "down_norm_in");
  EXPECT_EQ(kGraph.size(), 33u);
}

TEST(Graph, TheResidualStreamComesFromTheLayerBefore) {
  EXPECT_EQ(From(Point::kAttnNorm, 0, 0), (Source{Point::kEmbeddings, -1}));
  EXPECT_EQ(From(Point::kAttnNorm, 0, 2), (Source{Point::kLayerOut, 1}));
  EXPECT_EQ(From(Point::kFfnInp, 1, 2), (Source{Point::kLayerOut, 1}));
  EXPECT_EQ(From(Point::kFfnInp, 0, 2), (Source{Point::kAttnOProj, 2}));
  EXPECT_EQ(From(Point::kLayerOut, 1, 2), (Source{Point::kFfnInp, 2}));
  EXPECT_EQ(From(Point::kOutputNorm, 0, -1), (Source{Point::kLayerOut, 2}));
  EXPECT_EQ(From(Point::kLogits, 0, -1), (Source{Point::kOutputNorm, -1}));
  EXPECT_EQ(From(Point::kEmbeddings, 0, -1), (Source{Point::kUnknown, -1}));
}

TEST(Graph, APointThatAModelLacksHandsOnItsInput) {
  EXPECT_EQ(From(Point::kAttnOProj, 0, 1), (Source{Point::kAttnSubNorm, 1}));
  EXPECT_EQ(From(Point::kAttnOProj, 0, 1, WithoutSubNorms()), (Source{Point::kAttnOut, 1}));
  EXPECT_EQ(From(Point::kFfnDown, 0, 1, WithoutSubNorms()), (Source{Point::kFfnAct, 1}));
  EXPECT_EQ(From(Point::kQRope, 0, 1), (Source{Point::kQProj, 1}));
  EXPECT_EQ(From(Point::kQProj, 0, 1), (Source{Point::kAttnNorm, 1}));
  EXPECT_EQ(From(Point::kQRope, 0, 1, kGemma), (Source{Point::kQNorm, 1}));
  EXPECT_EQ(From(Point::kFfnInp, 0, 1, kGemma), (Source{Point::kAttnPostNorm, 1}));
  EXPECT_EQ(From(Point::kLayerOut, 0, 1, kGemma), (Source{Point::kFfnPostNorm, 1}));
  EXPECT_EQ(From(Point::kAttnOProj, 0, 1, kGemma), (Source{Point::kAttnOut, 1}));
  EXPECT_EQ(From(Point::kAttnOProj, 0, 1, kGemmaEmbedding), (Source{Point::kONormIn, 1}));
  EXPECT_EQ(From(Point::kVProj, 0, 1, kGemmaEmbedding), (Source{Point::kVNormIn, 1}));
}

// A product's width is its weight's rows, and its input is as wide as the weight's columns.
TEST(Graph, WidthsFitTheWeights) {
  for (const PointInfo& p : kGraph) {
    if (p.op != Op::kProduct && p.op != Op::kNorm) continue;
    const WeightInfo& w = InfoOf(p.weight);
    if (p.op == Op::kProduct) {
      EXPECT_EQ(w.rows, p.width) << p.name;
    }
    for (const GraphShape& shape : {kShape, WithoutSubNorms(), kGemma, kGemmaEmbedding}) {
      if (!Exists(p, shape)) continue;
      const Source from = SourceOf(p, 0, p.in_layer ? 1 : -1, shape);
      // A gamma of one head serves each.
      const size_t heads = w.cols == Width::kHead ? WidthOf(p.width, shape) / shape.head_dim : 1;
      EXPECT_EQ(WidthOf(w.cols, shape) * heads, WidthOf(InfoOf(from.point).width, shape)) << p.name;
    }
  }
}

TEST(Graph, EveryWeightIsReadByOnePoint) {
  for (const WeightInfo& w : kWeights) {
    int readers = 0;
    for (const PointInfo& p : kGraph) readers += p.weight == w.weight;
    EXPECT_EQ(readers, 1) << w.name;
  }
  EXPECT_EQ(TensorName(InfoOf(Weight::kAttnQ), 3), "blk.3.attn_q.weight");
  EXPECT_EQ(TensorName(InfoOf(Weight::kOutput), 3), "output.weight");
}

}  // namespace
}  // namespace bitnet
