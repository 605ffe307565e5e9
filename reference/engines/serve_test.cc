// The loop, driven with an engine whose logits tell which position they are of.
#include "reference/engines/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "reference/engines/in_process_backend.h"

namespace parity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kVocab = 8;
constexpr int32_t kEnd = 7;  // ends generation

// After the token t at position p the largest logit, 100 + p, is that of (t + 1) % kVocab; all others are t.
class FakeSession : public Session {
 public:
  int n_vocab() const override { return kVocab; }
  std::vector<int32_t> Tokenize(const Request& request, std::vector<std::string>* notes) override {
    notes->push_back("tokenized");
    return std::vector<int32_t>(request.text.size(), 2);
  }
  std::string Piece(int32_t id) const override { return std::string(1, static_cast<char>('a' + id)); }
  bool IsEndOfGeneration(int32_t id) const override { return id == kEnd; }
  void Start(int n_ctx, int n_ubatch, CaptureWriter* writer) override {
    started = {n_ctx, n_ubatch};
    writer_ = writer;
  }
  std::span<const float> Forward(std::span<const int32_t> tokens, bool is_prompt) override {
    batches.emplace_back(tokens.size(), is_prompt);
    logits_.clear();
    for (const int32_t token : tokens) {
      if (writer_) writer_->AddTensor(position_, -1, Point::kEmbeddings, {1}, std::vector<float>{1.5f}, true);
      std::vector<float> row(kVocab, static_cast<float>(token));
      row[static_cast<size_t>((token + 1) % kVocab)] = 100.0f + static_cast<float>(position_++);
      logits_.insert(logits_.end(), row.begin(), row.end());
    }
    return logits_;
  }
  void Describe(Capture* capture) const override {
    capture->backend.name = "fake";
    capture->shapes.attends.resize(capture->tokens.size(), {{0, 0}});
  }
  void EditPrompt(std::vector<int32_t>* ids) override {
    if (edit) edit(*ids);
  }
  int32_t Choose(std::span<const float> logits) override { return choose ? choose(logits) : Greedy(logits); }

  std::vector<int> started;                      // n_ctx, n_ubatch
  std::vector<std::pair<size_t, bool>> batches;  // tokens, is_prompt
  std::function<void(std::vector<int32_t>&)> edit;
  std::function<int32_t(std::span<const float>)> choose;

 private:
  CaptureWriter* writer_ = nullptr;
  int position_ = 0;
  std::vector<float> logits_;
};

class ServeTest : public testing::Test {
 protected:
  ServeTest() { request_.token_ids = {1, 2, 3, 4, 5}; }
  Capture Run() { return Serve(request_, session_, nullptr, std::chrono::steady_clock::now()); }
  std::string ErrorOf() {
    try {
      Run();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
  static float Largest(const Matrix& m, int64_t i) { return *std::max_element(m.row(i), m.row(i) + m.cols); }

  Request request_;
  FakeSession session_;
};

TEST_F(ServeTest, ABatchIsOfUbatchPositionsOrOfOne) {
  request_.n_ubatch = 2;
  request_.max_tokens = 3;
  const Capture c = Run();
  EXPECT_THAT(session_.batches, ElementsAre(std::pair(2u, true), std::pair(2u, true), std::pair(1u, true),
                                            std::pair(1u, false), std::pair(1u, false)));
  EXPECT_THAT(c.shapes.logits, ElementsAre(5, kVocab));
  ASSERT_EQ(c.logits.data.size(), 5u * kVocab);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Largest(c.logits, i), 100 + i);
  EXPECT_THAT(c.generated, ElementsAre(6, 7, 0));
  EXPECT_THAT(c.generated_pieces, ElementsAre("g", "h", "a"));
  ASSERT_EQ(c.decode_logits.rows, 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Largest(c.decode_logits, i), 104 + i);
  EXPECT_EQ(c.tokens, *request_.token_ids);
  EXPECT_THAT(c.pieces, ElementsAre("b", "c", "d", "e", "f"));
  EXPECT_GT(c.timings.peak_rss_bytes, 1 << 20);

  session_.batches.clear();
  request_.schedule = Schedule::kTokenByToken;
  request_.max_tokens = 0;
  Run();
  EXPECT_EQ(session_.batches.size(), 5u);
}

TEST_F(ServeTest, PositionsLimitTheLogitsThatAreKept) {
  request_.positions = 3;
  request_.n_ubatch = 2;
  request_.max_tokens = 1;
  const Capture c = Run();
  EXPECT_THAT(c.shapes.logits, ElementsAre(3, kVocab));
  ASSERT_EQ(c.logits.data.size(), 3u * kVocab);
  EXPECT_EQ(Largest(c.logits, 2), 102);
  EXPECT_EQ(Largest(c.decode_logits, 0), 104);
  request_.positions = 99;
  EXPECT_EQ(Run().logits.rows, 5);
}

TEST_F(ServeTest, TheContextHoldsPromptAndTokens) {
  request_.max_tokens = 251;
  Run();
  EXPECT_THAT(session_.started, ElementsAre(256, 256));
  request_.max_tokens = 252;
  request_.n_ubatch = 300;
  Run();
  EXPECT_THAT(session_.started, ElementsAre(512, 300));
  request_.n_ctx = 8;
  EXPECT_EQ(ErrorOf(), "request: n_ctx: found 8, but 5 prompt tokens and 252 to generate need 257");
  request_.max_tokens = 3;
  const Capture c = Run();
  EXPECT_EQ(c.shapes.n_ctx, 8);
  EXPECT_EQ(c.shapes.n_ubatch, 8);
  request_.n_ctx = 0;
  request_.max_tokens = std::numeric_limits<int>::max();
  EXPECT_THAT(ErrorOf(), HasSubstr("too many"));
}

TEST_F(ServeTest, IdsAreOfTheVocabulary) {
  request_.token_ids = {1, kVocab};
  EXPECT_EQ(ErrorOf(), "request: token_ids[1]: found 8, expected an id below n_vocab (8)");
  request_.token_ids = {-1};
  EXPECT_THAT(ErrorOf(), HasSubstr("token_ids[0]: found -1"));
  request_.token_ids.reset();
  request_.text = "four";
  const Capture c = Run();
  EXPECT_THAT(c.tokens, ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(c.notes, ElementsAre("tokenized"));
}

TEST_F(ServeTest, APromptWithoutTokensEvaluatesNothing) {
  request_.token_ids = std::vector<int32_t>();
  request_.max_tokens = 4;
  const Capture c = Run();
  EXPECT_THAT(session_.started, ElementsAre(256, 256));
  EXPECT_THAT(session_.batches, IsEmpty());
  EXPECT_THAT(c.generated, IsEmpty());
  EXPECT_THAT(c.shapes.logits, ElementsAre(0, kVocab));
  EXPECT_EQ(c.decode_logits.cols, kVocab);
  EXPECT_THAT(c.notes, ElementsAre(HasSubstr("no tokens")));
}

TEST_F(ServeTest, AnEndOfGenerationEndsItUnlessItIsIgnored) {
  request_.max_tokens = 4;
  request_.ignore_eos = false;
  EXPECT_THAT(Run().generated, ElementsAre(6, kEnd));
  request_.ignore_eos = true;
  EXPECT_THAT(Run().generated, ElementsAre(6, kEnd, 0, 1));
}

TEST_F(ServeTest, AnEngineMayBeWrongOnPurpose) {
  session_.edit = [](std::vector<int32_t>& ids) { ids.erase(ids.begin()); };
  session_.choose = [](std::span<const float>) { return 3; };
  request_.max_tokens = 2;
  const Capture c = Run();
  EXPECT_THAT(c.tokens, ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(c.generated, ElementsAre(3, 3));
}

TEST(Greedy, IsTheFirstOfTheLargest) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Greedy(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(Greedy(std::vector<float>{-inf, -2, -3}), 1);
  EXPECT_EQ(Greedy(std::vector<float>{nan, -2, nan, -1, -1}), 3);
  EXPECT_EQ(Greedy(std::vector<float>{nan, nan}), 0);
}

class FakeBackend : public InProcessBackend {
 public:
  std::string name() const override { return "fake"; }
  ProbeResult Probe() override { return {}; }
  std::string Identity(const FileHasher&) override { return "fake"; }

 protected:
  std::unique_ptr<Session> Open(const Request&) override { return std::make_unique<FakeSession>(); }
};

TEST(InProcessBackend, TracesAreReadableWhileItLives) {
  FakeBackend backend;
  Request request;
  request.token_ids = {1, 2};
  EXPECT_EQ(backend.Run(request).directory, "");
  request.trace = "core";
  request.raw_tensors = true;
  const Capture first = backend.Run(request), second = backend.Run(request);
  EXPECT_NE(first.directory, second.directory);
  for (const Capture& c : {first, second}) {
    ASSERT_EQ(c.traces.size(), 2u);
    EXPECT_THAT(ReadTensor(c, c.traces[1]), ElementsAre(1.5f));
  }
  const TemporaryDirectory out;
  backend.RunTo(request, out.path() + "/capture");
  EXPECT_EQ(ReadCapture(out.path() + "/capture").traces.size(), 2u);
}

}  // namespace
}  // namespace parity
