// Preflight, tokens, shapes: what must be exactly equal before logits can be compared.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/rung_parts.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

using Ranges = std::vector<std::pair<int, int>>;

constexpr size_t kMaxDifferences = 8;

// Differences found so far, each a line "what: candidate X, reference Y".
class Differences {
 public:
  template <typename T>
  void Expect(std::string_view what, const T& candidate, const T& reference) {
    ++compared_;
    if (candidate == reference) equal_.push_back(fmt::format("{} {}", what, reference));
    if (candidate != reference) Add(fmt::format("{}: candidate {}, reference {}", what, candidate, reference));
  }
  void Add(std::string line) { lines_.push_back(std::move(line)); }

  int compared() const { return compared_; }
  const std::vector<std::string>& equal() const { return equal_; }  // "n_layer 6"
  void MoveTo(RungResult& result) {
    if (lines_.empty()) return;
    result.status = Status::kFail;
    const size_t shown = std::min(lines_.size(), kMaxDifferences);
    result.message = fmt::format("{}", fmt::join(lines_.begin(), lines_.begin() + static_cast<long>(shown), "\n"));
    if (shown < lines_.size()) result.message += fmt::format("\nand {} more", lines_.size() - shown);
  }

 private:
  int compared_ = 0;
  std::vector<std::string> lines_, equal_;
};

std::string PieceAt(const Capture& capture, size_t i) {
  return i < capture.pieces.size() ? capture.pieces[i] : std::string();
}

std::string TokenAt(const Capture& capture, size_t i) {
  if (i >= capture.tokens.size()) return "no token";
  return fmt::format("{} {}", capture.tokens[i], Quote(PieceAt(capture, i)));
}

// `longer` is `shorter` with `longer[0]` put before it.
bool HasOneMoreInFront(const std::vector<int32_t>& longer, const std::vector<int32_t>& shorter) {
  return longer.size() == shorter.size() + 1 && std::equal(shorter.begin(), shorter.end(), longer.begin() + 1);
}

void HintAtLeadingToken(const Capture& longer, const Capture& shorter, std::string_view side, RungResult& result) {
  const std::vector<int32_t>& ids = longer.tokens;
  if (!HasOneMoreInFront(ids, shorter.tokens)) return;
  if (ids.size() > 1 && ids[0] == ids[1]) {
    result.hints.push_back(
        fmt::format("the {} starts with {} twice: the template writes it, and the tokenizer adds it again "
                    "(format with add_special off)",
                    side, TokenAt(longer, 0)));
  } else {
    result.hints.push_back(
        fmt::format("the {} has one token more in front, {}; all others are equal: only one side adds BOS", side,
                    TokenAt(longer, 0)));
  }
}

void HintAtTokens(const Capture& candidate, const Capture& reference, RungResult& result) {
  const std::vector<int32_t>&c = candidate.tokens, &r = reference.tokens;
  HintAtLeadingToken(candidate, reference, "candidate", result);
  HintAtLeadingToken(reference, candidate, "reference", result);
  if (c.size() != r.size()) {
    const auto& longer = c.size() > r.size() ? c : r;
    const auto& shorter = c.size() > r.size() ? r : c;
    if (!shorter.empty() && std::equal(shorter.begin(), shorter.end(), longer.begin())) {
      result.hints.push_back(fmt::format(
          "the {} goes on after the {}'s end: an end-of-text token, or a template's tail, on one "
          "side only",
          c.size() > r.size() ? "candidate" : "reference", c.size() > r.size() ? "reference" : "candidate"));
    }
    return;
  }
  // Same length: one constant offset between all ids that differ, or the first alone.
  std::set<int64_t> offsets;
  size_t differing = 0;
  for (size_t i = 0; i < c.size(); ++i) {
    if (c[i] == r[i]) continue;
    ++differing;
    offsets.insert(static_cast<int64_t>(c[i]) - r[i]);
  }
  if (differing == 1 && c[0] != r[0]) {
    result.hints.push_back("only the first token differs: the two sides take different ids for BOS");
  } else if (differing > 1 && offsets.size() == 1) {
    result.hints.push_back(
        fmt::format("all {} ids that differ are shifted by {:+}: the two sides number the vocabulary from "
                    "different starts, or only one of them counts the special tokens",
                    differing, *offsets.begin()));
  }
}

// Merged and in order, so that {[0,1],[2,3]} equals {[0,3]}.
Ranges Normalized(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges merged;
  for (const auto& [first, last] : ranges) {
    if (first > last) continue;
    if (!merged.empty() && first <= merged.back().second + 1) {
      merged.back().second = std::max(merged.back().second, last);
    } else {
      merged.emplace_back(first, last);
    }
  }
  return merged;
}

std::string Describe(const Ranges& ranges) {
  if (ranges.empty()) return "no key";
  std::vector<std::string> parts;
  for (const auto& [first, last] : ranges) {
    parts.push_back(first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last));
  }
  return "keys " + fmt::format("{}", fmt::join(parts, ", "));
}

void CompareMasks(const Capture& candidate, const Capture& reference, Differences& differences, RungResult& result) {
  const auto &c = candidate.shapes.attends, &r = reference.shapes.attends;
  if (c.empty() || r.empty()) {
    result.notes.push_back(fmt::format("the keys that a position may attend were not compared: {} reports none",
                                       c.empty() ? (r.empty() ? "either side" : "the candidate") : "the reference"));
    return;
  }
  differences.Expect("positions with a mask", c.size(), r.size());
  for (size_t i = 0; i < std::min(c.size(), r.size()); ++i) {
    const Ranges a = Normalized(c[i]), b = Normalized(r[i]);
    if (a == b) continue;
    differences.Add(fmt::format("position {} {}: candidate attends {}, reference {}", i, TokenAt(reference, i),
                                Describe(a), Describe(b)));
    if (result.position < 0) {
      result.position = static_cast<int64_t>(i);
      result.token = i < reference.tokens.size() ? reference.tokens[i] : -1;
      result.token_text = PieceAt(reference, i);
    }
  }
}

// Numbers are equal as float32: an engine may keep an epsilon in float32 or double, a count as 4 or 4.0.
bool SameValue(const nlohmann::json& a, const nlohmann::json& b) {
  if (a.is_number_integer() && b.is_number_integer()) return a == b;
  if (a.is_number() && b.is_number()) return a.get<float>() == b.get<float>();
  return a == b;
}

void CompareHyperparameters(const Capture& candidate, const Capture& reference, Differences& differences,
                            RungResult& result) {
  const nlohmann::json &c = *candidate.model.hyperparameters, &r = *reference.model.hyperparameters;
  const std::set<std::string> required = {"n_vocab", "n_embd", "n_layer", "n_head", "n_head_kv"};
  std::set<std::string> keys = required;
  for (const auto* side : {&c, &r}) {
    for (const auto& [key, value] : side->items()) keys.insert(key);
  }
  std::vector<std::string> not_candidate, not_reference;
  // Two files of one model may hold its weights in two types; no engine computes with the number.
  if (candidate.model.blake3 != reference.model.blake3) keys.erase("file_type");
  for (const std::string& key : keys) {
    const bool in_c = c.contains(key), in_r = r.contains(key);
    if (in_c && in_r) {
      differences.Expect(key, SameValue(c[key], r[key]) ? r[key].dump() : c[key].dump(), r[key].dump());
    } else if (required.contains(key)) {
      differences.Add(fmt::format("{}: not reported by {}", key,
                                  in_c ? "the reference" : (in_r ? "the candidate" : "either side")));
    } else {
      (in_c ? not_reference : not_candidate).push_back(key);
    }
  }
  if (!not_candidate.empty()) {
    result.notes.push_back(
        fmt::format("not compared, the candidate does not report {}", fmt::join(not_candidate, ", ")));
  }
  if (!not_reference.empty()) {
    result.notes.push_back(
        fmt::format("not compared, the reference does not report {}", fmt::join(not_reference, ", ")));
  }
}

std::string Shape(const Matrix& matrix) { return fmt::format("[{}, {}]", matrix.rows, matrix.cols); }
std::string Shape(const std::vector<int>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace

void NotePieces(std::span<const int32_t> candidate, const std::vector<std::string>& candidate_pieces,
                std::span<const int32_t> reference, const std::vector<std::string>& reference_pieces,
                std::string_view what, RungResult& result) {
  const size_t n = std::min({candidate.size(), candidate_pieces.size(), reference.size(), reference_pieces.size()});
  size_t differing = 0, first = 0;
  for (size_t i = 0; i < n && candidate[i] == reference[i]; ++i) {
    const std::string &c = candidate_pieces[i], &r = reference_pieces[i];
    if (c.empty() || r.empty() || c == r) continue;
    if (differing++ == 0) first = i;
  }
  if (differing == 0) return;
  result.notes.push_back(
      fmt::format("{} of {} equal {} ids are written in two ways, the first at {}: candidate {} {}, reference {} {}. "
                  "The detokenizers "
                  "differ: the text that is read differs where the ids do not",
                  differing, n, what, first, candidate[first], Quote(candidate_pieces[first]), reference[first],
                  Quote(reference_pieces[first])));
}

int64_t RequestedContext(const Request& request, int64_t n_tokens) {
  if (request.n_ctx > 0) return request.n_ctx;
  return (n_tokens + request.max_tokens + 255) / 256 * 256;
}

// An engine may round a context up to its own unit; 256 is the largest known.
void CompareContexts(int candidate, int reference, int64_t asked, Differences& differences, RungResult& result) {
  constexpr int64_t kUnit = 256;
  const auto rounded_up = [asked](int64_t n) { return n >= asked && n < asked + kUnit; };
  if (candidate != reference && rounded_up(candidate) && rounded_up(reference)) {
    result.notes.push_back(fmt::format("n_ctx: candidate {}, reference {}: {} rounded up, each to a unit of its own",
                                       candidate, reference, asked));
    return;
  }
  differences.Expect("n_ctx", candidate, reference);
  if (candidate == reference && !rounded_up(reference)) {
    differences.Add(fmt::format("n_ctx: both sides took {}, the request asks for {}", reference, asked));
  }
}

// Two files of one model: what both say must mean the same, and the tensors are told apart in a note.
void CompareModels(const ModelDiff& models, Differences& differences, RungResult& result) {
  std::vector<std::string> one_side;
  for (const std::vector<KeyDiff>* keys : {&models.hyperparameters, &models.vocabulary}) {
    for (const KeyDiff& diff : *keys) {
      if (diff.a.empty() || diff.b.empty()) {
        one_side.push_back(diff.key);
      } else {
        differences.Expect(diff.key, diff.b, diff.a);
      }
    }
  }
  if (!one_side.empty()) result.notes.push_back(fmt::format("in one file alone: {}", fmt::join(one_side, ", ")));
  if (const TensorDiff* first = models.first_that_breaks_parity()) {
    const auto breaking = std::count_if(models.tensors.begin(), models.tensors.end(),
                                        [](const TensorDiff& diff) { return diff.breaks_parity(); });
    result.notes.push_back(fmt::format(
        "two model files: {} of {} tensors hold other values (A: the reference's file). First {} (A {}, B {}): {}",
        breaking, models.tensors.size(), first->name, first->type_a, first->type_b, Describe(*first)));
  } else {
    result.notes.push_back(
        fmt::format("two model files: the values of all {} tensors are equal", models.tensors.size()));
  }
}

// Both captures answer the same request on the same model file.
RungResult ComparePreflight(const Capture& candidate, const Capture& reference, const LadderOptions& options) {
  RungResult result;
  const auto name = [](const BackendInfo& b) { return b.version.empty() ? b.name : b.name + " " + b.version; };
  result.compared = fmt::format("{} against {}", name(candidate.backend), name(reference.backend));
  Differences differences;
  const ModelInfo &c = candidate.model, &r = reference.model;
  if (options.models != nullptr) {
    CompareModels(*options.models, differences, result);
  } else if (c.blake3.empty() || r.blake3.empty()) {
    result.notes.push_back(fmt::format("{} does not say by hash which model file it read",
                                       c.blake3.empty() ? "the candidate" : "the reference"));
  } else if (c.blake3 != r.blake3) {
    differences.Add(fmt::format(
        "the captures are of two model files: candidate {} (BLAKE3 {:.16}...), reference {} (BLAKE3 {:.16}...)", c.path,
        c.blake3, r.path, r.blake3));
  }
  const Request &a = candidate.request, &b = reference.request;
  differences.Expect("request.token_ids given", a.token_ids.has_value(), b.token_ids.has_value());
  if (a.token_ids && b.token_ids) {
    if (*a.token_ids != *b.token_ids) differences.Add("request.token_ids: the captures are of two lists of ids");
  } else if (!a.token_ids && !b.token_ids) {
    differences.Expect("request.text", Quote(a.text), Quote(b.text));
    differences.Expect("request.add_special", a.add_special, b.add_special);
    differences.Expect("request.parse_special", a.parse_special, b.parse_special);
  }
  differences.Expect("request.override_kv", fmt::format("{}", fmt::join(a.override_kv, ", ")),
                     fmt::format("{}", fmt::join(b.override_kv, ", ")));
  differences.Expect("request.schedule", ScheduleName(a.schedule), ScheduleName(b.schedule));
  differences.Expect("request.positions", a.positions, b.positions);
  differences.Expect("request.max_tokens", a.max_tokens, b.max_tokens);
  differences.Expect("request.ignore_eos", a.ignore_eos, b.ignore_eos);
  differences.MoveTo(result);
  return result;
}

// Token ids.
RungResult CompareTokens(const Capture& candidate, const Capture& reference, const LadderOptions&) {
  RungResult result;
  const std::vector<int32_t>&c = candidate.tokens, &r = reference.tokens;
  result.compared = fmt::format("{} token ids", r.size());
  NotePieces(c, candidate.pieces, r, reference.pieces, "prompt", result);
  if (c == r) {
    if (r.size() > 1 && r[0] == r[1] && PieceAt(reference, 0).starts_with("<")) {
      result.notes.push_back(
          fmt::format("the sides agree, but the prompt starts with {} twice; is that meant?", TokenAt(reference, 0)));
    }
    return result;
  }
  const size_t first = static_cast<size_t>(std::mismatch(c.begin(), c.end(), r.begin(), r.end()).first - c.begin());
  result.status = Status::kFail;
  result.position = static_cast<int64_t>(first);
  const Capture& side = first < r.size() ? reference : candidate;
  result.token = side.tokens[first];
  result.token_text = PieceAt(side, first);
  result.message = fmt::format("first difference at position {}: candidate {}, reference {} ({} and {} tokens)", first,
                               TokenAt(candidate, first), TokenAt(reference, first), c.size(), r.size());
  HintAtTokens(candidate, reference, result);
  return result;
}

// Vocabulary, hyper-parameters, context, batch, KV cache, logits, and the keys that each position may attend.
RungResult CompareShapes(const Capture& candidate, const Capture& reference, const LadderOptions&) {
  RungResult result;
  Differences differences;
  differences.Expect("architecture", candidate.model.architecture, reference.model.architecture);
  CompareHyperparameters(candidate, reference, differences, result);

  const Shapes &c = candidate.shapes, &r = reference.shapes;
  CompareContexts(c.n_ctx, r.n_ctx, RequestedContext(reference.request, static_cast<int64_t>(reference.tokens.size())),
                  differences, result);
  // A batch cannot be larger than the context, and whether an engine reports it so is its own matter.
  const int n_ctx = std::min(c.n_ctx, r.n_ctx);
  differences.Expect("positions in one batch", std::min(c.n_ubatch, n_ctx), std::min(r.n_ubatch, n_ctx));
  differences.Expect("KV cells", c.kv_cells, r.kv_cells);
  differences.Expect("K row (n_embd_k)", c.n_embd_k, r.n_embd_k);
  differences.Expect("V row (n_embd_v)", c.n_embd_v, r.n_embd_v);
  differences.Expect("logits reported", Shape(c.logits), Shape(r.logits));
  differences.Expect("logits", Shape(candidate.logits), Shape(reference.logits));
  differences.Expect("columns of decode logits", candidate.decode_logits.cols, reference.decode_logits.cols);

  const int64_t n_tokens = static_cast<int64_t>(reference.tokens.size());
  const int64_t kept =
      reference.request.positions > 0 ? std::min<int64_t>(reference.request.positions, n_tokens) : n_tokens;
  for (const auto& [side, matrix] :
       {std::pair("candidate", &candidate.logits), std::pair("reference", &reference.logits)}) {
    if (matrix->rows != kept || kept == 0) {
      differences.Add(
          fmt::format("logits of the {}: {} rows, expected one for each of the {} prompt positions asked for", side,
                      matrix->rows, kept));
    }
  }
  CompareMasks(candidate, reference, differences, result);
  result.compared = fmt::format("{} sizes, masks of {} positions", differences.compared(),
                                std::min(c.attends.size(), r.attends.size()));
  result.equal = {fmt::format("prompt tokens {}", n_tokens),
                  fmt::format("max_tokens {}", reference.request.max_tokens)};
  result.equal.insert(result.equal.end(), differences.equal().begin(), differences.equal().end());
  differences.MoveTo(result);
  return result;
}

}  // namespace parity
