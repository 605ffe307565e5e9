// What two captures say beside each other, without an engine: ids, masks, repeated runs, the shape of a difference.
// Recomputed operations: operation_causes_test.cc.
#include "parity_tests/diagnose/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "parity_tests/judge/capture_for_test.h"
#include "parity_tests/judge/ladder.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DiagnosisTest : public testing::Test {
 protected:
  // The causes of the two captures as they are now, the most certain first.
  std::vector<std::string> Causes() {
    const Verdict verdict = Climb(both_.candidate, both_.reference, {.profile = ExactProfile(), .piece_of = {}});
    diagnosis_ = Diagnose({.verdict = &verdict,
                           .captures = &both_,
                           .candidate_again = again_ ? &*again_ : nullptr,
                           .location = location_});
    std::vector<std::string> ids;
    for (const Cause& cause : diagnosis_.causes) ids.push_back(cause.id);
    return ids;
  }

  // Both captures get a raw tensor; the logits of the candidate are made to differ, so that a stage fails.
  void Trace(Point point, int layer, const std::vector<float>& candidate, const std::vector<float>& reference) {
    const auto write = [&](Capture& c, const std::vector<float>& data, const std::string& name) {
      CaptureWriter writer(root_.path() + "/" + name);
      writer.AddTensor(0, layer, point, {static_cast<int64_t>(data.size())}, data, true);
      writer.Finish(c);
      c = ReadCapture(root_.path() + "/" + name);
    };
    At(both_.candidate.logits, 0, 0) += 1;
    write(both_.candidate, candidate, "candidate");
    write(both_.reference, reference, "reference");
  }

  static std::vector<float> Ramp(size_t n) {
    std::vector<float> v(n);
    for (size_t i = 0; i < n; ++i) v[i] = static_cast<float>((i * 37 + 11) % 101) - 50.0f;
    return v;
  }

  TemporaryDirectory root_;
  Captures both_ = {CaptureForTest("mine"), CaptureForTest("theirs")};
  std::optional<Capture> again_;
  std::optional<Place> location_;
  Diagnosis diagnosis_;
};

TEST_F(DiagnosisTest, ParityHasNoCause) { EXPECT_THAT(Causes(), IsEmpty()); }

TEST_F(DiagnosisTest, Bos) {
  std::vector<int32_t>& ids = both_.candidate.tokens;
  ids.insert(ids.begin(), ids[0]);
  EXPECT_THAT(Causes(), ElementsAre("bos_twice"));
  ids.erase(ids.begin(), ids.begin() + 2);
  EXPECT_THAT(Causes(), ElementsAre("bos_missing"));
}

TEST_F(DiagnosisTest, TokensThatAreDrawn) {
  std::vector<int32_t>& taken = both_.candidate.generated;
  again_ = both_.candidate;
  taken[1] = (taken[1] + 1) % 64;
  EXPECT_THAT(Causes(), ElementsAre("not_greedy"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("take other tokens of the same logits"));
  again_.reset();
  EXPECT_THAT(Causes(), ElementsAre("not_greedy"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("the largest is"));
}

TEST_F(DiagnosisTest, AnAnswerThatEndsEarly) {
  Capture& c = both_.candidate;
  c.generated.resize(2);
  c.generated_pieces.resize(2);
  c.decode_logits = {
      2, c.decode_logits.cols, {c.decode_logits.data.begin(), c.decode_logits.data.begin() + 2 * c.decode_logits.cols}};
  ASSERT_THAT(Causes(), ElementsAre("ends_elsewhere"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("2 tokens are equal"));
  std::swap(both_.candidate, both_.reference);
  both_.candidate.request = both_.reference.request;
  ASSERT_THAT(Causes(), ElementsAre("ends_elsewhere"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("there the reference ends, and the candidate goes on"));
}

TEST_F(DiagnosisTest, ShiftedIds) {
  for (int32_t& id : both_.candidate.tokens) id += 3;
  EXPECT_THAT(Causes(), ElementsAre("ids_shifted"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("+3"));
  both_.candidate.tokens[2] += 1;  // no constant any more
  EXPECT_THAT(Causes(), IsEmpty());
  both_.candidate.tokens = both_.reference.tokens;
  both_.candidate.tokens[2] += 3;  // one id is no shift
  EXPECT_THAT(Causes(), IsEmpty());
}

TEST_F(DiagnosisTest, Masks) {
  auto& attends = both_.candidate.shapes.attends;
  for (int i = 0; i < 6; ++i) attends[static_cast<size_t>(i)] = {{0, std::min(i + 1, 5)}};
  EXPECT_THAT(Causes(), ElementsAre("mask_off_by_one"));
  for (auto& ranges : attends) ranges = {{0, 5}};
  EXPECT_THAT(Causes(), ElementsAre("mask_missing"));
  for (auto& ranges : attends) ranges = {{0, 9}};
  EXPECT_THAT(Causes(), ElementsAre("kv_not_cleared"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("4 keys are of an earlier one"));
}

TEST_F(DiagnosisTest, TwoRunsThatDiffer) {
  again_ = both_.candidate;
  EXPECT_THAT(Causes(), IsEmpty());
  At(again_->logits, 3, 5) += 1;
  EXPECT_THAT(Causes(), ElementsAre("uninitialized"));
  EXPECT_EQ(diagnosis_.causes[0].certainty, Certainty::kCertain);
}

TEST_F(DiagnosisTest, AConstantMultiple) {
  const std::vector<float> right = Ramp(96);
  std::vector<float> scaled = right;
  for (float& x : scaled) x *= 2.5f;
  Trace(Point::kFfnDown, 1, scaled, right);
  EXPECT_THAT(Causes(), ElementsAre("scaled_by_constant"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("2.5 times"));
  EXPECT_EQ(diagnosis_.location.layer, 1);
  EXPECT_EQ(diagnosis_.location.point, Point::kFfnDown);
}

TEST_F(DiagnosisTest, AnotherOrderWithinBlocks) {
  const std::vector<float> right = Ramp(128);
  std::vector<float> turned = right;
  for (size_t at = 0; at < turned.size(); at += 64) {
    std::reverse(turned.begin() + static_cast<ptrdiff_t>(at), turned.begin() + static_cast<ptrdiff_t>(at) + 64);
  }
  Trace(Point::kQProj, 0, turned, right);
  EXPECT_THAT(Causes(), ElementsAre("permuted"));
  EXPECT_THAT(diagnosis_.causes[0].evidence, HasSubstr("block of 64"));
}

TEST_F(DiagnosisTest, RoundingIsOnlyPossible) {
  const std::vector<float> right = Ramp(96);
  std::vector<float> rounded = right;
  rounded[7] = std::nextafter(rounded[7], 100.0f);
  Trace(Point::kAttnNorm, 0, rounded, right);
  EXPECT_THAT(Causes(), ElementsAre("rounding"));
  EXPECT_EQ(diagnosis_.causes[0].certainty, Certainty::kPossible);
}

TEST_F(DiagnosisTest, OfEqualLogitsTheLast) {
  for (Capture* c : {&both_.candidate, &both_.reference}) {
    At(c->decode_logits, 1, 3) = At(c->decode_logits, 1, 40) = 50;
    c->generated[1] = 3;
  }
  both_.candidate.generated[1] = 40;
  EXPECT_THAT(Causes(), ElementsAre("argmax_last"));
  EXPECT_EQ(diagnosis_.causes[0].certainty, Certainty::kCertain);
}

TEST_F(DiagnosisTest, TheCallersPlaceWins) {
  Trace(Point::kFfnDown, 1, Ramp(32), Ramp(64));
  location_ = Place{4, 2, Point::kQRope};
  Causes();
  EXPECT_EQ(diagnosis_.location.position, 4);
  EXPECT_EQ(diagnosis_.location.point, Point::kQRope);
}

}  // namespace
}  // namespace parity
