#include "reference/llama_family/run.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <memory>
#include <span>
#include <stdexcept>

#include "reference/capture/capture_writer.h"
#include "reference/llama_family/observer.h"
#include PARITY_ENGINE_API

namespace parity {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

int64_t PeakRss() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

std::vector<int32_t> PromptTokens(const Request& request, const Model& model, std::vector<std::string>* notes) {
  if (!request.token_ids) {
    if (!request.tokenizer.empty()) {
      notes->push_back(
          fmt::format("{} tokenizes with the vocabulary in the GGUF file; the request's tokenizer file was not read",
                      api::kBackendName));
    }
    return model.Tokenize(request.text, request.add_special, request.parse_special);
  }
  for (size_t i = 0; i < request.token_ids->size(); ++i) {
    const int32_t id = (*request.token_ids)[i];
    if (id < 0 || id >= model.n_vocab()) {
      throw std::runtime_error(
          fmt::format("request: token_ids[{}]: found {}, expected an id below n_vocab ({})", i, id, model.n_vocab()));
    }
  }
  return *request.token_ids;
}

int ContextSize(const Request& request, size_t n_tokens) {
  const int64_t needed = static_cast<int64_t>(n_tokens) + request.max_tokens;
  if (request.n_ctx > 0) {
    if (needed <= request.n_ctx) return request.n_ctx;
    throw std::runtime_error(fmt::format("request: n_ctx: found {}, but {} prompt tokens and {} to generate need {}",
                                         request.n_ctx, n_tokens, request.max_tokens, needed));
  }
  if (needed > INT32_MAX - 256)
    throw std::runtime_error(fmt::format("request: max_tokens: {} positions are too many", needed));
  return static_cast<int>((std::max<int64_t>(needed, 1) + 255) / 256 * 256);
}

// The first of the largest.
int32_t ArgMax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

class Session {
 public:
  Session(const Model& model, const Request& request, int n_ctx, Observer* observer)
      : model_(model),
        observer_(observer),
        n_ubatch_(std::min(request.n_ubatch, n_ctx)),
        context_(api::NewContext(model.get(), n_ctx, n_ubatch_, request.threads,
                                 observer ? &Observer::Callback : nullptr, observer),
                 &api::FreeContext),
        batch_(llama_batch_init(n_ubatch_, 0, 1)) {
    if (!context_) {
      throw std::runtime_error(
          fmt::format("{}: no context of n_ctx {} and n_ubatch {} could be made; is there memory for it?",
                      api::kBackendName, n_ctx, n_ubatch_));
    }
  }
  ~Session() { llama_batch_free(batch_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int n_ubatch() const { return n_ubatch_; }
  int n_ctx() const { return static_cast<int>(llama_n_ctx(context_.get())); }

  // Evaluates `tokens` as one batch behind what was evaluated before, with logits of every position.
  void Evaluate(std::span<const int32_t> tokens, bool is_prompt) {
    batch_.n_tokens = static_cast<int32_t>(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) {
      batch_.token[i] = tokens[i];
      batch_.pos[i] = position_ + static_cast<int32_t>(i);
      batch_.n_seq_id[i] = 1;
      batch_.seq_id[i][0] = 0;
      batch_.logits[i] = 1;
    }
    if (observer_) observer_->Begin(position_, batch_.n_tokens, is_prompt);
    const int status = llama_decode(context_.get(), batch_);
    if (observer_) observer_->Rethrow();
    if (status != 0) {
      throw std::runtime_error(
          fmt::format("llama_decode gave {} for {} tokens at position {}", status, tokens.size(), position_));
    }
    position_ += batch_.n_tokens;
  }

  // Row i of the last evaluation, n_vocab numbers.
  std::span<const float> Logits(int i) const {
    const float* row = llama_get_logits_ith(context_.get(), i);
    if (!row) throw std::runtime_error(fmt::format("no logits for row {} of the batch", i));
    return {row, static_cast<size_t>(model_.n_vocab())};
  }

 private:
  const Model& model_;
  Observer* observer_;
  int n_ubatch_;
  std::unique_ptr<llama_context, decltype(&api::FreeContext)> context_;
  llama_batch batch_;
  int32_t position_ = 0;
};

void AppendRow(std::span<const float> row, Matrix* matrix) {
  matrix->data.insert(matrix->data.end(), row.begin(), row.end());
  ++matrix->rows;
}

}  // namespace

void RunRequest(const Request& request, const std::string& directory, bool observe) {
  const auto load_start = Clock::now();
  const Library library = LoadLibrary(request.cpu_variant);
  const Model model(request.model, /*vocab_only=*/false);

  CaptureWriter writer(directory);
  Capture capture;
  capture.request = request;
  capture.backend = library.Info(request.threads);
  capture.model = model.Info();
  capture.tokens = PromptTokens(request, model, &capture.notes);
  for (int32_t token : capture.tokens) capture.pieces.push_back(model.Piece(token));
  const int n_tokens = static_cast<int>(capture.tokens.size());
  const int n_ctx = ContextSize(request, capture.tokens.size());
  const int n_rows = request.positions > 0 ? std::min(request.positions, n_tokens) : n_tokens;
  capture.logits.cols = capture.decode_logits.cols = model.n_vocab();
  capture.logits.data.reserve(static_cast<size_t>(n_rows) * static_cast<size_t>(model.n_vocab()));

  Observer observer(request.trace, request.raw_tensors, request.positions > 0 ? request.positions : INT_MAX, &writer);
  Session session(model, request, n_ctx, observe ? &observer : nullptr);
  capture.timings.load_ms = MillisecondsSince(load_start);

  const auto prompt_start = Clock::now();
  const int step = request.schedule == Schedule::kBatch ? session.n_ubatch() : 1;
  std::vector<float> last;
  for (int first = 0; first < n_tokens; first += step) {
    const int n = std::min(step, n_tokens - first);
    session.Evaluate(std::span(capture.tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(n)),
                     /*is_prompt=*/true);
    for (int i = 0; i < n && first + i < n_rows; ++i) AppendRow(session.Logits(i), &capture.logits);
    const auto row = session.Logits(n - 1);
    last.assign(row.begin(), row.end());
  }
  capture.timings.prompt_ms = MillisecondsSince(prompt_start);

  const auto decode_start = Clock::now();
  for (int i = 0; i < request.max_tokens && n_tokens > 0; ++i) {
    const int32_t token = ArgMax(last);
    AppendRow(last, &capture.decode_logits);
    capture.generated.push_back(token);
    capture.generated_pieces.push_back(model.Piece(token));
    if (i + 1 == request.max_tokens || (!request.ignore_eos && api::IsEndOfGeneration(model.get(), token))) break;
    session.Evaluate(std::span(&token, 1), /*is_prompt=*/false);
    const auto row = session.Logits(0);
    last.assign(row.begin(), row.end());
  }
  capture.timings.decode_ms = MillisecondsSince(decode_start);
  capture.timings.peak_rss_bytes = PeakRss();

  capture.shapes.n_ctx = session.n_ctx();
  capture.shapes.n_ubatch = session.n_ubatch();
  capture.shapes.kv_cells = observer.kv_cells();
  capture.shapes.n_embd_k = observer.n_embd_k();
  capture.shapes.n_embd_v = observer.n_embd_v();
  capture.shapes.logits = {n_rows, model.n_vocab()};
  capture.shapes.attends = observer.attends();
  if (observe) {
    for (std::string& note : observer.Notes()) capture.notes.push_back(std::move(note));
  } else {
    capture.notes.push_back("run without the evaluation callback: no KV shapes, no masks, no traces");
  }
  if (n_tokens == 0) capture.notes.push_back("the prompt has no tokens: nothing was evaluated");
  writer.Finish(capture);
}

}  // namespace parity
