#include "parity_tests/locate/bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/locate/prefix.h"

namespace parity {
namespace {

bool SameNumbers(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.cols == b.cols &&
         std::equal(a.data.begin(), a.data.end(), b.data.begin(),
                    [](float x, float y) { return x == y || (x != x && y != y); });
}

// The logits from which generated token `g` was taken.
bool SameRow(const Captures& both, size_t g) {
  const Matrix &a = both.candidate.decode_logits, &b = both.reference.decode_logits;
  const auto row = static_cast<int64_t>(g);
  return a.cols == b.cols && row < std::min(a.rows, b.rows) && std::equal(a.row(row), a.row(row) + a.cols, b.row(row));
}

// The side that answered the same prefix in another way before.
std::optional<Side> NotReproduced(const Captures& once, const Captures& again) {
  if (once.candidate.tokens != again.candidate.tokens) return std::nullopt;
  if (!SameNumbers(once.candidate.logits, again.candidate.logits)) return Side::kCandidate;
  if (!SameNumbers(once.reference.logits, again.reference.logits)) return Side::kReference;
  return std::nullopt;
}

// "layer 3, ffn_down at position 4"
std::string DifferenceText(const TensorDifference& d) {
  return fmt::format("{} at position {}",
                     d.place.layer < 0 ? d.stage : fmt::format("layer {}, {}", d.place.layer, d.stage),
                     d.place.position);
}

std::string OperationMessage(const Bisection& b) {
  const ReplayResult &mine = b.replay_candidate, &theirs = b.replay_reference;
  std::string message = fmt::format("{}: {}", PlaceText(b.place.layer, b.place.point),
                                    b.inputs_equal ? "equal inputs, another output"
                                    : mine.verdict == ReplayVerdict::kNotTraced
                                        ? "the first traced tensor that differs; its inputs were not traced"
                                        : "the candidate's output does not follow from its inputs");
  if (mine.verdict == ReplayVerdict::kGuilty) {
    message += fmt::format("; the replay confirms it: {:.6g} where {:.6g} follows from the inputs (element {})",
                           mine.reference, mine.ours, mine.index);
  } else if (theirs.verdict == ReplayVerdict::kGuilty) {
    message += fmt::format(
        "; the replay finds the reference's output at fault: {:.6g} where {:.6g} follows from the "
        "inputs (element {})",
        theirs.reference, theirs.ours, theirs.index);
  }
  return message;
}

class Bisector {
 public:
  Bisector(Backend& candidate, Backend& reference, const Request& request, const Captures& whole,
           const Verdict& verdict, const OwnModel& own, const BisectOptions& options)
      : runs_(candidate, reference, request, whole.reference, options.progress),
        whole_(whole),
        verdict_(verdict),
        own_(own),
        options_(options) {
    runs_.count = 2;  // those that made `whole`
    b_.failed_rung = verdict.failed_rung();
    b_.prompt_length = static_cast<int>(runs_.n_prompt);
    n_layer_ = static_cast<int>(CountOf(whole.reference.model, "n_layer"));
  }

  Bisection Run() {
    FindDivergence();
    b_.captures = runs_.count;
    b_.steps = runs_.steps;
    return std::move(b_);
  }

 private:
  // The prefix first, then what is inside.
  void FindDivergence() {
    if (!b_.failed_rung) return Finish(BisectVerdict::kNoDivergence, "the ladder passes: nothing to look for");
    const RungResult& failed = verdict_.rung(*b_.failed_rung);
    runs_.Step(fmt::format("the whole prompt ({} tokens): fails at {}", runs_.n_prompt, RungName(*b_.failed_rung)));
    if (*b_.failed_rung == Rung::kPreflight) throw std::runtime_error(failed.message);
    if (*b_.failed_rung == Rung::kTokens) return FinishTokens(failed);
    if (*b_.failed_rung == Rung::kDecode) return FindInDecode(failed);
    if (options_.first_bit) {
      b_.prefix_length = static_cast<int>(std::min<int64_t>(whole_.reference.logits.rows, b_.prompt_length));
      failing_ = whole_;
    } else {
      std::optional<Prefix> prefix = FindPrefix(runs_, whole_, verdict_.profile);
      if (!prefix) return Finish(BisectVerdict::kShapes, failed.message);
      b_.prefix_length = static_cast<int>(prefix->length);
      failing_ = std::move(prefix->failing);
    }
    LookInside();
  }

  // The texts part at a generated token: the sequence that leads there is the prompt and the tokens before it.
  void FindInDecode(const RungResult& failed) {
    if (failed.position < 0) return Finish(BisectVerdict::kNotTraced, failed.message);  // not even a token
    const size_t g = static_cast<size_t>(failed.position);
    runs_.AppendGenerated(whole_.reference, g);
    b_.prompt_length = b_.prefix_length = static_cast<int>(runs_.tokens.size());
    if (!SameRow(whole_, g)) return LookInside();
    SetPosition(b_.prefix_length - 1);
    Finish(BisectVerdict::kChoice,
           fmt::format("generated token {}: the logits are equal, and another token is taken", g));
  }

  void FinishTokens(const RungResult& failed) {
    const size_t at = static_cast<size_t>(std::max<int64_t>(failed.position, 0));
    b_.place.position = static_cast<int>(at);
    b_.prefix_length = static_cast<int>(at) + 1;
    if (at < runs_.tokens.size()) {
      b_.token = runs_.tokens[at];
      b_.token_text = runs_.pieces[at];
    }
    if (at < whole_.candidate.tokens.size()) b_.candidate_token = whole_.candidate.tokens[at];
    Finish(BisectVerdict::kTokens, failed.message);
  }

  void SetPosition(int position) {
    b_.place.position = position;
    b_.token = b_.candidate_token = runs_.tokens.at(static_cast<size_t>(position));
    b_.token_text = runs_.pieces.at(static_cast<size_t>(position));
  }

  Captures Trace(const std::string& points, bool raw_tensors, const std::string& what) {
    return runs_.Both(runs_.Traced(static_cast<size_t>(b_.prefix_length), points, raw_tensors), what);
  }

  // The outputs of the layers, then the tensors of the layer where they first differ.
  void LookInside() {
    SetPosition(b_.prefix_length - 1);
    const Captures traced = Trace("embeddings,layer_out,output_norm,logits", false, "outputs of the layers");
    if (const auto side = failing_ ? NotReproduced(*failing_, traced) : std::nullopt) return LookForFlicker(*side);
    if (traced.candidate.traces.empty() || traced.reference.traces.empty()) {
      const Capture& without = traced.candidate.traces.empty() ? traced.candidate : traced.reference;
      return Finish(BisectVerdict::kNotTraced,
                    fmt::format("{} left no traces: which layer differs is not known", without.backend.name));
    }
    const TraceDiff diff = DiffTraces(traced.candidate, traced.reference, {RawTensors::kNo, false, false});
    if (!diff.first) {
      return Finish(BisectVerdict::kNotTraced,
                    "no traced tensor differs, but the logits do: the engine's traces are "
                    "not what it computes with");
    }
    // Position by position, so the first tensor that differs is at the first position that does.
    const TensorDifference& first = diff.tensors[*diff.first];
    runs_.Step(fmt::format("outputs of the layers: the first to differ is {}", DifferenceText(first)));
    if (LookIntoLayer(first)) return;
    if (options_.first_bit && b_.place.point != Point::kUnknown) {
      return Finish(BisectVerdict::kRounding,
                    fmt::format("{} at position {} differs by rounding alone",
                                PlaceText(b_.place.layer, b_.place.point), b_.place.position));
    }
    LookEverywhere();
  }

  // Where two runs of one engine on the same request part.
  void LookForFlicker(Side side) {
    const Request inside = runs_.Traced(static_cast<size_t>(b_.prefix_length), "full", false);
    const Capture once = runs_.One(side, inside, "every tensor"), twice = runs_.One(side, inside, "every tensor again");
    std::string where = "its traces do not show where";
    if (!once.traces.empty() && !twice.traces.empty()) {
      const TraceDiff diff = DiffTraces(once, twice, {RawTensors::kNo, false, false});
      if (diff.first) {
        const TensorDifference& first = diff.tensors[*diff.first];
        b_.place = first.place;
        SetPosition(first.place.position);
        where = fmt::format("the first tensor in which two runs differ is {}", DifferenceText(first));
      }
    }
    Finish(BisectVerdict::kNotReproducible,
           fmt::format("the {} answered the same request in two ways; {}. Run it with one thread, and look for memory "
                       "that is read before it is written",
                       SideName(side), where));
  }

  // What to trace around a tensor: its layer and what enters it. Keys and values of earlier positions are inputs too.
  std::string PointsAround(const Place& place) const {
    if (place.layer > 0) return fmt::format("blk{}/layer_out,blk{}/*", place.layer - 1, place.layer);
    if (place.layer == 0) return "embeddings,blk0/*";
    if (place.point == Point::kEmbeddings) return "embeddings";
    return fmt::format("blk{}/layer_out,output_norm,logits", n_layer_ - 1);
  }

  // The raw tensors of one layer and its input, or of what is outside the layers. True where that settles the matter.
  bool LookIntoLayer(const TensorDifference& outline) {
    const int layer = outline.place.layer;
    b_.inside = Trace(PointsAround(outline.place), true,
                      layer >= 0 ? fmt::format("tensors of layer {}", layer) : "tensors outside");
    const TraceDiff diff = DiffTraces(b_.inside->candidate, b_.inside->reference, {RawTensors::kIfThere, false, false});
    if (!diff.first) return false;
    const TensorDifference& first = diff.tensors[*diff.first];
    b_.difference = first;
    b_.place = first.place;
    b_.inputs_equal = true;
    SetPosition(first.place.position);
    runs_.Step(fmt::format("{}: the first tensor to differ is {}",
                           layer >= 0 ? fmt::format("layer {}", layer) : "outside the layers", DifferenceText(first)));
    if (options_.every_bit) {
      Finish(BisectVerdict::kOperation, fmt::format("{} makes another output of equal inputs than the previous build",
                                                    PlaceText(first.place.layer, first.place.point)));
      return true;
    }
    if (own_.model == nullptr) {
      Finish(BisectVerdict::kOperation, fmt::format("{} makes another output of equal inputs. {}",
                                                    PlaceText(first.place.layer, first.place.point), own_.problem));
      return true;
    }
    const auto [mine, theirs] = ReplayPlace(own_, *b_.inside, first.place.layer, first.place.point);
    const bool shape = first.status == TensorStatus::kShape;
    // Other bits of equal inputs, by no more than another order of additions makes, are rounding, not guilt.
    if (!shape && mine.verdict == ReplayVerdict::kWithin) return false;
    if (!shape && mine.verdict == ReplayVerdict::kExact && theirs.verdict != ReplayVerdict::kGuilty) return false;
    b_.replay_candidate = mine;
    b_.replay_reference = theirs;
    b_.inputs_equal = shape || mine.verdict != ReplayVerdict::kNotTraced;
    FinishOperation();
    // Where rounding in another place may be all, the mistake may be further on.
    suspect_ = b_.verdict != BisectVerdict::kOperation;
    return options_.first_bit || !suspect_;
  }

  // What differs first is rounding: every operation of every layer, on each side's own inputs.
  void LookEverywhere() {
    try {
      ReplayEverything();
    } catch (const std::runtime_error& error) {
      // Capturing every tensor, or reading them, failed; what was found before stands.
      runs_.Step(fmt::format("not every operation could be replayed: {}", error.what()));
      if (!suspect_) Finish(BisectVerdict::kNotTraced, error.what());
    }
  }

  void ReplayEverything() {
    if (own_.model == nullptr) return Finish(BisectVerdict::kNotTraced, own_.problem);
    b_.inside = Trace("full", true, "every tensor");
    const GuiltySearch search = FindGuilty(own_, *b_.inside, suspect_, options_.progress);
    runs_.Step(fmt::format("{} operations replayed{}: {}", search.replayed,
                           search.not_traced > 0 ? fmt::format(" ({} were not traced)", search.not_traced) : "",
                           search.guilty ? "one is outside its tolerance"
                           : suspect_    ? "none is worse than that"
                                         : "each within its tolerance"));
    if (!search.guilty && suspect_) return;
    if (!search.guilty) {
      return Finish(
          BisectVerdict::kRounding,
          fmt::format("no operation is wrong: of {} replayed, each is within its tolerance on the candidate's own "
                      "inputs. The first other bit is in {} at position {}; the rest has grown from such roundings. "
                      "Compare with the noise floor, or give the candidate the reference's order of operations",
                      search.replayed, PlaceText(b_.place.layer, b_.place.point), b_.place.position));
    }
    b_.place = search.guilty->candidate.place;
    b_.inputs_equal = false;
    b_.difference.reset();
    b_.replay_candidate = search.guilty->candidate;
    b_.replay_reference = search.guilty->reference;
    SetPosition(search.position);
    FinishOperation();
  }

  // The operation is named: wrong, or no further off than rounding in another place explains.
  void FinishOperation() {
    const ReplayResult& replay = b_.replay_candidate;
    if (replay.verdict != ReplayVerdict::kGuilty || replay.first_wrong >= 0) {
      return Finish(BisectVerdict::kOperation, OperationMessage(b_));
    }
    Finish(BisectVerdict::kRounding,
           fmt::format("{} is outside its tolerance, by no more than rounding in another place explains: {:.6g} where "
                       "{:.6g} follows from the inputs (element {}). No operation is off by more",
                       PlaceText(b_.place.layer, b_.place.point), replay.reference, replay.ours, replay.index));
  }

  void Finish(BisectVerdict verdict, std::string message) {
    b_.verdict = verdict;
    b_.message = std::move(message);
  }

  PrefixRuns runs_;
  const Captures& whole_;
  const Verdict& verdict_;
  const OwnModel& own_;
  const BisectOptions& options_;
  Bisection b_;
  std::optional<Captures> failing_;  // without traces, of the shortest prefix that fails
  int n_layer_ = 0;
  bool suspect_ = false;  // an operation is named, by what may be rounding
};

}  // namespace

Bisection Bisect(Backend& candidate, Backend& reference, const Request& request, const Captures& whole,
                 const Verdict& verdict, const OwnModel& own, const BisectOptions& options) {
  return Bisector(candidate, reference, request, whole, verdict, own, options).Run();
}

}  // namespace parity
