#include "engine/trace/trace.h"

namespace bitnet {

std::string_view StageName(Stage stage) {
  static constexpr std::string_view kNames[kStageCount] = {"embeddings", "attn_norm",     "q_proj",
                                                           "k_proj",     "v_proj",        "q_rope",
                                                           "k_rope",     "attn_scores",   "attn_scores_softmax",
                                                           "attn_out",   "attn_sub_norm", "attn_o_proj",
                                                           "ffn_inp",    "ffn_norm",      "ffn_gate",
                                                           "ffn_up",     "ffn_act",       "ffn_sub_norm",
                                                           "ffn_down",   "layer_out",     "output_norm",
                                                           "logits"};
  return kNames[static_cast<int>(stage)];
}

}  // namespace bitnet
