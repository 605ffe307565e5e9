// What people get wrong, as a table: the arguments, the exit code, and words of the message. No input crashes the
// command, says nothing, or is taken for another one.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// One line of bad_inputs.txt.
struct BadInput {
  int line = 0;
  std::vector<std::string> arguments;
  int exit_code = 2;
  std::string words;
};

void PrintTo(const BadInput& bad, std::ostream* out) {
  *out << fmt::format("line {}: {}", bad.line, fmt::join(bad.arguments, " "));
}

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

// "ladder --prompt 'two words'": separated by spaces, which single quotes protect.
std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> words;
  bool quoted = false, inside = false;
  for (const char c : text) {
    if (c == '\'') {
      quoted = !quoted;
      if (!inside) words.emplace_back();
      inside = true;
    } else if (c == ' ' && !quoted) {
      inside = false;
    } else {
      if (!inside) words.emplace_back();
      inside = true;
      words.back() += c;
    }
  }
  return words;
}

std::vector<BadInput> ReadTable() {
  std::ifstream file(PARITY_SOURCE_DIR "/parity_tests/cli/bad_inputs.txt");
  std::vector<BadInput> table;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line.starts_with("#")) continue;
    std::istringstream columns(line);
    BadInput bad;
    bad.line = number;
    std::string arguments, exit_code;
    std::getline(columns, arguments, '|');
    std::getline(columns, exit_code, '|');
    std::getline(columns, bad.words);
    bad.arguments = Split(arguments);
    bad.exit_code = std::stoi(exit_code);
    bad.words = Trimmed(bad.words);
    table.push_back(std::move(bad));
  }
  return table;
}

class BadInputTest : public testing::TestWithParam<BadInput> {
 protected:
  // $NAME in the table, and what is made for it.
  static void SetUpTestSuite() {
    directory = std::make_unique<TemporaryDirectory>();
    const auto write = [](const std::string& name, const std::string& text) { std::ofstream(Path(name)) << text; };
    write("empty", "");
    write("text", "no model at all\n");
    write("array.json", "[]");
    write("broken.json", "{\"schema\": ");
    write("other.json", R"({"schema": "other/1"})");
    write("gate_name.json", R"({"attn_nrm": {"min": 0, "max": 1}})");
    write("gate_order.json", R"({"attn_norm": {"min": 9, "max": 5}})");
    write("gate_empty.json", "{}");
    write("gate_key.json", R"({"attn_norm": {"min": 0, "max": 5, "mean": 1}})");
    write("escape.json", R"({"schema": "bitnet-parity/prompts/1", "prompts": [
      {"id": "../../x", "text": "Hi", "template": "raw"}]})");
    write("twice.json", R"({"schema": "bitnet-parity/prompts/1", "prompts": [
      {"id": "a", "text": "Hi", "template": "raw"}, {"id": "a", "text": "Ho", "template": "raw"}]})");
    write("project.toml", "[ladder]\nprofil = \"strict\"\n");
    write("project_command.toml", "[laddr]\nprofile = \"strict\"\n");
    write("project_value.toml", "max-tokens = \"many\"\n");
    std::string model = ReadFile(kTrainedModel);
    write("truncated.gguf", model.substr(0, 4096));
    fs::create_directories(Path("folder"));
    fs::create_directories(Path("kept/batch"));
    fs::copy(kRecordedHello, Path("kept/batch/candidate"), fs::copy_options::recursive);
  }
  static void TearDownTestSuite() { directory.reset(); }

  static std::string Path(const std::string& name) { return directory->path() + "/" + name; }

  static std::string Fill(std::string argument) {
    const auto replace = [&argument](const std::string& name, const std::string& value) {
      for (size_t at; (at = argument.find(name)) != std::string::npos;) argument.replace(at, name.size(), value);
    };
    replace("$MODEL", kTrainedModel);
    replace("$OTHER", PARITY_SOURCE_DIR "/fixtures/models/kjv-bitnet-b1.58.tq2_0.gguf");
    replace("$TOKENIZER", kTrainedTokenizer);
    replace("$RECORDED", kRecordedHello);
    replace("$DIR", directory->path());
    return argument;
  }

  static inline std::unique_ptr<TemporaryDirectory> directory;
};

TEST_P(BadInputTest, IsNamed) {
  std::vector<std::string> arguments;
  for (const std::string& argument : GetParam().arguments) arguments.push_back(Fill(argument));
  const ProcessResult result = RunParity(arguments);
  EXPECT_EQ(result.exit_code, GetParam().exit_code) << result.output << result.last_words;
  EXPECT_EQ(result.signal, 0);
  EXPECT_THAT(result.output + result.last_words, HasSubstr(Fill(GetParam().words)));
  EXPECT_THAT(result.last_words, Not(AnyOf(HasSubstr("terminate called"), HasSubstr("AddressSanitizer"))));
}

INSTANTIATE_TEST_SUITE_P(Table, BadInputTest, testing::ValuesIn(ReadTable()),
                         [](const auto& info) { return fmt::format("line{}", info.param.line); });

TEST(BadInput, TheTableIsLong) { EXPECT_GE(ReadTable().size(), 80u); }

std::vector<std::string> SmallLadder() {
  return {"ladder", "--model",      kTrainedModel, "--prompt",  "Hi", "--reference",
          "native", "--max-tokens", "1",           "--threads", "1"};
}

std::string InShell(const std::vector<std::string>& arguments) {
  std::string line = fmt::format("'{}'", BITNET_PARITY_PROGRAM);
  for (const std::string& argument : arguments) line += fmt::format(" '{}'", argument);
  return line;
}

// Standard output that takes nothing is an error of every command: what it says would be lost.
TEST(StandardOutput, ThatIsFullOrClosedIsAnError) {
  const std::vector<std::vector<std::string>> commands = {
      SmallLadder(),
      {"--help"},
      {"--version"},
      {"ladder", "--help"},
      {"inspect", kTrainedModel},
      {"compat-check", kTrainedModel},
      {"generate", "--model", kTrainedModel, "--prompt", "Hi", "--max-tokens", "1"},
      {"trace-diff", kRecordedHello, kRecordedHello},
      {"check-capture", kRecordedHello},
      {"diff-models", kTrainedModel, kTrainedModel},
      {"preflight"},
      {"make-request", "--model", kTrainedModel, "--prompt", "Hi"}};
  for (const std::vector<std::string>& command : commands) {
    for (const char* where : {"> /dev/full", ">&-"}) {
      const ProcessResult result = RunProcess({"/bin/sh", "-c", InShell(command) + where}, std::chrono::seconds(60));
      EXPECT_EQ(result.exit_code, 2) << command.front() << where;
      EXPECT_THAT(result.last_words, HasSubstr("standard output: cannot be written")) << command.front() << where;
    }
  }
}

TEST(Output, IsWholeOrAsItWasBefore) {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/report.json";
  const auto ladder = [](std::vector<std::string> more) {
    std::vector<std::string> arguments = SmallLadder();
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments);
  };
  const ProcessResult written = ladder({"--format", "json", "--output", file});
  EXPECT_EQ(written.exit_code, 0) << written.last_words;
  EXPECT_THAT(written.output, IsEmpty());
  const std::string whole = ReadFile(file);
  EXPECT_THAT(whole, AllOf(HasSubstr("\"verdict\": \"parity\""), HasSubstr("}\n")));
  // A command that fails leaves it.
  EXPECT_EQ(ladder({"--output", file, "--token-ids", "1"}).exit_code, 2);
  EXPECT_EQ(ladder({"--output", file, "--profile", "lax"}).exit_code, 2);
  EXPECT_EQ(ReadFile(file), whole);
  EXPECT_THAT(ladder({"--output", directory.path() + "/no/such/x"}).last_words, HasSubstr("--output: "));
  EXPECT_THAT(ladder({"--output", directory.path()}).last_words, HasSubstr("is no file"));
  EXPECT_THAT(ladder({"--output", "/dev/full"}).last_words, HasSubstr("is no file"));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);  // nothing half written beside it
}

// A disk that is full, as far as a process can tell: no file takes more than some bytes.
TEST(Disk, ThatIsFullIsAnErrorAndNothingHalfIsLeft) {
  const TemporaryDirectory directory;
  const auto with_full_disk = [&directory](std::vector<std::string> arguments) {
    const std::string line =
        fmt::format("cd '{}' && trap '' XFSZ && ulimit -f 1 && {}", directory.path(), InShell(arguments));
    return RunProcess({"/bin/bash", "-c", line}, std::chrono::seconds(60));
  };
  const auto expect_nothing = [&](const ProcessResult& result, const std::string& words) {
    EXPECT_EQ(result.exit_code, 2) << words << result.output;
    EXPECT_THAT(result.last_words, HasSubstr(words));
    for (const auto& entry : fs::recursive_directory_iterator(directory.path())) {
      EXPECT_TRUE(entry.is_directory()) << entry.path();
    }
  };
  std::vector<std::string> ladder = SmallLadder();
  for (const char* more : {"--format", "json", "--output", "verdict.json"}) ladder.emplace_back(more);
  expect_nothing(with_full_disk(ladder), "--output: verdict.json: cannot be written: File too large");
  ladder = SmallLadder();
  for (const char* more : {"--keep", "kept"}) ladder.emplace_back(more);
  expect_nothing(with_full_disk(ladder), "cannot");
  expect_nothing(with_full_disk({"record", "--reference", "native", "--model", kTrainedModel, "--prompt", "Hi", "--out",
                                 "recorded"}),
                 "cannot");
}

TEST(Progress, IsALineNowAndThenWhereThereIsNoTerminal) {
  std::vector<std::string> ladder = SmallLadder();
  for (const char* more : {"--candidate", "exec:sh -c 'sleep 6; exit 1'"}) ladder.emplace_back(more);
  EXPECT_THAT(RunParity(ladder).last_words, HasSubstr("running exec:sh -c 'sleep 6; exit 1' ... (5 s)"));
}

// Runs the command with a temporary folder of its own, kills it while an engine runs, and waits until that is empty.
class Killed : public testing::TestWithParam<int> {};

bool Exists(pid_t pid) { return kill(pid, 0) == 0; }

TEST_P(Killed, LeavesNothingBehind) {
  const TemporaryDirectory directory;
  const std::string scratch = directory.path() + "/tmp", pid_file = directory.path() + "/pid";
  fs::create_directories(scratch);
  // An engine that starts a program of its own and never ends.
  WriteProgram(directory.path() + "/engine", fmt::format("#!/bin/sh\nsleep 600 & echo $! > '{}.new'\n"
                                                         "mv '{}.new' '{}'\nwait\n",
                                                         pid_file, pid_file, pid_file));
  std::vector<std::string> arguments = SmallLadder();
  arguments.insert(arguments.begin(), BITNET_PARITY_PROGRAM);
  for (const std::string& more :
       {std::string("--candidate"), "exec:" + directory.path() + "/engine", std::string("--keep"),
        directory.path() + "/keep", std::string("--output"), directory.path() + "/out.txt"}) {
    arguments.push_back(more);
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    setenv("TMPDIR", scratch.c_str(), 1);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const auto within = [](int seconds, const auto& condition) {
    for (int i = 0; i < 100 * seconds && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  };
  ASSERT_TRUE(within(60, [&] { return fs::exists(pid_file); }));
  EXPECT_FALSE(fs::is_empty(scratch));
  const pid_t sleeper = std::stoi(ReadFile(pid_file));
  kill(pid, GetParam());
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == GetParam());
  EXPECT_TRUE(within(10, [&] { return fs::is_empty(scratch); }));
  EXPECT_TRUE(within(10, [&] {
    return !Exists(sleeper) || ReadFile(fmt::format("/proc/{}/stat", sleeper)).find(") Z") != std::string::npos;
  }));
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(directory.path())) left.push_back(entry.path().filename());
  EXPECT_THAT(left, testing::UnorderedElementsAre("tmp", "pid", "engine", "keep"));
  EXPECT_TRUE(fs::is_empty(directory.path() + "/keep"));
}

INSTANTIATE_TEST_SUITE_P(By, Killed, testing::Values(SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGKILL, SIGSEGV),
                         [](const auto& info) { return std::string(sigabbrev_np(info.param)); });

}  // namespace
}  // namespace parity
