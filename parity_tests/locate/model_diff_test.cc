// Every relation that two tensors can have, on a small model of which one thing was changed.
#include "parity_tests/locate/model_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model/model_for_test.h"

namespace parity {
namespace {

using bitnet::TensorType;
using bitnet::TinyModel;
using bitnet::TinyTensor;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kTensor = "blk.1.attn_q.weight";  // [256, 256]

class ModelDiffTest : public testing::Test {
 protected:
  // Both files hold what no ternary type does, so that rounding and order are seen.
  ModelDiffTest() {
    for (TinyModel* model : {&a_, &b_}) {
      std::mt19937 generator(3);
      std::normal_distribution<float> normal;
      for (float& v : model->tensors[kTensor].values) v = normal(generator);
    }
  }
  TinyTensor& b() { return b_.tensors[kTensor]; }
  ModelDiff Diff() { return DiffModels(a_.Write(), b_.Write()); }
  // Of the tensor that was changed; all others have the same bytes.
  TensorDiff Changed() {
    const ModelDiff diff = Diff();
    TensorDiff changed;
    for (const TensorDiff& tensor : diff.tensors) {
      if (tensor.name == kTensor) {
        changed = tensor;
      } else {
        EXPECT_EQ(tensor.relation, TensorRelation::kSameBytes) << tensor.name;
      }
    }
    const TensorDiff* first = diff.first_that_breaks_parity();
    EXPECT_EQ(first != nullptr, changed.breaks_parity());
    if (first != nullptr) {
      EXPECT_EQ(first->name, kTensor);
    }
    return changed;
  }

  TinyModel a_, b_;
};

TEST_F(ModelDiffTest, TheSame) {
  EXPECT_TRUE(Diff().equal());
  EXPECT_EQ(Changed().relation, TensorRelation::kSameBytes);
}

TEST_F(ModelDiffTest, AnotherTypeOfTheSameValues) {
  a_.tensors["blk.0.ffn_up.weight"].type = TensorType::kF16;
  a_.tensors["blk.0.attn_k.weight"].type = TensorType::kTQ2_0;
  const ModelDiff diff = Diff();
  EXPECT_TRUE(diff.equal());
  int others = 0;
  for (const TensorDiff& tensor : diff.tensors) others += tensor.relation == TensorRelation::kSameValues;
  EXPECT_EQ(others, 2);
}

TEST_F(ModelDiffTest, Rounded) {
  b().type = TensorType::kQ8_0;
  const TensorDiff diff = Changed();
  EXPECT_EQ(diff.relation, TensorRelation::kRounded);
  EXPECT_GT(diff.max_abs, 0);
  EXPECT_THAT(Describe(diff), HasSubstr("rounded to Q8_0"));
}

TEST_F(ModelDiffTest, Scaled) {
  for (float& v : b().values) v *= -2.5f;
  const TensorDiff diff = Changed();
  EXPECT_EQ(diff.relation, TensorRelation::kScaled);
  EXPECT_NEAR(diff.factor, -2.5, 1e-6);
}

TEST_F(ModelDiffTest, EachRowScaled) {
  for (size_t i = 0; i < b().values.size(); ++i) b().values[i] *= static_cast<float>(1 + i / 256 % 3);
  const TensorDiff diff = Changed();
  EXPECT_EQ(diff.relation, TensorRelation::kRowsScaled);
  EXPECT_EQ(diff.detail, "1 to 3");
}

// As Llama's converters do with the rows of a head: halves become neighbours.
TEST_F(ModelDiffTest, RowsInAnotherOrder) {
  const std::vector<float> values = b().values;
  for (size_t head = 0; head < 4; ++head) {
    for (size_t i = 0; i < 64; ++i) {
      const size_t to = head * 64 + (i % 32) * 2 + i / 32;
      std::copy_n(values.begin() + (head * 64 + i) * 256, 256, b().values.begin() + to * 256);
    }
  }
  const TensorDiff diff = Changed();
  EXPECT_EQ(diff.relation, TensorRelation::kRowsPermuted);
  EXPECT_THAT(diff.detail, AllOf(HasSubstr("row 1 of A is row 2 of B, 2 is 4, 3 is 6"), HasSubstr("248 of 256 moved")));
}

TEST_F(ModelDiffTest, ColumnsInAnotherOrder) {
  for (size_t row = 0; row < 256; ++row)
    std::rotate(&b().values[row * 256], &b().values[row * 256 + 1], &b().values[row * 256] + 256);
  const TensorDiff diff = Changed();
  EXPECT_EQ(diff.relation, TensorRelation::kColumnsPermuted);
  EXPECT_THAT(diff.detail, HasSubstr("column 0 of A is column 255 of B, 1 is 0"));
}

TEST_F(ModelDiffTest, Transposed) {
  const std::vector<float> values = b().values;
  for (size_t i = 0; i < 256; ++i) {
    for (size_t j = 0; j < 256; ++j) b().values[j * 256 + i] = values[i * 256 + j];
  }
  EXPECT_EQ(Changed().relation, TensorRelation::kTransposed);
}

TEST_F(ModelDiffTest, OtherValues) {
  b().values[256 * 7 + 9] += 1;
  const TensorDiff diff = Changed();
  EXPECT_EQ(diff.relation, TensorRelation::kOther);
  EXPECT_THAT(diff.detail, HasSubstr("1 of 65536 differ, first at row 7 column 9"));
}

TEST_F(ModelDiffTest, ShapesAndMissingTensors) {
  b().shape = {128, 512};
  EXPECT_EQ(Changed().relation, TensorRelation::kShape);
  b_.tensors.erase(kTensor);
  EXPECT_EQ(Describe(Changed()), "in A alone");
}

TEST_F(ModelDiffTest, MetadataByMeaning) {
  a_.metadata["bitnet.context_length"] = uint64_t{512};  // another width of the same number
  b_.metadata["bitnet.rope.freq_base"] = 20000.0f;
  b_.metadata["general.name"] = std::string("mine");
  b_.metadata["rope.freq_base"] = 1.0f;  // of no architecture: no engine reads it
  const auto tokens = [](const char* last) {
    auto array = std::make_shared<bitnet::MetadataArray>();
    array->values = std::vector<std::string>{"a", last};
    return array;
  };
  a_.metadata["tokenizer.ggml.tokens"] = tokens("b");
  b_.metadata["tokenizer.ggml.tokens"] = tokens("c");
  const ModelDiff diff = Diff();
  ASSERT_EQ(diff.hyperparameters.size(), 1u);
  EXPECT_EQ(diff.hyperparameters[0].key, "rope.freq_base");
  EXPECT_EQ(diff.hyperparameters[0].b, "20000");
  ASSERT_EQ(diff.other.size(), 2u);
  for (const KeyDiff& key : diff.other) EXPECT_EQ(key.a, "") << key.key;
  ASSERT_EQ(diff.vocabulary.size(), 1u);
  EXPECT_EQ(diff.vocabulary[0].a, "2 values, [1] = \"b\"");
  EXPECT_FALSE(diff.equal());
}

TEST_F(ModelDiffTest, TensorsStandInTheOrderOfTheComputation) {
  for (auto& [name, tensor] : b_.tensors) tensor.values[0] += 1;
  const ModelDiff diff = Diff();
  ASSERT_NE(diff.first_that_breaks_parity(), nullptr);
  EXPECT_EQ(diff.first_that_breaks_parity()->name, "token_embd.weight");
  EXPECT_EQ(diff.tensors[1].name, "blk.0.attn_norm.weight");
  EXPECT_EQ(diff.tensors.back().name, "output_norm.weight");
}

}  // namespace
}  // namespace parity
