// What the command gives to shells, manual pages, CI systems and CTest, tried with the programs that read it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

ProcessResult Shell(const std::string& line) { return RunProcess({"/bin/sh", "-c", line}, std::chrono::seconds(120)); }

bool Have(const std::string& program) { return Shell(fmt::format("command -v {} >/dev/null", program)).exit_code == 0; }

std::vector<std::string> Ladder(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"ladder",       "--model", kTrainedModel, "--prompt", "In the",
                                        "--max-tokens", "2",       "--threads",   "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const std::vector<std::string> kApart = {
    "--reference", "native:llama.cpp-avx2", "--candidate", "native:llama.cpp-avx512", "--profile", "exact"};

std::vector<std::string> Apart(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = Ladder(kApart);
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// What bash would offer behind these words.
std::string Complete(const std::string& words) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() + "/completion") << RunParity({"completion", "bash"}).output;
  const ProcessResult result =
      RunProcess({"bash", "-c",
                  fmt::format(". '{}/completion'; COMP_WORDS=({}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
                              "_bitnet_parity; echo ${{COMPREPLY[@]}}",
                              directory.path(), words)},
                 std::chrono::seconds(60));
  EXPECT_THAT(result.last_words, Not(HasSubstr("error"))) << words;
  return result.output;
}

TEST(Completion, OfBash) {
  if (!Have("bash")) GTEST_SKIP() << "bash is not here";
  EXPECT_EQ(Complete("bitnet-parity lad"), "ladder\n");
  EXPECT_EQ(Complete("bitnet-parity ladder --max"), "--max-tokens\n");
  EXPECT_EQ(Complete("bitnet-parity ladder --format ma"), "markdown\n");
  EXPECT_EQ(Complete("bitnet-parity trace-diff --format ma"), "\n");  // words are the command's own
  EXPECT_EQ(Complete("bitnet-parity ladder --reference rec"), "recorded:\n");
  EXPECT_EQ(Complete("bitnet-parity ladder --out"), "--output\n");
  EXPECT_EQ(Complete("bitnet-parity --color n"), "never\n");
  EXPECT_EQ(Complete("bitnet-parity ladder --color n"), "never\n");
  EXPECT_EQ(Complete("bitnet-parity completion z"), "zsh\n");
  EXPECT_EQ(Complete("bitnet-parity ladder --model " PARITY_SOURCE_DIR "/fixtures/prom"),
            PARITY_SOURCE_DIR "/fixtures/prompts.json\n");
}

// Every command and every option of --help is in each of them.
TEST(Completion, OfEveryShellNamesEverything) {
  const TemporaryDirectory directory;
  const std::string help = RunParity({"--help"}).output;
  std::vector<std::string> commands;
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    if (line.starts_with("  ") && line[2] != ' ') commands.push_back(line.substr(2, line.find_first_of(" ,", 2) - 2));
  }
  ASSERT_GT(commands.size(), 15u);
  const std::string ladder_help = RunParity({"ladder", "--help"}).output;
  const std::regex option("\n  (?:-h,)?--([a-z][a-z-]*)");
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = RunParity({"completion", shell}).output;
    for (const std::string& command : commands) EXPECT_THAT(script, HasSubstr(command)) << shell;
    EXPECT_THAT(script, HasSubstr("bash zsh fish")) << shell;  // what `completion` takes
    const std::string dashes = std::string(shell) == "fish" ? " -l " : "--";
    for (std::sregex_iterator at(ladder_help.begin(), ladder_help.end(), option), end; at != end; ++at) {
      EXPECT_THAT(script, HasSubstr(dashes + (*at)[1].str())) << shell;
    }
    const std::string file = fmt::format("{}/completion.{}", directory.path(), shell);
    std::ofstream(file) << script;
    if (Have(shell)) {
      const ProcessResult parsed = RunProcess({shell, "-n", file}, std::chrono::seconds(60));
      EXPECT_EQ(parsed.exit_code, 0) << shell << ": " << parsed.last_words;
    }
  }
  EXPECT_THAT(RunParity({"man"}).output, AllOf(StartsWith(".TH BITNET\\-PARITY 1"), HasSubstr(".SS ladder"),
                                               HasSubstr("\\fB\\-\\-max\\-tokens\\fR"), HasSubstr("BITNET_SEED")));
}

TEST(ManualPage, IsSoundTroff) {
  if (!Have("groff")) GTEST_SKIP() << "groff is not here";
  const ProcessResult page = Shell(fmt::format("'{}' man | groff -man -Tutf8 -ww -P-cbou 2>&1", BITNET_PARITY_PROGRAM));
  EXPECT_EQ(page.exit_code, 0);
  EXPECT_THAT(page.output, AllOf(HasSubstr("--max-tokens"), HasSubstr("EXIT STATUS"), Not(HasSubstr("troff:"))));
}

TEST(ProjectFile, OfTheWorkingDirectoryGivesOptionsAndTheCommandLineWins) {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/bitnet-parity.toml";
  std::ofstream(file) << "model = \"" << kTrainedModel << "\"\nthreads = 1\n[ladder]\nreference = \"native\"\n"
                      << "max-tokens = 1\nno-explanation = true\nthreshold = [\"positions.mse=1e-5\", "
                      << "\"positions.kl=1e-4\"]\n[sweep]\nout = \"elsewhere\"\n";
  const auto ladder = [&](const std::string& more) {
    return Shell(fmt::format("cd '{}' && '{}' ladder --prompt Hi {}", directory.path(), BITNET_PARITY_PROGRAM, more));
  };
  const ProcessResult as_is = ladder("");
  EXPECT_EQ(as_is.exit_code, 0) << as_is.last_words;
  EXPECT_THAT(as_is.output, AllOf(HasSubstr("1 of 1 greedy tokens equal"), HasSubstr("reference  native"),
                                  HasSubstr("strict with positions.mse=1e-5, positions.kl=1e-4")));
  EXPECT_THAT(as_is.last_words, HasSubstr("note: options from bitnet-parity.toml"));
  EXPECT_THAT(ladder("--max-tokens 2").output, HasSubstr("2 of 2 greedy tokens equal"));
  EXPECT_THAT(ladder("--quiet 2>&1 >/dev/null").output, IsEmpty());
  // A command without such an option is not disturbed by it.
  const ProcessResult other =
      Shell(fmt::format("cd '{}' && '{}' check-capture '{}'", directory.path(), BITNET_PARITY_PROGRAM, kRecordedHello));
  EXPECT_EQ(other.exit_code, 0) << other.last_words;
}

TEST(Color, IsAsAsked) {
  const std::string always = RunParity(Ladder({"--reference", "native", "--color", "always"})).output;
  EXPECT_THAT(always, HasSubstr("\x1b[32m"));
  const Environment no_color("NO_COLOR", "1");
  EXPECT_EQ(RunParity(Ladder({"--reference", "native", "--color", "always"})).output, always);  // a flag wins
  EXPECT_THAT(RunParity(Ladder({"--reference", "native", "--color", "never"})).output, Not(HasSubstr("\x1b")));
}

TEST(ErrorExitCode, IsThatOfErrorsAlone) {
  EXPECT_EQ(RunParity(Ladder({"--reference", "nope", "--error-exit-code", "125"})).exit_code, 125);
  EXPECT_EQ(RunParity(Ladder({"--reference", "recorded:/nowhere", "--error-exit-code", "125"})).exit_code, 125);
  EXPECT_EQ(RunParity(Ladder({"--reference", "native", "--error-exit-code", "125"})).exit_code, 0);
  EXPECT_EQ(RunParity(Apart({"--error-exit-code", "125"})).exit_code, 1);
  EXPECT_EQ(RunParity(Ladder({"--error-exit-code", "125", "--no-such-option"})).exit_code, 125);
  EXPECT_EQ(RunParity(Ladder({"--error-exit-code", "1"})).exit_code, 2);  // that would be a divergence
}

TEST(Github, AnnotatesAndFolds) {
  const ProcessResult apart = RunParity(Apart({"--format", "github"}));
  EXPECT_EQ(apart.exit_code, 1);
  EXPECT_THAT(apart.output, AllOf(StartsWith("::error title=bitnet-parity%3A DIVERGENCE at "), HasSubstr("%0A"),
                                  HasSubstr("\n::error title=bitnet-parity%3A "), HasSubstr("\n::group::DIVERGENCE"),
                                  EndsWith("::endgroup::\n")));
  // Between stop-commands and its token stands the whole report.
  std::smatch token;
  ASSERT_TRUE(std::regex_search(apart.output, token, std::regex("::stop-commands::(bitnet-parity-[0-9a-f]{24})\n")));
  EXPECT_THAT(apart.output, HasSubstr("\n::" + token[1].str() + "::\n::endgroup::"));
  EXPECT_THAT(RunParity(Ladder({"--reference", "native", "--format", "github"})).output,
              StartsWith("::notice title=bitnet-parity%3A PARITY::"));
  EXPECT_THAT(RunParity({"trace-diff", kRecordedHello, kRecordedHello, "--format", "github"}).output,
              StartsWith("::notice title=bitnet-parity%3A EQUAL::"));
}

TEST(Sarif, HasAResultForEachFailureAndNoneForParity) {
  const nlohmann::json apart = nlohmann::json::parse(RunParity(Apart({"--format", "sarif"})).output);
  const nlohmann::json& results = apart["runs"][0]["results"];
  ASSERT_GE(results.size(), 2u);
  EXPECT_EQ(results[0]["ruleId"].get<std::string>().substr(0, 6), "stage/");
  EXPECT_THAT(results[0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].get<std::string>(),
              StartsWith("t0/blk"));
  EXPECT_EQ(apart["runs"][0]["tool"]["driver"]["rules"].size(), results.size());
  const nlohmann::json parity =
      nlohmann::json::parse(RunParity(Ladder({"--reference", "native", "--format", "sarif"})).output);
  EXPECT_THAT(parity["runs"][0]["results"], IsEmpty());
  EXPECT_EQ(parity["runs"][0]["invocations"][0]["exitCode"], 0);
}

TEST(Rows, AsCsvAndAsJsonLinesAreThoseOfTheVerdict) {
  const nlohmann::json verdict = nlohmann::json::parse(RunParity(Apart({"--format", "json"})).output);
  std::vector<double> mse;
  for (const nlohmann::json& stage : verdict["stages"]) {
    for (const nlohmann::json& value :
         stage.value("per_position", nlohmann::json::object()).value("mse", nlohmann::json::array())) {
      mse.push_back(value);
    }
  }
  ASSERT_FALSE(mse.empty());
  std::vector<double> in_csv, in_lines;
  std::istringstream csv(RunParity(Apart({"--format", "csv"})).output),
      lines(RunParity(Apart({"--format", "jsonl"})).output);
  std::string line;
  std::getline(csv, line);
  EXPECT_THAT(line, AllOf(StartsWith("candidate,reference,"), HasSubstr(",grade,mse,"), EndsWith("\r")));
  while (std::getline(csv, line)) {
    std::vector<std::string> cells;
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
    if (cells.size() > 10 && !cells[7].empty()) in_csv.push_back(std::stod(cells[10]));
  }
  std::string last;
  while (std::getline(lines, line)) {
    const nlohmann::json json = nlohmann::json::parse(line);
    last = json["type"];
    if (last == "position") in_lines.push_back(json["mse"]);
  }
  EXPECT_EQ(in_csv, mse);
  EXPECT_EQ(in_lines, mse);
  EXPECT_EQ(last, "verdict");
  // RFC 4180: a prompt with a comma, a quote and a line break is one cell.
  const std::string quoted = RunParity({"ladder", "--model", kTrainedModel, "--prompt", "a,\"b\"\nc", "--reference",
                                        "native", "--max-tokens", "1", "--format", "csv"})
                                 .output;
  EXPECT_THAT(quoted, HasSubstr(",\"a,\"\"b\"\"\nc\",batch,"));
}

TEST(Smoke, ShowsBothTextsOfEachPrompt) {
  const ProcessResult result = RunParity({"parity-smoke", kTrainedModel, "--reference", "native", "--max-tokens", "3"});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, AllOf(HasSubstr("\"2+2=\"  PARITY, least cosine 1 over 5 positions"),
                                   HasSubstr("both say the same: if it is nonsense, it is the model"),
                                   HasSubstr("3 of 3 prompts pass")));
  EXPECT_EQ(RunParity({"parity-smoke", kTrainedModel, "--reference", "recorded:/nowhere"}).exit_code, 2);
  // The seeds' name of the ladder.
  EXPECT_EQ(RunParity({"crossval-per-token", "--model", kTrainedModel, "--prompt", "Hi", "--reference", "native",
                       "--max-tokens", "1"})
                .exit_code,
            0);
}

TEST(Inspect, ListsTensors) {
  EXPECT_THAT(
      RunParity({"inspect", kTrainedModel, "--tensors"}).output,
      AllOf(StartsWith("name "), HasSubstr("\nblk.0.attn_q.weight         TQ2_0              16896  [256, 256]\n")));
}

TEST(Generate, StopsInFrontOfAStopId) {
  const auto ids = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"generate",     "--model", kTrainedModel, "--prompt",  "Hi",
                                          "--max-tokens", "4",       "--greedy",    "--dump-ids"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunParity(arguments).output;
  };
  const std::string all = ids({});
  std::istringstream in(all);
  std::string first, second;
  in >> first >> second;
  EXPECT_EQ(ids({"--stop-id", second + ",99"}), first + "\n");
  EXPECT_EQ(ids({"--stop-id", "99"}), all);
}

// A project for the user's own models, run by CMake and CTest with the command in PATH.
TEST(CtestInit, MakesCasesThatPassFailAndAreSkipped) {
  if (!Have("ctest")) GTEST_SKIP() << "ctest is not here";
  const TemporaryDirectory directory;
  const std::string project = directory.path() + "/project";
  const ProcessResult made = RunParity({"ctest-init", project, "--model", kTrainedModel, "--reference", "native",
                                        "--reference", "bitnet.cpp", "--prompt", "In the"});
  ASSERT_EQ(made.exit_code, 0) << made.last_words;
  EXPECT_THAT(made.last_words, Not(HasSubstr("note: ")));
  EXPECT_EQ(RunParity({"ctest-init", project, "--model", kTrainedModel}).exit_code, 2);  // nothing is overwritten
  const ProcessResult too_early = RunParity(
      {"ctest-init", directory.path() + "/other", "--model", kTrainedModel, "--candidate", "exec:/nowhere/engine"});
  EXPECT_EQ(too_early.exit_code, 0);
  EXPECT_THAT(too_early.last_words, HasSubstr("note: until exec:/nowhere/engine is there every case fails: "));
  const Environment path("PATH", fs::path(BITNET_PARITY_PROGRAM).parent_path().string() + ":" + std::getenv("PATH"));
  const Environment no_runner("PARITY_BITNET_CPP_RUNNER", "/nowhere");
  const auto ctest = [&](const std::string& more) {
    return Shell(fmt::format("cmake -S {0} -B {0}/build {1} >/dev/null && ctest --test-dir {0}/build", project, more));
  };
  const ProcessResult passed = ctest("");
  EXPECT_EQ(passed.exit_code, 0) << passed.output << passed.last_words;
  EXPECT_THAT(passed.output, AllOf(HasSubstr("parity.native.kjv-bitnet.tq2_0.prompt_1"), HasSubstr("***Skipped"),
                                   HasSubstr("parity.bitnet.cpp.kjv-bitnet.tq2_0.prompt_1")));
  EXPECT_NE(ctest("-DPARITY_REQUIRE=ON").exit_code, 0);
  EXPECT_NE(ctest("-DPARITY_REQUIRE=OFF '-DPARITY_CANDIDATE=exec:false'").exit_code, 0);
  const ProcessResult broken =
      Shell(fmt::format("cmake -S {0} -B {0}/build '-DPARITY_CANDIDATE=exec:{1} --fault rope_layout' >/dev/null && "
                        "ctest --test-dir {0}/build --output-on-failure",
                        project, NOT_EXACT_ENGINE));
  EXPECT_NE(broken.exit_code, 0);
  EXPECT_THAT(broken.output, AllOf(HasSubstr("  where: "), HasSubstr("  why: RoPE pairs other elements")));
}

// The recipe of docs/ci.md: an engine that computes another thing from the sixth commit on, and does not run in the
// fourth.
TEST(GitBisect, FindsTheCommitAndPassesOverOneThatDoesNotRun) {
  if (!Have("git")) GTEST_SKIP() << "git is not here";
  const TemporaryDirectory directory;
  std::string script = fmt::format(
      "cd '{}' && git init -q . && git config user.name t && git config user.email t@t && ", directory.path());
  const std::string engine = NOT_EXACT_ENGINE;
  for (int commit = 1; commit <= 7; ++commit) {
    const std::string line =
        commit == 4 ? "exit 9" : fmt::format("exec {}{}", engine, commit >= 6 ? " --fault gate_up_swapped" : "");
    script += fmt::format(
        "printf '#!/bin/sh\\n%s \"$@\" # {}\\n' '{}' > engine && chmod +x engine && git add engine && "
        "git commit -qm 'commit {}' && ",
        commit, line, commit);
  }
  script += fmt::format(
      "git bisect start HEAD HEAD~6 >/dev/null && git bisect run '{}' ladder --model '{}' --prompt 'In the' "
      "--candidate exec:./engine --baseline 'exec:{}' --max-tokens 2 --no-explanation --quiet "
      "--error-exit-code 125",
      BITNET_PARITY_PROGRAM, kTrainedModel, engine);
  const ProcessResult result = Shell(script);
  EXPECT_EQ(result.exit_code, 0) << result.output << result.last_words;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("is the first bad commit"), HasSubstr("commit 6"), HasSubstr("ERROR at preflight")));
}

}  // namespace
}  // namespace parity
