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
    // A way that this operation of this model does not have: there the fault makes no difference.
  };
}

// Our own computation under the name of a reference, in the order of its build: with a known fault of it, or without.
class OwnReference : public Backend {
 public:
  // `reference`: what it answered to `request`.
  OwnReference(const Request& request, const Capture& reference, const KnownFault* fault)
      : tokens_(reference.tokens),
        pieces_(reference.pieces),
        shapes_(reference.shapes),
        backend_(reference.backend),
        model_(reference.model) {
    const std::shared_ptr<const LoadedModel> loaded = LoadModel(SourceOf(request));
    OracleSpec spec{.order = std::string(OrderFor(reference.backend, loaded->model).name), .kernels = true};
    if (fault != nullptr) spec.change = ChangeOf(*fault);
    engine_ = MakeOracleBackend(spec);
  }
  void Name(const std::string& build) { backend_.build += build; }

  std::string name() const override { return backend_.name; }
  ProbeResult Probe() override { return engine_->Probe(); }
  std::string Identity(const FileHasher& hash) override {
    return fmt::format("{} {}\n{}", backend_.name, backend_.build, engine_->Identity(hash));
  }
  // To the tokens that the reference read, where the request gives none.
  Capture Run(const Request& request) override {
    Request asked = request;
    if (!asked.token_ids) asked.token_ids = tokens_;
    Capture own = engine_->Run(asked);
    own.backend = backend_;
    own.model = model_;
    own.request = request;
    if (own.tokens == tokens_) {
      own.pieces = pieces_;
      own.shapes = shapes_;
    } else {
      own.shapes.kv_cells = shapes_.kv_cells;  // how much is set aside is the engine's affair
    }
    return own;
  }

 private:
  std::unique_ptr<Backend> engine_;
  std::vector<int32_t> tokens_;
  std::vector<std::string> pieces_;
  Shapes shapes_;
  BackendInfo backend_;
  ModelInfo model_;
};

}  // namespace

std::optional<ProvenFault> FindKnownFault(const Request& request, const Capture& reference) {
  if (!reference.shown.everything() || reference.tokens.empty()) return std::nullopt;
  const Profile strict = LoadProfile("", "strict"), cosine = LoadProfile("", "cosine");
  for (const KnownFault& fault : AllKnownFaults()) {
    const bool of_model = fault.architecture.empty() || fault.architecture == reference.model.architecture;
    if (!fault.Of(reference.backend) || !of_model || fault.mistake.empty()) continue;
    Request asked = request;
    asked.trace = "none";
    asked.raw_tensors = false;
    try {
      const bool order_known = KnownOrder(reference.backend, LoadModel(SourceOf(request))->model) != nullptr;
      const LadderOptions limits{.profile = order_known ? strict : cosine, .piece_of = {}};
      const Verdict with = Climb(OwnReference(asked, reference, &fault).Run(asked), reference, limits);
      if (with.failed_rung()) continue;
      auto sound = std::make_shared<OwnReference>(asked, reference, nullptr);
      Capture corrected = sound->Run(asked);
      if (!Climb(corrected, reference, limits).failed_rung()) continue;  // it makes no difference here
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
      sound->Name("; without " + found.id);
      corrected.backend.build += "; without " + found.id;
      return ProvenFault{std::move(found), std::move(corrected), std::move(sound)};
    } catch (const std::runtime_error&) {
      return std::nullopt;  // a model that we cannot run proves nothing
    }
  }
  return std::nullopt;
}

}  // namespace parity
