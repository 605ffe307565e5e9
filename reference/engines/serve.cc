#include "reference/engines/serve.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <stdexcept>

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

std::vector<int32_t> PromptIds(const Request& request, Session& session, std::vector<std::string>* notes) {
  std::vector<int32_t> ids = request.token_ids ? *request.token_ids : session.Tokenize(request, notes);
  for (size_t i = 0; request.token_ids && i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < session.n_vocab()) continue;
    throw std::runtime_error(fmt::format("request: token_ids[{}]: found {}, expected an id below n_vocab ({})", i,
                                         ids[i], session.n_vocab()));
  }
  session.EditPrompt(&ids);
  return ids;
}

void AppendRow(std::span<const float> row, Matrix* matrix) {
  matrix->data.insert(matrix->data.end(), row.begin(), row.end());
  ++matrix->rows;
}

// The prompt, by the request's schedule. Returns the logits of its last position.
std::vector<float> RunPrompt(const Request& request, Session& session, Capture* capture) {
  const size_t n = capture->tokens.size(), n_vocab = static_cast<size_t>(session.n_vocab());
  const size_t kept = request.positions > 0 ? std::min(n, static_cast<size_t>(request.positions)) : n;
  const size_t step = request.schedule == Schedule::kBatch ? static_cast<size_t>(capture->shapes.n_ubatch) : 1;
  capture->logits.data.reserve(kept * n_vocab);
  std::vector<float> last;
  for (size_t first = 0; first < n; first += step) {
    const size_t count = std::min(step, n - first);
    const std::span<const float> rows =
        session.Forward(std::span(capture->tokens).subspan(first, count), /*is_prompt=*/true);
    for (size_t i = 0; i < count && first + i < kept; ++i) {
      AppendRow(rows.subspan(i * n_vocab, n_vocab), &capture->logits);
    }
    const std::span<const float> row = rows.subspan((count - 1) * n_vocab, n_vocab);
    last.assign(row.begin(), row.end());
  }
  return last;
}

// Greedy tokens after a prompt that is not empty; `last`: the logits of its last position.
void Decode(const Request& request, Session& session, std::vector<float> last, Capture* capture) {
  for (int i = 0; i < request.max_tokens; ++i) {
    const int32_t token = session.Choose(last);
    AppendRow(last, &capture->decode_logits);
    capture->generated.push_back(token);
    capture->generated_pieces.push_back(session.Piece(token));
    if (i + 1 == request.max_tokens || (!request.ignore_eos && session.IsEndOfGeneration(token))) break;
    const std::span<const float> row = session.Forward({&token, 1}, /*is_prompt=*/false);
    last.assign(row.begin(), row.end());
  }
}

}  // namespace

int32_t Greedy(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best] || (logits[best] != logits[best] && logits[i] == logits[i])) best = i;
  }
  return static_cast<int32_t>(best);
}

Capture Serve(const Request& request, Session& session, CaptureWriter* writer, Clock::time_point start) {
  Capture capture;
  capture.request = request;
  capture.tokens = PromptIds(request, session, &capture.notes);
  for (const int32_t id : capture.tokens) capture.pieces.push_back(session.Piece(id));
  Shapes& shapes = capture.shapes;
  shapes.n_ctx = ContextSize(request, capture.tokens.size());
  shapes.n_ubatch = std::min(request.n_ubatch, shapes.n_ctx);
  capture.logits.cols = capture.decode_logits.cols = session.n_vocab();
  session.Start(shapes.n_ctx, shapes.n_ubatch, writer);
  capture.timings.load_ms = MillisecondsSince(start);

  const Clock::time_point prompt_start = Clock::now();
  std::vector<float> last = RunPrompt(request, session, &capture);
  capture.timings.prompt_ms = MillisecondsSince(prompt_start);
  const Clock::time_point decode_start = Clock::now();
  if (!last.empty()) Decode(request, session, std::move(last), &capture);
  capture.timings.decode_ms = MillisecondsSince(decode_start);
  capture.timings.peak_rss_bytes = PeakRss();

  shapes.logits = {static_cast<int>(capture.logits.rows), session.n_vocab()};
  session.Describe(&capture);
  if (capture.tokens.empty()) capture.notes.push_back("the prompt has no tokens: nothing was evaluated");
  return capture;
}

}  // namespace parity
