#include "parity_tests/harness/oracle_backend.h"

#include <fmt/format.h>

#include <optional>
#include <stdexcept>

#include "engine/model/model.h"
#include "parity_tests/harness/capture_sink.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "parity_tests/mistakes/mistake.h"
#include "parity_tests/oracle/pass.h"
#include "reference/engines/in_process_backend.h"

namespace parity {
namespace {

constexpr const char* kVersion = PARITY_VERSION;

class OracleSession : public Session {
 public:
  OracleSession(const Request& request, const OracleSpec& spec, const Mistake* mistake)
      : request_(request),
        spec_(spec),
        mistake_(mistake),
        loaded_(LoadModel(SourceOf(request))),
        order_(OrderNamed(spec.order, loaded_->model)),
        tokenizer_(LoadTokenizer(request, DialectOf(order_))) {
    if (spec.layer >= static_cast<int>(h().n_layer)) {
      throw std::runtime_error(
          fmt::format("mistake {}: found layer {}, expected 0 to {}", spec.mistake, spec.layer, h().n_layer - 1));
    }
    if (spec.kernels) {
      arithmetic_ = std::make_unique<KernelArithmetic>(h(), order_, static_cast<size_t>(request.threads));
    } else {
      arithmetic_ = std::make_unique<ScalarArithmetic>(h(), order_);
    }
  }

  int n_vocab() const override { return static_cast<int>(h().n_vocab); }
  std::vector<int32_t> Tokenize(const Request& request, std::vector<std::string>*) override {
    return tokenizer_->Encode(request.text,
                              {.add_special = request.add_special, .parse_special = request.parse_special});
  }
  std::string Piece(int32_t id) const override { return tokenizer_ ? tokenizer_->Piece(id) : ""; }
  bool IsEndOfGeneration(int32_t id) const override { return tokenizer_ && tokenizer_->IsEndOfGeneration(id); }

  void EditPrompt(std::vector<int32_t>* ids) override {
    if (mistake_ == nullptr || mistake_->tokens == nullptr) return;
    // Ids that the request gives are past the tokenizer.
    const bool text = !request_.token_ids;
    const std::vector<int32_t> right = *ids;
    const std::vector<TokenChange> changes = mistake_->tokens({.request = request_,
                                                               .right = right,
                                                               .tokenizer = text ? tokenizer_.get() : nullptr,
                                                               .file = text ? &loaded_->model.file : nullptr});
    if (!changes.empty()) *ids = changes.front().ids;
  }
  int32_t Choose(std::span<const float> logits) override {
    return mistake_ != nullptr && mistake_->choose != nullptr ? mistake_->choose(logits) : Session::Choose(logits);
  }

  void Start(int n_ctx, int, CaptureWriter* writer) override {
    if (writer != nullptr && request_.trace != "none") sink_.emplace(request_, writer);
    n_cells_ = (static_cast<size_t>(n_ctx) + 255) / 256 * 256;
    PassOptions options{.n_cells = n_cells_, .change = {}, .trace = sink_ ? &*sink_ : nullptr};
    options.change = [this](Point point, int layer, Parameters& p) {
      if (mistake_ != nullptr && mistake_->changes != nullptr) MakeMistake(point, layer, p);
      if (spec_.change) spec_.change(loaded_->model, point, layer, p);
    };
    pass_.emplace(loaded_->model, *arithmetic_, std::move(options));
  }
  std::span<const float> Forward(std::span<const int32_t> tokens, bool) override {
    logits_ = pass_->Forward(tokens);
    return logits_;
  }
  void Describe(Capture* capture) const override {
    capture->backend = {.name = spec_.mistake.empty() ? "scalar" : spec_.mistake,
                        .version = kVersion,
                        .build = fmt::format("arithmetic of {}", order_.name),
                        .simd = "none",
                        .threads = 1};
    capture->model = loaded_->info;
    Shapes& s = capture->shapes;
    s.kv_cells = static_cast<int>(n_cells_);
    s.n_embd_k = s.n_embd_v = static_cast<int>(h().n_head_kv * h().n_embd_head);
    for (size_t i = 0; i < capture->tokens.size(); ++i) {
      s.attends.push_back({{pass_->first_key()[i], pass_->keys_attended()[i] - 1}});
    }
  }

 private:
  const bitnet::Hyperparameters& h() const { return loaded_->model.hyperparameters; }

  void MakeMistake(Point point, int layer, Parameters& p) const {
    const PointSet& made_in = mistake_->made_in.empty() ? mistake_->points : mistake_->made_in;
    if ((layer != spec_.layer && spec_.layer != OracleSpec::kEveryLayer) || !made_in.Has(point)) return;
    const std::vector<Change> changes = mistake_->changes({loaded_->model, point, layer, 0});
    if (!changes.empty()) changes.front().apply(p);
  }

  const Request& request_;
  const OracleSpec& spec_;
  const Mistake* mistake_;
  std::shared_ptr<const LoadedModel> loaded_;
  const bitnet::ArithmeticOrder& order_;
  std::shared_ptr<const bitnet::Tokenizer> tokenizer_;
  std::unique_ptr<Arithmetic> arithmetic_;
  std::optional<CaptureSink> sink_;
  std::optional<Pass> pass_;
  size_t n_cells_ = 0;
  Values logits_;
};

class OracleBackend : public InProcessBackend {
 public:
  OracleBackend(OracleSpec spec, const Mistake* mistake) : spec_(std::move(spec)), mistake_(mistake) {}

  std::string name() const override { return spec_.mistake.empty() ? "scalar" : spec_.mistake; }
  ProbeResult Probe() override {
    ProbeResult result;
    result.available = true;
    result.version = kVersion;
    return result;
  }
  std::string Identity(const FileHasher& hash) override {
    static const std::string program = hash("/proc/self/exe");
    if (spec_.change) throw std::logic_error("an oracle with a change has no name under which captures may be kept");
    return fmt::format("oracle {} {} {} {} {}", spec_.mistake, spec_.layer, spec_.order, spec_.kernels, program);
  }

 protected:
  std::unique_ptr<Session> Open(const Request& request) override {
    return std::make_unique<OracleSession>(request, spec_, mistake_);
  }

 private:
  OracleSpec spec_;
  const Mistake* mistake_;
};

const Mistake* MistakeOf(const OracleSpec& spec) {
  if (spec.mistake.empty()) return nullptr;
  for (const Mistake& mistake : AllMistakes()) {
    if (mistake.id != spec.mistake) continue;
    if (mistake.changes == nullptr && mistake.tokens == nullptr && mistake.choose == nullptr) break;
    if (mistake.InLayer() == (spec.layer != -1)) return &mistake;
    throw std::runtime_error(fmt::format("mistake {}: found layer {}, expected {}", spec.mistake, spec.layer,
                                         mistake.InLayer() ? "one of the model's" : "none (-1)"));
  }
  throw std::runtime_error(fmt::format("'{}' is not a mistake that the oracle can make", spec.mistake));
}

}  // namespace

std::unique_ptr<Backend> MakeOracleBackend(const OracleSpec& spec) {
  return std::make_unique<OracleBackend>(spec, MistakeOf(spec));
}

}  // namespace parity
