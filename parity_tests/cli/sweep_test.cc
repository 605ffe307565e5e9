// Sweeps and matrices: what they keep, how they go on after a stop, and what several machines make of one.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "parity_tests/cli/cli_for_test.h"
#include "reference/capture/capture.h"
#include "reference/capture/hash.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kAllCases = {"sum.batch",   "sum.token",   "hello.batch",
                                            "hello.token", "count.batch", "count.token"};

class SweepTest : public testing::Test {
 protected:
  std::string Out(const std::string& name) const { return root_.path() + "/" + name; }

  // The command line of a sweep of the trained model, the native engine against itself unless `more` names another.
  std::vector<std::string> Command(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"sweep",     "--model", kTrainedModel, "--out", Out(out),
                                          "--threads", "1",       "--reference", "native"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  ProcessResult Sweep(const std::string& out, const std::vector<std::string>& more = {}) const {
    return RunParity(Command(out, more));
  }
  nlohmann::json Json(const std::string& out, const std::string& file = "summary.json") const {
    return nlohmann::json::parse(ReadFile(Out(out) + "/" + file));
  }
  bool Done(const std::string& out, const std::string& id) const {
    return fs::exists(Out(out) + "/" + id + "/case.json");
  }
  // Every file of a run by its name, but for receipts and captures, which hold times.
  std::map<std::string, std::string> Files(const std::string& out) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(Out(out))) {
      const std::string name = fs::relative(entry.path(), Out(out)).string();
      if (!entry.is_regular_file() || name.ends_with("/receipt.json") ||
          name.find("/candidate/") != std::string::npos || name.find("/reference/") != std::string::npos) {
        continue;
      }
      files[name] = ReadFile(entry.path());
    }
    return files;
  }
  void ExpectSameFiles(const std::string& a, const std::string& b) const {
    const auto in_a = Files(a), in_b = Files(b);
    EXPECT_GT(in_a.size(), 3 * 6u);
    for (const auto& [name, text] : in_a) {
      ASSERT_TRUE(in_b.contains(name)) << b << " lacks " << name;
      EXPECT_EQ(text, in_b.at(name)) << name;
    }
    EXPECT_EQ(in_a.size(), in_b.size());
  }
  // An engine that answers as the not-exact one does, but for what `lines` of shell do with the request's text.
  std::string Engine(const std::string& name, const std::string& lines) const {
    const std::string path = Out(name);
    WriteProgram(path, fmt::format("#!/bin/sh\n{}\nexec {} \"$@\"\n", lines, NOT_EXACT_ENGINE));
    return "exec:" + path;
  }

  TemporaryDirectory root_;
};

TEST_F(SweepTest, ThreeScenariosOfOneTwoAndFourTokens) {
  const ProcessResult parity = Sweep("sweep", {"--tokenizer", kTrainedTokenizer});
  EXPECT_EQ(parity.exit_code, 0) << parity.last_words;
  EXPECT_THAT(parity.output, HasSubstr("PARITY: 6 of 6 climbs passed"));
  const std::map<std::string, size_t> tokens = {{"sum", 1}, {"hello", 2}, {"count", 4}};
  for (const auto& [prompt, n] : tokens) {
    for (const char* schedule : {"batch", "token"}) {
      const std::string climb = fmt::format("{}/{}.{}", Out("sweep"), prompt, schedule);
      for (const char* file : {"report.txt", "report.html", "verdict.json", "case.json"}) {
        EXPECT_TRUE(fs::exists(climb + "/" + file)) << climb << " " << file;
      }
      for (const char* side : {"candidate", "reference"}) {
        const Capture capture = ReadCapture(climb + "/" + side);
        EXPECT_EQ(capture.generated.size(), n);
        EXPECT_FALSE(capture.traces.empty());
        std::string text;
        for (const std::string& piece : capture.generated_pieces) text += piece;
        EXPECT_EQ(ReadFile(climb + "/" + side + ".txt"), text);
      }
    }
  }
  const std::string report = ReadFile(Out("sweep") + "/count.batch/report.txt");
  EXPECT_THAT(report, AllOf(HasSubstr("max tokens: 4"), HasSubstr("tokenizer: " + kTrainedTokenizer),
                            HasSubstr("exit code: 0"), HasSubstr("4 generated tokens, "), HasSubstr("token match: ok"),
                            HasSubstr("band: excellent (cosine >= 0.99)"), HasSubstr("trace: none")));
  EXPECT_THAT(ReadFile(Out("sweep") + "/summary.md"),
              AllOf(HasSubstr("- [x] the generated tokens are the same: 6 of 6"), HasSubstr("## Environment"),
                    HasSubstr("| sum.batch | parity | ok | 1 |"), HasSubstr("where their text is nonsense")));
  EXPECT_EQ(Json("sweep")["exit_code"], 0);
  EXPECT_EQ(Json("sweep")["cases"].size(), 6u);
}

TEST_F(SweepTest, TheUsersPromptsAndTheirTokens) {
  const std::string prompts = Out("prompts.json");
  std::ofstream(prompts) << R"({"schema": "bitnet-parity/prompts/1", "prompts": [
    {"id": "one", "text": "In", "template": "raw", "max_tokens": 3}, {"id": "two", "text": "the", "template": "raw"}]})";
  ASSERT_EQ(Sweep("mine", {"--prompts", prompts, "--schedule", "batch"}).exit_code, 0);
  EXPECT_EQ(ReadCapture(Out("mine") + "/one.batch/candidate").generated.size(), 3u);
  EXPECT_EQ(ReadCapture(Out("mine") + "/two.batch/candidate").generated.size(), 4u);
  ASSERT_EQ(Sweep("same", {"--prompts", prompts, "--schedule", "batch", "--max-tokens", "1"}).exit_code, 0);
  EXPECT_EQ(ReadCapture(Out("same") + "/one.batch/candidate").generated.size(), 1u);
  std::ofstream(prompts) << R"({"schema": "bitnet-parity/prompts/1", "prompts": [
    {"id": "one", "text": "In", "template": "raw", "max_tokens": 0}]})";
  EXPECT_THAT(Sweep("none", {"--prompts", prompts}).last_words, HasSubstr("max_tokens"));
}

TEST_F(SweepTest, ADivergenceSaysWhereAndWhy) {
  const ProcessResult divergence =
      Sweep("order", {"--reference", "native:llama.cpp-avx2", "--candidate", "native:llama.cpp-avx512", "--profile",
                      "exact", "--prompt", "count", "--schedule", "batch"});
  EXPECT_EQ(divergence.exit_code, 1) << divergence.last_words;
  EXPECT_TRUE(Json("order", "count.batch/verdict.json").contains("explanation"));
  EXPECT_THAT(
      ReadFile(Out("order") + "/summary.md"),
      AllOf(HasSubstr("### count.batch: divergence at "), HasSubstr("- where: "),
            HasSubstr("First trace that differs: t0/"), HasSubstr("- [ ] every stage is within its limits: 0 of 1")));
  EXPECT_FALSE(fs::exists(Out("order") + "/count.batch/unexplained.json"));
}

TEST_F(SweepTest, WithoutAReferenceTheCandidateRunsAlone) {
  const Runners none(root_.path(), "/none", "/none");
  const ProcessResult alone = Sweep("alone", {"--reference", "llama.cpp"});
  EXPECT_EQ(alone.exit_code, 0) << alone.last_words;
  EXPECT_THAT(alone.output, HasSubstr("CANDIDATE ONLY: 6 cases ran without a reference"));
  // Said once, whatever the number of cases.
  const size_t first = alone.last_words.find("llama.cpp is not available");
  ASSERT_NE(first, std::string::npos) << alone.last_words;
  EXPECT_EQ(alone.last_words.find("llama.cpp is not available", first + 1), std::string::npos);
  EXPECT_EQ(ReadCapture(Out("alone") + "/hello.token/candidate").generated.size(), 2u);
  EXPECT_EQ(Json("alone")["cases"][0]["status"], "candidate_only");
  EXPECT_FALSE(ReadFile(Out("alone") + "/hello.token/candidate.txt").empty());
  const Runners required(root_.path(), "/none", "/none", "llama.cpp");
  const ProcessResult missing = Sweep("required", {"--reference", "llama.cpp"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_FALSE(fs::exists(Out("required")));
}

// Once, before any folder is made.
TEST_F(SweepTest, WhatIsKnownToBeWrongIsSaidBeforeItStarts) {
  const std::string no_gguf = Out("no.gguf");
  std::ofstream(no_gguf) << "hello";
  const std::string prompts = Out("up.json");
  std::ofstream(prompts) << R"({"schema": "bitnet-parity/prompts/1", "prompts": [
    {"id": "../up", "text": "In", "template": "raw"}]})";
  const std::map<std::string, std::vector<std::string>> wrong = {
      {"/no/such/engine", {"--reference", "exec:/no/such/engine"}},
      {"is no program", {"--candidate", "exec:/no/such/engine"}},
      {"bogus", {"--trace", "bogus"}},
      {"no.gguf", {"--model", no_gguf}},
      {"'nothing' is no prompt", {"--prompt", "nothing"}},
      {"../up", {"--prompts", prompts}},
      {"--case: 'x'", {"--case", "x"}},
      {"found '4/3', expected i/n", {"--shard", "4/3"}},
      {"threshold \"positions.mse\"", {"--threshold", "positions.mse"}}};
  for (const auto& [words, arguments] : wrong) {
    const ProcessResult result = Sweep("wrong", arguments);
    EXPECT_EQ(result.exit_code, 2) << words;
    const size_t said = result.last_words.find(words);
    EXPECT_NE(said, std::string::npos) << words << " in: " << result.last_words;
    EXPECT_EQ(result.output, "");
    EXPECT_FALSE(fs::exists(Out("wrong"))) << words;
  }
  std::ofstream(Out("file")) << "x";
  EXPECT_THAT(Sweep("file").last_words, HasSubstr("--out: "));
}

TEST_F(SweepTest, OneReferenceHangsAndCrashesAndTheOthersFinish) {
  const std::string engine = Engine(
      "moody",
      "case \"$(cat \"$1\")\" in *'\"text\": \"Hello\"'*) sleep 1000;; *'\"text\": \"2+2=\"'*) kill -SEGV $$;; esac");
  const auto start = std::chrono::steady_clock::now();
  const ProcessResult result = Sweep(
      "moody_out", {"--reference", engine, "--schedule", "batch", "--scenario-timeout", "4", "--profile", "cosine"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
  EXPECT_EQ(result.exit_code, 2) << result.last_words;
  const nlohmann::json cases = Json("moody_out")["cases"];
  EXPECT_EQ(cases[0]["status"], "error");
  EXPECT_EQ(cases[1]["status"], "error");
  EXPECT_EQ(cases[2]["status"], "parity");
  const std::string summary = ReadFile(Out("moody_out") + "/summary.md");
  EXPECT_THAT(summary, AllOf(HasSubstr("SIGSEGV"), HasSubstr("did not finish in 4 s and was stopped"),
                             HasSubstr("- [ ] the reference answered: 1 of 3")));
  // Nothing of the engine that hung is left.
  EXPECT_NE(RunProcess({"pgrep", "-f", Out("moody")}, std::chrono::seconds(10)).exit_code, 0);
}

// The verdict stands although the search for its cause took too long.
TEST_F(SweepTest, ATimeLimitDuringTheSearchKeepsTheVerdict) {
  const std::string engine = Engine(
      "slow", fmt::format("[ -e {0} ] && sleep 1000; touch {0}; set -- --fault gqa_modulo \"$@\"", Out("asked")));
  const ProcessResult result = Sweep("slow_out", {"--candidate", engine, "--prompt", "count", "--schedule", "batch",
                                                  "--scenario-timeout", "5", "--profile", "exact"});
  EXPECT_EQ(result.exit_code, 1) << result.last_words << result.output;
  EXPECT_THAT(ReadFile(Out("slow_out") + "/summary.md"),
              HasSubstr("the search for where and why did not finish in 5 s"));
}

TEST_F(SweepTest, AFolderOfAnotherRunIsRefused) {
  ASSERT_EQ(Sweep("used", {"--prompt", "sum"}).exit_code, 0);
  const auto before = Files("used");
  for (const std::vector<std::string>& other :
       std::vector<std::vector<std::string>>{{"--prompt", "hello"}, {"--prompt", "sum", "--max-tokens", "3"}, {}}) {
    const ProcessResult refused = Sweep("used", other);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.last_words, AllOf(HasSubstr("holds another run"), HasSubstr("name another folder")));
  }
  EXPECT_EQ(Files("used"), before);
  EXPECT_EQ(Sweep("used", {"--prompt", "sum"}).exit_code, 0);  // the same again
  fs::create_directories(Out("mine"));
  std::ofstream(Out("mine") + "/thesis.tex") << "x";
  EXPECT_THAT(Sweep("mine").last_words, HasSubstr("holds no run"));
}

TEST_F(SweepTest, AStoppedSweepGoesOnWhereItWas) {
  const std::string log = Out("runs"), flag = Out("go");
  const std::string engine = Engine("stops", fmt::format("echo run >> {}\ncase \"$(cat \"$1\")\" in *'\"text\": "
                                                         "\"Hello\"'*) while [ ! -e {} ]; do sleep 0.1; done;; esac",
                                                         log, flag));
  const std::vector<std::string> more = {"--reference", engine, "--profile", "cosine", "--schedule", "batch"};
  // Killed, with all that it started, when the first case is done and the second one runs.
  std::vector<std::string> command = Command("stopped", more);
  command.insert(command.begin(),
                 {"setsid", "--wait", "sh", "-c",
                  "done=$1; shift; \"$@\" & until [ -e \"$done\" ]; do sleep 0.1; done; sleep 1; kill -KILL 0", "sh",
                  Out("stopped/sum.batch/case.json"), BITNET_PARITY_PROGRAM});
  EXPECT_FALSE(RunProcess(command, std::chrono::seconds(120)).timed_out);
  EXPECT_TRUE(Done("stopped", "sum.batch"));
  EXPECT_FALSE(Done("stopped", "hello.batch"));
  // What it had done is in its summary.
  EXPECT_EQ(Json("stopped")["cases"].size(), 1u);
  EXPECT_EQ(Json("stopped")["missing"], 2);
  std::ofstream(flag) << "";
  std::vector<std::string> resume = more;
  resume.push_back("--resume");
  std::ofstream(log) << "";
  const ProcessResult resumed = Sweep("stopped", resume);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.last_words;
  EXPECT_THAT(resumed.last_words, HasSubstr("1 of 3 cases were done before"));
  EXPECT_EQ(Sweep("whole", more).exit_code, 0);
  ExpectSameFiles("stopped", "whole");
  // A case that is done is not run again, unless the engine is another.
  std::ofstream(log) << "";
  EXPECT_EQ(Sweep("stopped", resume).exit_code, 0);
  EXPECT_EQ(ReadFile(log), "");
  std::ofstream(engine.substr(5), std::ios::app) << "# another\n";
  EXPECT_EQ(Sweep("stopped", resume).exit_code, 0);
  EXPECT_THAT(ReadFile(log), HasSubstr("run\n"));
}

TEST_F(SweepTest, ShardsMergeIntoTheBytesOfOneRun) {
  const ProcessResult serial = Sweep("serial");
  std::set<std::string> seen;
  for (int i = 1; i <= 3; ++i) {
    const std::string out = fmt::format("shard{}", i);
    const ProcessResult shard = Sweep(out, {"--shard", fmt::format("{}/3", i)});
    EXPECT_EQ(shard.exit_code, 0) << shard.last_words;
    size_t cases = 0;
    for (const std::string& id : kAllCases) {
      if (!Done(out, id)) continue;
      ++cases;
      EXPECT_TRUE(seen.insert(id).second) << id << " twice";
    }
    EXPECT_GT(cases, 0u);
  }
  EXPECT_EQ(seen.size(), 6u);
  const ProcessResult early = RunParity({"merge", Out("shard1"), Out("shard3"), "--out", Out("early")});
  EXPECT_EQ(early.exit_code, 2);
  EXPECT_THAT(early.last_words, AllOf(HasSubstr("no result of"), HasSubstr("run them with")));
  EXPECT_FALSE(fs::exists(Out("early")));
  const ProcessResult merged =
      RunParity({"merge", Out("shard1"), Out("shard2"), Out("shard3"), "--out", Out("merged")});
  EXPECT_EQ(merged.exit_code, 0) << merged.last_words;
  ExpectSameFiles("serial", "merged");
  EXPECT_THAT(serial.output, testing::StartsWith(merged.output));
  EXPECT_FALSE(ReadCapture(Out("merged") + "/sum.batch/candidate").traces.empty());
  ASSERT_EQ(Sweep("other", {"--prompt", "sum"}).exit_code, 0);
  EXPECT_THAT(RunParity({"merge", Out("shard1"), Out("other"), "--out", Out("x")}).last_words,
              HasSubstr("of another run"));
  EXPECT_THAT(RunParity({"merge", root_.path(), "--out", Out("x")}).last_words, HasSubstr("found no run.json"));
}

// Several at once in one folder, as on a shared file system.
TEST_F(SweepTest, GnuParallelRunsTheShards) {
  if (!RunProcess({"parallel", "--version"}, std::chrono::seconds(20)).ok()) {
    GTEST_SKIP() << "GNU parallel is not here (Debian: parallel)";
  }
  std::string sweep = BITNET_PARITY_PROGRAM;
  for (const std::string& word : Command("parallel", {})) sweep += " " + word;
  const ProcessResult result =
      RunProcess({"parallel", "-j", "3", sweep + " --shard {}/3", ":::", "1", "2", "3"}, std::chrono::seconds(110));
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  ASSERT_EQ(Sweep("serial").exit_code, 0);
  ExpectSameFiles("serial", "parallel");
}

// An array of three jobs on a Slurm of one node: one of them runs another build of the reference, one is killed and
// submitted again.
TEST_F(SweepTest, SlurmRunsTheShards) {
  const std::string go = Out("go");
  const std::string engine = Engine("engine", fmt::format(R"(if [ "$SLURM_ARRAY_TASK_ID" = 3 ]; then
  {0} "$@" && exec sed -i 's/"simd": "[^"]*"/"simd": "another"/' "$2/capture.json"
fi
while [ "$SLURM_ARRAY_TASK_ID" = 2 ] && [ ! -e {1} ]; do sleep 0.1; done)",
                                                          NOT_EXACT_ENGINE, go));
  std::string sweep = BITNET_PARITY_PROGRAM;
  for (const std::string& word :
       Command("shared", {"--reference", engine, "--profile", "cosine", "--schedule", "batch", "--trace", "none"})) {
    sweep += " " + word;
  }
  // And once more to folders of their own, the native engine against itself: merged, it is one run.
  std::string parts = BITNET_PARITY_PROGRAM;
  for (const std::string& word : Command("", {})) {
    if (word != "--out" && word != Out("")) parts += " " + word;
  }
  parts += " --out " + root_.path();
  WriteProgram(Out("jobs"), fmt::format(R"sh(#!/bin/sh -ex
submit() {{ sbatch --output={0}/job-%a.txt --array=$1 $2 --wrap '{1} --shard '"\$SLURM_ARRAY_TASK_ID"'/3 --resume'; }}
first=$(submit 1-3 --parsable)
for i in $(seq 600); do
  [ "$(ls {0}/shared/*/case.json 2>/dev/null | wc -l)" = 2 ] && break
  sleep 0.1
done
scancel --signal=KILL --full "${{first}}_2"
while squeue --noheader --array | grep -q .; do sleep 0.2; done
ls {0}/shared/*/case.json | wc -l > {0}/before
touch {2}
submit 2 --wait
sbatch --wait --output={0}/part-%a.txt --array=1-3 --wrap '{3}/part"$SLURM_ARRAY_TASK_ID" --shard "$SLURM_ARRAY_TASK_ID"/3'
)sh",
                                        root_.path(), sweep, go, parts));
  const ProcessResult jobs = RunProcess(
      {PARITY_SOURCE_DIR "/parity_tests/cli/one_node_slurm.sh", Out("slurm"), Out("jobs")}, std::chrono::seconds(110));
  if (jobs.exit_code == 77) GTEST_SKIP() << jobs.last_words;
  EXPECT_EQ(jobs.exit_code, 0) << jobs.last_words << ReadFile(Out("job-2.txt"));
  EXPECT_EQ(ReadFile(Out("before")), "2\n");
  const nlohmann::json summary = Json("shared");
  EXPECT_EQ(summary["missing"], 0);
  EXPECT_EQ(summary["exit_code"], 0);
  ASSERT_EQ(summary["rows"].size(), 2u) << summary["rows"].dump(2);
  EXPECT_NE(summary["rows"][0]["builds"], summary["rows"][1]["builds"]);
  EXPECT_EQ(summary["rows"][0]["climbs"].get<int>() + summary["rows"][1]["climbs"].get<int>(), 3);
  ASSERT_EQ(Sweep("serial").exit_code, 0);
  EXPECT_EQ(RunParity({"merge", Out("part1"), Out("part2"), Out("part3"), "--out", Out("merged")}).exit_code, 0);
  ExpectSameFiles("serial", "merged");
}

TEST_F(SweepTest, CasesAreListedAndRunOneByOne) {
  const ProcessResult listed = Sweep("list", {"--list-cases"});
  EXPECT_EQ(listed.exit_code, 0) << listed.last_words;
  std::istringstream lines(listed.output);
  std::vector<std::string> ids;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    ids.push_back(entry["id"]);
    EXPECT_GT(entry["weight"], 0);
  }
  EXPECT_EQ(ids, kAllCases);
  const nlohmann::json github = nlohmann::json::parse(Sweep("list", {"--list-cases", "github"}).output);
  EXPECT_EQ(github["include"].size(), 6u);
  EXPECT_EQ(github["include"][5]["id"], "count.token");
  EXPECT_FALSE(fs::exists(Out("list")));
  EXPECT_EQ(Sweep("one", {"--case", "hello.token"}).exit_code, 0);
  EXPECT_TRUE(Done("one", "hello.token"));
  EXPECT_FALSE(Done("one", "hello.batch"));
  // A share of nothing is no failure.
  EXPECT_EQ(Sweep("many", {"--shard", "99/99"}).exit_code, 0);
}

TEST_F(SweepTest, JunitIsReadByAnotherProgram) {
  if (!RunProcess({"/usr/bin/python3", "-c", "import junitparser"}, std::chrono::seconds(20)).ok()) {
    GTEST_SKIP() << "python3-junitparser is not here (Debian: python3-junitparser)";
  }
  const std::string engine = Engine("crash", "case \"$(cat \"$1\")\" in *'\"text\": \"2+2=\"'*) kill -SEGV $$;; esac");
  EXPECT_EQ(Sweep("junit", {"--reference", engine, "--profile", "cosine", "--schedule", "batch"}).exit_code, 2);
  std::ofstream(Out("read.py")) << R"(
import sys
from junitparser import JUnitXml, Property
xml = JUnitXml.fromfile(sys.argv[1])
print(xml.tests, xml.failures, xml.errors, xml.skipped)
for suite in xml:
    for case in suite:
        cosine = [p.get('value') for p in case._elem.iter('property') if p.get('name') == 'cosine']
        print(suite.name, case.name, [r.__class__.__name__ for r in case.result], 'SIGSEGV' in str([r.text for r in case.result]),
              [float(c) > 0.99 for c in cosine], '[[ATTACHMENT|' in case.system_out)
)";
  const ProcessResult read =
      RunProcess({"/usr/bin/python3", Out("read.py"), Out("junit") + "/junit.xml"}, std::chrono::seconds(20));
  EXPECT_EQ(read.output, fmt::format("3 0 1 0\n"
                                     "{0}.kjv-bitnet.tq2_0.gguf sum.batch ['Error'] True [] True\n"
                                     "{0}.kjv-bitnet.tq2_0.gguf hello.batch [] False [True] True\n"
                                     "{0}.kjv-bitnet.tq2_0.gguf count.batch [] False [True] True\n",
                                     engine))
      << read.last_words;
}

TEST_F(SweepTest, AReceiptIsLeftAndChecked) {
  const std::string file = Out("receipt.json");
  ASSERT_EQ(Sweep("receipts", {"--receipt", file}).exit_code, 0);
  const nlohmann::json receipt = nlohmann::json::parse(ReadFile(file));
  ASSERT_EQ(receipt["runs"].size(), 6u);
  EXPECT_EQ(receipt["command"], "sweep");
  EXPECT_EQ(receipt["runs"][0]["model"]["blake3"], HashFile(kTrainedModel));
  EXPECT_GT(receipt["runs"][0]["candidate"]["kernels"].size(), 4u);
  EXPECT_EQ(RunParity({"verify-receipt", file}).exit_code, 0);
  EXPECT_EQ(
      RunParity({"verify-receipt", file, "--require-kernel", "matmul.TQ2_0.*", "--model", kTrainedModel}).exit_code, 0);
  const ProcessResult gpu = RunParity({"verify-receipt", file, "--require-gpu-kernels"});
  EXPECT_EQ(gpu.exit_code, 1);
  EXPECT_THAT(gpu.output, HasSubstr("none is of a GPU"));
  EXPECT_THAT(RunParity({"receipts", "ls", root_.path()}).output,
              AllOf(HasSubstr("sweep  PARITY"), HasSubstr("sound  receipt.json")));
  EXPECT_THAT(RunParity({"receipts", "diff", file, file}).output, HasSubstr("equal but for times"));
  std::string changed = ReadFile(file);
  changed.replace(changed.find("\"seed\": 42"), 10, "\"seed\": 43");
  std::ofstream(Out("changed.json")) << changed;
  EXPECT_EQ(RunParity({"verify-receipt", Out("changed.json")}).exit_code, 1);
  const ProcessResult diff = RunParity({"receipts", "diff", file, Out("changed.json")});
  EXPECT_EQ(diff.exit_code, 1);
  EXPECT_THAT(diff.output, testing::StartsWith("runs[0].seed: 42 / 43"));
  std::ofstream(Out("broken.json")) << "{";
  EXPECT_EQ(RunParity({"verify-receipt", Out("broken.json")}).exit_code, 2);
  EXPECT_EQ(RunParity({"receipts", "burn"}).exit_code, 2);
}

TEST_F(SweepTest, ABenchmarkMeasuresByTurns) {
  const std::string file = Out("benchmark.json");
  const ProcessResult result = RunParity({"benchmark", "--model", kTrainedModel, "--reference", "native", "--rounds",
                                          "2", "--max-tokens", "4", "--threads", "1", "--receipt", file});
  EXPECT_EQ(result.exit_code, 0) << result.last_words;
  EXPECT_THAT(result.output, AllOf(HasSubstr("candidate native"), HasSubstr("2 rounds by turns"), HasSubstr("PARITY")));
  EXPECT_EQ(nlohmann::json::parse(ReadFile(file))["runs"].size(), 2u);
  EXPECT_EQ(RunParity({"verify-receipt", file}).exit_code, 0);
}

TEST_F(SweepTest, AMatrixKeepsItsCasesToo) {
  const std::string matrix = Out("matrix.json"), prompts = Out("prompts.json");
  std::ofstream(prompts) << R"({"schema": "bitnet-parity/prompts/1", "prompts": [
    {"id": "in", "text": "In", "template": "raw"}, {"id": "the", "text": "the", "template": "raw", "max_tokens": 2}]})";
  fs::copy_file(PARITY_BINARY_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf", Out("kjv.gguf"));
  std::ofstream(matrix) << R"({"schema": "bitnet-parity/matrix/1", "n_ubatch": 512, "threads": 1,
    "schedules": ["batch"], "profile": "strict", "profile_elsewhere": "cosine", "references": ["native"],
    "models": [{"id": "kjv", "file": "kjv.gguf", "format": "tq2_0"}]})";
  const std::vector<std::string> command = {"matrix", "--matrix", matrix,      "--prompts",
                                            prompts,  "--models", root_.path()};
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return RunParity(more);
  };
  const ProcessResult whole = run({"--out", Out("whole"), "--trace", "core"});
  EXPECT_EQ(whole.exit_code, 0) << whole.last_words;
  EXPECT_THAT(whole.output, HasSubstr("PARITY: 2 of 2"));
  EXPECT_TRUE(fs::exists(Out("whole") + "/native.kjv.the.batch/report.html"));
  EXPECT_EQ(Json("whole", "native.kjv.the.batch/case.json")["asked"]["max_tokens"], 2);
  EXPECT_EQ(Json("whole", "native.kjv.in.batch/case.json")["asked"]["max_tokens"], 4);
  EXPECT_FALSE(Json("whole", "native.kjv.in.batch/case.json")["tensors"].empty());
  for (const char* i : {"1", "2"}) {
    EXPECT_EQ(
        run({"--out", Out(std::string("part") + i), "--trace", "core", "--shard", std::string(i) + "/2"}).exit_code, 0);
  }
  EXPECT_EQ(RunParity({"merge", Out("part1"), Out("part2"), "--out", Out("part1")}).output, whole.output);
  EXPECT_EQ(Files("part1"), Files("whole"));
  EXPECT_THAT(run({"--resume"}).last_words, HasSubstr("--resume: needs --out"));
}

}  // namespace
}  // namespace parity
