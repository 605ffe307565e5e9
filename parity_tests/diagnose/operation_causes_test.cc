// Each mistake of the table, made by the oracle, is the one that the operation's own inputs and output point at; in
// every format that the mistake can be in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "engine/model/model_for_test.h"
#include "fixtures/generate.h"
#include "parity_tests/diagnose/causes.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/mistakes/mistake.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::IsEmpty;

const bitnet::ArithmeticOrder& Order() { return bitnet::FindOrder("llama.cpp-avx512"); }

// A small model of one format, and what an engine with a mistake leaves behind.
class Fixture {
 public:
  explicit Fixture(bitnet::TensorType type) {
    GenerateOptions options;
    options.output = directory_.path() + "/tiny.gguf";
    options.type = type;
    options.n_layer = 2;
    options.n_vocab = 60;
    GenerateModel(options);
    model_.emplace(bitnet::Model::Load(options.output));
  }

  Capture CaptureOf(const OracleSpec& spec) {
    backend_ = MakeOracleBackend(spec);
    Request request;
    request.model = directory_.path() + "/tiny.gguf";
    request.token_ids = {5, 17, 59, 0, 33, 21, 8};
    request.trace = "full";
    request.raw_tensors = true;
    request.threads = 1;
    return backend_->Run(request);
  }

  std::vector<Cause> CausesAt(const Capture& capture, const Place& place) const {
    Causes causes;
    OperationCauses({.model = &*model_, .order = &Order(), .problem = {}}, capture, place, causes);
    return causes.Sorted();
  }

  const bitnet::Model& model() const { return *model_; }

 private:
  TemporaryDirectory directory_;
  std::optional<bitnet::Model> model_;
  std::unique_ptr<Backend> backend_;  // raw tensors are readable while it lives
};

class OperationCauses : public testing::TestWithParam<bitnet::TensorType> {};

TEST_P(OperationCauses, NameTheMistakeThatWasMade) {
  Fixture fixture(GetParam());
  for (const Mistake& mistake : AllMistakes()) {
    if (!mistake.tried || !mistake.InLayer()) continue;
    const PointSet& made_in = mistake.made_in.empty() ? mistake.points : mistake.made_in;
    const Point point = made_in.first();
    // Weights are what a format changes: the rest is looked for in one of them.
    const bool of_weights = bitnet::InfoOf(point).op == bitnet::Op::kProduct;
    if (!of_weights && GetParam() != bitnet::TensorType::kTQ2_0) continue;
    if (mistake.changes({fixture.model(), point, 1, 0}).empty()) continue;  // not in this format
    const Capture capture = fixture.CaptureOf(
        {.mistake = std::string(mistake.id), .layer = 1, .order = std::string(Order().name), .kernels = true});
    // Far enough back for a shifted cell, and not the last: it has no next position to see.
    const std::vector<Cause> causes = fixture.CausesAt(capture, {4, 1, point});
    ASSERT_FALSE(causes.empty()) << mistake.id;
    // Two mistakes may be one in a single batch: position 0 for all of it, and no rotation at all.
    EXPECT_TRUE(std::any_of(
        causes.begin(), causes.end(),
        [&mistake](const Cause& cause) { return cause.id == mistake.id && cause.certainty == Certainty::kCertain; }))
        << mistake.id << ": found " << causes[0].id << ", " << causes[0].evidence;
  }
}

TEST_P(OperationCauses, AccuseNoOperationThatIsRight) {
  Fixture fixture(GetParam());
  const Capture capture = fixture.CaptureOf({.order = std::string(Order().name), .kernels = true});
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    const Place place{4, info.in_layer ? 1 : -1, info.point};
    EXPECT_THAT(fixture.CausesAt(capture, place), IsEmpty()) << info.name;
  }
}

// A file with a factor, which an engine does not read.
TEST(OperationCausesOfAScaledModel, NameAScalingThatIsLeftOut) {
  for (const char* type : {"linear", "yarn"}) {
    bitnet::TinyModel tiny;
    tiny.metadata["bitnet.rope.scaling.type"] = std::string(type);
    tiny.metadata["bitnet.rope.scaling.factor"] = 4.0f;
    Request request;
    request.model = tiny.Write();
    request.token_ids = {5, 17, 39, 0, 33, 21, 8};
    request.trace = "full";
    request.raw_tensors = true;
    request.threads = 1;
    const bitnet::Model model = bitnet::Model::Load(request.model);
    const auto wrong = MakeOracleBackend({.mistake = "rope_scaling", .layer = 1, .order = std::string(Order().name)});
    Causes causes;
    parity::OperationCauses({.model = &model, .order = &Order(), .problem = {}}, wrong->Run(request),
                            {4, 1, Point::kQRope}, causes);
    const std::vector<Cause> sorted = causes.Sorted();
    ASSERT_FALSE(sorted.empty()) << type;
    EXPECT_EQ(sorted[0].id, "rope_scaling");
    EXPECT_EQ(sorted[0].certainty, Certainty::kCertain);
    EXPECT_THAT(sorted[0].evidence, testing::HasSubstr("angles are not scaled")) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, OperationCauses,
                         testing::ValuesIn(bitnet::TypesWhere(&bitnet::Format::holds_ternary)),
                         [](const auto& info) { return std::string(bitnet::TypeName(info.param)); });

}  // namespace
}  // namespace parity
