// What each kind of evidence says about the cause. Diagnose puts them together.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_CAUSES_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_CAUSES_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/diagnose/diagnosis.h"

namespace parity {

class TracedOperation;
struct Batch;

// The causes found so far, one entry for each: the first, or the more certain one.
class Causes {
 public:
  // Throws std::logic_error on an id that is not in the table of mistakes.
  void Add(std::string_view id, Certainty certainty, std::string evidence);
  std::vector<Cause> Sorted() const;  // the most certain first

 private:
  std::vector<Cause> causes_;
};

// Ids: every known mistake in the prompt's ids, made on purpose.
// Our own tokenizer is the third opinion: says whose ids are not its, and looks for that side's mistake.
AtFault TokenCauses(const Captures& captures, const OwnModel& own, Causes& causes);

// The keys that each position attends, as both engines report them.
void MaskCauses(const Captures& captures, Causes& causes);

// The operation at `place`, computed with every known mistake from the candidate's own inputs. Nothing where it is
// right, where no known mistake fits better than none, or where its inputs were not traced.
void OperationCauses(const OwnModel& own, const Capture& candidate, const Place& place, Causes& causes);

// A query that attends more or fewer keys than its position allows, of attn_scores.
void KeysCauses(const TracedOperation& op, size_t position, const Batch& batch, Causes& causes);

// The two outputs of the first operation that differs, beside each other.
void OutputCauses(Point point, std::span<const float> candidate, std::span<const float> reference, Causes& causes);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_CAUSES_H_
