// The names of the stages of a forward pass, one vocabulary for every engine, and which of them a request traces.
//
//   TraceSelection selection("core,blk3/*");
//   if (selection.Wants("q_proj", 3)) ...
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_STAGES_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_STAGES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

struct TraceStage {
  std::string_view name;
  bool in_layer;  // false: layer is -1
  bool core;      // part of the selection "core"
};

// Every stage, in the order in which a forward pass makes them.
std::span<const TraceStage> AllStages();

// Index into AllStages(), -1 for a name that is none.
int StageIndex(std::string_view name);

// "t0/blk0/attn_norm", or "t0/embeddings" for layer -1.
std::string TraceName(int seq, int layer, std::string_view stage);

class TraceSelection {
 public:
  // "none", "core", "full", or these and globs (`*`, `?`, `[..]`) separated by commas. A glob with a slash is matched
  // against "blk<layer>/<stage>", one without against the stage's name. Filters may follow (or stand alone, which means
  // "full"), separated by semicolons, each a list with commas:
  //
  //   core;seq=0-3;layer=0,5-7;stage=attn_*
  //
  // seq and layer: numbers and inclusive ranges (layer -1: outside the layers); stage: globs. Throws std::runtime_error
  // that shows the syntax on anything else, and on a glob that matches no stage.
  explicit TraceSelection(const std::string& spec);

  bool Wants(std::string_view stage, int layer) const;           // at some position
  bool Wants(std::string_view stage, int layer, int seq) const;  // at this one
  bool WantsSeq(int seq) const { return Within(seqs_, seq); }
  bool empty() const { return stages_ == 0 && patterns_.empty(); }

 private:
  struct Range {
    int first;
    int last;
  };
  static bool Within(const std::vector<Range>& ranges, int value);
  void AddStages(const std::string& part, const std::string& spec);
  void AddFilter(const std::string& part, const std::string& spec);

  uint32_t stages_ = 0;                // bit i: AllStages()[i] in every layer
  std::vector<std::string> patterns_;  // globs over "blk<layer>/<stage>"
  uint32_t stage_filter_ = ~0u;        // bit i: AllStages()[i] is let through
  std::vector<Range> layers_;          // empty: all
  std::vector<Range> seqs_;            // empty: all
};

// "core" or "full" and a filter as one specification: ("core", "seq=0-3") is "core;seq=0-3".
std::string JoinTraceSpec(const std::string& stages, const std::string& filter);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_STAGES_H_
