#include "parity_tests/mistakes/fault_cases.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "engine/gguf/gguf.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

// Layers of the trained models that take a fault.
constexpr int kLayers[] = {0, 3, 5};

// Of a fault in a layer: where the ladder stops, and the first position and operation that it makes wrong.
struct Signature {
  std::string_view id;
  std::string_view failed_rung;
  int position;
  Point operation;
};

// A rotation is nothing at position 0, and neither is a scale on a single score. The norms in front of int8 products
// and the sub-norms behind them take most constant factors out again, so that those faults show from position 1 on. One
// scale for all activations changes a single row only where it has more than one block: ffn_down's of TQ1_0 and TQ2_0.
constexpr Signature kSignatures[] = {
    {"weights_linear_order", "first-logit", 0, Point::kQProj},
    {"weights_scale_dropped", "first-logit", 0, Point::kQProj},
    {"weights_codes_swapped", "first-logit", 0, Point::kQProj},
    {"norm_subtracts_mean", "first-logit", 0, Point::kAttnNorm},
    {"norm_gamma_rescaled", "first-logit", 0, Point::kAttnNorm},
    {"norm_epsilon", "first-logit", 0, Point::kAttnNorm},
    {"norm_gamma_zero", "first-logit", 0, Point::kAttnNorm},
    {"rope_layout", "positions", 1, Point::kQRope},
    {"rope_base", "positions", 1, Point::kQRope},
    {"rope_position_off_by_one", "positions", 0, Point::kQRope},
    {"gqa_mapping", "first-logit", 0, Point::kAttnScores},
    {"k_stride", "positions", 1, Point::kAttnScores},
    {"mask_off_by_one", "shapes", 0, Point::kAttnScores},
    {"mask_missing", "shapes", 0, Point::kAttnScores},
    {"softmax_scale", "positions", 1, Point::kAttnScoresSoftmax},
    {"kv_wrong_cell", "positions", 4, Point::kAttnScores},
    {"kv_not_cleared", "shapes", 0, Point::kAttnScores},
    {"activation_function", "first-logit", 0, Point::kFfnAct},
    {"gate_up_swapped", "first-logit", 0, Point::kFfnGate},
    {"sub_norm_skipped", "first-logit", 0, Point::kAttnSubNorm},
    {"quantized_per_tensor", "first-logit", 0, Point::kFfnDown},
    {"quantized_by_truncation", "first-logit", 0, Point::kQProj},
    {"activations_not_quantized", "first-logit", 0, Point::kQProj},
    {"uninitialized", "first-logit", 0, Point::kAttnOut},
};

// The model with the row of one token's embedding copied to the last unused token: the two always tie.
std::string ModelWithTie(const std::string& path, int32_t token, const std::string& directory) {
  const bitnet::GgufFile file = bitnet::GgufFile::Open(path);
  const std::string out = directory + "/tie.gguf";
  bitnet::GgufWriter writer(out);
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  for (const bitnet::TensorInfo& t : file.tensors()) writer.DeclareTensor(t.name, t.type, t.shape);
  writer.WriteHeader();
  for (const bitnet::TensorInfo& t : file.tensors()) {
    std::vector<std::byte> data(file.Data(t).begin(), file.Data(t).end());
    if (t.name == "token_embd.weight") {
      const size_t row = data.size() / t.rows();
      std::copy_n(data.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(token) * row), row,
                  data.end() - static_cast<ptrdiff_t>(row));
    }
    writer.WriteTensor(data);
  }
  writer.Finish();
  return out;
}

}  // namespace

std::string FaultCase::Name() const {
  std::string name = fault.id + (fault.layer >= 0 ? fmt::format("_layer{}", fault.layer) : "") + "_" + model;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

std::vector<FaultCase> AllFaultCases() {
  std::vector<FaultCase> cases;
  const auto add = [&cases](std::string_view id, int layer, std::string_view model, std::string_view failed_rung,
                            int position, Point operation) {
    FaultCase& c = cases.emplace_back();
    c.fault.id = id;
    c.fault.layer = layer;
    c.model = model;
    c.failed_rung = failed_rung;
    c.location.position = position;
    c.location.layer = layer;
    c.location.point = operation;
  };
  constexpr std::string_view kSilu = "kjv-bitnet.tq2_0", kSquaredRelu = "kjv-bitnet-b1.58.tq2_0",
                             kI2s = "kjv-bitnet.i2_s";
  add("bos_twice", -1, kSilu, "tokens", 1, Point::kUnknown);
  add("bos_missing", -1, kSilu, "tokens", 0, Point::kUnknown);
  add("ids_shifted", -1, kSilu, "tokens", 0, Point::kUnknown);
  add("prompt_template", -1, kSilu, "tokens", 1, Point::kUnknown);
  add("pre_tokenizer", -1, kSilu, "tokens", -1, Point::kUnknown);
  for (const Signature& s : kSignatures) {
    for (const int layer : kLayers) {
      add(s.id, layer, kSilu, s.failed_rung, s.position, s.operation);
      if (s.id.starts_with("weights_") || s.id.starts_with("quantized_") || s.id == "activations_not_quantized") {
        // I2_S has one scale a row in any case: wrong from the second row on, or in the first where the second is
        // larger.
        const bool rows = s.id == "quantized_per_tensor";
        add(s.id, layer, kI2s, s.failed_rung, rows ? -1 : s.position,
            !rows        ? s.operation
            : layer == 0 ? Point::kAttnOProj
                         : Point::kQProj);
      } else if (s.id == "activation_function") {
        add(s.id, layer, kSquaredRelu, s.failed_rung, s.position, s.operation);
      }
    }
  }
  add("head_not_tied", -1, kSilu, "first-logit", 0, Point::kLogits);
  add("argmax_last", -1, "kjv-bitnet.f16", "decode", -1, Point::kUnknown);
  return cases;
}

bool FaultFinding::RungRight(const FaultCase& c) const { return failed_rung == c.failed_rung; }
bool FaultFinding::PlaceRight(const FaultCase& c) const {
  const Place a = explanation.location(), &b = c.location;
  if (b.position >= 0 && a.position != b.position) return false;
  return a.layer == b.layer && a.point == b.point;
}
bool FaultFinding::CauseRight(const FaultCase& c) const {
  const std::vector<Cause>& causes = explanation.diagnosis.causes;
  return !causes.empty() && causes[0].id == c.fault.id;
}

FaultFinding FindFault(const FaultCase& c, const std::string& models, const std::string& thresholds,
                       const std::string& reference_spec) {
  Request request;
  request.model = fmt::format("{}/{}.gguf", models, c.model);
  request.prompt = request.text = c.fault.id == "pre_tokenizer" ? "the LORD.\nAnd he" : "In the beginning God created";
  request.max_tokens = 1;
  request.threads = 1;
  const std::unique_ptr<Backend> reference = MakeAnyBackend(reference_spec);
  std::unique_ptr<TemporaryDirectory> scratch;
  if (c.fault.id == "argmax_last") {
    scratch = std::make_unique<TemporaryDirectory>();
    request.model = ModelWithTie(request.model, reference->Run(request).generated.at(0), scratch->path());
  }
  Captures captures;
  captures.reference = reference->Run(request);
  const std::unique_ptr<Backend> candidate = MakeFaultyBackend(c.fault, OrderOf(captures.reference.backend));
  captures.candidate = candidate->Run(request);
  const Profile profile = LoadProfile(thresholds, "strict");
  const Verdict verdict = Climb(captures.candidate, captures.reference, {.profile = profile, .piece_of = {}});
  FaultFinding finding;
  finding.failed_rung = verdict.failed_rung() ? std::string(RungName(*verdict.failed_rung())) : "none";
  finding.explanation = Explain(*candidate, *reference, request, captures, {.profile = profile});
  return finding;
}

}  // namespace parity
