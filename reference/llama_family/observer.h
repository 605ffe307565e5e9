// Watches the evaluation of a graph, node by node, through the library's own callback: records the traced tensors, what
// each position may attend to, and the shape of the KV cache.
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_OBSERVER_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_OBSERVER_H_

#include <exception>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reference/capture/capture_writer.h"
#include "reference/capture/trace_selection.h"

struct ggml_tensor;

namespace parity {

class Observer {
 public:
  // Tensors of the positions below `traced_positions` go to `writer`.
  Observer(const std::string& trace, bool raw_tensors, int traced_positions, CaptureWriter* writer);

  // The next evaluation is of `n_tokens` positions from `first` on.
  void Begin(int first, int n_tokens, bool is_prompt);

  // ggml_backend_sched_eval_callback; user_data is the Observer. An error stops the evaluation and is kept for Rethrow.
  static bool Callback(ggml_tensor* tensor, bool ask, void* user_data);
  void Rethrow() const;

  // Inclusive ranges of keys for each prompt position seen, from the mask of layer 0.
  const std::vector<std::vector<std::pair<int, int>>>& attends() const { return attends_; }
  // Cells of the K cache and numbers in a row of one layer; 0 before the first evaluation.
  int kv_cells() const { return kv_cells_; }
  // Of which number of cells each row of scores seen was a multiple.
  int kv_step() const { return kv_step_; }
  int n_embd_k() const { return n_embd_k_; }
  int n_embd_v() const { return n_embd_v_; }
  // What the engine's graph has and the stages do not, and the other way round.
  std::vector<std::string> Notes() const;

 private:
  bool Ask(const ggml_tensor* tensor);
  void Observe(const ggml_tensor* tensor);
  void ReadMask(const ggml_tensor* mask);
  void Record(const ggml_tensor* tensor, Point point, int layer, bool is_view);

  TraceSelection selection_;
  bool raw_tensors_;
  int traced_positions_;
  CaptureWriter* writer_;
  int first_ = 0;
  int n_tokens_ = 0;
  bool is_prompt_ = true;
  std::exception_ptr error_;
  std::vector<std::vector<std::pair<int, int>>> attends_;
  int kv_cells_ = 0;
  int kv_step_ = 0;
  int n_embd_k_ = 0;
  int n_embd_v_ = 0;
  std::set<std::pair<Point, int>> done_;  // (stage, layer) recorded in this evaluation
  std::set<Point> points_seen_;
  std::set<std::string> unknown_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_OBSERVER_H_
