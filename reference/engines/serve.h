// Serves a request: the one loop that every engine of this project runs in, whether it is linked into the program or
// into a runner.
//
//   class MySession : public Session { ... };
//   MySession session(...);                                  // the model is loaded
//   CaptureWriter writer("out");
//   writer.Finish(Serve(request, session, &writer, start));
#ifndef BITNET_PARITY_REFERENCE_ENGINES_SERVE_H_
#define BITNET_PARITY_REFERENCE_ENGINES_SERVE_H_

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "reference/capture/capture.h"
#include "reference/capture/capture_writer.h"

namespace parity {

// The first of the largest logits. NaN is passed over (0 where there is nothing else): the capture holds the row, and
// the judge names it.
int32_t Greedy(std::span<const float> logits);

// One sequence of tokens through a loaded model, as Serve drives it.
class Session {
 public:
  virtual ~Session() = default;

  virtual int n_vocab() const = 0;
  // The ids of request.text; `notes` takes what the engine wants said about them. Not called for a request of ids.
  virtual std::vector<int32_t> Tokenize(const Request& request, std::vector<std::string>* notes) = 0;
  virtual std::string Piece(int32_t id) const = 0;
  virtual bool IsEndOfGeneration(int32_t id) const = 0;

  // Called once, before the first Forward, also where the prompt is empty. The tensors that the request traces go to
  // `writer`; nullptr: nothing is traced.
  virtual void Start(int n_ctx, int n_ubatch, CaptureWriter* writer) = 0;
  // Runs `tokens` as one batch after all that ran before. Returns the logits of every one of them, [tokens, n_vocab],
  // which stay valid until the next call. All rows are asked for even where few are kept: engines round a head of one
  // row otherwise than one of many.
  virtual std::span<const float> Forward(std::span<const int32_t> tokens, bool is_prompt) = 0;
  // Fills in backend, model, and of the shapes the KV cache and what each prompt position attended, as observed; adds
  // notes. n_ctx and n_ubatch are those that Start was given, unless the engine changed them.
  virtual void Describe(Capture* capture) const = 0;

  // For engines that are wrong on purpose: what becomes of the prompt's ids, and of a row of logits.
  virtual void EditPrompt(std::vector<int32_t>* ids) {}
  virtual int32_t Choose(std::span<const float> logits) { return Greedy(logits); }
};

// The prompt by the request's schedule, then greedy tokens. `start`: when the loading of the model began. Throws
// std::runtime_error where an id is outside the vocabulary or n_ctx is too small, and whatever the session throws. A
// prompt without tokens evaluates and generates nothing.
Capture Serve(const Request& request, Session& session, CaptureWriter* writer,
              std::chrono::steady_clock::time_point start);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_SERVE_H_
