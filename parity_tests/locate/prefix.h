// Two engines on prefixes of one prompt, and the shortest prefix on which they part.
//
//   PrefixRuns runs(candidate, reference, request, whole.reference, progress);
//   if (std::optional<Prefix> prefix = FindPrefix(runs, whole, profile)) ... prefix->length ...
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_PREFIX_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_PREFIX_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/profile.h"
#include "reference/engines/backend.h"

namespace parity {

enum class Side { kCandidate, kReference };
std::string_view SideName(Side side);  // "candidate", "reference"

class PrefixRuns {
 public:
  // `reference`: its answer to the whole request, whose tokens the prefixes are of. Told of each run: "prefix of 12
  // tokens: reference (llama.cpp)".
  PrefixRuns(Backend& candidate, Backend& reference, Request request, const Capture& whole,
             std::function<void(const std::string&)> progress);

  // The first `length` tokens, without traces; behind the prompt those that were generated.
  Request Prefix(size_t length) const;
  // The same, with tensors of all its positions.
  Request Traced(size_t length, const std::string& points, bool raw_tensors) const;

  Capture One(Side side, const Request& request, const std::string& what);
  Captures Both(const Request& request, const std::string& what);

  // The first `n` tokens that were generated become part of the sequence.
  void AppendGenerated(const Capture& reference, size_t n);
  void Step(std::string what) { steps.push_back(std::move(what)); }

  std::vector<int32_t> tokens;  // of the prompt, then those generated before the divergence
  std::vector<std::string> pieces;
  size_t n_prompt = 0;
  int count = 0;                   // runs of an engine, both together
  std::vector<std::string> steps;  // what was captured and what it said, a line each

 private:
  Backend& candidate_;
  Backend& reference_;
  Request request_;
  std::function<void(const std::string&)> progress_;
};

struct Prefix {
  size_t length = 0;
  Captures failing;  // without traces
};

// The first position of two captures whose logits are over a limit; -1 where none is.
int64_t FirstOver(const Captures& both, const Profile& profile);

// The shortest prefix whose logits fail; nothing where those of the whole pass. Where every position sees only what is
// before it, that is the first position of the whole prompt that fails; two runs confirm it, and a binary search
// answers where they do not.
std::optional<Prefix> FindPrefix(PrefixRuns& runs, const Captures& whole, const Profile& profile);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_PREFIX_H_
