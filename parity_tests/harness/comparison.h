// A candidate and a reference on one request: both run, the limits that are fair are picked, the ladder is climbed, and
// where it stops, the reason is sought.
//
//   Comparison comparison("native", "llama.cpp");
//   if (auto problem = comparison.Probe()) ... problem->message ...
//   Climbed climbed = comparison.Climb(request, {.explain = true});
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_COMPARISON_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_COMPARISON_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/explanation.h"
#include "parity_tests/findings/model_diff.h"
#include "parity_tests/findings/verdict.h"
#include "parity_tests/judge/ladder.h"
#include "reference/engines/backend.h"
#include "reference/engines/capture_store.h"
#include "reference/engines/registry.h"

namespace parity {

// The limits that judge: a profile of a file, and what a user changes in it.
struct ProfileChoice {
  std::string file = {};  // empty: the built-in thresholds
  std::string name = {};  // empty: whoever compares decides
  std::vector<std::string> thresholds = {};
  std::optional<double> cos_tol = {};

  // `otherwise`: the profile where none is named. With every change.
  Profile Load(const std::string& otherwise) const;
};

struct ClimbOptions {
  ProfileChoice profile = {};
  // Where the choice names none: the profile that judges, and the one that does where equal bits cannot be expected.
  std::string expected = "strict";
  std::string elsewhere = "cosine";
  Rung last = kLastRung;
  bool explain = false;              // run the engines again to find where and why they part
  std::vector<Rung> required = {};   // stages that must be judged (LadderOptions)
  bool accept_known_faults = false;  // the candidate is judged beside a known fault of the reference
};

// What was asked and answered last, of a walk that went on behind a tie.
struct Continued {
  Request request;
  Captures captures;
  Verdict verdict;
};

struct Climbed {
  Verdict verdict;
  std::optional<Captures> captures;  // nothing where an engine could not answer
  std::optional<Continued> behind_tie = {};
  std::optional<Explanation> explanation;  // where a stage fails or a bit differs
  bool not_supported = false;              // an engine is sound but cannot run this model
};

class Comparison {
 public:
  // The candidate for a reference whose build is known; an empty BackendInfo is one of which nothing is known.
  using MakeCandidate = std::function<std::unique_ptr<Backend>(const BackendInfo& reference)>;

  // Specs as MakeEngine knows them; throws on others. `store`: where captures are shared; empty: every run is live.
  Comparison(const std::string& candidate, const std::string& reference, const std::string& store = "",
             const EngineOptions& options = {});
  Comparison(MakeCandidate make_candidate, const std::string& reference, const EngineOptions& options = {});

  // The candidate reads another file of the same model, as a converter made it: every later run uses it. What must be
  // equal by meaning is compared now, and judged by preflight. Throws as DiffModels does.
  void UseCandidateModel(const std::string& candidate_model, const std::string& reference_model);

  // Whether both engines are there: nothing, or a preflight result with status fail and a message that says what is
  // missing, where it was looked for and how to get it.
  std::optional<RungResult> Probe();

  // The reference is the candidate's own previous build: any bit that changed counts.
  bool baseline = false;
  // A candidate's rows of logits that are longer than the reference's are cut to its length.
  bool cut_padded_head = false;

  // Called with what is about to happen.
  std::function<void(const std::string&)> progress;

  // The reference first: "native" follows the order of operations of the reference's build. Throws what Backend::Run
  // throws. The captures' raw tensors are readable until the next Run.
  Captures Run(const Request& request);

  // What judges these captures. The profile is `elsewhere` where the candidate is "native" and the reference's build
  // has no order of operations that it could follow, or the candidate shows no figures; `note` then says so.
  LadderOptions Limits(const Captures& captures, const ClimbOptions& options, std::string* note) const;

  // Runs both and climbs. Never throws for what an engine does: that is a verdict too. Both engines must be there.
  Climbed Climb(const Request& asked, const ClimbOptions& options);

  // Adds to what the last Climb returned where and why the engines part, if a stage failed or a bit differs. Both run
  // again, some of them many times.
  void AddExplanation(const Request& request, Climbed& climbed);

  // Where and why the captures of the last Run part. `verdict`: the ladder's, of these captures. first_bit: see
  // BisectOptions.
  Explanation Explain(const Request& request, const Captures& captures, const Verdict& verdict, bool first_bit = false);

  // As the last Run used them.
  Backend& candidate() { return *candidate_; }
  Backend& reference() { return *reference_; }

 private:
  // Behind a tie the texts part: both engines go on from the reference's token, until no tie is left, and the decode
  // rung is judged as a whole. Nothing where there was no tie, or an engine cannot be asked again.
  std::optional<Continued> GoOnBehindTies(const Request& request, const LadderOptions& limits, Climbed& climbed);

  // Where a stage of logits fails: a known fault of the reference's build that its outputs prove. Where it is accepted,
  // the verdict is of the reference without it.
  void LookForKnownFault(const Request& request, const LadderOptions& limits, const ClimbOptions& options,
                         Climbed& climbed);

  // What the candidate is held against: the reference, or our own correction of it where its fault is accepted.
  Backend& Judge() { return corrected_ ? *corrected_ : *reference_; }

  enum class Side { kCandidate, kReference };
  Capture CaptureOf(Side side, const Request& request);

  MakeCandidate make_candidate_;
  bool follows_reference_ = false;  // the candidate takes the reference's order
  std::unique_ptr<Backend> candidate_;
  std::unique_ptr<Backend> reference_;
  std::shared_ptr<Backend> corrected_;  // since the last Climb
  std::optional<CaptureStore> store_;
  std::optional<ModelDiff> models_;  // where the candidate reads a file of its own
};

// The first `n_vocab` columns of a capture's logits; a note says so where there were more.
void CutHead(int64_t n_vocab, Capture* capture);

// The verdict where nothing was compared: preflight has this status and message.
Verdict Refuse(Status status, const std::string& message, const Request& request, const Profile& profile);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_COMPARISON_H_
