#include "parity_tests/suites/bit_flip.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/formats/tq2_0.h"
#include "engine/model/model.h"
#include "parity_tests/harness/capture_sink.h"
#include "parity_tests/harness/native_backend.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/locate/replay.h"
#include "parity_tests/oracle/pass.h"
#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

constexpr size_t kBlockBytes = sizeof(bitnet::BlockTQ2_0), kCodeBytes = offsetof(bitnet::BlockTQ2_0, d);

// The points of one operation, in the order of the graph: the projections of a layer, or all norms.
std::vector<Point> PointsOf(bitnet::Op op, bool outside_too) {
  std::vector<Point> points;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    if (info.op == op && (info.in_layer || outside_too)) points.push_back(info.point);
  }
  return points;
}
const std::vector<Point> kProjections = PointsOf(bitnet::Op::kProduct, false);
const std::vector<Point> kNorms = PointsOf(bitnet::Op::kNorm, true);

std::string Operation(Point point, int layer) {
  const std::string name(PointName(point));
  return layer < 0 ? name : fmt::format("layer {} {}", layer, name);
}

size_t Bytes(const bitnet::WeightMatrix& w) { return bitnet::TensorBytes(w.type, w.rows, w.cols); }

void Flip(void* data, const BitFlip& flip) {
  static_cast<uint8_t*>(data)[flip.byte] ^= static_cast<uint8_t>(1u << flip.bit);
}

// The flip, where the parameters are those of an operation that reads the place.
void Apply(const BitFlip& flip, Parameters& p) {
  switch (flip.kind) {
    case PlaceKind::kGamma:
      return Flip(p.norm.gamma.data(), flip);
    case PlaceKind::kWeight:
    case PlaceKind::kScale:
    case PlaceKind::kEmbedding: {
      std::vector<std::byte> bytes(p.product.w.data, p.product.w.data + Bytes(p.product.w));
      Flip(bytes.data(), flip);
      p.product.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
      p.product.w.data = p.product.bytes->data();
      return;
    }
    case PlaceKind::kKey:
    case PlaceKind::kValue:
      p.attention.flipped = {
          .key = flip.kind == PlaceKind::kKey, .cell = flip.cell, .column = flip.byte, .bit = flip.bit};
      return;
  }
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
  bitnet::Model model;
  const bitnet::ArithmeticOrder& order;
  KernelArithmetic arithmetic;
  LadderOptions options;
  Capture sound;
  TemporaryDirectory directory;

  Impl(const std::string& path, const std::string& thresholds)
      : model(bitnet::Model::Load(path)), order(UsualOrder(model)), arithmetic(model.hyperparameters, order) {
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

  const bitnet::Hyperparameters& h() const { return model.hyperparameters; }
  size_t KvWidth() const { return size_t{h().n_head_kv} * h().n_embd_head; }

  // Logits of the prompt with the flip in place, traced into `sink`.
  std::vector<float> Run(const BitFlip& flip, bitnet::TraceSink* sink) {
    Pass pass(model, arithmetic,
              {.n_cells = static_cast<size_t>(sound.shapes.kv_cells),
               .change =
                   [&](Point point, int layer, Parameters& p) {
                     if (Reads(flip, point, layer)) Apply(flip, p);
                   },
               .trace = sink});
    return pass.Forward(sound.tokens);
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
    return layer == flip.layer && std::find(flip.read_by.begin(), flip.read_by.end(), point) != flip.read_by.end();
  }

  // Every operation of the candidate that does not give the sound engine's bits on its own inputs.
  void FindGuilty(const BitFlip& flip, const Capture& candidate, FlipFinding& finding) const {
    Replay replay(model, candidate, order);
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
  const bitnet::Model& model = impl_->model;
  const bitnet::WeightMatrix& embeddings = model.weights.token_embd;
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  BitFlip flip{
      .kind = kind, .layer = static_cast<int>(below(h.n_layer)), .bit = static_cast<int>(below(8)), .read_by = {}};
  switch (kind) {
    case PlaceKind::kWeight:
    case PlaceKind::kScale: {
      flip.read_by = {kProjections[below(kProjections.size())]};
      const bitnet::WeightMatrix& matrix = MatrixOf(model, bitnet::InfoOf(flip.read_by[0]).weight, flip.layer);
      flip.byte = below(Bytes(matrix) / kBlockBytes) * kBlockBytes;
      flip.byte += kind == PlaceKind::kWeight ? below(kCodeBytes) : kCodeBytes + below(kBlockBytes - kCodeBytes);
      break;
    }
    case PlaceKind::kGamma: {
      do {
        flip.read_by = {kNorms[below(kNorms.size())]};
      } while (!bitnet::Exists(bitnet::InfoOf(flip.read_by[0]), bitnet::ShapeOf(h)));
      if (!bitnet::InfoOf(flip.read_by[0]).in_layer) flip.layer = -1;
      flip.byte = below(GammaOf(model, bitnet::InfoOf(flip.read_by[0]).weight, flip.layer).size_bytes());
      break;
    }
    case PlaceKind::kEmbedding: {
      flip.layer = -1;
      const size_t row_bytes = Bytes(embeddings) / embeddings.rows;
      // Every second one in a row that the prompt reads; the head reads all.
      const std::vector<int32_t>& tokens = impl_->sound.tokens;
      const bool in_prompt = below(2) == 0;
      const size_t row = in_prompt ? static_cast<size_t>(tokens[below(tokens.size())]) : below(embeddings.rows);
      flip.byte = row * row_bytes + below(row_bytes);
      flip.read_by = {Point::kLogits};
      if (std::find(tokens.begin(), tokens.end(), static_cast<int32_t>(row)) != tokens.end()) {
        flip.read_by.push_back(Point::kEmbeddings);
      }
      break;
    }
    case PlaceKind::kKey:
    case PlaceKind::kValue:
      flip.cell = below(impl_->sound.tokens.size());
      flip.byte = below(impl_->KvWidth());
      flip.bit = static_cast<int>(below(16));
      flip.read_by = {kind == PlaceKind::kKey ? Point::kAttnScores : Point::kAttnOut};
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
