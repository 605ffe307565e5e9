#include "parity_tests/diagnose/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>

#include "engine/tokenizer/prompt_template.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/vocabulary.h"
#include "parity_tests/diagnose/hypotheses.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

using Ids = std::vector<int32_t>;

bool SameBits(const Matrix& a, const Matrix& b) {
  return a.data.size() == b.data.size() &&
         std::equal(a.data.begin(), a.data.end(), b.data.begin(),
                    [](float x, float y) { return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y); });
}

class Diagnostician {
 public:
  explicit Diagnostician(const DiagnosisInput& input)
      : in_(input),
        c_(input.captures->candidate),
        r_(input.captures->reference),
        inside_(input.inside != nullptr ? *input.inside : *input.captures) {}

  Diagnosis Run() {
    Runs();
    const std::optional<Rung> failed = in_.verdict->failed_rung();
    if (failed == Rung::kTokens) {
      Tokens();
    } else if (failed) {
      result_.location = in_.location ? *in_.location : FirstDifference(inside_.candidate, inside_.reference);
      Masks();
      if (in_.model != nullptr && result_.location.point != Point::kUnknown) {
        for (Cause& cause :
             TestHypotheses(*in_.model, in_.order != nullptr ? *in_.order : bitnet::DefaultOrder(*in_.model),
                            inside_.candidate, result_.location)) {
          Add(cause.id, cause.certainty, cause.evidence);
        }
      }
      Outputs();
      if (failed == Rung::kDecode) Decode();
    }
    std::stable_sort(result_.causes.begin(), result_.causes.end(),
                     [](const Cause& a, const Cause& b) { return a.certainty > b.certainty; });
    return result_;
  }

 private:
  // Keeps one entry per cause: the first, or the more certain one.
  void Add(std::string_view id, Certainty certainty, std::string evidence) {
    const KnownCause& known = FindCause(id);
    Cause found{std::string(id), certainty, std::move(evidence), std::string(known.what), std::string(known.remedy)};
    for (Cause& cause : result_.causes) {
      if (cause.id != id) continue;
      if (certainty > cause.certainty) cause = std::move(found);
      return;
    }
    result_.causes.push_back(std::move(found));
  }

  void Runs() {
    if (in_.candidate_again == nullptr) return;
    const Capture& again = *in_.candidate_again;
    if (again.tokens == c_.tokens && again.generated == c_.generated && SameBits(again.logits, c_.logits)) return;
    size_t differing = 0;
    for (size_t i = 0; i < std::min(again.logits.data.size(), c_.logits.data.size()); ++i) {
      differing += std::bit_cast<uint32_t>(again.logits.data[i]) != std::bit_cast<uint32_t>(c_.logits.data[i]);
    }
    Add("uninitialized", Certainty::kCertain,
        fmt::format("two runs of the candidate on the same request differ in {} of {} logits", differing,
                    c_.logits.data.size()));
  }

  void Tokens() {
    const Ids &c = c_.tokens, &r = r_.tokens;
    const auto front = [](const Ids& longer, const Ids& shorter) {
      return longer.size() == shorter.size() + 1 && std::equal(shorter.begin(), shorter.end(), longer.begin() + 1);
    };
    result_.location.position = static_cast<int>(in_.verdict->rung(Rung::kTokens).position);
    if (front(c, r) && c.size() > 1 && c[0] == c[1]) {
      Add("bos_twice", Certainty::kCertain,
          fmt::format("the candidate's ids are the reference's with {} once more in front", c[0]));
    } else if (front(r, c)) {
      Add("bos_missing", Certainty::kCertain,
          fmt::format("the candidate's ids are the reference's without {} in front", r[0]));
    }
    std::set<int> offsets;
    size_t differing = 0;
    for (size_t i = 0; i < std::min(c.size(), r.size()); ++i) {
      if (c[i] == r[i]) continue;
      offsets.insert(c[i] - r[i]);
      ++differing;
    }
    // All of them, BOS perhaps not.
    if (c.size() == r.size() && offsets.size() == 1 && differing > 1 && differing + 1 >= c.size()) {
      Add("ids_shifted", Certainty::kCertain, fmt::format("all ids that differ do so by {:+}", *offsets.begin()));
    }
    if (in_.model != nullptr && in_.model->file.Has("tokenizer.ggml.tokens")) TokenizeWrongly();
  }

  // The prompt in every other template, and split by every other expression.
  void TokenizeWrongly() {
    const Request& request = r_.request;
    const bitnet::EncodeOptions options{.add_special = request.add_special, .parse_special = request.parse_special};
    const bitnet::Tokenizer tokenizer = bitnet::Tokenizer::FromGguf(in_.model->file);
    if (!request.prompt.empty()) {
      for (const auto t :
           {bitnet::PromptTemplate::kRaw, bitnet::PromptTemplate::kInstruct, bitnet::PromptTemplate::kLlama3Chat}) {
        const bitnet::FormattedPrompt p = bitnet::FormatPrompt(t, request.prompt);
        if (p.text == request.text) continue;
        if (tokenizer.Encode(p.text, {.add_special = p.add_special, .parse_special = true}) == c_.tokens) {
          Add("prompt_template", Certainty::kCertain,
              fmt::format("the prompt in the template {} gives the candidate's {} ids; asked for was {}",
                          bitnet::PromptTemplateName(t), c_.tokens.size(), request.prompt_template));
        }
      }
    }
    for (const char* pre : {"gpt-2", "default", "llama-bpe", "qwen2"}) {
      bitnet::Vocabulary vocabulary = bitnet::ReadGgufVocabulary(in_.model->file);
      if (vocabulary.pre == pre) continue;
      try {
        vocabulary.pre = pre;
        if (bitnet::Tokenizer::FromVocabulary(std::move(vocabulary)).Encode(request.text, options) == c_.tokens) {
          Add("pre_tokenizer", Certainty::kCertain,
              fmt::format("words split as by \"{}\" give the candidate's {} ids; the file says \"{}\"", pre,
                          c_.tokens.size(), tokenizer.pre()));
        }
      } catch (const std::runtime_error&) {
        continue;  // no expression of that name in this build
      }
    }
  }

  // What the keys that each position attends say.
  void Masks() {
    const auto &c = c_.shapes.attends, &r = r_.shapes.attends;
    const auto last = [](const std::vector<std::pair<int, int>>& ranges) {
      return ranges.empty() ? -1 : ranges.back().second;
    };
    const int n = static_cast<int>(std::min(c.size(), r.size()));
    std::map<int, int> by;  // how many keys further, and at how many positions
    int whole = 0, furthest = -1;
    for (int i = 0; i < n; ++i) {
      ++by[last(c[static_cast<size_t>(i)]) - last(r[static_cast<size_t>(i)])];
      whole += last(c[static_cast<size_t>(i)]) == n - 1;
      furthest = std::max(furthest, last(c[static_cast<size_t>(i)]));
    }
    if (by.empty() || (by.size() == 1 && by.contains(0))) return;
    const std::string evidence =
        fmt::format("position 0 attends up to key {}, position {} up to key {}; expected up to its own", last(c[0]),
                    n - 1, last(c[static_cast<size_t>(n - 1)]));
    if (furthest >= n) {
      Add("kv_not_cleared", Certainty::kCertain,
          fmt::format("{}; the prompt has {} positions, so {} keys are of an earlier one", evidence, n,
                      furthest - n + 1));
    } else if (whole == n && n > 2) {
      Add("mask_missing", Certainty::kCertain, evidence);
    } else if (by.contains(1) || by.contains(-1)) {
      Add("mask_off_by_one", Certainty::kCertain, evidence);
    }
  }

  std::vector<float> Tensor(const Capture& capture) const {
    const Place& at = result_.location;
    for (const TraceRecord& t : capture.traces) {
      if (t.position == at.position && t.layer == at.layer && t.point == at.point && !t.tensor_file.empty()) {
        return ReadTensor(capture, t);
      }
    }
    return {};
  }

  // What the two outputs of the first operation that differs say beside each other.
  void Outputs() {
    const std::vector<float> a = Tensor(inside_.candidate), b = Tensor(inside_.reference);
    if (a.empty() || a.size() != b.size()) return;
    double aa = 0, bb = 0, ab = 0, largest = 0, error = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      aa += static_cast<double>(a[i]) * a[i];
      bb += static_cast<double>(b[i]) * b[i];
      ab += static_cast<double>(a[i]) * b[i];
      largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
      error = std::max(error, std::fabs(static_cast<double>(a[i]) - b[i]));
    }
    const double cosine = aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0, ratio = bb > 0 ? ab / bb : 0;
    if (cosine > 0.9999999 && std::fabs(ratio - 1) > 1e-4) {
      Add("scaled_by_constant", Certainty::kLikely,
          fmt::format("the candidate's {} is {:.6g} times the reference's (cosine {:.9f})", result_.location.point,
                      ratio, cosine));
    }
    for (const size_t block : {32, 64, 128, 256}) {
      if (a.size() % block != 0 || a == b) continue;
      bool same = true;
      for (size_t at = 0; at < a.size() && same; at += block) {
        std::vector<float> x(a.begin() + static_cast<ptrdiff_t>(at), a.begin() + static_cast<ptrdiff_t>(at + block));
        std::vector<float> y(b.begin() + static_cast<ptrdiff_t>(at), b.begin() + static_cast<ptrdiff_t>(at + block));
        std::sort(x.begin(), x.end());
        std::sort(y.begin(), y.end());
        same = x == y;
      }
      if (!same) continue;
      Add("permuted", Certainty::kLikely,
          fmt::format("every block of {} holds the reference's numbers in another order", block));
      break;
    }
    if (result_.location.point == Point::kLogits && std::fabs(cosine) < 0.5) {
      Add("head_not_tied", Certainty::kLikely,
          fmt::format(
              "output_norm is equal on both sides, and the logits have a cosine of {:.3f}: the head has other weights",
              cosine));
    }
    if (error <= 1e-4 * largest) {
      Add("rounding", Certainty::kPossible,
          fmt::format("{} differs by {:.2g} of its largest value", result_.location.point, error / largest));
    }
  }

  void Decode() {
    const RungResult& point = in_.verdict->rung(Rung::kDecode);
    const size_t i = static_cast<size_t>(std::max<int64_t>(point.position, 0));
    if (i >= c_.generated.size() || i >= r_.generated.size() || c_.generated[i] == r_.generated[i]) return;
    const float* row = c_.decode_logits.row(static_cast<int64_t>(i));
    const int32_t a = c_.generated[i], b = r_.generated[i];
    if (a < 0 || b < 0 || std::max(a, b) >= c_.decode_logits.cols || row[a] != row[b]) return;
    if (result_.location.position < 0) result_.location.position = static_cast<int>(c_.tokens.size() + i) - 1;
    Add("argmax_last", a > b ? Certainty::kCertain : Certainty::kPossible,
        fmt::format("tokens {} and {} have the same logit, {:g}; the candidate takes {}, the {} of them", a, b, row[a],
                    a, a > b ? "last" : "first"));
  }

  const DiagnosisInput& in_;
  const Capture& c_;
  const Capture& r_;
  const Captures& inside_;
  Diagnosis result_;
};

}  // namespace

Place FirstDifference(const Capture& a, const Capture& b) {
  std::map<std::string_view, const TraceRecord*> of_b;
  for (const TraceRecord& r : b.traces) of_b[r.name] = &r;
  const TraceRecord* first = nullptr;
  for (const TraceRecord& r : a.traces) {
    const auto other = of_b.find(r.name);
    if (other == of_b.end() || (other->second->blake3 == r.blake3 && other->second->shape == r.shape)) continue;
    if (first == nullptr || ComputationOrder(r) < ComputationOrder(*first)) first = &r;
  }
  if (first == nullptr) return {};
  return {first->position, first->layer, first->point};
}

Diagnosis Diagnose(const DiagnosisInput& input) { return Diagnostician(input).Run(); }

}  // namespace parity
