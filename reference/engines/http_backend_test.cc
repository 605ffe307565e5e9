// Servers that answer, right and wrong.
#include "reference/engines/http_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "reference/capture/error_for_test.h"
#include "reference/engines/served_for_test.h"

namespace parity {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Request Asked() {
  Request request;
  request.model = "m.gguf";
  request.prompt = request.text = "Hi";
  request.max_tokens = 2;
  return request;
}

// A server whose answers are these texts.
class Answers {
 public:
  Answers& Get(const char* path, std::string body, int status = 200) {
    server_.routes().Get(path, Handler(std::move(body), status));
    return *this;
  }
  Answers& Post(const char* path, std::string body, int status = 200) {
    server_.routes().Post(path, Handler(std::move(body), status));
    return *this;
  }
  std::string url() {
    server_.Start();
    return server_.url();
  }
  const std::string& last_body() const { return last_body_; }

 private:
  httplib::Server::Handler Handler(std::string body, int status) {
    return [this, body, status](const httplib::Request& request, httplib::Response& response) {
      last_body_ = request.body;
      response.status = status;
      response.set_content(body, "application/json");
    };
  }
  std::string last_body_;
  LocalServer server_;
};

constexpr const char* kProps = R"({"default_generation_settings": {}, "build_info": "b42"})";

TEST(HttpBackend, LlamaServerIsRecognised) {
  Answers server;
  server.Get("/props", kProps)
      .Post("/tokenize", R"({"tokens": [{"id": 1, "piece": "<s>"}, {"id": 300, "piece": [226, 130]}]})")
      .Post("/completion", R"({"content": " there!", "completion_probabilities": [
        {"id": 7, "token": " there", "bytes": [32, 116], "logprob": -0.1, "top_logprobs": [
          {"id": 7, "token": " there", "logprob": -0.1}, {"id": 8, "token": "?", "bytes": [226], "logprob": -3.5}]},
        {"id": 9, "token": "!", "logprob": -0.2, "top_logprobs": [{"id": 9, "token": "!", "logprob": -0.2}]}]})");
  const auto backend = MakeHttpBackend(server.url(), false);
  EXPECT_THAT(backend->Probe().details, ElementsAre("api: llama-server's /completion"));
  const Capture c = backend->Run(Asked());
  EXPECT_EQ(c.backend.version, "b42");
  EXPECT_THAT(c.tokens, ElementsAre(1, 300));
  EXPECT_THAT(c.pieces, ElementsAre("<s>", "\xE2\x82"));
  EXPECT_EQ(GeneratedText(c), " there!");
  EXPECT_THAT(c.generated, ElementsAre(7, 9));
  ASSERT_EQ(c.top_logprobs.size(), 2u);
  EXPECT_EQ(c.top_logprobs[0][1].text, "\xE2");
  EXPECT_EQ(c.top_logprobs[0][1].logprob, -3.5);
  EXPECT_TRUE(c.shown.tokens && c.shown.text && c.shown.generated);
  EXPECT_FALSE(c.shown.logits || c.shown.decode_logits || c.shown.shapes);
  // It is asked with the ids that the tokens stage judges, and greedily.
  const auto asked = nlohmann::json::parse(server.last_body());
  EXPECT_EQ(asked.at("prompt"), nlohmann::json({1, 300}));
  EXPECT_EQ(asked.at("temperature"), 0.0);
  EXPECT_EQ(asked.at("n_predict"), 2);
}

// As bitnet.cpp's server answers: ids without pieces, and probabilities behind the sampler.
TEST(HttpBackend, AnOlderLlamaServer) {
  Answers server;
  server.Get("/props", kProps)
      .Post("/tokenize", R"({"tokens": [1, 300]})")
      .Post("/completion", R"({"content": " there", "completion_probabilities": [
        {"content": " there", "probs": [{"tok_str": " there", "prob": 1.0}]}]})");
  const Capture c = MakeHttpBackend(server.url(), false)->Run(Asked());
  EXPECT_THAT(c.tokens, ElementsAre(1, 300));
  EXPECT_EQ(c.text, " there");
  EXPECT_TRUE(c.top_logprobs.empty());
  EXPECT_FALSE(c.shown.generated);
  EXPECT_THAT(c.notes, testing::Contains(HasSubstr("behind its sampler")));
}

TEST(HttpBackend, OpenAiCompletions) {
  Answers server;
  server.Get("/v1/models", R"({"data": [{"id": "my-model"}]})").Post("/v1/completions", R"({"choices": [
      {"text": " there", "logprobs": {"tokens": [" there"], "top_logprobs": [{"?": -3.5, " there": -0.1}]}}]})");
  const auto backend = MakeHttpBackend(server.url(), false);
  const Capture c = backend->Run(Asked());
  EXPECT_EQ(c.backend.build, "OpenAI's /v1/completions");
  EXPECT_EQ(c.text, " there");
  EXPECT_FALSE(c.shown.tokens || c.shown.generated);
  ASSERT_EQ(c.top_logprobs.size(), 1u);
  EXPECT_EQ(c.top_logprobs[0][0].text, " there");
  EXPECT_EQ(c.top_logprobs[0][0].id, -1);
  EXPECT_EQ(nlohmann::json::parse(server.last_body()).at("model"), "my-model");
}

TEST(HttpBackend, AChatByItsPath) {
  Answers server;
  server.Post("/v1/chat/completions", R"({"choices": [{"message": {"content": " 4"}, "logprobs": {"content": [
      {"token": " 4", "logprob": -0.1, "top_logprobs": [{"token": " 4", "logprob": -0.1}]}]}}]})");
  const Capture c = MakeHttpBackend(server.url() + "/v1/chat/completions", false)->Run(Asked());
  EXPECT_EQ(c.text, " 4");
  EXPECT_EQ(c.top_logprobs.size(), 1u);
  const auto asked = nlohmann::json::parse(server.last_body());
  EXPECT_EQ(asked.at("messages").at(0).at("content"), "Hi");
  EXPECT_EQ(asked.at("model"), "m.gguf") << "a server that names no model";
}

std::string RunError(const std::string& url) {
  return ErrorOf([&] { MakeHttpBackend(url, false)->Run(Asked()); });
}

TEST(HttpBackend, WhatIsWrongIsSaid) {
  {
    Answers nothing;
    const std::string url = nothing.url();
    EXPECT_THAT(RunError(url),
                AllOf(HasSubstr("GET /props (llama-server) was answered 404"), HasSubstr("name the API by its path")));
    EXPECT_THAT(RunError(url + "/v1/completions"), HasSubstr("POST " + url + "/v1/completions: found status 404"));
  }
  {
    Answers server;
    server.Post("/completion", "<html>", 200).Post("/tokenize", "{}", 404);
    EXPECT_THAT(RunError(server.url() + "/completion"), HasSubstr("/completion: the answer"));
  }
  {
    Answers server;
    server.Post("/completion", R"({"text": "x"})").Post("/tokenize", "{}", 404);
    EXPECT_THAT(RunError(server.url() + "/completion"), HasSubstr("content: missing key"));
  }
  {
    Answers server;
    server.Post("/completion", R"({"error": "model is loading"})", 503).Post("/tokenize", R"({"tokens": ["a"]})");
    EXPECT_THAT(RunError(server.url() + "/completion"), HasSubstr("found \"a\", expected a token id"));
  }
  {
    Answers server;
    server.Post("/v1/completions", R"({"choices": []})");
    EXPECT_THAT(RunError(server.url() + "/v1/completions"), HasSubstr("choices: found none, expected one"));
  }
}

TEST(HttpBackend, NobodyAnswers) {
  std::string url;
  {
    Answers gone;
    url = gone.url();
  }
  const ProbeResult probe = MakeHttpBackend(url, false)->Probe();
  EXPECT_FALSE(probe.available);
  EXPECT_THAT(probe.problem, HasSubstr("GET " + url + "/props: nobody answers there"));
}

TEST(HttpBackend, AServerThatDoesNotAnswerInTime) {
  LocalServer server;
  server.routes().Get("/props", [](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("text/plain", [](size_t, httplib::DataSink& sink) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return sink.write(" ", 1);  // a byte now and then, without end
    });
  });
  server.Start();
  setenv("CROSSVAL_TIMEOUT_SECS", "1", 1);
  const std::string problem = MakeHttpBackend(server.url(), false)->Probe().problem;
  unsetenv("CROSSVAL_TIMEOUT_SECS");
  EXPECT_THAT(problem, HasSubstr("no whole answer in 1 s"));
}

TEST(HttpBackend, OtherMachinesOnlyWhenAllowed) {
  for (const char* url : {"http://example.org:80", "http://10.0.0.1/completion", "http://localhost.example.org"}) {
    EXPECT_THAT(ErrorOf([&] { MakeHttpBackend(url, false); }), HasSubstr("is another machine; --allow-remote")) << url;
    EXPECT_NO_THROW(MakeHttpBackend(url, true)) << url;
  }
  for (const char* url : {"http://localhost:1", "http://127.0.0.1:1/completion", "http://[::1]:8080"}) {
    EXPECT_NO_THROW(MakeHttpBackend(url, false)) << url;
  }
  for (const char* url : {"http:", "http://", "http://a b", "http://user@localhost", "http://localhost?x"}) {
    EXPECT_THAT(ErrorOf([&] { MakeHttpBackend(url, false); }), HasSubstr("is no address")) << url;
  }
  EXPECT_THAT(ErrorOf([] { MakeHttpBackend("http://localhost/v1", false); }), HasSubstr("found the path /v1"));
}

}  // namespace
}  // namespace parity
