#include "parity_tests/report/receipt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReceiptTest : public testing::Test {
 protected:
  ReceiptTest() {
    options.profile = LoadProfile(PARITY_SOURCE_DIR "/fixtures/thresholds.json", "strict");
    for (Capture* c : {&captures.candidate, &captures.reference}) {
      c->backend.threads = 2;
      c->model.blake3 = std::string(64, 'a');
      c->timings = {.load_ms = 5, .prompt_ms = 10, .decode_ms = 20, .peak_rss_bytes = 1 << 20};
    }
    captures.candidate.backend.simd = "AVX2";
    (*captures.candidate.extra)["kernels"] = {{"matmul.TQ2_0.AVX2", 42}, {"rms_norm.AVX2", 7}};
  }

  json Receipt() const {
    const Verdict verdict = Climb(captures.candidate, captures.reference, options);
    const ReceiptFacts facts = {.model_bytes = 3'000'000, .layer_bytes = 1'000'000, .layer_weights = 4'000'000};
    return MakeReceipt({.command = "ladder", .version = "1", .time = "2026-01-01T00:00:00Z"},
                       {ReceiptRun(verdict, &captures, facts)});
  }
  // What is wrong with a receipt after a change by somebody who also writes its hash anew.
  static std::vector<std::string> Forged(json receipt, const std::function<void(json& run)>& change,
                                         const ReceiptDemands& demands = {}) {
    change(receipt["runs"][0]);
    receipt.erase("blake3_of_receipt");
    receipt["blake3_of_receipt"] = HashText(receipt.dump());
    return ReceiptProblems(receipt, "r", demands);
  }

  Captures captures = {CaptureForTest("native"), CaptureForTest("llama.cpp")};
  LadderOptions options;
};

TEST_F(ReceiptTest, WhatItHoldsIsSound) {
  const json receipt = Receipt();
  EXPECT_THAT(ReceiptProblems(receipt, "r", {}), IsEmpty());
  const json& run = receipt["runs"][0];
  EXPECT_EQ(run["verdict"], "PARITY");
  EXPECT_EQ(run["candidate"]["kernels"]["matmul.TQ2_0.AVX2"], 42);
  EXPECT_EQ(run["stages"][4]["rows"].size(), captures.reference.tokens.size());
  EXPECT_EQ(run["candidate"]["prompt"]["per_second"], 100.0 * static_cast<double>(captures.candidate.tokens.size()));
  EXPECT_EQ(run["profile"]["limits"]["positions"]["mse"], 2e-6);
}

TEST_F(ReceiptTest, ADivergenceIsSoundToo) {
  At(captures.candidate.logits, 4, 9) += 2;
  const json receipt = Receipt();
  EXPECT_EQ(receipt["exit_code"], 1);
  EXPECT_THAT(ReceiptProblems(receipt, "r", {}), IsEmpty());
}

TEST_F(ReceiptTest, AChangeShows) {
  json receipt = Receipt();
  receipt["machine"]["cpu"] = "another";
  EXPECT_THAT(ReceiptProblems(receipt, "r", {}), ElementsAre(HasSubstr("it was changed")));
  receipt.erase("runs");
  EXPECT_THAT(ReceiptProblems(receipt, "r", {}), testing::Contains(HasSubstr("runs: missing")));
  EXPECT_THAT(ReceiptProblems(json{{"schema", "x"}}, "r", {}), ElementsAre(HasSubstr("schema: found 'x'")));
  EXPECT_THAT(ReceiptProblems(json::array(), "r", {}), ElementsAre(HasSubstr("expected an object")));
}

TEST_F(ReceiptTest, WhatCannotBeTrue) {
  const json receipt = Receipt();
  const auto problem = [&](const std::function<void(json&)>& change) {
    const std::vector<std::string> problems = Forged(receipt, change);
    return problems.empty() ? "" : problems[0];
  };
  EXPECT_EQ(problem([](json&) {}), "");
  EXPECT_THAT(problem([](json& r) { r["model"]["blake3"] = "abc"; }), HasSubstr("expected 64 hex digits"));
  EXPECT_THAT(problem([](json& r) {
                r["candidate"]["kernels"] = {{"matmul.TQ2_0.AVX3", 1}};
              }),
              HasSubstr("not of the engine's instruction set AVX2"));
  EXPECT_THAT(problem([](json& r) {
                r["candidate"]["kernels"] = {{"rms_norm.AVX2", 1}};
              }),
              HasSubstr("without a matrix product"));
  EXPECT_THAT(problem([](json& r) { r["candidate"]["kernels"]["matmul.TQ2_0.AVX2"] = -1; }), HasSubstr("above 0"));
  EXPECT_THAT(problem([](json& r) { r["candidate"]["decode"]["per_second"] = 1000; }), HasSubstr("tokens in 20 ms"));
  // 2 threads load at most 1.5e12 bytes a second, which is 1.5e6 tokens of 1e6 bytes.
  EXPECT_THAT(problem([](json& r) {
                r["candidate"]["decode"] = {{"tokens", 4000}, {"ms", 2}, {"per_second", 2e6}};
              }),
              HasSubstr("allow at most 1.536e+06 a second"));
  EXPECT_EQ(problem([](json& r) {
              r["candidate"]["decode"] = {{"tokens", 3000}, {"ms", 2}, {"per_second", 1.5e6}};
            }),
            "");
  EXPECT_THAT(problem([](json& r) { r["verdict"] = "DIVERGENCE at decode"; }), HasSubstr("the stages say 'PARITY'"));
  EXPECT_THAT(problem([](json& r) { r["exit_code"] = 1; }), HasSubstr("the verdict means 0"));
  EXPECT_THAT(problem([](json& r) { r["stages"][4]["checks"][0]["worst"] = 1; }), HasSubstr("the rows have 0"));
  EXPECT_THAT(problem([](json& r) { r["stages"][4]["rows"][1]["mse"] = 1; }), HasSubstr("the rows have 1"));
  EXPECT_THAT(problem([](json& r) { r["stages"][4]["checks"][0]["pass"] = false; }), HasSubstr("is said to fail"));
  EXPECT_THAT(problem([](json& r) { r["stages"][4]["checks"][0]["metric"] = "beauty"; }), HasSubstr("beauty"));
  EXPECT_THAT(problem([](json& r) { r.erase("candidate"); }), HasSubstr("candidate: missing"));
}

TEST_F(ReceiptTest, DemandsAreMetOrSaidNotToBe) {
  const json receipt = Receipt();
  EXPECT_THAT(ReceiptProblems(receipt, "r", {.kernels = {"matmul.*", "*NORM*"}}), IsEmpty());
  EXPECT_THAT(ReceiptProblems(receipt, "r", {.kernels = {"matmul.I2_S.*"}}),
              ElementsAre(HasSubstr("none matches 'matmul.I2_S.*' (--require-kernel); ran: matmul.TQ2_0.AVX2")));
  EXPECT_THAT(ReceiptProblems(receipt, "r", {.gpu_kernels = true}), ElementsAre(HasSubstr("none is of a GPU")));
  EXPECT_THAT(Forged(receipt,
                     [](json& r) {
                       r["candidate"]["name"] = "mine";
                       r["candidate"]["kernels"] = {{"cuda_gemm_i2s", 3}};
                     },
                     {.gpu_kernels = true}),
              IsEmpty());
  EXPECT_THAT(ReceiptProblems(receipt, "r", {.model_blake3 = std::string(64, 'b')}),
              ElementsAre(HasSubstr("the model's file has")));
}

TEST_F(ReceiptTest, DifferencesLeaveTimesOut) {
  const json first = Receipt();
  captures.candidate.timings.prompt_ms = 11;
  EXPECT_THAT(ReceiptDifferences(first, Receipt()), IsEmpty());
  captures.candidate.backend.version = "2";
  EXPECT_THAT(ReceiptDifferences(first, Receipt()),
              ElementsAre(testing::MatchesRegex("runs\\[0\\].candidate.version: \".*\" / \"2\"")));
}

}  // namespace
}  // namespace parity
