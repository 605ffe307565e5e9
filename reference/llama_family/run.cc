#include "reference/llama_family/run.h"

#include <fmt/format.h>

#include <chrono>
#include <climits>
#include <memory>
#include <optional>
#include <stdexcept>

#include "reference/capture/capture_writer.h"
#include "reference/engines/serve.h"
#include "reference/llama_family/api.h"
#include "reference/llama_family/observer.h"

namespace parity {
namespace {

class LlamaSession : public Session {
 public:
  LlamaSession(const Request& request, bool observe)
      : request_(request),
        observe_(observe),
        library_(LoadLibrary(request.cpu_variant)),
        model_(request.model, /*vocab_only=*/false, request.override_kv) {}
  ~LlamaSession() override { llama_batch_free(batch_); }
  LlamaSession(const LlamaSession&) = delete;
  LlamaSession& operator=(const LlamaSession&) = delete;

  int n_vocab() const override { return model_.n_vocab(); }
  std::vector<int32_t> Tokenize(const Request& request, std::vector<std::string>* notes) override {
    if (!request.tokenizer.empty()) {
      notes->push_back(
          fmt::format("{} tokenizes with the vocabulary in the GGUF file; the request's tokenizer file was not read",
                      api::kBackendName));
    }
    return model_.Tokenize(request.text, request.add_special, request.parse_special);
  }
  std::string Piece(int32_t id) const override { return model_.Piece(id); }
  bool IsEndOfGeneration(int32_t id) const override { return api::IsEndOfGeneration(model_.get(), id); }

  void Start(int n_ctx, int n_ubatch, CaptureWriter* writer) override {
    const int traced = request_.positions > 0 ? request_.positions : INT_MAX;
    observer_.emplace(request_.trace, request_.raw_tensors, traced, writer);
    context_.reset(api::NewContext(model_.get(), n_ctx, n_ubatch, request_.threads,
                                   observe_ ? &api::Watch<&Observer::Callback> : nullptr,
                                   observe_ ? &*observer_ : nullptr));
    if (!context_) {
      throw std::runtime_error(
          fmt::format("{}: no context of n_ctx {} and n_ubatch {} could be made; is there memory for it?",
                      api::kBackendName, n_ctx, n_ubatch));
    }
    batch_ = llama_batch_init(n_ubatch, 0, 1);
  }

  std::span<const float> Forward(std::span<const int32_t> tokens, bool is_prompt) override {
    batch_.n_tokens = static_cast<int32_t>(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) {
      batch_.token[i] = tokens[i];
      batch_.pos[i] = position_ + static_cast<int32_t>(i);
      batch_.n_seq_id[i] = 1;
      batch_.seq_id[i][0] = 0;
      batch_.logits[i] = 1;
    }
    observer_->Begin(position_, batch_.n_tokens, is_prompt);
    const int status = llama_decode(context_.get(), batch_);
    observer_->Rethrow();
    if (status != 0) {
      throw std::runtime_error(
          fmt::format("llama_decode gave {} for {} tokens at position {}", status, tokens.size(), position_));
    }
    position_ += batch_.n_tokens;
    // Of every token of the batch, in its order.
    const float* logits = llama_get_logits(context_.get());
    if (logits == nullptr) throw std::runtime_error(fmt::format("{}: no logits after a batch", api::kBackendName));
    return {logits, tokens.size() * static_cast<size_t>(n_vocab())};
  }

  void Describe(Capture* capture) const override {
    capture->backend = library_.Info(request_.threads);
    // Else at a multiple of 256. The sums over a row depend on it.
    if (observer_->kv_step() % 256 != 0) capture->backend.build += "; rows of scores end at 32 cells";
    capture->model = model_.Info();
    Shapes& s = capture->shapes;
    s.n_ctx = static_cast<int>(llama_n_ctx(context_.get()));
    s.kv_cells = observer_->kv_cells();
    s.n_embd_k = observer_->n_embd_k();
    s.n_embd_v = observer_->n_embd_v();
    s.attends = observer_->attends();
    if (observe_) {
      for (std::string& note : observer_->Notes()) capture->notes.push_back(std::move(note));
    } else {
      capture->notes.push_back("run without the evaluation callback: no KV shapes, no masks, no traces");
    }
  }

 private:
  struct FreeContext {
    void operator()(llama_context* context) const { api::FreeContext(context); }
  };

  const Request& request_;
  bool observe_;
  Library library_;
  Model model_;
  std::optional<Observer> observer_;
  std::unique_ptr<llama_context, FreeContext> context_;
  llama_batch batch_ = {};
  int32_t position_ = 0;
};

}  // namespace

void RunRequest(const Request& request, const std::string& directory, bool observe) {
  const auto start = std::chrono::steady_clock::now();
  LlamaSession session(request, observe);
  CaptureWriter writer(directory);
  writer.Finish(Serve(request, session, &writer, start));
}

}  // namespace parity
