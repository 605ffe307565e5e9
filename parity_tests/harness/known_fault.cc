#include "parity_tests/harness/known_fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/oracle_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/mistakes/mistake.h"
#include "reference/engines/known_faults.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

// A fault's change of one operation.
std::function<void(const bitnet::Model&, Point, int, Parameters&)> ChangeOf(const KnownFault& fault) {
  return [&fault](const bitnet::Model& model, Point point, int layer, Parameters& p) {
    const Mistake& mistake = FindMistake(fault.mistake);
    const bool there = fault.point == Point::kUnknown ? mistake.points.Has(point) : point == fault.point;
    if (!there) return;
    for (const Change& change : mistake.changes({model, point, layer, 0})) {
      if (change.how == fault.way) return change.apply(p);
    }
  };
}

// Our own answer in the order of the reference's build, to the tokens that the reference read.
Capture OwnAnswer(const Request& request, const Capture& reference, const KnownFault* fault) {
  Request asked = request;
  asked.token_ids = reference.tokens;
  asked.trace = "none";
  asked.raw_tensors = false;
  const std::shared_ptr<const LoadedModel> loaded = LoadModel(SourceOf(request));
  OracleSpec spec{.order = std::string(OrderFor(reference.backend, loaded->model).name), .kernels = true};
  if (fault != nullptr) spec.change = ChangeOf(*fault);
  Capture own = MakeOracleBackend(spec)->Run(asked);
  own.backend = reference.backend;
  own.model = reference.model;
  own.shapes = reference.shapes;
  own.request = reference.request;
  own.pieces = reference.pieces;
  return own;
}

}  // namespace

std::optional<ProvenFault> FindKnownFault(const Request& request, const Capture& reference) {
  if (!reference.shown.everything() || reference.tokens.empty()) return std::nullopt;
  const bool order_known = !OrderOf(reference.backend).empty();
  const LadderOptions limits{.profile = LoadProfile("", order_known ? "strict" : "cosine"), .piece_of = {}};
  for (const KnownFault& fault : AllKnownFaults()) {
    const bool of_model = fault.architecture.empty() || fault.architecture == reference.model.architecture;
    if (!fault.Of(reference.backend) || !of_model || fault.mistake.empty()) continue;
    Capture faulty, sound;
    try {
      faulty = OwnAnswer(request, reference, &fault);
      const Verdict with = Climb(faulty, reference, limits);
      if (with.failed_rung()) continue;
      sound = OwnAnswer(request, reference, nullptr);
      if (!Climb(sound, reference, limits).failed_rung()) continue;  // it makes no difference here
      FoundFault found{.id = std::string(fault.id),
                       .what = std::string(fault.what),
                       .versions = std::string(fault.versions),
                       .link = std::string(fault.link),
                       .point = fault.point};
      const WorstRows& figures = Figures(with);
      found.proof = figures.identical_share() == 1
                        ? fmt::format("our own computation with that fault gives all {} of its logits bit for bit",
                                      figures.values())
                        : fmt::format(
                              "our own computation with that fault gives its logits within the limits of {} "
                              "(worst mse {:.3g})",
                              limits.profile.name, figures.value(Metric::kMse));
      sound.backend.build += "; without " + found.id;
      return ProvenFault{std::move(found), std::move(sound)};
    } catch (const std::runtime_error&) {
      return std::nullopt;  // a model that we cannot run proves nothing
    }
  }
  return std::nullopt;
}

}  // namespace parity
