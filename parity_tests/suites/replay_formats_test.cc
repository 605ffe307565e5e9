// Every format that llama.cpp has, as projections, embeddings and head: each operation on the live reference's own
// inputs, bit for bit, in its AVX-512 and AVX2 builds, a position at a time and a batch. Where the reference lays
// weights out anew, the model has matrices of which it does, and others of which it does not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/suites/live_reference.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

using bitnet::TensorType;

class ReplayFormats : public LiveReference, public testing::WithParamInterface<TensorType> {
 protected:
  ReplayFormats() : LiveReference("llama.cpp") {}

  GenerateOptions Model() const {
    const bool holds = bitnet::FormatOf(GetParam()).holds_embeddings();
    GenerateOptions o;
    o.output = Path("model.gguf");
    o.architecture = "llama";
    o.type = GetParam();
    o.embedding_type = holds ? GetParam() : TensorType::kF16;
    o.untied = true;
    o.n_layer = 1;
    // Eight rows at a time are laid out anew: K and V have four, the head has 301.
    o.n_head = 64;
    o.n_head_kv = 1;
    o.head_dim = 4;
    o.n_vocab = 301;
    return o;
  }

  static void ExpectBothKinds(const bitnet::Model& model, const bitnet::ArithmeticOrder& order) {
    bitnet::WeightMatrix as_all = model.weights.layers[0].attn_q;
    as_all.rows = 8;
    if (!bitnet::IsRepacked(as_all, order)) return;
    EXPECT_TRUE(bitnet::IsRepacked(model.weights.layers[0].attn_q, order));
    EXPECT_FALSE(bitnet::IsRepacked(model.weights.layers[0].attn_k, order));
    EXPECT_FALSE(bitnet::IsRepacked(model.weights.output, order));
  }
};

TEST_P(ReplayFormats, EachOperationGivesTheSameBits) {
  const GenerateOptions o = Model();
  GenerateModel(o);
  const bitnet::Model model = bitnet::Model::Load(o.output);
  Request request;
  request.model = o.output;
  request.token_ids = std::vector<int32_t>{1, 17, 300, 0, 5, 28, 99};
  request.threads = 1;
  request.trace = "full";
  request.raw_tensors = true;
  int compared = 0;
  for (const char* variant : {"", "haswell"}) {
    request.cpu_variant = variant;
    for (const Schedule schedule : {Schedule::kBatch, Schedule::kTokenByToken}) {
      request.schedule = schedule;
      const std::unique_ptr<Backend> engine = MakeEngine("llama.cpp");  // holds the files of its captures
      const Capture capture = engine->Run(request);
      const bitnet::ArithmeticOrder* order = KnownOrder(capture.backend, model);
      if (order == nullptr) continue;
      ExpectBothKinds(model, *order);
      Replay replay(model, capture, *order);
      for (const int layer : {-1, 0}) {
        for (const ReplayResult& r : replay.Layer(layer)) {
          const std::string where = fmt::format("{} in {}, {}", bitnet::PointName(r.place.point), capture.backend.build,
                                                ScheduleName(schedule));
          EXPECT_GT(r.elements, 0) << where << ": not traced, " << r.missing;
          EXPECT_EQ(r.differing, 0) << where;
          ++compared;
        }
      }
    }
  }
  if (compared == 0) GTEST_SKIP() << "no order of operations of this reference's build is known";
}

// I2_S is bitnet.cpp's.
INSTANTIATE_TEST_SUITE_P(LlamaCpp, ReplayFormats, testing::ValuesIn(bitnet::TypesWhere([](const bitnet::Format& f) {
                           return f.has_codec() && f.type != TensorType::kI2_S;
                         })),
                         [](const auto& info) { return std::string(bitnet::TypeName(info.param)); });

}  // namespace
}  // namespace parity
