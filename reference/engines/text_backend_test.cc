// What is kept of what a program prints, and how its command is filled in.
#include "reference/engines/text_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "reference/capture/error_for_test.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Answer(const std::string& printed, const std::string& prompt, const std::string& begin = "",
                   const std::string& end = "") {
  return TextBetween(printed, prompt, begin, end, nullptr);
}

TEST(TextBetween, KeepsTheAnswer) {
  EXPECT_EQ(Answer(" and the LORD\n", "Hi"), " and the LORD");
  EXPECT_EQ(Answer("", "Hi"), "");
  EXPECT_EQ(Answer("Hi there\n", ""), "Hi there");
}

TEST(TextBetween, TheRepeatedPromptIsCutOffAtTheStartOfALine) {
  EXPECT_EQ(Answer("v1.2 says Hi\nloading\nHi there, Hi\n", "Hi"), " there, Hi");
  EXPECT_EQ(Answer("<s> Hi there", "Hi"), " there");
  EXPECT_EQ(Answer("<|begin_of_text|>Hi there", "Hi"), " there");
  EXPECT_EQ(Answer("a\nb says more", "a\nb"), " says more");
  // Within a line it may be the answer's own.
  EXPECT_EQ(Answer("he said Hi to me", "Hi"), "he said Hi to me");
}

TEST(TextBetween, ExpressionsSayWhereItBeginsAndEnds) {
  EXPECT_EQ(Answer("user: Hi\nassistant: 4\ntimings: 1 ms\n", "Hi", "assistant:", "^timings"), " 4");
  EXPECT_EQ(Answer("a [b] c [d]", "", "\\[b\\]", "\\["), " c");
  EXPECT_EQ(Answer("a b", "", "", "x"), "a b");
  EXPECT_EQ(Answer("it goes on [end of text]\n", ""), "it goes on");
  EXPECT_THAT(ErrorOf([] { Answer("abc", "", "x+"); }), HasSubstr("--text-begin: \"x+\" matches nothing"));
  EXPECT_THAT(ErrorOf([] { Answer("abc", "", "", "("); }), HasSubstr("--text-end: \"(\" is no regular expression"));
}

TEST(TextBetween, SaysWhatWasCutOff) {
  std::vector<std::string> notes;
  TextBetween("Hi there\n\n", "Hi", "", "", &notes);
  EXPECT_THAT(notes, ElementsAre("printed: 10 bytes, of which 6 are the answer; cut in front: 2 bytes, up to the "
                                 "prompt, which it repeats; cut behind: 2 bytes, white space"));
}

// An expression that backtracks without end is an error, and no crash.
TEST(TextBetween, AHopelessExpressionEnds) {
  EXPECT_THAT(ErrorOf([] { Answer(std::string(100000, 'a'), "", "(a+)+$x"); }), HasSubstr("--text-begin"));
}

// What a shell makes of a command with these values.
std::string InAShell(const std::string& command) {
  const std::vector<std::string> names = {"prompt", "model"};
  const ProcessResult result = RunProcess(
      {"/bin/sh", "-c", ShellCommand(command, names), "sh", "a \"b\" 'c' $HOME `id`", "m"}, std::chrono::seconds(20));
  return result.output;
}

TEST(ShellCommand, AValueStaysOneWordWhereverItStands) {
  const std::string prompt = "a \"b\" 'c' $HOME `id`";
  EXPECT_EQ(InAShell("printf '%s|' {prompt} {model}"), prompt + "|m|");
  EXPECT_EQ(InAShell("printf '%s|' \"{prompt}\" x{model}y"), prompt + "|xmy|");
  EXPECT_EQ(InAShell("printf '%s|' '{prompt}' '<{model}>'"), prompt + "|<m>|");
  EXPECT_EQ(InAShell("printf '%s|' \"it's {model}\" \\'{model}"), "it's m|'m|");
}

TEST(ShellCommand, OtherBracesStay) {
  EXPECT_EQ(ShellCommand("awk '{print}' ${prompt} {other}", {"prompt"}), "awk '{print}' ${prompt} {other}");
}

Request RequestFor(const std::string& prompt) {
  Request request;
  request.model = "some/model.gguf";
  request.prompt = request.text = prompt;
  request.max_tokens = 7;
  return request;
}

TEST(TextBackend, ThePromptGoesByArgumentByFileOrToStandardInput) {
  for (const char* command : {"text:printf '%s and more' {prompt}", "text:cat {prompt_file}; printf ' and more'",
                              "text:cat; printf ' and more'"}) {
    const Capture c = MakeBackend(command)->Run(RequestFor("In the\nbeginning"));
    EXPECT_EQ(c.text, " and more") << command;
    EXPECT_TRUE(c.shown.text);
    EXPECT_FALSE(c.shown.tokens || c.shown.shapes || c.shown.logits || c.shown.generated || c.shown.decode_logits);
  }
}

TEST(TextBackend, FillsInTheRest) {
  const Capture c = MakeBackend("text:echo {model} {max_tokens} {seed} {threads} {n_ctx}")->Run(RequestFor("Hi"));
  EXPECT_EQ(c.text, std::filesystem::absolute("some/model.gguf").string() + " 7 42 2 256");
}

TEST(TextBackend, FailuresSayWhatHappened) {
  const auto error_of = [](const std::string& spec) {
    return ErrorOf([&] { MakeBackend(spec)->Run(RequestFor("Hi")); });
  };
  EXPECT_THAT(error_of("text:echo out of memory >&2; exit 3"),
              testing::AllOf(HasSubstr("exited with code 3"), HasSubstr("out of memory")));
  EXPECT_THAT(error_of("text:kill -SEGV $$"), HasSubstr("crashed with SIGSEGV"));
  EXPECT_THAT(ErrorOf([] {
                Request request = RequestFor("");
                request.token_ids = std::vector<int32_t>{1, 2};
                MakeBackend("text:cat")->Run(request);
              }),
              HasSubstr("found a prompt of token ids"));
  EXPECT_FALSE(MakeBackend("text:/no/such/program {prompt}")->Probe().available);
  EXPECT_TRUE(MakeBackend("text:{model} run")->Probe().available);
}

}  // namespace
}  // namespace parity
