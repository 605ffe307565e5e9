#include "parity_tests/harness/comparison.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "parity_tests/diagnose/explain.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/known_fault.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/own_model.h"
#include "parity_tests/locate/model_diff.h"
#include "reference/capture/quote.h"

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

// An engine that reads another file of the model than the request names.
class OtherModelBackend : public Backend {
 public:
  OtherModelBackend(std::unique_ptr<Backend> engine, std::string model)
      : engine_(std::move(engine)), model_(std::move(model)) {}

  std::string name() const override { return engine_->name(); }
  ProbeResult Probe() override { return engine_->Probe(); }
  std::string Identity(const FileHasher& hash) override { return engine_->Identity(hash) + " " + hash(model_); }
  bool live() const override { return engine_->live(); }
  Capture Run(const Request& request) override { return engine_->Run(Of(request)); }
  void RunTo(const Request& request, const std::string& directory) override { engine_->RunTo(Of(request), directory); }

 private:
  Request Of(Request request) const {
    request.model = model_;
    return request;
  }

  std::unique_ptr<Backend> engine_;
  std::string model_;
};

}  // namespace

void CutHead(int64_t n_vocab, Capture* capture) {
  const auto cut = [n_vocab](Matrix& m) {
    if (m.cols <= n_vocab || n_vocab == 0) return;
    Matrix narrow{m.rows, n_vocab, {}};
    for (int64_t i = 0; i < m.rows; ++i) narrow.data.insert(narrow.data.end(), m.row(i), m.row(i) + n_vocab);
    m = std::move(narrow);
  };
  const int64_t before = capture->logits.cols;
  cut(capture->logits);
  cut(capture->decode_logits);
  if (capture->logits.cols == before) return;
  capture->notes.push_back(fmt::format("{} logits a row, cut to {} as asked", before, n_vocab));
  if (capture->shapes.logits.size() == 2) capture->shapes.logits[1] = static_cast<int>(n_vocab);
  if (CountOf(capture->model, "n_vocab") == before) (*capture->model.hyperparameters)["n_vocab"] = n_vocab;
}

Profile ProfileChoice::Load(const std::string& otherwise) const {
  Profile profile = LoadProfile(file, name.empty() ? otherwise : name);
  for (const std::string& threshold : thresholds) Override(profile, threshold);
  if (cos_tol) OverrideCosine(profile, *cos_tol);
  return profile;
}

Verdict Refuse(Status status, const std::string& message, const Request& request, const Profile& profile) {
  RungResult preflight;
  preflight.status = status;
  preflight.message = message;
  return NotClimbed(std::move(preflight), request, profile);
}

Comparison::Comparison(const std::string& candidate, const std::string& reference, const std::string& store,
                       const EngineOptions& options)
    : Comparison([candidate, options](const BackendInfo& info) { return MakeCandidateFor(candidate, info, options); },
                 reference, options) {
  follows_reference_ = candidate == "native";
  if (!store.empty()) store_.emplace(store);
}

Comparison::Comparison(MakeCandidate make_candidate, const std::string& reference, const EngineOptions& options)
    : make_candidate_(std::move(make_candidate)),
      candidate_(make_candidate_(BackendInfo())),
      reference_(MakeEngine(reference, options)) {}

void Comparison::UseCandidateModel(const std::string& candidate_model, const std::string& reference_model) {
  models_ = DiffModels(reference_model, candidate_model, progress);
  make_candidate_ = [make = make_candidate_, candidate_model](const BackendInfo& reference) {
    return std::make_unique<OtherModelBackend>(make(reference), candidate_model);
  };
  candidate_ = make_candidate_(BackendInfo());
}

std::optional<RungResult> Comparison::Probe() {
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

Captures Comparison::Run(const Request& request) {
  Captures captures;
  captures.reference = CaptureOf(Side::kReference, request);
  candidate_ = make_candidate_(captures.reference.backend);
  captures.candidate = CaptureOf(Side::kCandidate, request);
  if (cut_padded_head) CutHead(captures.reference.logits.cols, &captures.candidate);
  return captures;
}

Capture Comparison::CaptureOf(Side side, const Request& request) {
  Backend& backend = side == Side::kReference ? Judge() : *candidate_;
  if (progress) progress(fmt::format("running {} ...", backend.name()));
  try {
    return store_ && &backend != corrected_.get() ? store_->Get(backend, request) : backend.Run(request);
  } catch (const ModelNotSupported&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(
        fmt::format("{} {}: {}", side == Side::kReference ? "reference" : "candidate", backend.name(), error.what()));
  }
}

LadderOptions Comparison::Limits(const Captures& captures, const ClimbOptions& options, std::string* note) const {
  const BackendInfo& reference = captures.reference.backend;
  const Capture& candidate = captures.candidate;
  const bool follows = !follows_reference_ || reference.name == "native" || Follows(candidate.backend, reference);
  const std::vector<std::string> names = ProfileNames(options.profile.file);  // a file of the user's own may lack it
  const bool text_alone = candidate.shown.text && !ShowsFigures(candidate) && candidate.request.max_tokens > 0 &&
                          std::find(names.begin(), names.end(), options.elsewhere) != names.end();
  const bool fair = follows && !text_alone;
  if (text_alone) {
    *note = fmt::format(
        "the candidate shows no logits, so how near it comes is not known: the profile {} judges, by which a choice "
        "between two tokens that rounding may turn is no divergence",
        options.elsewhere);
  } else if (!fair) {
    *note = fmt::format(
        "{} picked its \"{}\" build, whose order of operations the native engine does not follow{}; equal bits are not "
        "expected here, and the profile {} judges",
        reference.name, reference.simd, OrderOf(reference).empty() ? "" : " with weights of all types of this model",
        options.elsewhere);
  }
  return {.profile = options.profile.Load(fair ? options.expected : options.elsewhere),
          .last = options.last,
          .piece_of = PieceLookup(captures.reference.request),
          .models = models_ ? &*models_ : nullptr,
          .required = options.required};
}

namespace {

// The rest of a request, with the reference's tokens up to the tie as part of the prompt; nothing where none is left,
// or it cannot be asked for. Where a side shows no token ids both are asked by text.
std::optional<Request> BehindTie(const Request& request, const Captures& captures, size_t tie, bool by_text) {
  const Capture& reference = captures.reference;
  Request rest = request;
  const auto taken = static_cast<int>(tie) + 1;
  if (request.max_tokens <= taken) return std::nullopt;
  rest.max_tokens -= taken;
  if (captures.candidate.shown.tokens && reference.shown.tokens) {
    rest.token_ids = reference.tokens;
    rest.token_ids->insert(rest.token_ids->end(), reference.generated.begin(), reference.generated.begin() + taken);
  } else {
    if (!by_text || request.token_ids || reference.generated_pieces.size() <= tie) return std::nullopt;
    for (size_t i = 0; i <= tie; ++i) rest.text += reference.generated_pieces[i];
    if (!IsValidUtf8(rest.text)) return std::nullopt;
  }
  rest.positions = 0;
  return rest;
}

// The rung as it stands, and what was found behind its tie. `first`: what was compared up to the first one.
void AddRest(const Verdict& rest, const std::string& first, int ties, RungResult& decode) {
  const RungResult& more = rest.rung(Rung::kDecode);
  const int64_t done = decode.tie + 1;
  const auto equal = static_cast<int64_t>(decode.rows.size() + more.rows.size());
  for (const std::string& note : more.notes) {
    decode.notes.push_back(fmt::format("behind generated token {}: {}", decode.tie, note));
  }
  if (const std::optional<Rung> failed = rest.failed_rung()) {
    const RungResult& result = rest.rung(*failed);
    decode.status = Status::kFail;
    decode.message =
        fmt::format("behind the tie at generated token {}, {}: {}", decode.tie, RungName(*failed), result.message);
    decode.checks = result.checks;
    decode.top_candidate = result.top_candidate;
    decode.top_reference = result.top_reference;
    decode.token = result.token;
    decode.token_text = result.token_text;
    if (*failed == Rung::kDecode) decode.position = done + result.position;
  }
  for (size_t i = decode.at.size(); i < decode.rows.size(); ++i) decode.at.push_back(static_cast<int64_t>(i));
  for (size_t i = 0; i < more.rows.size(); ++i) {
    decode.rows.push_back(more.rows[i]);
    decode.at.push_back(done + more.PositionOf(i));
  }
  decode.worst.Add(more.worst);
  decode.partly = more.partly;
  decode.compared =
      fmt::format("{}, {} tie{} at which both went on with the reference's token",
                  equal > 0 ? fmt::format("{} greedy tokens equal", equal) : first, ties, ties == 1 ? "" : "s");
  decode.tie = more.tie < 0 ? -1 : done + more.tie;
}

// Behind a tie a candidate computes as a prompt what it would have decoded, so each one may hide a fault of decode. By
// logits such a fault shows anyway. Of text alone: one tie, and one more for every sixteen tokens, is what rounding may
// do (a sound engine with an int8 head: 15 in 1152 tokens).
void JudgeNumberOfTies(int ties, size_t tokens, RungResult& decode) {
  if (decode.status != Status::kPass || static_cast<size_t>(ties) <= 1 + tokens / 16) return;
  decode.status = Status::kFail;
  decode.message =
      fmt::format("{} ties in {} tokens: rounding turns a choice now and then, not as often as this", ties, tokens);
}

}  // namespace

std::optional<Continued> Comparison::GoOnBehindTies(const Request& request, const LadderOptions& limits,
                                                    Climbed& climbed) {
  constexpr int kMostTies = 16;
  RungResult& decode = climbed.verdict.rungs[static_cast<size_t>(Rung::kDecode)];
  const std::string first = decode.compared;
  std::optional<Continued> last;
  int ties = decode.tie >= 0 ? 1 : 0;
  for (int64_t tie = decode.tie; ties <= kMostTies && tie >= 0;) {  // `tie`: in the captures looked at last
    if (decode.status != Status::kPass || !candidate_->live() || !Judge().live()) break;
    const Request& asked = last ? last->request : request;
    const Captures& answered = last ? last->captures : *climbed.captures;
    const std::optional<Request> rest =
        BehindTie(asked, answered, static_cast<size_t>(tie), candidate_->goes_on_with_text());
    if (!rest) break;
    Captures captures = Run(*rest);
    Verdict verdict = parity::Climb(captures.candidate, captures.reference, limits);
    AddRest(verdict, first, ties, decode);
    tie = verdict.rung(Rung::kDecode).tie;
    ties += tie >= 0 ? 1 : 0;
    last = Continued{*rest, std::move(captures), std::move(verdict)};
  }
  const Captures& asked_first = *climbed.captures;
  if (!asked_first.candidate.shown.decode_logits) {
    JudgeNumberOfTies(ties, asked_first.reference.generated.size(), decode);
  }
  return last;
}

Climbed Comparison::Climb(const Request& asked, const ClimbOptions& options) {
  Request request = asked;
  if (candidate_->stops_at_end() || reference_->stops_at_end()) request.ignore_eos = false;
  Climbed climbed;
  corrected_.reset();
  try {
    climbed.captures = Run(request);
  } catch (const std::exception& error) {
    climbed.not_supported = dynamic_cast<const ModelNotSupported*>(&error) != nullptr;
    climbed.verdict = Refuse(Status::kFail, error.what(), request, options.profile.Load(options.expected));
    climbed.verdict.rungs.front().explains_itself = !climbed.not_supported;
    return climbed;
  }
  const Captures& captures = *climbed.captures;
  std::string note;
  LadderOptions ladder = Limits(captures, options, &note);
  ladder.piece_of = PieceLookup(request);  // a recorded capture names the model where it was recorded
  Verdict& verdict = climbed.verdict = parity::Climb(captures.candidate, captures.reference, ladder);
  if (!note.empty() && options.profile.name.empty()) verdict.notes.push_back(note);
  for (const Capture* capture : {&captures.candidate, &captures.reference}) {
    if (capture->shown.everything()) continue;
    for (const std::string& said : capture->notes) verdict.notes.push_back(said);
  }
  LookForKnownFault(request, ladder, options, climbed);
  try {
    climbed.behind_tie = GoOnBehindTies(request, ladder, climbed);
  } catch (const std::exception& error) {
    verdict.notes.push_back(fmt::format("behind the tie nothing was compared: {}", error.what()));
  }
  if (options.explain) AddExplanation(request, climbed);
  return climbed;
}

void Comparison::LookForKnownFault(const Request& request, const LadderOptions& limits, const ClimbOptions& options,
                                   Climbed& climbed) {
  const std::optional<Rung> failed = climbed.verdict.failed_rung();
  if (!failed || *failed < Rung::kFirstLogit || baseline) return;
  if (progress) progress("known faults of the reference");
  std::optional<ProvenFault> proven = FindKnownFault(request, climbed.captures->reference);
  if (!proven) return;
  FoundFault& fault = proven->fault;
  const std::string words =
      fmt::format("the reference {}: known fault {} of this version ({}{}{}); {}", fault.what, fault.id, fault.versions,
                  fault.link.empty() ? "" : ", ", fault.link, fault.proof);
  fault.without = failed;
  fault.accepted = options.accept_known_faults;
  std::vector<std::string> notes = std::move(climbed.verdict.notes);
  notes.push_back(words);
  if (fault.accepted) {
    notes.push_back(
        fmt::format("accepted: the candidate is judged beside it, against the reference as our own {} "
                    "corrects it",
                    fault.point == Point::kUnknown ? "engine" : PointText(fault.point)));
    climbed.captures->reference = std::move(proven->corrected);
    corrected_ = std::move(proven->without);
    climbed.verdict = parity::Climb(climbed.captures->candidate, climbed.captures->reference, limits);
  }
  climbed.verdict.notes = std::move(notes);
  // Beside an accepted fault what still fails is the candidate's, or nobody's yet.
  const bool fails_beside_it = fault.accepted && climbed.verdict.failed_rung().has_value();
  climbed.verdict.at_fault = fails_beside_it ? AtFault::kUnknown : AtFault::kReference;
  climbed.verdict.known_fault = std::move(fault);
}

void Comparison::AddExplanation(const Request& request, Climbed& climbed) {
  Verdict& verdict = climbed.verdict;
  const std::optional<Rung> failed = verdict.failed_rung();
  if (!climbed.captures || failed == Rung::kPreflight) return;
  const Captures& captures = *climbed.captures;
  const WorstRows& figures = Figures(verdict);
  const bool everything = captures.candidate.shown.everything() && captures.reference.shown.everything();
  const bool identical = figures.rows() == 0 || figures.identical_share() == 1 || !everything;  // as far as it shows
  if (!failed && identical) return;
  const std::optional<Continued>& behind_tie = climbed.behind_tie;
  // By its text alone an engine is known best from all of it.
  const bool by_rest = behind_tie && behind_tie->verdict.failed_rung() && captures.candidate.shown.decode_logits;
  if (failed && by_rest) {
    climbed.explanation = Explain(behind_tie->request, behind_tie->captures, behind_tie->verdict);
  } else if (failed) {
    climbed.explanation = Explain(request, captures, verdict);
  } else {
    const Verdict exact =
        parity::Climb(captures.candidate, captures.reference, {.profile = ExactProfile(), .piece_of = {}});
    climbed.explanation = Explain(request, captures, exact, /*first_bit=*/true);
  }
  const bool beside_it = verdict.known_fault && verdict.known_fault->accepted && failed;
  if (!verdict.known_fault || beside_it) verdict.at_fault = climbed.explanation->diagnosis.at_fault;
}

Explanation Comparison::Explain(const Request& request, const Captures& captures, const Verdict& verdict,
                                bool first_bit) {
  const HeldModel held = HoldModel(request, captures.reference.backend);
  return parity::Explain(*candidate_, Judge(), request, captures, verdict, held.own,
                         {.first_bit = first_bit, .every_bit = baseline, .progress = progress});
}

}  // namespace parity
