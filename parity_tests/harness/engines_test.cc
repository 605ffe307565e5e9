#include "parity_tests/harness/engines.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "engine/kernels/order.h"
#include "fixtures/generate.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/orders.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Require, NamesAreSeparatedByCommas) {
  setenv("PARITY_REQUIRE", "llama.cpp,bitnet.cpp", 1);
  EXPECT_TRUE(IsRequired("llama.cpp"));
  EXPECT_TRUE(IsRequired("bitnet.cpp"));
  EXPECT_FALSE(IsRequired("llama"));
  unsetenv("PARITY_REQUIRE");
  EXPECT_FALSE(IsRequired("llama.cpp"));
}

TEST(Engines, ASpecOfNoRowListsThem) {
  EXPECT_EQ(MakeEngine("native")->name(), "native");
  EXPECT_EQ(MakeEngine("native:llama.cpp-avx2")->name(), "native");
  EXPECT_THROW(MakeEngine("native:abacus"), std::runtime_error);
  for (const char* spec : {"", "gguf.cpp", "native:", "exec", "recorded:"}) {
    try {
      MakeEngine(spec);
      FAIL() << spec;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("native, native:ORDER, llama.cpp, "), HasSubstr("recorded:DIR")));
    }
  }
  EXPECT_THAT(EngineHelp(), AllOf(HasSubstr("native, native:ORDER, "), HasSubstr(", recorded:DIR, ")));
  EXPECT_THAT(EngineHelp(Which::kLive), AllOf(HasSubstr("exec:COMMAND"), Not(HasSubstr("recorded"))));
}

TEST(Engines, EveryOrderOfARowIsOneThatTheEngineKnows) {
  size_t orders = 0;
  for (const EngineRow& row : Engines()) {
    for (const BuildOrder& build : row.orders) {
      EXPECT_EQ(bitnet::FindOrder(build.order).name, build.order);
      ++orders;
    }
  }
  EXPECT_GT(orders, 8u);
}

// Of the formats that nobody has looked at on ARM there is no order: none is followed, and none can be asked for.
TEST(KnownOrder, IsNoneForFormatsThatTheOrderDoesNotKnow) {
  const TemporaryDirectory directory;
  BackendInfo arm, x86;
  arm.name = x86.name = "llama.cpp";
  arm.simd = "armv8.2_1";
  x86.simd = "haswell";
  BackendInfo bitnet_cpp = arm;
  bitnet_cpp.name = "bitnet.cpp";
  bitnet_cpp.simd = "neon";
  bitnet_cpp.build = "compiled by clang";
  for (const bitnet::TensorType type : {bitnet::TensorType::kTQ2_0, bitnet::TensorType::kQ4_0}) {
    const bool known = type == bitnet::TensorType::kTQ2_0;
    Request request;
    request.model = directory.path() + "/model.gguf";
    GenerateModel({.output = request.model, .n_layer = 1, .n_vocab = 256, .type = type});
    request.token_ids = {3, 5};
    request.max_tokens = 0;
    request.threads = 1;
    const bitnet::Model model = bitnet::Model::Load(request.model);
    EXPECT_EQ(KnownOrder(arm, model) != nullptr, known);
    EXPECT_EQ(KnownOrder(x86, model), &bitnet::FindOrder("llama.cpp-avx2"));
    // It reads names of pre-tokenizers in its own way whatever the weights are.
    EXPECT_EQ(KnownOrder(bitnet_cpp, model) != nullptr, known);
    EXPECT_EQ(DialectFor(bitnet_cpp, model), bitnet::TokenizerDialect::kBitnetCpp);
    EXPECT_EQ(DialectFor(arm, model), bitnet::TokenizerDialect::kLlamaCpp);
    EXPECT_EQ(OrderFor(arm, model).name, known ? "llama.cpp-neon-dotprod" : UsualOrder(model).name);
    const Capture capture = MakeCandidateFor("native", arm)->Run(request);
    EXPECT_EQ(capture.backend.build, fmt::format("arithmetic of {}", OrderFor(arm, model).name));
    EXPECT_EQ(Follows(capture.backend, arm), known);
    if (known) {
      EXPECT_EQ(&OrderNamed("llama.cpp-neon", model), &bitnet::FindOrder("llama.cpp-neon"));
      continue;
    }
    try {
      MakeEngine("native:llama.cpp-neon")->Run(request);
      FAIL() << "an order that does not know Q4_0 was followed";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(request.model), HasSubstr("found weights of Q4_0 in q_proj of layer 0"),
                                      HasSubstr("expected F32, F16, "), HasSubstr("leave the order out")));
    }
  }
}

TEST(OrderOf, IsThatOfThePluginOrOfTheCompiler) {
  const auto order = [](const char* name, const char* simd, const char* build) {
    BackendInfo reference;
    reference.name = name;
    reference.simd = simd;
    reference.build = build;
    return OrderOf(reference);
  };
  EXPECT_EQ(order("llama.cpp", "icelake", ""), "llama.cpp-avx512");
  EXPECT_EQ(order("llama.cpp", "icelake", "libllama.so; rows of scores end at 32 cells"), "llama.cpp-2025-avx512");
  EXPECT_EQ(order("llama.cpp", "haswell", "libllama.so; rows of scores end at 32 cells"), "llama.cpp-avx2");
  EXPECT_EQ(order("llama.cpp", "zen4", ""), "llama.cpp-avx512-bf16");
  EXPECT_EQ(order("llama.cpp", "haswell", ""), "llama.cpp-avx2");
  EXPECT_EQ(order("llama.cpp", "ivybridge", ""), "");
  EXPECT_EQ(order("bitnet.cpp", "avx512-bf16", "libllama.so, Debian clang version 19.1.7"), "bitnet.cpp-avx512-bf16");
  EXPECT_EQ(order("bitnet.cpp", "avx512", "libllama.so, Debian clang version 19.1.7"), "bitnet.cpp-avx512");
  EXPECT_EQ(order("bitnet.cpp", "avx2", "libllama.so, GCC: (Debian 12.2.0-14) 12.2.0"), "bitnet.cpp-avx2-gcc");
  EXPECT_EQ(order("bitnet.cpp", "avx2", "libllama.so, unknown compiler"), "");
  EXPECT_EQ(order("bitnet.cpp", "neon", "libllama.so, Debian clang version 14.0.6"), "bitnet.cpp-neon");
  EXPECT_EQ(order("bitnet.cpp", "neon-fp16", "libllama.so, Debian clang version 14.0.6"), "bitnet.cpp-neon-fp16");
  EXPECT_EQ(order("bitnet.cpp", "neon", "libllama.so, GCC: (Debian 12.2.0-14) 12.2.0"), "") << "nobody looked";
  EXPECT_EQ(order("bitnet.cpp", "built-in", "libllama.so, GCC: (Debian 12.2.0-14) 12.2.0"), "");
}

}  // namespace
}  // namespace parity
