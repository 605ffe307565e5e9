// Every engine by its spec: the native one and those of reference/engines/registry.h.
//
//   std::unique_ptr<Backend> reference = MakeEngine("llama.cpp");
//   Capture r = reference->Run(request);
//   Capture c = MakeCandidateFor("native", r.backend)->Run(request);    // with the reference's roundings
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_ENGINES_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_ENGINES_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "reference/engines/backend.h"
#include "reference/engines/registry.h"

namespace parity {

// native, native:ORDER, and the references.
std::span<const EngineRow> Engines();

// Throws on a spec that is of no row, and lists the rows.
std::unique_ptr<Backend> MakeEngine(const std::string& spec, const EngineOptions& options = {});

// The candidate that follows the order of operations of the reference's build, where that is known: for "native" that
// order, for anything else the same as MakeEngine.
std::unique_ptr<Backend> MakeCandidateFor(const std::string& spec, const BackendInfo& reference,
                                          const EngineOptions& options = {});

// The specs in a line, for help texts: "native, native:ORDER, llama.cpp, ...".
enum class Which { kAll, kLive };
std::string EngineHelp(Which which = Which::kAll);

// PARITY_REQUIRE=llama.cpp,bitnet.cpp: engines whose absence is a failure.
std::vector<std::string> RequiredEngines();
bool IsRequired(const std::string& engine);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_ENGINES_H_
