#include "parity_tests/suites/fault_cases.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>

#include "fixtures/generate.h"
#include "parity_tests/harness/comparison.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/mistakes/mistake.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

// Layers of the trained models that take a fault.
constexpr int kLayers[] = {0, 3, 5};

// A name that is no file's: FindFault makes the model.
constexpr std::string_view kWide = "wide.i2_s";

// The file with other bytes in some of its tensors.
void Rewrite(const std::string& path, const std::string& out,
             const std::function<void(const bitnet::TensorInfo&, std::vector<std::byte>&)>& change) {
  const bitnet::GgufFile file = bitnet::GgufFile::Open(path);
  bitnet::GgufWriter writer(out);
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  for (const bitnet::TensorInfo& t : file.tensors()) writer.DeclareTensor(t.name, t.type, t.shape);
  writer.WriteHeader();
  for (const bitnet::TensorInfo& t : file.tensors()) {
    std::vector<std::byte> data(file.Data(t).begin(), file.Data(t).end());
    change(t, data);
    writer.WriteTensor(data);
  }
  writer.Finish();
}

// The model with the row of one token's embedding copied to the last unused token: the two always tie.
std::string ModelWithTie(const std::string& path, int32_t token, const std::string& directory) {
  const std::string out = directory + "/tie.gguf";
  Rewrite(path, out, [token](const bitnet::TensorInfo& t, std::vector<std::byte>& data) {
    if (t.name != "token_embd.weight") return;
    const size_t row = data.size() / t.rows();
    std::copy_n(data.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(token) * row), row,
                data.end() - static_cast<ptrdiff_t>(row));
  });
  return out;
}

// A model whose products reach beyond 16 bits: the activations of token 0 are all 127, the weights of Q and V +1.
std::string ModelWithLargeSums(const std::string& directory) {
  constexpr uint32_t kWidth = 1280;
  const std::string random = directory + "/random.gguf", out = directory + "/wide.gguf";
  GenerateModel({.output = random,
                 .n_embd = kWidth,
                 .n_layer = 1,
                 .n_head = 10,
                 .n_head_kv = 2,
                 .n_ff = 256,
                 .n_vocab = 64,
                 .type = bitnet::TensorType::kI2_S,
                 .embedding_type = bitnet::TensorType::kF32});
  const std::vector<float> ones(kWidth, 1.0f);
  Rewrite(random, out, [&ones](const bitnet::TensorInfo& t, std::vector<std::byte>& data) {
    const std::string& name = t.name;
    if (name == "token_embd.weight" || name == "blk.0.attn_norm.weight") {
      std::memcpy(data.data(), ones.data(), kWidth * sizeof(float));
    } else if (name == "blk.0.attn_q.weight" || name == "blk.0.attn_v.weight") {
      std::fill_n(data.begin(), t.rows() * kWidth / 4, std::byte{0b10101010});
    }
  });
  return out;
}

}  // namespace

std::string FaultCase::Name() const {
  std::string name = fault.mistake + (fault.layer >= 0 ? fmt::format("_layer{}", fault.layer) : "") + "_" + model;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

std::vector<FaultCase> AllFaultCases() {
  constexpr std::string_view kSilu = "kjv-bitnet.tq2_0", kSquaredRelu = "kjv-bitnet-b1.58.tq2_0",
                             kI2s = "kjv-bitnet.i2_s";
  std::vector<FaultCase> cases;
  const auto add = [&cases](const Mistake& m, int layer, std::string_view model) -> FaultCase& {
    return cases.emplace_back(FaultCase{.fault = {.mistake = std::string(m.id), .layer = layer},
                                        .model = std::string(model),
                                        .failed_rung = std::string(m.rung),
                                        .location = {m.position, layer, m.place}});
  };
  for (const Mistake& m : AllMistakes()) {
    if (m.rung.empty()) continue;
    if (!m.InLayer()) {
      add(m, -1, m.choose != nullptr ? "kjv-bitnet.f16" : kSilu);
      continue;
    }
    if (m.id == "narrow_sums") {  // those of the trained models fit
      add(m, 0, kWide);
      continue;
    }
    for (const int layer : kLayers) {
      add(m, layer, kSilu);
      if (m.points.Has(Point::kQProj)) {
        add(m, layer, kI2s);
      } else if (m.id == "activation_function") {
        add(m, layer, kSquaredRelu);
      }
    }
  }
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
  return !causes.empty() && causes[0].id == c.fault.mistake;
}

FaultFinding FindFault(const FaultCase& c, const std::string& models, const std::string& thresholds,
                       const std::string& reference_spec) {
  Request request;
  request.model = fmt::format("{}/{}.gguf", models, c.model);
  request.prompt = request.text =
      c.fault.mistake == "pre_tokenizer" ? "the LORD.\nAnd he" : "In the beginning God created";
  request.max_tokens = 1;
  request.threads = 1;
  const auto make_candidate = [&c](const BackendInfo& reference) {
    OracleSpec fault = c.fault;
    fault.order = OrderOf(reference);
    return MakeOracleBackend(fault);
  };
  Comparison comparison(make_candidate, reference_spec);
  std::optional<TemporaryDirectory> scratch;
  if (c.fault.mistake == "argmax_last") {
    scratch.emplace();
    request.model = ModelWithTie(request.model, comparison.reference().Run(request).generated.at(0), scratch->path());
  } else if (c.model == kWide) {
    scratch.emplace();
    request.model = ModelWithLargeSums(scratch->path());
    request.token_ids = {0};
  }
  const Captures captures = comparison.Run(request);
  const Verdict verdict =
      Climb(captures.candidate, captures.reference, {.profile = LoadProfile(thresholds, "strict"), .piece_of = {}});
  FaultFinding finding;
  finding.failed_rung = verdict.failed_rung() ? std::string(RungName(*verdict.failed_rung())) : "none";
  finding.explanation = comparison.Explain(request, captures, verdict);
  return finding;
}

}  // namespace parity
