#include "parity_tests/suites/bit_flip.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/gguf/tensor_type.h"
#include "engine/model/model.h"
#include "parity_tests/harness/capture_sink.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/oracle/scalar_engine.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using bitnet::LayerWeights;
using bitnet::WeightMatrix;

constexpr size_t kBlockBytes = 66, kCodeBytes = 64;  // TQ2_0: codes, then the scale in F16

struct Projection {
  WeightMatrix LayerWeights::*member;
  bitnet::Point read_by;
};
constexpr Projection kProjections[] = {
    {&LayerWeights::attn_q, bitnet::Point::kQProj},     {&LayerWeights::attn_k, bitnet::Point::kKProj},
    {&LayerWeights::attn_v, bitnet::Point::kVProj},     {&LayerWeights::attn_output, bitnet::Point::kAttnOProj},
    {&LayerWeights::ffn_gate, bitnet::Point::kFfnGate}, {&LayerWeights::ffn_up, bitnet::Point::kFfnUp},
    {&LayerWeights::ffn_down, bitnet::Point::kFfnDown},
};

using Gammas = std::span<const float>;
struct Norm {
  Gammas LayerWeights::*member;  // nullptr: output_norm
  bitnet::Point read_by;
};
constexpr Norm kNorms[] = {
    {&LayerWeights::attn_norm, bitnet::Point::kAttnNorm},
    {&LayerWeights::attn_sub_norm, bitnet::Point::kAttnSubNorm},
    {&LayerWeights::ffn_norm, bitnet::Point::kFfnNorm},
    {&LayerWeights::ffn_sub_norm, bitnet::Point::kFfnSubNorm},
    {nullptr, bitnet::Point::kOutputNorm},
};

std::string Operation(bitnet::Point point, int layer) {
  const std::string name(bitnet::PointName(point));
  return layer < 0 ? name : fmt::format("layer {} {}", layer, name);
}

size_t Bytes(const WeightMatrix& w) { return bitnet::TensorBytes(w.type, w.rows, w.cols); }

std::vector<std::byte> Flipped(const void* data, size_t bytes, const BitFlip& flip) {
  std::vector<std::byte> copy(bytes);
  std::memcpy(copy.data(), data, bytes);
  copy[flip.byte] ^= static_cast<std::byte>(1 << flip.bit);
  return copy;
}

int64_t CountDiffering(const Matrix& a, const Matrix& b) {
  int64_t differing = 0;
  for (size_t i = 0; i < a.data.size(); ++i) {
    differing += std::bit_cast<uint32_t>(a.data[i]) != std::bit_cast<uint32_t>(b.data[i]);
  }
  return differing;
}

}  // namespace

std::string_view PlaceKindName(PlaceKind kind) {
  constexpr std::array<std::string_view, kPlaceKinds.size()> kNames = {
      "ternary weight", "scale of a block", "gamma", "embedding", "key in the cache", "value in the cache"};
  return kNames[static_cast<size_t>(kind)];
}

std::string BitFlip::Name() const {
  const std::string where = Operation(read_by.front(), layer);
  if (kind == PlaceKind::kKey || kind == PlaceKind::kValue) {
    return fmt::format("{} of layer {}, position {}, column {}, bit {}", PlaceKindName(kind), layer, cell, byte, bit);
  }
  return fmt::format("{} of {}, byte {}, bit {}", PlaceKindName(kind), where, byte, bit);
}

struct BitFlips::Impl {
  bitnet::Model sound_model;
  bitnet::Model model;  // whose weights a flip replaces
  ScalarModel scalar;
  LadderOptions options;
  Capture sound;
  TemporaryDirectory directory;

  Impl(const std::string& path, const std::string& thresholds)
      : sound_model(bitnet::Model::Load(path)), model(bitnet::Model::Load(path)), scalar(DecodeModel(sound_model)) {
    options.profile = LoadProfile(thresholds, "exact");
    Request request;
    request.model = path;
    request.prompt = request.text = "In the beginning";
    request.threads = 1;
    request.trace = "full";
    sound = MakeNativeBackend()->Run(request);
    if (!model.weights.tied_output || model.weights.layers.at(0).attn_q.type != bitnet::TensorType::kTQ2_0) {
      throw std::runtime_error(path + ": bit flips are made in models of TQ2_0 projections and a tied head");
    }
  }

  const bitnet::Hyperparameters& h() const { return sound_model.hyperparameters; }
  size_t KvWidth() const { return size_t{h().n_head_kv} * h().n_embd_head; }

  // Logits of the prompt with the flip in place, traced into `sink`.
  std::vector<float> Run(const BitFlip& flip, bitnet::TraceSink* sink) {
    if (flip.kind == PlaceKind::kKey || flip.kind == PlaceKind::kValue) return RunScalar(flip, sink);
    const bitnet::ModelWeights kept = model.weights;
    const std::vector<std::byte> bytes = Apply(flip);
    bitnet::Context context(model, {.n_ctx = static_cast<size_t>(sound.shapes.n_ctx), .trace = sink});
    std::vector<float> logits(sound.logits.data.size());
    context.Forward(sound.tokens, bitnet::LogitsFor::kAll, logits);
    model.weights = kept;
    return logits;
  }

  // Puts the flip into model.weights, which then point into what is returned.
  std::vector<std::byte> Apply(const BitFlip& flip) {
    bitnet::ModelWeights& w = model.weights;
    LayerWeights& layer = w.layers[static_cast<size_t>(std::max(flip.layer, 0))];
    std::vector<std::byte> bytes;
    if (flip.kind == PlaceKind::kGamma) {
      Gammas& gammas = flip.layer < 0 ? w.output_norm : layer.*kNorms[flip.index].member;
      bytes = Flipped(gammas.data(), gammas.size_bytes(), flip);
      gammas = {reinterpret_cast<const float*>(bytes.data()), gammas.size()};
    } else if (flip.kind == PlaceKind::kEmbedding) {
      bytes = Flipped(w.token_embd.data, Bytes(w.token_embd), flip);
      w.token_embd.data = w.output.data = bytes.data();
    } else {
      WeightMatrix& matrix = layer.*kProjections[flip.index].member;
      bytes = Flipped(matrix.data, Bytes(matrix), flip);
      matrix.data = bytes.data();
    }
    return bytes;
  }

  std::vector<float> RunScalar(const BitFlip& flip, bitnet::TraceSink* sink) {
    ScalarEngine engine(scalar, bitnet::DefaultOrder(sound_model), static_cast<size_t>(sound.shapes.kv_cells), {},
                        sink);
    engine.FlipWhenStored({.layer = flip.layer,
                           .key = flip.kind == PlaceKind::kKey,
                           .cell = flip.cell,
                           .column = flip.byte,
                           .bit = flip.bit});
    return engine.Forward(sound.tokens);
  }

  Capture CaptureOf(const BitFlip& flip, const std::string& traces) {
    Capture capture = sound;
    DirectorySink sink("full", traces, /*keep_raw=*/true);
    capture.logits.data = Run(flip, &sink);
    sink.Finish(capture);
    capture.directory = traces;
    capture.traces = ReadTraces(traces).traces;
    return capture;
  }

  bool Reads(const BitFlip& flip, Point point, int layer) const {
    return layer == flip.layer &&
           std::any_of(flip.read_by.begin(), flip.read_by.end(), [&](bitnet::Point s) { return s == point; });
  }

  // Every operation of the candidate that does not give the sound engine's bits on its own inputs.
  void FindGuilty(const BitFlip& flip, const Capture& candidate, FlipFinding& finding) const {
    Replay replay(sound_model, candidate, bitnet::DefaultOrder(sound_model));
    for (int layer = -1; layer < static_cast<int>(h().n_layer); ++layer) {
      for (const ReplayResult& r : replay.Layer(layer)) {
        if (r.verdict == ReplayVerdict::kExact) continue;
        finding.guilty += (finding.guilty.empty() ? "" : ", ") + Operation(r.place.point, layer);
        finding.named_right = finding.named_right && Reads(flip, r.place.point, layer);
      }
    }
    finding.named_right = finding.named_right && !finding.guilty.empty();
  }
};

BitFlips::BitFlips(const std::string& model, const std::string& thresholds)
    : impl_(std::make_unique<Impl>(model, thresholds)) {}
BitFlips::~BitFlips() = default;

BitFlip BitFlips::Random(PlaceKind kind, std::mt19937& random) const {
  const bitnet::Hyperparameters& h = impl_->h();
  const bitnet::ModelWeights& w = impl_->sound_model.weights;
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  BitFlip flip{
      .kind = kind, .layer = static_cast<int>(below(h.n_layer)), .bit = static_cast<int>(below(8)), .read_by = {}};
  const LayerWeights& layer = w.layers[static_cast<size_t>(flip.layer)];
  switch (kind) {
    case PlaceKind::kWeight:
    case PlaceKind::kScale: {
      flip.index = below(std::size(kProjections));
      const WeightMatrix& matrix = layer.*kProjections[flip.index].member;
      flip.byte = below(Bytes(matrix) / kBlockBytes) * kBlockBytes;
      flip.byte += kind == PlaceKind::kWeight ? below(kCodeBytes) : kCodeBytes + below(kBlockBytes - kCodeBytes);
      flip.read_by = {kProjections[flip.index].read_by};
      break;
    }
    case PlaceKind::kGamma: {
      flip.index = below(std::size(kNorms));
      const Norm& norm = kNorms[flip.index];
      if (norm.member == nullptr) flip.layer = -1;
      flip.byte = below(norm.member == nullptr ? w.output_norm.size_bytes() : (layer.*norm.member).size_bytes());
      flip.read_by = {norm.read_by};
      break;
    }
    case PlaceKind::kEmbedding: {
      flip.layer = -1;
      const size_t row_bytes = Bytes(w.token_embd) / w.token_embd.rows;
      // Every second one in a row that the prompt reads; the head reads all.
      const std::vector<int32_t>& tokens = impl_->sound.tokens;
      const bool in_prompt = below(2) == 0;
      const size_t row = in_prompt ? static_cast<size_t>(tokens[below(tokens.size())]) : below(w.token_embd.rows);
      flip.byte = row * row_bytes + below(row_bytes);
      flip.read_by = {bitnet::Point::kLogits};
      if (std::find(tokens.begin(), tokens.end(), static_cast<int32_t>(row)) != tokens.end()) {
        flip.read_by.push_back(bitnet::Point::kEmbeddings);
      }
      break;
    }
    case PlaceKind::kKey:
    case PlaceKind::kValue:
      flip.cell = below(impl_->sound.tokens.size());
      flip.byte = below(impl_->KvWidth());
      flip.bit = static_cast<int>(below(16));
      flip.read_by = {kind == PlaceKind::kKey ? bitnet::Point::kAttnScores : bitnet::Point::kAttnOut};
      break;
  }
  return flip;
}

FlipFinding BitFlips::Try(const BitFlip& flip) {
  const Capture candidate = impl_->CaptureOf(flip, impl_->directory.path() + "/traces");
  FlipFinding finding;
  finding.differing = CountDiffering(candidate.logits, impl_->sound.logits);
  finding.found = !Climb(candidate, impl_->sound, impl_->options).parity();
  finding.named = FirstDifference(candidate, impl_->sound);
  finding.named_right = impl_->Reads(flip, finding.named.point, finding.named.layer);
  if (finding.differing > 0) impl_->FindGuilty(flip, candidate, finding);
  return finding;
}

}  // namespace parity
