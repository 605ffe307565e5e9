// A candidate and a reference, and what both leave behind for one request.
//
//   Pair pair("native", "llama.cpp");
//   if (auto problem = pair.Probe()) ... problem->message ...
//   Captures captures = pair.Run(request);
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_PAIR_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_PAIR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "parity_tests/findings/captures.h"
#include "parity_tests/judge/ladder.h"
#include "reference/engines/backend.h"
#include "reference/engines/capture_store.h"

namespace parity {

class Pair {
 public:
  // Specs as MakeAnyBackend knows them; throws on others. `store`: where captures are shared; empty: every Run is live.
  Pair(std::string candidate, const std::string& reference, const std::string& store = "");

  // Whether both engines are there: nothing, or a preflight result with status fail and a message that says what is
  // missing, where it was looked for and how to get it.
  std::optional<RungResult> Probe();

  // Called with what is about to run: "llama.cpp", "native".
  std::function<void(const std::string&)> progress;

  // The reference first: "native" follows the order of operations of the reference's build. Throws what Backend::Run
  // throws. The captures' raw tensors are readable until the next Run.
  Captures Run(const Request& request);

  // As the last Run used them.
  Backend& candidate() { return *candidate_; }
  Backend& reference() { return *reference_; }

  // The profile that is fair: `expected`, or `elsewhere` where the candidate is "native" and the reference's build has
  // no order of operations that it could follow; `note` then says so.
  std::string FairProfile(const BackendInfo& reference, const std::string& expected, const std::string& elsewhere,
                          std::string* note) const;

 private:
  Capture CaptureOf(Backend& backend, const Request& request);

  std::string candidate_spec_;
  std::unique_ptr<Backend> candidate_;
  std::unique_ptr<Backend> reference_;
  std::optional<CaptureStore> store_;
};

// PARITY_REQUIRE=llama.cpp,bitnet.cpp: references whose absence is a failure.
bool IsRequired(const std::string& reference);

// Text of a token id of the model's vocabulary (a tokenizer.json, or the GGUF file's), read when it is first asked for;
// ids without a text, and models without a vocabulary, give "".
std::function<std::string(int32_t)> PieceLookup(const Request& request);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_PAIR_H_
