// The names of the stages of a forward pass, one vocabulary for every engine, and which of them a request traces.
//
//   TraceSelection selection("core,blk3/*");
//   if (selection.Wants("q_proj", 3)) ...
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_STAGES_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_STAGES_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

struct Stage {
  std::string_view name;
  bool in_layer;  // false: layer is -1
  bool core;      // part of the selection "core"
};

// Every stage, in the order in which a forward pass makes them.
std::span<const Stage> AllStages();

// Index into AllStages(), -1 for a name that is none.
int StageIndex(std::string_view name);

// "t0/blk0/attn_norm", or "t0/embeddings" for layer -1.
std::string TraceName(int seq, int layer, std::string_view stage);

class TraceSelection {
 public:
  // "none", "core", "full", or these and globs (`*`, `?`, `[..]`) separated by commas. A glob with a slash is matched
  // against "blk<layer>/<stage>", one without against the stage's name. Throws std::runtime_error on a glob that
  // matches no stage.
  explicit TraceSelection(const std::string& spec);

  bool Wants(std::string_view stage, int layer) const;
  bool empty() const { return patterns_.empty(); }

 private:
  std::vector<std::string> patterns_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_STAGES_H_
