#include <fmt/format.h>

#include <stdexcept>

#include "parity_tests/diagnose/causes.h"
#include "parity_tests/diagnose/trial.h"
#include "parity_tests/diagnose/where.h"
#include "parity_tests/locate/traced_operation.h"

namespace parity {

namespace {

// "" where it attends as many as it should. `whole`: positions so far, the batch's with them.
std::string_view MistakeOfKeys(size_t found, size_t position, size_t whole) {
  const size_t expected = position + 1;
  if (found == expected) return "";
  if (found > whole) return "kv_not_cleared";
  if (found == whole && whole > 2) return "mask_missing";
  return found == expected + 1 || found + 1 == expected ? "mask_off_by_one" : "mask_missing";
}

}  // namespace

void KeysCauses(const TracedOperation& op, size_t position, const Batch& batch, Causes& causes) {
  const size_t keys = op.output().row(position).size() / op.model().hyperparameters.n_head;
  const std::string_view id = MistakeOfKeys(keys, position, batch.first + batch.n);
  if (id.empty()) return;
  causes.Add(id, Certainty::kLikely,
             fmt::format("position {} attends {} keys, expected {}", position, keys, position + 1));
}

void OperationCauses(const OwnModel& own, const Capture& candidate, const Place& place, Causes& causes) {
  if (own.model == nullptr || place.point == Point::kUnknown || place.position < 0 ||
      place.layer >= static_cast<int>(own.model->hyperparameters.n_layer)) {
    return;
  }
  try {
    const bitnet::Hyperparameters& h = own.model->hyperparameters;
    TracedTensors traced(candidate, bitnet::ShapeOf(h));
    KernelArithmetic arithmetic(h, *own.order);
    const TracedOperation op(*own.model, traced, arithmetic, place.point, place.layer);
    const auto position = static_cast<size_t>(place.position);
    if (place.point == Point::kAttnScores && position < op.output().n()) {
      KeysCauses(op, position, traced.BatchOf(position), causes);
    }
    const Fit null = op.Compare(op.parameters());
    if (null.exact()) return;
    // What is smaller than a rounding: by its bits, and by no number that could be turned until they fit.
    const bool by_bits = null.wrong() == 0;
    const Fit wrong = by_bits ? ByBits(null) : null;
    const std::vector<Explained> found = TryMistakes(op, {}, wrong, /*solve=*/!by_bits);
    const std::string where = WhichCells(wrong, op.batches(), op.n_prompt());
    if (found.empty() || (by_bits && !found[0].exact)) return;
    for (const Cause& cause : CausesOf(found, op, wrong, where)) causes.Add(cause.id, cause.certainty, cause.evidence);
  } catch (const NotTraced&) {
    return;
  } catch (const std::runtime_error&) {
    return;  // another engine's tensor of another size is as good as none
  }
}

}  // namespace parity
