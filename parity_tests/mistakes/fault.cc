#include "parity_tests/mistakes/fault.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>

#include "engine/gguf/quants.h"
#include "engine/model/model.h"
#include "engine/tokenizer/prompt_template.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/vocabulary.h"
#include "parity_tests/oracle/scalar_engine.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/hash.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

constexpr Fault kFaults[] = {
    {"bos_twice", false, "BOS is written by the template and added by the tokenizer"},
    {"bos_missing", false, "BOS is not added"},
    {"ids_shifted", false, "every id is 3 too large"},
    {"prompt_template", false, "another template than asked for"},
    {"pre_tokenizer", false, "words are split by GPT-2's expression"},
    {"weights_linear_order", true, "four neighbours are read from each byte of codes"},
    {"weights_scale_dropped", true, "the weights' scale is taken as 1"},
    {"weights_codes_swapped", true, "codes 0 and 2 stand for +1 and -1"},
    {"norm_subtracts_mean", true, "LayerNorm: the mean is subtracted first"},
    {"norm_gamma_rescaled", true, "gamma is multiplied by sqrt(n_embd)"},
    {"norm_epsilon", true, "epsilon is 1e-2"},
    {"norm_gamma_zero", true, "the gamma of attn_norm was not loaded"},
    {"rope_layout", true, "the other layout: neighbours are rotated for halves"},
    {"rope_base", true, "another frequency base"},
    {"rope_position_off_by_one", true, "positions are counted from 1"},
    {"gqa_mapping", true, "query head i reads key head i % n_head_kv"},
    {"k_stride", true, "the last key head advances by one head, not by a row"},
    {"mask_off_by_one", true, "a position sees the next"},
    {"mask_missing", true, "a position sees the whole batch"},
    {"softmax_scale", true, "scores are not divided by sqrt(head_dim)"},
    {"kv_wrong_cell", true, "from position 4 on, rows go to the next cell"},
    {"kv_not_cleared", true, "three rows of an earlier prompt stay in front"},
    {"activation_function", true, "SiLU for squared ReLU, or the other way round"},
    {"gate_up_swapped", true, "the two matrices are exchanged"},
    {"sub_norm_skipped", true, "both sub-norms are left out"},
    {"quantized_per_tensor", true, "activations share one scale over all rows"},
    {"quantized_by_truncation", true, "activations are truncated, not rounded"},
    {"activations_not_quantized", true, "activations stay float32"},
    {"head_not_tied", false, "the head has weights of its own, never loaded"},
    {"argmax_last", false, "of equal logits the last is taken"},
    {"uninitialized", true, "one number of attn_out was never set"},
};

// Traced tensors go straight to disk.
class Sink : public bitnet::TraceSink {
 public:
  Sink(const Request& request, CaptureWriter* writer) : request_(request), selection_(request.trace), writer_(writer) {}
  bool Wants(bitnet::Point point, int layer) const override { return selection_.Wants(point, layer); }
  void OnTensor(const bitnet::TracedTensor& t) override {
    if ((request_.positions > 0 && t.position >= request_.positions) || !selection_.WantsPosition(t.position)) return;
    std::vector<int64_t> shape;
    if (t.rows > 1) shape.push_back(static_cast<int64_t>(t.rows));
    shape.push_back(static_cast<int64_t>(t.cols));
    writer_->AddTensor(t.position, t.layer, t.point, shape, t.data, request_.raw_tensors);
  }

 private:
  const Request& request_;
  TraceSelection selection_;
  CaptureWriter* writer_;
};

// A model file, decoded once for all backends of the process.
struct Loaded {
  bitnet::Model model;
  ScalarModel scalar;
  std::optional<bitnet::Tokenizer> tokenizer;
  ModelInfo info;
};

const Loaded& Load(const std::string& path) {
  static std::map<std::string, std::unique_ptr<Loaded>> all;
  std::unique_ptr<Loaded>& loaded = all[path];
  if (loaded != nullptr) return *loaded;
  bitnet::Model model = bitnet::Model::Load(path);
  ScalarModel scalar = DecodeModel(model);
  std::optional<bitnet::Tokenizer> tokenizer;
  if (model.file.Has("tokenizer.ggml.tokens")) tokenizer = bitnet::Tokenizer::FromGguf(model.file);
  const bitnet::Hyperparameters& h = scalar.h;
  ModelInfo info{.path = path,
                 .blake3 = HashFile(path),
                 .architecture = h.architecture,
                 .hyperparameters = {{"n_vocab", h.n_vocab},
                                     {"n_embd", h.n_embd},
                                     {"n_layer", h.n_layer},
                                     {"n_head", h.n_head},
                                     {"n_head_kv", h.n_head_kv},
                                     {"n_embd_head", h.n_embd_head},
                                     {"n_ff", h.n_ff},
                                     {"n_rot", h.n_rot},
                                     {"rope_freq_base", h.rope_freq_base},
                                     {"rms_norm_eps", h.rms_norm_eps},
                                     {"n_ctx_train", h.n_ctx_train},
                                     {"file_type", h.file_type}}};
  loaded = std::make_unique<Loaded>(Loaded{std::move(model), std::move(scalar), std::move(tokenizer), std::move(info)});
  return *loaded;
}

// The model with a fault in its weights.
ScalarModel WithFault(const Loaded& loaded, const FaultSpec& fault) {
  ScalarModel m = loaded.scalar;
  if (fault.id == "head_not_tied") {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    for (float& w : m.head.f32) w = normal(random);
    for (uint16_t& w : m.head.f16) w = bitnet::F16FromF32(normal(random));
  }
  if (!fault.id.starts_with("weights_")) return m;
  const bitnet::LayerWeights& weights = loaded.model.weights.layers.at(static_cast<size_t>(fault.layer));
  const bool linear = fault.id == "weights_linear_order";
  auto layer =
      std::make_shared<ScalarLayer>(*DecodeLayer(weights, linear ? CodeOrder::kLinear : CodeOrder::kInterleaved));
  for (ScalarMatrix* w : {&layer->q, &layer->k, &layer->v, &layer->o, &layer->gate, &layer->up, &layer->down}) {
    if (fault.id == "weights_scale_dropped") {
      w->scale = 1;
      std::fill(w->d.begin(), w->d.end(), 1.0f);
    } else if (fault.id == "weights_codes_swapped") {
      for (uint8_t& code : w->codes) code = static_cast<uint8_t>(2 - code);
    }
  }
  m.layers[static_cast<size_t>(fault.layer)] = std::move(layer);
  return m;
}

std::vector<int32_t> Tokens(const Request& request, const Loaded& loaded, const FaultSpec& fault) {
  if (!loaded.tokenizer && !request.token_ids) {
    throw std::runtime_error(fmt::format("{}: tokenizer.ggml.tokens: missing; give token ids", request.model));
  }
  std::vector<int32_t> ids;
  const bitnet::EncodeOptions options{.add_special = request.add_special, .parse_special = request.parse_special};
  if (request.token_ids) {
    ids = *request.token_ids;
  } else if (fault.id == "prompt_template") {
    const auto other =
        request.prompt_template == "instruct" ? bitnet::PromptTemplate::kRaw : bitnet::PromptTemplate::kInstruct;
    const bitnet::FormattedPrompt formatted = bitnet::FormatPrompt(other, request.prompt);
    ids = loaded.tokenizer->Encode(formatted.text, {.add_special = formatted.add_special, .parse_special = true});
  } else if (fault.id == "pre_tokenizer") {
    bitnet::Vocabulary vocabulary = bitnet::ReadGgufVocabulary(loaded.model.file);
    vocabulary.pre = "gpt-2";
    ids = bitnet::Tokenizer::FromVocabulary(std::move(vocabulary)).Encode(request.text, options);
  } else {
    ids = loaded.tokenizer->Encode(request.text, options);
  }
  if (fault.id == "bos_twice" && !ids.empty()) ids.insert(ids.begin(), ids.front());
  if (fault.id == "bos_missing" && !ids.empty()) ids.erase(ids.begin());
  if (fault.id == "ids_shifted") {
    for (int32_t& id : ids) id += 3;
  }
  return ids;
}

int32_t Choose(std::span<const float> logits, const FaultSpec& fault) {
  if (fault.id != "argmax_last") return bitnet::Argmax(logits);
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] >= logits[best]) best = i;
  }
  return static_cast<int32_t>(best);
}

class FaultyBackend : public Backend {
 public:
  FaultyBackend(FaultSpec fault, std::string order) : fault_(std::move(fault)), order_(std::move(order)) {}
  ~FaultyBackend() override {
    std::error_code ignored;
    for (const std::string& directory : directories_) std::filesystem::remove_all(directory, ignored);
  }

  std::string name() const override { return fault_.id.empty() ? "scalar" : fault_.id; }
  ProbeResult Probe() override {
    ProbeResult result;
    result.available = true;
    result.version = "0.1.0";
    return result;
  }
  std::string Identity(const FileHasher& hash) override {
    static const std::string program = hash("/proc/self/exe");
    return fmt::format("scalar {} {} {} {}", fault_.id, fault_.layer, order_, program);
  }

  Capture Run(const Request& request) override {
    const Loaded& loaded = Load(request.model);
    const ScalarModel model = WithFault(loaded, fault_);
    if (fault_.layer >= static_cast<int>(model.h.n_layer)) {
      throw std::runtime_error(
          fmt::format("fault {}: found layer {}, expected 0 to {}", fault_.id, fault_.layer, model.h.n_layer - 1));
    }
    Capture capture;
    capture.request = request;
    capture.model = loaded.info;
    capture.tokens = Tokens(request, loaded, fault_);
    const auto piece = [&](int32_t id) { return loaded.tokenizer ? loaded.tokenizer->Piece(id) : std::string(); };
    for (const int32_t id : capture.tokens) capture.pieces.push_back(piece(id));

    std::optional<CaptureWriter> writer;
    std::optional<Sink> sink;
    if (request.trace != "none") {
      writer.emplace(NewDirectory());
      sink.emplace(request, &*writer);
    }
    const size_t n = capture.tokens.size(), n_vocab = model.h.n_vocab;
    const size_t asked = n + static_cast<size_t>(request.max_tokens);
    const size_t n_ctx = request.n_ctx > 0 ? static_cast<size_t>(request.n_ctx) : (asked + 255) / 256 * 256;
    const size_t cells = (n_ctx + 255) / 256 * 256;
    const size_t n_ubatch = std::min<size_t>(static_cast<size_t>(request.n_ubatch), n_ctx);
    const bitnet::ArithmeticOrder& order =
        order_.empty() ? bitnet::DefaultOrder(loaded.model) : bitnet::FindOrder(order_);
    ScalarEngine engine(model, order, cells, fault_, sink ? &*sink : nullptr);

    const size_t kept = request.positions > 0 ? std::min<size_t>(n, static_cast<size_t>(request.positions)) : n;
    const size_t step = request.schedule == Schedule::kBatch ? n_ubatch : 1;
    std::vector<float> logits;
    for (size_t first = 0; first < n; first += step) {
      const size_t count = std::min(step, n - first);
      const std::vector<float> rows = engine.Forward(std::span(capture.tokens).subspan(first, count));
      logits.insert(logits.end(), rows.begin(), rows.end());
    }
    capture.logits = {static_cast<int64_t>(kept), static_cast<int64_t>(n_vocab),
                      std::vector<float>(logits.begin(), logits.begin() + static_cast<ptrdiff_t>(kept * n_vocab))};
    Shapes& s = capture.shapes;
    for (const int keys : engine.keys_attended()) s.attends.push_back({{0, keys - 1}});
    capture.decode_logits.cols = static_cast<int64_t>(n_vocab);
    std::vector<float> last(logits.end() - static_cast<ptrdiff_t>(n_vocab), logits.end());
    for (int i = 0; i < request.max_tokens; ++i) {
      const int32_t token = Choose(last, fault_);
      capture.decode_logits.data.insert(capture.decode_logits.data.end(), last.begin(), last.end());
      ++capture.decode_logits.rows;
      capture.generated.push_back(token);
      capture.generated_pieces.push_back(piece(token));
      if (i + 1 == request.max_tokens) break;
      if (!request.ignore_eos && loaded.tokenizer && loaded.tokenizer->IsEndOfGeneration(token)) break;
      last = engine.Forward({&token, 1});
    }
    capture.backend = {.name = name(),
                       .version = "0.1.0",
                       .build = fmt::format("arithmetic of {}", order.name),
                       .simd = "none",
                       .threads = 1};
    s.n_ctx = static_cast<int>(n_ctx);
    s.n_ubatch = static_cast<int>(n_ubatch);
    s.kv_cells = static_cast<int>(cells);
    s.n_embd_k = s.n_embd_v = static_cast<int>(model.h.n_head_kv * model.h.n_embd_head);
    s.logits = {static_cast<int>(kept), static_cast<int>(n_vocab)};
    if (!writer) return capture;
    writer->Finish(capture);
    return ReadCapture(directories_.back());
  }

 private:
  std::string NewDirectory() {
    static int counter = 0;
    const auto path =
        std::filesystem::temp_directory_path() / fmt::format("bitnet-parity-scalar.{}.{}", getpid(), counter++);
    directories_.push_back(path.string());
    return directories_.back();
  }

  FaultSpec fault_;
  std::string order_;
  std::vector<std::string> directories_;
};

}  // namespace

std::span<const Fault> AllFaults() { return kFaults; }

std::unique_ptr<Backend> MakeFaultyBackend(const FaultSpec& fault, const std::string& order) {
  const auto known =
      std::find_if(std::begin(kFaults), std::end(kFaults), [&](const Fault& f) { return f.id == fault.id; });
  if (!fault.id.empty() && known == std::end(kFaults)) {
    throw std::runtime_error(fmt::format("fault '{}' is not known", fault.id));
  }
  if (!fault.id.empty() && known->in_layer != (fault.layer >= 0)) {
    throw std::runtime_error(fmt::format("fault {}: found layer {}, expected {}", fault.id, fault.layer,
                                         known->in_layer ? "one of the model's" : "none (-1)"));
  }
  return std::make_unique<FaultyBackend>(fault, order);
}

}  // namespace parity
