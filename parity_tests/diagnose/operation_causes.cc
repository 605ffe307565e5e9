#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <stdexcept>

#include "parity_tests/diagnose/causes.h"
#include "parity_tests/locate/traced_tensors.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/oracle/arithmetic.h"

namespace parity {
namespace {

// What a mistake may differ by from the candidate's output and still be called likely, as a share of its largest value.
constexpr double kLikelyError = 1e-5;

struct Match {
  size_t equal = 0;  // numbers with the same bits
  double error = 0;  // largest difference, as a share of the output's largest value
};

Match Compare(std::span<const float> computed, std::span<const float> output) {
  Match match;
  double largest = 0;
  for (size_t i = 0; i < output.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(output[i])));
    if (std::bit_cast<uint32_t>(computed[i]) == std::bit_cast<uint32_t>(output[i])) {
      ++match.equal;
      continue;
    }
    const double difference = std::fabs(static_cast<double>(computed[i]) - output[i]);
    match.error = std::isnan(difference) ? INFINITY : std::max(match.error, difference);
  }
  if (match.error > 0) match.error = largest > 0 ? match.error / largest : INFINITY;
  return match;
}

// One operation of a capture, computed again with mistakes made on purpose.
class Suspect {
 public:
  Suspect(const OwnModel& own, const Capture& capture, const Place& place)
      : model_(*own.model),
        place_(place),
        traced_(capture, bitnet::ShapeOf(own.model->hyperparameters)),
        arithmetic_(own.model->hyperparameters, *own.order),
        batch_(traced_.BatchOf(static_cast<size_t>(place.position))),
        output_(traced_.Rows(place.point, place.layer, static_cast<size_t>(place.position), 1).data),
        inputs_(traced_.InputsOf(place.point, place.layer, batch_)) {}

  const Values& output() const { return output_; }
  const Batch& batch() const { return batch_; }

  // The row of the place's position; nothing where the candidate's has another size.
  Values Compute(const Change* change) {
    Parameters p = ParametersOf(model_, place_.point, place_.layer);
    if (change != nullptr) change->apply(p);
    TracedInputs in = inputs_;
    if (p.attention.unrotated_keys) {
      const bitnet::GraphShape shape = bitnet::ShapeOf(model_.hyperparameters);
      const bitnet::Source k = bitnet::SourceOf(bitnet::InfoOf(Point::kKRope), 0, place_.layer, shape);
      in.b = traced_.Rows(k.point, k.layer, 0, batch_.first + batch_.n);
    }
    const Tensor y = arithmetic_.Compute(place_.point, p, in.view());
    const std::span<const float> row = y.row(static_cast<size_t>(place_.position) - batch_.first);
    return row.size() == output_.size() ? Values(row.begin(), row.end()) : Values();
  }

 private:
  const bitnet::Model& model_;
  const Place& place_;
  TracedTensors traced_;
  KernelArithmetic arithmetic_;
  Batch batch_;
  Values output_;
  TracedInputs inputs_;
};

// A row of scores that is longer or shorter than the mask allows.
void CountKeys(const Suspect& suspect, const OwnModel& own, const Place& place, Causes& causes) {
  const size_t found = suspect.output().size() / own.model->hyperparameters.n_head;
  const size_t expected = static_cast<size_t>(place.position) + 1, whole = suspect.batch().first + suspect.batch().n;
  if (found == expected) return;
  const std::string_view id = found > whole                                    ? "kv_not_cleared"
                              : found == whole && whole > 2                    ? "mask_missing"
                              : found == expected + 1 || found + 1 == expected ? "mask_off_by_one"
                                                                               : "mask_missing";
  causes.Add(id, Certainty::kLikely,
             fmt::format("position {} attends {} keys, expected {}", place.position, found, expected));
}

void TryMistakes(const OwnModel& own, Suspect& suspect, const Place& place, Causes& causes) {
  const Site site{*own.model, place.point, place.layer, static_cast<size_t>(place.position)};
  const size_t n = suspect.output().size();
  // A mistake must explain the output better than none does.
  const Values right = suspect.Compute(nullptr);
  const Match null = right.empty() ? Match{.equal = 0, .error = INFINITY} : Compare(right, suspect.output());
  if (null.equal == n) return;
  for (const Mistake& mistake : AllMistakes()) {
    if (!mistake.tried || mistake.changes == nullptr || !mistake.points.Has(place.point)) continue;
    for (const Change& change : mistake.changes(site)) {
      const Values computed = suspect.Compute(&change);
      if (computed.empty()) continue;
      const Match match = Compare(computed, suspect.output());
      if (match.equal == n) {
        causes.Add(mistake.id, Certainty::kCertain,
                   fmt::format("{}, computed from the candidate's own inputs, gives all {} numbers of its {} bit for "
                               "bit",
                               change.how, n, PointName(place.point)));
      } else if (match.error <= kLikelyError && match.error < null.error) {
        causes.Add(mistake.id, Certainty::kLikely,
                   fmt::format("{}, computed from the candidate's own inputs, gives its {} within {:.2g} of the "
                               "largest value ({} of {} numbers bit for bit)",
                               change.how, PointName(place.point), match.error, match.equal, n));
      }
    }
  }
}

}  // namespace

void OperationCauses(const OwnModel& own, const Capture& candidate, const Place& place, Causes& causes) {
  if (own.model == nullptr || place.point == Point::kUnknown || place.position < 0 ||
      place.layer >= static_cast<int>(own.model->hyperparameters.n_layer)) {
    return;
  }
  try {
    Suspect suspect(own, candidate, place);
    if (place.point == Point::kAttnScores) CountKeys(suspect, own, place, causes);
    TryMistakes(own, suspect, place, causes);
  } catch (const NotTraced&) {
    return;
  } catch (const std::runtime_error&) {
    return;  // another engine's tensor of another size is as good as none
  }
}

}  // namespace parity
