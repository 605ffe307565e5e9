// Small programs in the place of the runner's sources, compiled by the compiler that is here.
#include "reference/engines/runner_build.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// An environment variable for as long as this lives.
class Setting {
 public:
  Setting(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) before_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Setting() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

class RunnerBuildTest : public testing::Test {
 protected:
  RunnerBuildTest() {
    for (const char* file : {"engines/serve.cc", "llama_family/node_map.cc", "llama_family/engine.cc",
                             "llama_family/observer.cc", "llama_family/run.cc"}) {
      Write(std::string("ours/reference/") + file, "// nothing\n");
    }
    Write("ours/reference/llama_family/main.cc",
          "#include <cstdio>\n#include \"reference/own.h\"\nint main() { std::printf(\"%d %d\", kOwn, Engine()); }\n");
    Write("ours/reference/own.h", "# include <llama.h>\n#include \"reference/deeper.h\"\n");
    Write("ours/reference/deeper.h", "inline constexpr int kOwn = 1;\n");
    Write("engine/include/llama.h", "#include \"detail.h\"\n");
    Write("engine/include/detail.h", "int Engine();\n");
    Write("engine.cc", "int Engine() { return 7; }\n");
    // Counts how often something is compiled.
    Write("count.sh",
          "case \"$*\" in *--version*) ;; *) echo \"$2\" >> " + Path("compiled") + "; sleep 0.3;; esac\nexec \"$@\"\n");
    MakeLibraries("engine/lib");
  }

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void Write(const std::string& file, const std::string& text) const {
    fs::create_directories(fs::path(Path(file)).parent_path());
    std::ofstream(Path(file)) << text;
  }
  void MakeLibraries(const std::string& folder) const {
    fs::create_directories(Path(folder));
    for (const char* name : {"libllama.so", "libggml.so"}) {
      const ProcessResult made = RunProcess(
          {"c++", "-shared", "-fPIC", Path("engine.cc"), "-o", Path(folder) + "/" + name}, std::chrono::seconds(60));
      ASSERT_TRUE(made.ok()) << made.last_words;
    }
  }
  BuiltRunner Build(const std::string& directory = "engine") const {
    const Checkout found = FindCheckout("llama.cpp", {.llama = ".", .libraries = {"lib"}, .variable = "LLAMA_CPP_DIR"},
                                        directory.starts_with('/') ? directory : Path(directory));
    EXPECT_EQ(found.problem, "");
    return BuildRunner(found, RunnerSources{.root = Path("ours")});
  }
  static std::string Says(const BuiltRunner& built) {
    return RunProcess({built.program}, std::chrono::seconds(20)).output;
  }
  int TimesCompiled() const {
    std::ifstream file(Path("compiled"));
    return static_cast<int>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
  }

  TemporaryDirectory directory_;
  Setting cache_{"XDG_CACHE_HOME", Path("cache")};
  Setting compiler_{"CXX", "sh " + Path("count.sh") + " c++"};
};

TEST_F(RunnerBuildTest, IsCompiledOnce) {
  const BuiltRunner first = Build();
  ASSERT_EQ(first.problem, "");
  EXPECT_EQ(Says(first), "1 7");
  EXPECT_EQ(Build().program, first.program);
  EXPECT_EQ(TimesCompiled(), 1);
}

// Each of them, wherever it is included from.
TEST_F(RunnerBuildTest, AnotherHeaderIsAnotherRunner) {
  const BuiltRunner first = Build();
  Write("ours/reference/deeper.h", "inline constexpr int kOwn = 2;\n");
  const BuiltRunner ours = Build();
  EXPECT_NE(ours.program, first.program);
  EXPECT_EQ(Says(ours), "2 7");
  Write("engine/include/detail.h", "inline int Engine() { return 8; }\n");
  const BuiltRunner theirs = Build();
  EXPECT_NE(theirs.program, ours.program);
  EXPECT_EQ(Says(theirs), "2 8");
  Write("engine/include/unused.h", "#error\n");
  EXPECT_EQ(Build().program, theirs.program);
  EXPECT_EQ(TimesCompiled(), 3);
}

TEST_F(RunnerBuildTest, AnotherLibraryIsAnotherRunner) {
  const BuiltRunner first = Build();
  Write("engine.cc", "int Engine() { return 9; }\n");
  MakeLibraries("engine/lib");
  EXPECT_NE(Build().program, first.program);
}

TEST_F(RunnerBuildTest, WhoAsksAtOnceWaits) {
  std::vector<BuiltRunner> built(4);
  std::vector<std::thread> all;
  for (BuiltRunner& b : built) all.emplace_back([this, &b] { b = Build(); });
  for (std::thread& t : all) t.join();
  EXPECT_EQ(TimesCompiled(), 1);
  for (const BuiltRunner& b : built) {
    EXPECT_EQ(b.problem, "");
    EXPECT_EQ(b.program, built[0].program);
  }
}

TEST_F(RunnerBuildTest, AFailureIsRememberedForAWhile) {
  Write("engine/include/detail.h", "#error of another generation\n");
  const BuiltRunner first = Build();
  EXPECT_EQ(first.program, "");
  EXPECT_THAT(first.problem, AllOf(HasSubstr("does not compile against " + Path("engine")),
                                   HasSubstr("error: #error of another generation")));
  EXPECT_THAT(first.remedy, AllOf(HasSubstr("compiler.txt has all that the compiler said"), HasSubstr("failed.txt")));
  const BuiltRunner second = Build();
  EXPECT_EQ(second.problem, first.problem);
  EXPECT_EQ(TimesCompiled(), 1);
  // It is tried again when it is old, when it is removed, and when anything changes.
  std::string failed = first.remedy.substr(first.remedy.find("until ") + 6);
  failed.resize(failed.find(" is removed"));
  fs::last_write_time(failed, fs::last_write_time(failed) - std::chrono::minutes(11));
  Build();
  EXPECT_EQ(TimesCompiled(), 2);
  fs::remove(failed);
  Build();
  EXPECT_EQ(TimesCompiled(), 3);
  Write("engine/include/detail.h", "int Engine();\n");
  EXPECT_EQ(Says(Build()), "1 7");
}

// Where paths have a comma or blanks in them, and CXX has arguments.
TEST_F(RunnerBuildTest, PathsThatAreNoWords) {
  fs::rename(Path("engine"), Path("an engine,v2"));
  EXPECT_EQ(Says(Build("an engine,v2")), "1 7");
  fs::create_directories(Path("a compiler"));
  Write("a compiler/c++", "#!/bin/sh\nexec c++ \"$@\"\n");
  fs::permissions(Path("a compiler/c++"), fs::perms::owner_all);
  for (const std::string& compiler : {Path("a compiler/c++"), std::string("env LANG=C c++ -DSOMETHING=1")}) {
    const Setting other("CXX", compiler);
    const BuiltRunner built = Build("an engine,v2");
    ASSERT_EQ(built.problem, "") << compiler;
    EXPECT_EQ(Says(built), "1 7");
  }
}

TEST_F(RunnerBuildTest, NoCompiler) {
  const Setting none("CXX", "/nonexistent/c++");
  const BuiltRunner built = Build();
  EXPECT_EQ(built.program, "");
  EXPECT_THAT(built.problem, AllOf(HasSubstr("no C++ compiler"), HasSubstr("/nonexistent/c++")));
  EXPECT_THAT(built.remedy, HasSubstr("CXX"));
}

}  // namespace
}  // namespace parity
