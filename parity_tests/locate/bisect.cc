#include "parity_tests/locate/bisect.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/kernels/order.h"
#include "engine/model/model.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/locate/replay.h"

namespace parity {
namespace {

bool SameNumbers(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.cols == b.cols &&
         std::equal(a.data.begin(), a.data.end(), b.data.begin(),
                    [](float x, float y) { return x == y || (x != x && y != y); });
}

class Bisector {
 public:
  Bisector(Backend& candidate, Backend& reference, const Request& request, const BisectOptions& options)
      : candidate_(candidate), reference_(reference), request_(request), options_(options) {
    request_.trace = "none";
    request_.raw_tensors = false;
  }

  Bisection Run() {
    if (options_.whole != nullptr) b_.captures += 2;
    Captures whole = options_.whole != nullptr ? *options_.whole : CaptureBoth(request_, "the whole prompt");
    Learn(whole.reference);
    const Verdict verdict = Climb(whole.candidate, whole.reference, {.profile = options_.profile, .piece_of = {}});
    b_.failed_rung = verdict.failed_rung();
    tokens_ = whole.reference.tokens;
    pieces_ = whole.reference.pieces;
    n_prompt_ = tokens_.size();
    // A prefix runs in the same context as the whole.
    if (request_.n_ctx == 0) request_.n_ctx = whole.reference.shapes.n_ctx;
    b_.prompt_length = static_cast<int>(n_prompt_);
    if (!b_.failed_rung) return Finish(BisectVerdict::kNoDivergence, "the ladder passes: nothing to look for");
    const RungResult& failed = verdict.rung(*b_.failed_rung);
    Step(fmt::format("the whole prompt ({} tokens): fails at {}", n_prompt_, RungName(*b_.failed_rung)));
    switch (*b_.failed_rung) {
      case Rung::kPreflight:
        throw std::runtime_error(failed.message);
      case Rung::kTokens:
        return FinishTokens(whole, failed);
      case Rung::kShapes:
      case Rung::kFirstLogit:
      case Rung::kPositions:
        failing_ = std::move(whole);
        if (options_.first_bit) {
          b_.prefix_length = static_cast<int>(std::min<int64_t>(failing_->reference.logits.rows, b_.prompt_length));
          break;
        }
        if (!FindPrefix()) return Finish(BisectVerdict::kShapes, failed.message);
        break;
      case Rung::kDecode: {
        if (failed.position < 0) return Finish(BisectVerdict::kNotTraced, failed.message);  // not even a token
        const size_t g = static_cast<size_t>(failed.position);
        AppendGenerated(whole.reference, g);
        if (!SameRow(whole, g)) break;
        SetPosition(static_cast<size_t>(b_.prefix_length) - 1);
        return Finish(BisectVerdict::kChoice,
                      fmt::format("generated token {}: the logits are equal, and another token is taken", g));
      }
    }
    SetPosition(static_cast<size_t>(b_.prefix_length) - 1);
    LookInside();
    return std::move(b_);
  }

 private:
  // ---- the prefix

  Request PrefixRequest(size_t length) const {
    Request request = request_;
    const size_t prompt = std::min(length, n_prompt_);
    request.token_ids.emplace(tokens_.begin(), tokens_.begin() + static_cast<ptrdiff_t>(prompt));
    request.positions = 0;
    request.max_tokens = length > n_prompt_ ? static_cast<int>(length - n_prompt_) + 1 : 0;
    return request;
  }

  // The first position of two captures whose logits are over a limit; -1 where none is.
  int64_t FirstOver(const Captures& both) const {
    const LadderOptions options{.profile = options_.profile, .piece_of = {}};
    for (const Rung point : {Rung::kFirstLogit, Rung::kPositions}) {
      const RungResult result = JudgeRung(point, both.candidate, both.reference, options);
      if (result.status == Status::kFail) return std::max<int64_t>(result.first_over, 0);
    }
    return -1;
  }

  bool Fails(size_t length) {
    Captures both = CaptureBoth(PrefixRequest(length), fmt::format("prefix of {} tokens", length));
    const bool fails = FirstOver(both) >= 0;
    Step(fmt::format("prefix of {} tokens: {}", length, fails ? "fails" : "passes"));
    if (fails) failing_ = std::move(both);
    return fails;
  }

  // The shortest prefix whose logits fail. Where every position sees only what is before it, that is the first position
  // of the whole prompt that fails; two runs confirm it, and a binary search answers where they do not.
  bool FindPrefix() {
    const int64_t over = FirstOver(*failing_);
    if (over < 0) return false;
    size_t passes = 0, fails = n_prompt_;  // 0 tokens cannot differ; all of them do
    const size_t guess = static_cast<size_t>(over) + 1;
    if (guess < fails) (Fails(guess) ? fails : passes) = guess;
    if (fails - passes > 1 && fails == guess) (Fails(guess - 1) ? fails : passes) = guess - 1;
    while (fails - passes > 1) {
      const size_t middle = passes + (fails - passes) / 2;
      (Fails(middle) ? fails : passes) = middle;
    }
    b_.prefix_length = static_cast<int>(fails);
    return true;
  }

  // The texts part at generated token `g`: the sequence that leads there is the prompt and the tokens before it.
  void AppendGenerated(const Capture& reference, size_t g) {
    for (size_t i = 0; i < g && i < reference.generated.size(); ++i) {
      tokens_.push_back(reference.generated[i]);
      pieces_.push_back(reference.generated_pieces[i]);
    }
    b_.prompt_length = b_.prefix_length = static_cast<int>(tokens_.size());
  }

  void SetPosition(size_t position) {
    b_.place.position = static_cast<int>(position);
    b_.token = b_.candidate_token = tokens_.at(position);
    b_.token_text = pieces_.at(position);
  }

  // ---- inside

  void LookInside() {
    const size_t length = static_cast<size_t>(b_.prefix_length);
    Request outline = PrefixRequest(length);
    outline.trace = fmt::format("embeddings,layer_out,output_norm,logits;seq=0-{}", length - 1);
    const Captures traced = CaptureBoth(outline, "outputs of the layers");
    if (const char* side = NotReproduced(traced)) {
      LookForFlicker(side);
      return;
    }
    if (traced.candidate.traces.empty() || traced.reference.traces.empty()) {
      const Capture& without = traced.candidate.traces.empty() ? traced.candidate : traced.reference;
      Finish(BisectVerdict::kNotTraced,
             fmt::format("{} left no traces: which layer differs is not known", without.backend.name));
      return;
    }
    const TraceDiff diff = DiffTraces(traced.candidate, traced.reference, {RawTensors::kNo, false});
    if (!diff.first) {
      Finish(BisectVerdict::kNotTraced,
             "no traced tensor differs, but the logits do: the engine's traces are not what it "
             "computes with");
      return;
    }
    // Position by position, so the first tensor that differs is at the first position that does.
    const TensorDifference& first = diff.tensors[*diff.first];
    Step(fmt::format("outputs of the layers: the first to differ is {} at position {}",
                     PlaceText(first.place.layer, first.place.point), first.place.position));
    if (LookIntoLayer(first.place.layer, first.place.point)) return;
    if (options_.first_bit && b_.place.point != Point::kUnknown) {
      Finish(BisectVerdict::kRounding, fmt::format("{} at position {} differs by rounding alone",
                                                   PlaceText(b_.place.layer, b_.place.point), b_.place.position));
      return;
    }
    LookEverywhere();
  }

  // Where two runs of one engine on the same request part.
  void LookForFlicker(const std::string& side) {
    Backend& backend = side == "candidate" ? candidate_ : reference_;
    Request inside = PrefixRequest(static_cast<size_t>(b_.prefix_length));
    inside.trace = fmt::format("full;seq=0-{}", b_.prefix_length - 1);
    const Capture once = CaptureOne(backend, inside, side, "every tensor");
    const Capture twice = CaptureOne(backend, inside, side, "every tensor again");
    std::string where = "its traces say not where";
    if (!once.traces.empty() && !twice.traces.empty()) {
      const TraceDiff diff = DiffTraces(once, twice, {RawTensors::kNo, false});
      if (diff.first) {
        const TensorDifference& first = diff.tensors[*diff.first];
        b_.place.layer = first.place.layer;
        b_.place.point = first.place.point;
        SetPosition(static_cast<size_t>(first.place.position));
        where = fmt::format("the first tensor in which two runs differ is {} at position {}",
                            PlaceText(first.place.layer, first.place.point), first.place.position);
      }
    }
    Finish(BisectVerdict::kNotReproducible,
           fmt::format("the {} answered the same request in two ways; {}. Run it with one thread, and look for memory "
                       "that is read before it is written",
                       side, where));
  }

  // The raw tensors of one layer and its input, or of what is outside the layers. True where that settles the matter.
  bool LookIntoLayer(int layer, Point outside) {
    Request inside = PrefixRequest(static_cast<size_t>(b_.prefix_length));
    // Keys and values of all earlier positions are inputs too.
    const std::string before = layer > 0 ? fmt::format("blk{}/layer_out", layer - 1) : "embeddings";
    const std::string what = layer >= 0 ? fmt::format("{},blk{}/*", before, layer)
                             : outside == Point::kEmbeddings
                                 ? "embeddings"
                                 : fmt::format("blk{}/layer_out,output_norm,logits", LastLayer());
    inside.trace = fmt::format("{};seq=0-{}", what, b_.prefix_length - 1);
    inside.raw_tensors = true;
    b_.inside = CaptureBoth(inside, layer >= 0 ? fmt::format("tensors of layer {}", layer) : "tensors outside");
    const Captures& traced = *b_.inside;
    const TraceDiff diff = DiffTraces(traced.candidate, traced.reference, {RawTensors::kIfThere, false});
    if (!diff.first) return false;
    const TensorDifference& first = diff.tensors[*diff.first];
    b_.difference = first;
    b_.place.layer = first.place.layer;
    b_.place.point = first.place.point;
    b_.inputs_equal = true;
    if (first.place.position != b_.place.position) SetPosition(static_cast<size_t>(first.place.position));
    Step(fmt::format("{}: the first tensor to differ is {} at position {}",
                     layer >= 0 ? fmt::format("layer {}", layer) : "outside the layers",
                     PlaceText(first.place.layer, first.place.point), first.place.position));
    if (!LoadModel()) {
      Finish(BisectVerdict::kOperation, fmt::format("{} makes another output of equal inputs. {}",
                                                    PlaceText(first.place.layer, first.place.point), no_replay_));
      return true;
    }
    const ReplayResult candidate = ReplayOne(traced.candidate, first);
    const ReplayResult reference = ReplayOne(traced.reference, first);
    // Other bits of equal inputs, by no more than another order of additions makes, are rounding, not guilt.
    if (first.status != TensorStatus::kShape && candidate.verdict == ReplayVerdict::kWithin) return false;
    if (first.status != TensorStatus::kShape && candidate.verdict == ReplayVerdict::kExact &&
        reference.verdict != ReplayVerdict::kGuilty) {
      return false;
    }
    b_.replay_candidate = candidate;
    b_.replay_reference = reference;
    b_.inputs_equal = first.status == TensorStatus::kShape || candidate.verdict != ReplayVerdict::kNotTraced;
    FinishOperation();
    // Where rounding in another place may be all, the mistake may be further on.
    return options_.first_bit || b_.verdict == BisectVerdict::kOperation;
  }

  // What differs first is rounding: every operation of every layer, on each side's own inputs.
  void LookEverywhere() {
    try {
      ReplayEverything();
    } catch (const std::runtime_error& error) {
      // Capturing every tensor, or reading them, failed; what was found before stands.
      Step(fmt::format("not every operation could be replayed: {}", error.what()));
      if (b_.message.empty()) Finish(BisectVerdict::kNotTraced, error.what());
    }
  }

  void ReplayEverything() {
    const Bisection before = b_;
    const bool found = !b_.message.empty();  // an operation, by what may be a rounding
    Request inside = PrefixRequest(static_cast<size_t>(b_.prefix_length));
    inside.trace = fmt::format("full;seq=0-{}", b_.prefix_length - 1);
    inside.raw_tensors = true;
    if (!LoadModel()) {
      Finish(BisectVerdict::kNotTraced, no_replay_);
      return;
    }
    b_.inside = CaptureBoth(inside, "every tensor");
    const Captures& traced = *b_.inside;
    Replay candidate(*model_, traced.candidate, *order_), reference(*model_, traced.reference, *order_);
    std::optional<std::pair<ReplayResult, ReplayResult>>
        guilty;  // what no rounding explains before the rest, then by position
    const auto rank = [](const ReplayResult& r) {
      return r.first_wrong >= 0 ? std::pair(0, r.first_wrong) : std::pair(1, r.first_guilty);
    };
    int replayed = 0, not_traced = 0;
    const auto look = [&](bitnet::Point point, int layer) {
      ReplayResult mine = Guarded(candidate, point, layer);
      ++(mine.verdict == ReplayVerdict::kNotTraced ? not_traced : replayed);
      if (mine.verdict != ReplayVerdict::kGuilty || (found && mine.first_wrong < 0)) return;
      if (guilty && rank(guilty->first) <= rank(mine)) return;
      ReplayResult theirs = Guarded(reference, point, layer);
      if (theirs.verdict == ReplayVerdict::kGuilty) return;  // our definition is not the reference's here
      guilty.emplace(std::move(mine), std::move(theirs));
    };
    look(bitnet::Point::kEmbeddings, -1);
    for (int layer = 0; layer < static_cast<int>(model_->hyperparameters.n_layer); ++layer) {
      if (options_.progress) options_.progress(fmt::format("replay of layer {}", layer));
      for (const bitnet::Point point : candidate.Operations(layer)) look(point, layer);
    }
    look(bitnet::Point::kOutputNorm, -1);
    look(bitnet::Point::kLogits, -1);
    Step(fmt::format("{} operations replayed{}: {}", replayed,
                     not_traced > 0 ? fmt::format(" ({} were not traced)", not_traced) : "",
                     guilty  ? "one is outside its tolerance"
                     : found ? "none is worse than that"
                             : "each within its tolerance"));
    if (!guilty && found) return;
    if (!guilty) {
      Finish(BisectVerdict::kRounding,
             fmt::format("no operation is wrong: of {} replayed, each is within its tolerance on the candidate's own "
                         "inputs. The first other bit is in {} at position {}; the rest has grown from such roundings. "
                         "Compare with the noise floor, or give the candidate the reference's order of operations",
                         replayed, PlaceText(before.place.layer, before.place.point), before.place.position));
      return;
    }
    b_.place.layer = guilty->first.place.layer;
    b_.place.point = guilty->first.place.point;
    b_.inputs_equal = false;
    b_.difference.reset();
    b_.replay_candidate = guilty->first;
    b_.replay_reference = guilty->second;
    SetPosition(static_cast<size_t>(rank(guilty->first).second));
    FinishOperation();
  }

  ReplayResult ReplayOne(const Capture& capture, const TensorDifference& tensor) {
    if (tensor.place.point == Point::kUnknown) return {};
    try {
      Replay replay(*model_, capture, *order_);
      return Guarded(replay, tensor.place.point, tensor.place.layer);
    } catch (const std::runtime_error&) {
      return {};  // a capture that this model cannot have made
    }
  }

  // A tensor of another size than the operation makes is not replayed, and its shape says enough.
  static ReplayResult Guarded(Replay& replay, bitnet::Point point, int layer) {
    try {
      return replay.Operation(point, layer);
    } catch (const std::runtime_error&) {
      ReplayResult result;
      result.place = {-1, layer, point};
      result.missing = "a tensor of this operation's shape";
      return result;
    }
  }

  // The side that answered the shortest failing prefix in another way before; nullptr where none did.
  const char* NotReproduced(const Captures& again) const {
    if (!failing_ || failing_->candidate.tokens != again.candidate.tokens) return nullptr;
    if (!SameNumbers(failing_->candidate.logits, again.candidate.logits)) return "candidate";
    if (!SameNumbers(failing_->reference.logits, again.reference.logits)) return "reference";
    return nullptr;
  }

  // The logits from which generated token `g` was taken.
  static bool SameRow(const Captures& both, size_t g) {
    const Matrix &a = both.candidate.decode_logits, &b = both.reference.decode_logits;
    const auto row = static_cast<int64_t>(g);
    return a.cols == b.cols && row < std::min(a.rows, b.rows) &&
           std::equal(a.row(row), a.row(row) + a.cols, b.row(row));
  }

  bool LoadModel() {
    if (model_) return true;
    if (!no_replay_.empty()) return false;
    try {
      model_.emplace(bitnet::Model::Load(request_.model));
      const std::string order = OrderOf(backend_);
      order_ = order.empty() ? &bitnet::DefaultOrder(*model_) : &bitnet::FindOrder(order);
    } catch (const std::exception& error) {
      no_replay_ = fmt::format("Not replayed: {}", error.what());
    }
    return model_.has_value();
  }

  int LastLayer() const { return n_layer_ - 1; }

  // ---- captures and words

  Capture CaptureOne(Backend& backend, const Request& request, const std::string& side, const std::string& what) {
    if (options_.progress) options_.progress(fmt::format("{}: {} ({})", what, side, backend.name()));
    ++b_.captures;
    return backend.Run(request);
  }

  Captures CaptureBoth(const Request& request, const std::string& what) {
    Captures both;
    both.reference = CaptureOne(reference_, request, "reference", what);
    both.candidate = CaptureOne(candidate_, request, "candidate", what);
    return both;
  }

  // What the reference says of itself and of the model.
  void Learn(const Capture& reference) {
    backend_ = reference.backend;
    const auto layers = reference.model.hyperparameters.find("n_layer");
    if (layers != reference.model.hyperparameters.end()) n_layer_ = layers->get<int>();
  }

  void Step(std::string what) { b_.steps.push_back(std::move(what)); }

  // The operation is named: wrong, or no further off than rounding in another place explains.
  void FinishOperation() {
    const ReplayResult& replay = b_.replay_candidate;
    if (replay.verdict != ReplayVerdict::kGuilty || replay.first_wrong >= 0) {
      Finish(BisectVerdict::kOperation, OperationMessage());
      return;
    }
    Finish(BisectVerdict::kRounding,
           fmt::format("{} is outside its tolerance, by no more than rounding in another place explains: {:.6g} where "
                       "{:.6g} follows from the inputs (element {}). No operation is off by more",
                       PlaceText(b_.place.layer, b_.place.point), replay.reference, replay.ours, replay.index));
  }

  std::string OperationMessage() const {
    std::string message = fmt::format("{}: {}", PlaceText(b_.place.layer, b_.place.point),
                                      b_.inputs_equal ? "equal inputs, another output"
                                      : b_.replay_candidate.verdict == ReplayVerdict::kNotTraced
                                          ? "the first traced tensor that differs; its inputs were not traced"
                                          : "the candidate's output does not follow from its inputs");
    if (b_.replay_candidate.verdict == ReplayVerdict::kGuilty) {
      message += fmt::format("; the replay confirms it: {:.6g} where {:.6g} follows from the inputs (element {})",
                             b_.replay_candidate.reference, b_.replay_candidate.ours, b_.replay_candidate.index);
    } else if (b_.replay_reference.verdict == ReplayVerdict::kGuilty) {
      message += fmt::format(
          "; the replay finds the reference's output at fault: {:.6g} where {:.6g} follows from the "
          "inputs (element {})",
          b_.replay_reference.reference, b_.replay_reference.ours, b_.replay_reference.index);
    }
    return message;
  }

  Bisection FinishTokens(const Captures& whole, const RungResult& failed) {
    const size_t at = static_cast<size_t>(std::max<int64_t>(failed.position, 0));
    b_.place.position = static_cast<int>(at);
    b_.prefix_length = static_cast<int>(at) + 1;
    if (at < whole.reference.tokens.size()) {
      b_.token = whole.reference.tokens[at];
      b_.token_text = whole.reference.pieces[at];
    }
    if (at < whole.candidate.tokens.size()) b_.candidate_token = whole.candidate.tokens[at];
    return Finish(BisectVerdict::kTokens, failed.message);
  }

  Bisection Finish(BisectVerdict verdict, std::string message) {
    b_.verdict = verdict;
    b_.message = std::move(message);
    return b_;
  }

  Backend& candidate_;
  Backend& reference_;
  Request request_;
  const BisectOptions& options_;
  Bisection b_;
  std::vector<int32_t> tokens_;  // of the prompt, then those generated before the divergence
  std::vector<std::string> pieces_;
  size_t n_prompt_ = 0;
  int n_layer_ = 0;
  BackendInfo backend_;
  std::optional<Captures> failing_;  // without traces, of the shortest prefix that has failed so far
  std::optional<bitnet::Model> model_;
  const bitnet::ArithmeticOrder* order_ = nullptr;
  std::string no_replay_;
};

}  // namespace

Bisection Bisect(Backend& candidate, Backend& reference, const Request& request, const BisectOptions& options) {
  return Bisector(candidate, reference, request, options).Run();
}

}  // namespace parity
