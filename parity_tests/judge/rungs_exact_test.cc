#include "parity_tests/judge/ladder_for_test.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Preflight.

TEST_F(LadderTest, CapturesOfTwoModelFilesAreAnError) {
  candidate.model.blake3[3] = 'b';
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("two model files"));
}

TEST_F(LadderTest, CapturesOfTwoRequestsAreAnError) {
  candidate.request.schedule = Schedule::kTokenByToken;
  EXPECT_EQ(ExpectFailureAt(Rung::kPreflight).message, "request.schedule: candidate token, reference batch");
  candidate.request = reference.request;
  candidate.request.text = "In the end";
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("\"In the end\", reference \"In the beginning\""));
  candidate.request = reference.request;
  candidate.request.max_tokens = 5;
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("max_tokens: candidate 5, reference 4"));
  candidate.request = reference.request;
  candidate.request.add_special = false;
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("add_special"));
  candidate.request = reference.request;
  candidate.request.token_ids = {1, 2};
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("token_ids given"));
  reference.request.token_ids = {1, 3};
  EXPECT_THAT(ExpectFailureAt(Rung::kPreflight).message, HasSubstr("two lists of ids"));
}

TEST_F(LadderTest, AModelWithoutAHashIsSaidAloud) {
  candidate.model.blake3.clear();
  EXPECT_THAT(Climb().rung(Rung::kPreflight).notes, Contains(HasSubstr("does not say by hash")));
}

// Tokens.

TEST_F(LadderTest, DuplicateBosStopsAtTokens) {
  candidate.tokens.insert(candidate.tokens.begin(), 60);
  candidate.pieces.insert(candidate.pieces.begin(), "<|begin_of_text|>");
  const RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 1);
  EXPECT_EQ(result.token, 11);
  EXPECT_EQ(result.token_text, "In");
  EXPECT_THAT(result.message, HasSubstr("candidate 60 \"<|begin_of_text|>\", reference 11 \"In\" (7 and 6 tokens)"));
  EXPECT_THAT(result.hints, ElementsAre(AllOf(HasSubstr("the candidate starts with"), HasSubstr("twice"))));
}

TEST_F(LadderTest, MissingAndWrongBosStopAtTokens) {
  candidate.tokens.erase(candidate.tokens.begin());
  candidate.pieces.erase(candidate.pieces.begin());
  EXPECT_THAT(ExpectFailureAt(Rung::kTokens).hints,
              ElementsAre(HasSubstr("the reference has one token more in front")));
  candidate = CaptureForTest("native");
  candidate.tokens[0] = 1;
  EXPECT_THAT(ExpectFailureAt(Rung::kTokens).hints, ElementsAre(HasSubstr("different ids for BOS")));
}

TEST_F(LadderTest, ShiftedIdsAreSeen) {
  for (int32_t& id : candidate.tokens) id += 3;
  const RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 0);
  EXPECT_THAT(result.hints, ElementsAre(HasSubstr("all 6 ids that differ are shifted by +3")));
}

TEST_F(LadderTest, OneTokenInTheMiddleGetsNoHint) {
  candidate.tokens[4] = 31;
  const RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 4);
  EXPECT_THAT(result.hints, IsEmpty());
}

TEST_F(LadderTest, ATokenMoreOrLessAtTheEnd) {
  candidate.tokens.push_back(61);
  candidate.pieces.push_back("<|end_of_text|>");
  RungResult result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 6);
  EXPECT_EQ(result.token, 61);
  EXPECT_THAT(result.message, HasSubstr("reference no token"));
  EXPECT_THAT(result.hints, ElementsAre(HasSubstr("the candidate goes on after the reference's end")));
  candidate.tokens.clear();
  candidate.pieces.clear();
  result = ExpectFailureAt(Rung::kTokens);
  EXPECT_EQ(result.position, 0);
  EXPECT_THAT(result.message, HasSubstr("candidate no token"));
}

TEST_F(LadderTest, BosTwiceOnBothSidesIsSaidAloud) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->tokens[1] = capture->tokens[0];
    capture->pieces[1] = capture->pieces[0];
  }
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kTokens).notes, ElementsAre(HasSubstr("twice; is that meant?")));
}

// The ids are what the model reads, the pieces what a person reads.
TEST_F(LadderTest, OneIdWrittenInTwoWaysIsSaid) {
  candidate.pieces[2] = "Ġ" + candidate.pieces[2];
  candidate.generated_pieces[3].clear();  // says nothing
  Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kTokens).notes,
              ElementsAre(AllOf(HasSubstr("1 of 6 equal prompt ids"), HasSubstr("the first at 2"))));
  EXPECT_THAT(verdict.rung(Rung::kDecode).notes, IsEmpty());
  candidate.generated_pieces[1] = "other";
  verdict = Climb();
  EXPECT_THAT(verdict.rung(Rung::kDecode).notes, ElementsAre(HasSubstr("1 of 4 equal generated ids")));
}

// Shapes.

TEST_F(LadderTest, AMaskOffByOneStopsAtShapes) {
  candidate.shapes.attends[3] = {{0, 4}};  // sees one key of the future
  RungResult result = ExpectFailureAt(Rung::kShapes);
  EXPECT_EQ(result.message, "position 3 7 \" the\": candidate attends keys 0-4, reference keys 0-3");
  EXPECT_EQ(result.position, 3);
  EXPECT_EQ(result.token, 7);
  candidate.shapes.attends[3] = {{1, 3}};
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("candidate attends keys 1-3"));
  candidate.shapes.attends[3] = {};
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("candidate attends no key"));
  candidate.shapes.attends[3] = {{2, 3}, {0, 1}};  // the same keys, said in another way
  EXPECT_TRUE(Climb().parity());
}

TEST_F(LadderTest, MasksThatOneSideDoesNotReportAreSaidAloud) {
  reference.shapes.attends.clear();
  EXPECT_THAT(Climb().rung(Rung::kShapes).notes, ElementsAre(HasSubstr("the reference reports none")));
  candidate.shapes.attends.clear();
  EXPECT_THAT(Climb().rung(Rung::kShapes).notes, ElementsAre(HasSubstr("either side reports none")));
}

TEST_F(LadderTest, EverySizeIsCompared) {
  const std::pair<const char*, void (*)(Capture&)> cases[] = {
      {"n_ctx: candidate 512, reference 256", [](Capture& c) { c.shapes.n_ctx = 512; }},
      {"positions in one batch: candidate 128, reference 256", [](Capture& c) { c.shapes.n_ubatch = 128; }},
      {"KV cells: candidate 32, reference 256", [](Capture& c) { c.shapes.kv_cells = 32; }},
      {"K row (n_embd_k): candidate 256, reference 128", [](Capture& c) { c.shapes.n_embd_k = 256; }},
      {"V row (n_embd_v): candidate 64, reference 128", [](Capture& c) { c.shapes.n_embd_v = 64; }},
      {"logits reported: candidate [6, 65], reference [6, 64]",
       [](Capture& c) {
         c.shapes.logits = {6, 65};
       }},
      {"logits: candidate [5, 64], reference [6, 64]", [](Capture& c) { c.logits.rows = 5; }},
      {"logits: candidate [6, 63], reference [6, 64]", [](Capture& c) { c.logits.cols = 63; }},
      {"columns of decode logits: candidate 63, reference 64", [](Capture& c) { c.decode_logits.cols = 63; }},
      {"architecture: candidate llama, reference bitnet", [](Capture& c) { c.model.architecture = "llama"; }},
      {"positions with a mask: candidate 5, reference 6", [](Capture& c) { c.shapes.attends.pop_back(); }},
      {"n_layer: candidate 5, reference 6", [](Capture& c) { (*c.model.hyperparameters)["n_layer"] = 5; }},
      {"rms_norm_eps: candidate 0.01, reference 1e-05",
       [](Capture& c) { (*c.model.hyperparameters)["rms_norm_eps"] = 1e-2; }},
      {"n_head_kv: not reported by the candidate", [](Capture& c) { c.model.hyperparameters->erase("n_head_kv"); }},
  };
  for (const auto& [message, perturb] : cases) {
    candidate = CaptureForTest("native");
    perturb(candidate);
    EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr(message));
  }
}

TEST_F(LadderTest, NumbersAreEqualAsFloat32) {
  (*candidate.model.hyperparameters)["rms_norm_eps"] = static_cast<double>(1e-5f);
  (*candidate.model.hyperparameters)["rope_freq_base"] = 10000;
  EXPECT_TRUE(Climb().parity());
}

TEST_F(LadderTest, HyperparametersOfOneSideAreSaidAloud) {
  candidate.model.hyperparameters->erase("rms_norm_eps");
  reference.model.hyperparameters->erase("rope_freq_base");
  EXPECT_THAT(Climb().rung(Rung::kShapes).notes,
              ElementsAre(HasSubstr("the candidate does not report rms_norm_eps"),
                          HasSubstr("the reference does not report rope_freq_base")));
}

TEST_F(LadderTest, TheContextIsWhatTheRequestAsksFor) {
  Request request;
  request.max_tokens = 32;
  EXPECT_EQ(RequestedContext(request, 224), 256);
  EXPECT_EQ(RequestedContext(request, 225), 512);
  request.n_ctx = 1000;
  EXPECT_EQ(RequestedContext(request, 224), 1000);
  for (Capture* capture : {&candidate, &reference}) capture->shapes.n_ctx = 512;
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("both sides took 512, the request asks for 256"));
}

TEST_F(LadderTest, AContextMayBeRoundedUp) {
  for (Capture* capture : {&candidate, &reference}) capture->request.n_ctx = 300;
  candidate.shapes.n_ctx = 300;
  reference.shapes.n_ctx = 512;
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kShapes).notes, Contains(HasSubstr("300 rounded up")));
  reference.shapes.n_ctx = 556;
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message, HasSubstr("n_ctx: candidate 300, reference 556"));
}

TEST_F(LadderTest, MissingLogitRowsOnBothSidesStopAtShapes) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->logits.rows = 5;
    capture->logits.data.resize(5 * 64);
  }
  EXPECT_THAT(ExpectFailureAt(Rung::kShapes).message,
              HasSubstr("5 rows, expected one for each of the 6 prompt positions"));
}

TEST_F(LadderTest, PositionsThatWereNotAskedForAreSaidAloud) {
  for (Capture* capture : {&candidate, &reference}) {
    capture->request.positions = 2;
    capture->logits.rows = 2;
    capture->logits.data.resize(2 * 64);
  }
  const Verdict verdict = Climb();
  EXPECT_TRUE(verdict.parity());
  EXPECT_THAT(verdict.rung(Rung::kPositions).notes, ElementsAre("2 of 6 prompt positions, as asked"));
}

TEST_F(LadderTest, ManyDifferencesAreCounted) {
  for (auto& ranges : candidate.shapes.attends) ranges = {{7, 9}};
  candidate.shapes.n_ctx = candidate.shapes.kv_cells = candidate.shapes.n_embd_k = 1;
  const std::string message = ExpectFailureAt(Rung::kShapes).message;
  EXPECT_THAT(message, HasSubstr("\nand 1 more"));
}

}  // namespace
}  // namespace parity
