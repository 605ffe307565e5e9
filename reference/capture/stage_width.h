// How many numbers a stage's tensor has at one position.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_STAGE_WIDTH_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_STAGE_WIDTH_H_

#include <cstdint>
#include <string_view>

namespace parity {

// Of a model; -1 where it is not known.
struct ModelWidths {
  int64_t n_embd = -1;
  int64_t q = -1;   // n_head * n_embd_head
  int64_t kv = -1;  // n_head_kv * n_embd_head
  int64_t n_ff = -1;
  int64_t n_vocab = -1;
};

// attn_scores and attn_scores_softmax have a number for each head and key attended, not told here: -1.
inline int64_t StageWidth(std::string_view stage, const ModelWidths& model) {
  if (stage == "attn_scores" || stage == "attn_scores_softmax") return -1;
  if (stage == "logits") return model.n_vocab;
  if (stage == "k_proj" || stage == "k_rope" || stage == "v_proj") return model.kv;
  if (stage.starts_with("q_") || stage == "attn_out" || stage == "attn_sub_norm") return model.q;
  const bool inside_ffn = stage == "ffn_gate" || stage == "ffn_up" || stage == "ffn_act" || stage == "ffn_sub_norm";
  return inside_ffn ? model.n_ff : model.n_embd;
}

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_STAGE_WIDTH_H_
