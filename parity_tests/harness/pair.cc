#include "parity_tests/harness/pair.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>
#include <utility>

#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/native_backend.h"

namespace parity {
namespace {

std::optional<std::string> ProblemOf(Backend& backend) {
  const ProbeResult probe = backend.Probe();
  if (probe.available) return std::nullopt;
  std::string message = fmt::format("{} is not available: {}", backend.name(), probe.problem);
  if (!probe.looked_in.empty()) message += fmt::format("\nlooked in: {}", fmt::join(probe.looked_in, ", "));
  if (!probe.remedy.empty()) message += fmt::format("\nremedy: {}", probe.remedy);
  return message;
}

}  // namespace

Pair::Pair(std::string candidate, const std::string& reference, const std::string& store)
    : candidate_spec_(std::move(candidate)),
      candidate_(MakeAnyBackend(candidate_spec_)),
      reference_(MakeAnyBackend(reference)) {
  if (!store.empty()) store_.emplace(store);
}

std::optional<RungResult> Pair::Probe() {
  for (Backend* backend : {reference_.get(), candidate_.get()}) {
    if (std::optional<std::string> problem = ProblemOf(*backend)) {
      RungResult result;
      result.rung = Rung::kPreflight;
      result.status = Status::kFail;
      result.message = std::move(*problem);
      return result;
    }
  }
  return std::nullopt;
}

Captures Pair::Run(const Request& request) {
  Captures captures;
  captures.reference = CaptureOf(*reference_, request);
  candidate_ = MakeCandidateFor(candidate_spec_, captures.reference.backend);
  captures.candidate = CaptureOf(*candidate_, request);
  return captures;
}

Capture Pair::CaptureOf(Backend& backend, const Request& request) {
  if (progress) progress(backend.name());
  const char* side = &backend == reference_.get() ? "reference" : "candidate";
  try {
    return store_ ? store_->Get(backend, request) : backend.Run(request);
  } catch (const ModelNotSupported&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{} {}: {}", side, backend.name(), error.what()));
  }
}

std::string Pair::FairProfile(const BackendInfo& reference, const std::string& expected, const std::string& elsewhere,
                              std::string* note) const {
  if (candidate_spec_ != "native" || reference.name == "native" || !OrderOf(reference).empty()) return expected;
  *note = fmt::format(
      "{} picked its \"{}\" build, whose order of operations the native engine does not follow; equal bits are not "
      "expected here, and the profile {} judges",
      reference.name, reference.simd, elsewhere);
  return elsewhere;
}

bool IsRequired(const std::string& reference) {
  const char* value = std::getenv("PARITY_REQUIRE");
  std::istringstream names(value == nullptr ? "" : value);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == reference) return true;
  }
  return false;
}

std::function<std::string(int32_t)> PieceLookup(const Request& request) {
  struct Lookup {
    Request request;
    bool read = false;
    std::shared_ptr<const bitnet::Tokenizer> tokenizer;
  };
  auto lookup = std::make_shared<Lookup>();
  lookup->request = request;
  return [lookup](int32_t id) -> std::string {
    if (!std::exchange(lookup->read, true)) {
      try {
        lookup->tokenizer = LoadTokenizer(lookup->request);
      } catch (const std::exception&) {
        // A model without a vocabulary climbs on token ids; its tokens have no text.
      }
    }
    if (!lookup->tokenizer || id < 0 || id >= lookup->tokenizer->n_vocab()) return "";
    return lookup->tokenizer->Piece(id);
  };
}

}  // namespace parity
