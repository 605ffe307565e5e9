#include "reference/engines/registry.h"

#include <fmt/format.h>

#include <stdexcept>

#include "reference/engines/exec_backend.h"
#include "reference/engines/http_backend.h"
#include "reference/engines/npy_backend.h"
#include "reference/engines/recorded_backend.h"
#include "reference/engines/text_backend.h"

namespace parity {
namespace {

std::unique_ptr<Backend> MakeRunner(const EngineRow& row, const std::string&, const EngineOptions&) {
  return MakeRunnerBackend(row.name, row.runner);
}
std::unique_ptr<Backend> MakeRecorded(const EngineRow&, const std::string& directory, const EngineOptions&) {
  return MakeRecordedBackend(directory);
}
std::unique_ptr<Backend> MakeExec(const EngineRow&, const std::string& command, const EngineOptions&) {
  return MakeExecBackend(command);
}
std::unique_ptr<Backend> MakeText(const EngineRow&, const std::string& command, const EngineOptions& options) {
  return MakeTextBackend(command, options.text_begin, options.text_end);
}
std::unique_ptr<Backend> MakeHttp(const EngineRow& row, const std::string& address, const EngineOptions& options) {
  return MakeHttpBackend(row.name + ":" + address, options.allow_remote);
}
std::unique_ptr<Backend> MakeNpy(const EngineRow&, const std::string& file, const EngineOptions& options) {
  return MakeNpyBackend(file, options.logits_at);
}

// Engines that run in a program of their own.
std::vector<EngineRow> RunnerRows() {
  return {
      {.name = "llama.cpp",
       .argument = "",
       .what = "",
       .make = MakeRunner,
       .runner = {.program = "llama_cpp_runner",
                  .variable = "PARITY_LLAMA_CPP_RUNNER",
                  .package = "reference/llama_family/package",
                  .layout = {.llama = ".",
                             .libraries = {"build/bin", "build/src", "build/ggml/src", "build/lib", "lib", "lib64",
                                           "bin"},
                             .variable = "LLAMA_CPP_DIR"},
                  .remedy = "set LLAMA_CPP_DIR to a checkout with a shared build; in a build tree, run `npm ci "
                            "--ignore-scripts` in reference/llama_family/package, then configure and build again"},
       // By the names of its CPU plugins, and by where a row of scores ends.
       .orders = {{"skylakex", "rows of scores end at 32 cells", "llama.cpp-2025-avx512"},
                  {"icelake", "rows of scores end at 32 cells", "llama.cpp-2025-avx512"},
                  {"skylakex", "", "llama.cpp-avx512"},
                  {"icelake", "", "llama.cpp-avx512"},
                  {"cannonlake", "", "llama.cpp-avx512"},
                  {"cascadelake", "", "llama.cpp-avx512"},
                  {"cooperlake", "", "llama.cpp-avx512-bf16"},
                  {"zen4", "", "llama.cpp-avx512-bf16"},
                  {"haswell", "", "llama.cpp-avx2"},
                  {"alderlake", "", "llama.cpp-avx2"},
                  {"armv8.0_1", "", "llama.cpp-neon"},
                  {"armv8.2_1", "", "llama.cpp-neon-dotprod"},
                  {"armv8.2_2", "", "llama.cpp-neon-fp16"}}},
      {.name = "bitnet.cpp",
       .argument = "",
       .what = "",
       .make = MakeRunner,
       .runner = {.program = "bitnet_cpp_runner",
                  .variable = "PARITY_BITNET_CPP_RUNNER",
                  .checkout = ".cache/bitnet_cpp",
                  .layout = {.llama = "3rdparty/llama.cpp",
                             .libraries = {"build/bin", "build/3rdparty/llama.cpp/src",
                                           "build/3rdparty/llama.cpp/ggml/src"},
                             .variable = "BITNET_CPP_DIR",
                             .libraries_variable = "BITNET_CPP_LIB_DIR"},
                  .remedy = "build bitnet.cpp with shared libraries and set BITNET_CPP_DIR to its checkout"},
       // The compiler decides which products are fused.
       .orders = {{"avx512", "clang", "bitnet.cpp-avx512"},
                  {"avx512-bf16", "clang", "bitnet.cpp-avx512-bf16"},
                  {"avx2", "clang", "bitnet.cpp-avx2"},
                  {"avx512", "GCC", "bitnet.cpp-avx512-gcc"},
                  {"avx512-bf16", "GCC", "bitnet.cpp-avx512-bf16-gcc"},
                  {"avx2", "GCC", "bitnet.cpp-avx2-gcc"},
                  {"neon", "clang", "bitnet.cpp-neon"},
                  {"neon-fp16", "clang", "bitnet.cpp-neon-fp16"}}},
      {.name = "ik_llama.cpp",
       .argument = "",
       .what = "",
       .make = MakeRunner,
       .runner = {.program = "ik_llama_cpp_runner",
                  .variable = "PARITY_IK_LLAMA_CPP_RUNNER",
                  .checkout = ".cache/ik_llama",
                  .layout = {.llama = ".",
                             .libraries = {"build/src", "build/ggml/src", "build/bin"},
                             .variable = "IK_LLAMA_CPP_DIR"},
                  .remedy = "build ik_llama.cpp with shared libraries and set IK_LLAMA_CPP_DIR to its checkout"},
       .orders = {}}  // it computes in an order of its own, which nobody has written down
  };
}

// What was recorded or saved, and whatever a user names.
std::vector<EngineRow> OtherRows() {
  return {
      {.name = "recorded",
       .argument = "DIR",
       .needs_argument = true,
       .what = "captures on disk",
       .live = false,
       .make = MakeRecorded},
      {.name = "exec",
       .argument = "COMMAND",
       .needs_argument = true,
       .what = "a program that is given REQUEST.json and OUTDIR",
       .make = MakeExec},
      {.name = "text",
       .argument = "COMMAND",
       .needs_argument = true,
       .what = "a program that prints; {model}, {prompt}, {max_tokens} in it are filled in",
       .make = MakeText},
      {.name = "http",
       .argument = "//HOST:PORT",
       .needs_argument = true,
       .what = "a server: llama-server's API or OpenAI's",
       .make = MakeHttp},
      {.name = "https", .argument = "//HOST", .needs_argument = true, .what = "the same", .make = MakeHttp},
      {.name = "npy",
       .argument = "FILE",
       .needs_argument = true,
       .what = "logits that somebody saved",
       .live = false,
       .make = MakeNpy},
  };
}

std::vector<EngineRow> MakeRows() {
  std::vector<EngineRow> rows = RunnerRows();
  const std::vector<EngineRow> others = OtherRows();
  rows.insert(rows.end(), others.begin(), others.end());
  return rows;
}

// Of a message: "llama.cpp, recorded:DIR (captures on disk), or exec:COMMAND (...)".
std::string Listing(std::span<const EngineRow> rows) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) text += i + 1 < rows.size() ? ", " : ", or ";
    text += rows[i].Help();
    if (!rows[i].what.empty()) text += fmt::format(" ({})", rows[i].what);
  }
  return text;
}

}  // namespace

std::span<const EngineRow> ReferenceEngines() {
  static const std::vector<EngineRow> rows = MakeRows();
  return rows;
}

std::unique_ptr<Backend> MakeBackend(const std::string& spec, std::span<const EngineRow> rows,
                                     const EngineOptions& options) {
  const size_t colon = spec.find(':');
  const std::string argument = colon == std::string::npos ? "" : spec.substr(colon + 1);
  for (const EngineRow& row : rows) {
    if (row.name != spec.substr(0, colon)) continue;
    const bool fits = argument.empty() ? colon == std::string::npos && !row.needs_argument : !row.argument.empty();
    if (fits) return row.make(row, argument, options);
  }
  throw std::runtime_error(fmt::format("backend: found '{}', expected {}", spec, Listing(rows)));
}

std::string OrderOf(const BackendInfo& backend) {
  for (const EngineRow& row : ReferenceEngines()) {
    if (row.name != backend.name) continue;
    for (const BuildOrder& b : row.orders) {
      if (b.simd == backend.simd && backend.build.find(b.build) != std::string::npos) return b.order;
    }
  }
  return "";
}

}  // namespace parity
