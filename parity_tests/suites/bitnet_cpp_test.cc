// A live bitnet.cpp: I2_S of random shapes, the types of weights that it shares with llama.cpp, and one operation in
// which the reference is wrong. Without the runner
// the tests are skipped with the reason; PARITY_REQUIRE=bitnet.cpp makes that a failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/gguf/gguf.h"
#include "parity_tests/suites/live_reference.h"

namespace parity {
namespace {

using bitnet::TensorType;

class BitnetCpp : public LiveReference {
 protected:
  BitnetCpp() : LiveReference("bitnet.cpp") {}
};

TEST_F(BitnetCpp, RandomShapesGiveTheSameBits) {
  std::mt19937 random(20);
  const auto pick = [&](std::vector<uint32_t> values) { return values[random() % values.size()]; };
  for (int shape = 0; shape < 24 && !IsSkipped(); ++shape) {
    GenerateOptions o;
    o.architecture = shape % 2 == 0 ? "bitnet" : "bitnet-b1.58";
    o.n_head_kv = pick({1, 2, 3});
    o.n_head = o.n_head_kv * pick({1, 2, 4, 8});
    // The least head that makes the width a multiple of 128.
    const uint32_t head_dim = pick({32, 64, 80, 128});
    while (o.n_head * head_dim % 128 != 0) o.n_head *= 2;
    o.n_embd = o.n_head * head_dim;
    o.n_ff = 128 * pick({1, 2, 3, 5, 11});
    o.n_layer = pick({1, 2, 3});
    o.n_vocab = 256 + random() % 256;
    o.type = TensorType::kI2_S;
    o.embedding_type = o.n_embd % 256 == 0 && shape % 3 == 0 ? TensorType::kQ6_K
                       : shape % 3 == 1                      ? TensorType::kF32
                                                             : TensorType::kF16;
    o.seed = static_cast<uint64_t>(shape);
    Request request;
    request.token_ids = RandomTokens(random, pick({1, 2, 3, 17, 33, 100}), o.n_vocab);
    request.n_ubatch = static_cast<int>(pick({16, 32, 512}));
    request.max_tokens = 8;
    ExpectSameBits(o, request);
  }
}

// What llama.cpp runs too; the order in which its build adds is another.
TEST_F(BitnetCpp, OtherTypesGiveTheSameBits) {
  std::mt19937 random(21);
  // It aborts on the numbers of types that came after it.
  const auto is_known = [](const bitnet::Format& f) { return f.type < TensorType::kQ1_0; };
  for (const TensorType type : bitnet::TypesWhere(
           [&](const bitnet::Format& f) { return f.holds_ternary() && f.type != TensorType::kI2_S && is_known(f); })) {
    for (const char* architecture : {"bitnet", "bitnet-b1.58"}) {
      if (IsSkipped()) return;
      GenerateOptions o;
      o.architecture = architecture;
      o.n_head = 6;
      o.n_head_kv = 2;
      o.n_embd = 768;
      o.n_ff = 1280;
      o.n_layer = 2;
      o.n_vocab = 300;
      o.type = type;
      Request request;
      request.token_ids = RandomTokens(random, 19, o.n_vocab);
      request.max_tokens = 4;
      ExpectSameBits(o, request);
    }
  }
}

// Writes `data` over a tensor's first bytes.
void Overwrite(const std::string& path, const std::string& tensor, std::span<const char> data) {
  uint64_t at = 0;
  {
    const bitnet::GgufFile file = bitnet::GgufFile::Open(path);
    const bitnet::TensorInfo& info = file.Tensor(tensor);
    ASSERT_LE(data.size(), info.bytes);
    // The data section ends with the file's last tensor.
    uint64_t end = 0;
    const uint64_t alignment = file.alignment();
    for (const bitnet::TensorInfo& t : file.tensors()) {
      end = std::max(end, t.offset + (t.bytes + alignment - 1) / alignment * alignment);
    }
    at = file.file_bytes() - end + info.offset;
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(data.data(), static_cast<std::streamsize>(data.size()));
  ASSERT_TRUE(file.flush().good());
}

void OverwriteWithOnes(const std::string& path, const std::string& tensor, size_t n) {
  const std::vector<float> ones(n, 1.0f);
  Overwrite(path, tensor, {reinterpret_cast<const char*>(ones.data()), n * sizeof(float)});
}

// q_proj with every weight +1 and every activation 127. The reference adds the eight products of a block of 128, 2 *
// 127 each, to one of 16 sums of 16 bits: 2032 a block, and 20 blocks of a row of 2560 do not fit. Whatever engine
// keeps whole numbers is right there, and is not equal to the reference.
TEST_F(BitnetCpp, SixteenBitSumsOfTheReferenceWrap) {
  constexpr uint32_t kWidth = 2560;
  GenerateOptions o;
  o.output = Path("wrap.gguf");
  o.n_embd = kWidth;
  o.n_layer = 1;
  o.n_head = o.n_head_kv = 20;
  o.n_ff = 128;
  o.n_vocab = 8;
  o.type = TensorType::kI2_S;
  o.embedding_type = TensorType::kF32;
  GenerateModel(o);
  OverwriteWithOnes(o.output, "token_embd.weight", size_t{kWidth} * o.n_vocab);
  OverwriteWithOnes(o.output, "blk.0.attn_norm.weight", kWidth);
  const std::vector<char> codes(size_t{kWidth} * kWidth / 4, static_cast<char>(0b10101010));
  Overwrite(o.output, "blk.0.attn_q.weight", codes);

  Request request;
  request.model = o.output;
  request.token_ids = {3};
  request.max_tokens = 0;
  request.threads = 1;
  request.trace = "full";
  request.raw_tensors = true;
  const Captures c = comparison_.Run(request);
  const auto tensor = [](const Capture& capture, Point point) {
    for (const TraceRecord& record : capture.traces) {
      if (record.point == point) return ReadTensor(capture, record);
    }
    throw std::runtime_error(fmt::format("no trace of {}", PointName(point)));
  };
  float scale = 0;
  {
    const bitnet::GgufFile file = bitnet::GgufFile::Open(o.output);
    std::memcpy(&scale, file.Data(file.Tensor("blk.0.attn_q.weight")).data() + codes.size(), sizeof scale);
  }
  const std::vector<float> x = tensor(c.candidate, Point::kAttnNorm);
  ASSERT_EQ(DifferentBits(x, tensor(c.reference, Point::kAttnNorm)), 0u);
  const float s = static_cast<float>(127.0 / x[0]);
  const auto projected = [&](int dot) { return (static_cast<float>(dot) - 127.0f * kWidth) / s * scale; };
  constexpr int kLaneSum = 8 * 2 * 127 * (kWidth / 128);
  for (const float y : tensor(c.candidate, Point::kQProj)) ASSERT_EQ(y, projected(16 * kLaneSum));
  for (const float y : tensor(c.reference, Point::kQProj)) ASSERT_EQ(y, projected(16 * (kLaneSum - 65536)));
  // Where 16 bits are enough, the same activations give the same bits.
  EXPECT_EQ(DifferentBits(tensor(c.candidate, Point::kKProj), tensor(c.reference, Point::kKProj)), 0u);
}

}  // namespace
}  // namespace parity
