// The engines that this project knows, one row each. Whoever makes, lists, explains or looks for engines reads these
// rows.
//
//   for (const EngineRow& row : ReferenceEngines()) fmt::print("{}\n", row.Help());      // "recorded:DIR"
//   std::unique_ptr<Backend> backend = MakeBackend("llama.cpp");
#ifndef BITNET_PARITY_REFERENCE_ENGINES_REGISTRY_H_
#define BITNET_PARITY_REFERENCE_ENGINES_REGISTRY_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "reference/engines/backend.h"
#include "reference/engines/runner_backend.h"

namespace parity {

// What a user says of engines that show little; others pass over it.
struct EngineOptions {
  std::string text_begin = {};  // text:  a regular expression; what is printed before its first match, and that, is cut
  std::string text_end = {};    // text:  the same of what is printed behind
  bool allow_remote = false;    // http:  a server on another machine
  std::string logits_at = {};   // npy:   "first", "last", or the positions of the rows: "0,4,-1"
};

// A build of an engine, as its captures tell it, and the order of operations that it follows.
struct BuildOrder {
  std::string simd;   // BackendInfo::simd
  std::string build;  // a part of BackendInfo::build
  std::string order;  // a name of engine/kernels/order.cc
};

struct EngineRow {
  std::string name;             // what a spec begins with: "llama.cpp", "recorded"
  std::string argument;         // what follows it after a colon: "DIR"; empty: nothing does
  bool needs_argument = false;  // false: the name alone is a spec too
  std::string what;             // of the argument, for messages: "captures on disk"
  bool live = true;             // false: answers what was recorded, and nothing else
  std::unique_ptr<Backend> (*make)(const EngineRow& row, const std::string& argument,
                                   const EngineOptions& options) = nullptr;
  Runner runner = {};                   // where the engine runs in a program of its own
  std::vector<BuildOrder> orders = {};  // the first that fits counts

  // The specs that it takes: "llama.cpp", "recorded:DIR", "native, native:ORDER".
  std::string Help() const {
    const std::string with_argument = argument.empty() ? "" : name + ":" + argument;
    return needs_argument ? with_argument : argument.empty() ? name : name + ", " + with_argument;
  }
};

// llama.cpp, bitnet.cpp, ik_llama.cpp, recorded:DIR, exec:COMMAND, text:COMMAND, http:URL, npy:FILE. The native engine
// is in parity_tests/harness/engines.h.
std::span<const EngineRow> ReferenceEngines();

// The backend of a spec. Throws on one that is of no row, and lists the rows.
std::unique_ptr<Backend> MakeBackend(const std::string& spec, std::span<const EngineRow> rows = ReferenceEngines(),
                                     const EngineOptions& options = {});

// The order of operations of the build that made a capture; empty where none is known for it.
std::string OrderOf(const BackendInfo& backend);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_REGISTRY_H_
