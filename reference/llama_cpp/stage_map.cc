#include "reference/llama_cpp/stage_map.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace parity {
namespace {

struct Entry {
  std::string_view base;
  std::string_view stage;  // "": internal
};

constexpr Entry kEntries[] = {
    {"embd", "embeddings"},
    {"inp_embd", "embeddings"},
    {"attn_norm", "attn_norm"},
    {"Vcur", "v_proj"},
    {"kq", "attn_scores"},
    {"kq_soft_max", "attn_scores_softmax"},
    {"kq_soft_max_ext", "attn_scores_softmax"},
    {"kqv_out", "attn_out"},
    {"attn_sub_norm", "attn_sub_norm"},
    {"attn_out", "attn_o_proj"},
    {"attn_o_out", "attn_o_proj"},
    {"ffn_inp", "ffn_inp"},
    {"ffn_norm", "ffn_norm"},
    {"ffn_gate", "ffn_gate"},
    {"ffn_up", "ffn_up"},
    // A bias or a scale behind the product: the later node is the stage's value.
    {"ffn_gate_b", "ffn_gate"},
    {"ffn_gate_s", "ffn_gate"},
    {"ffn_up_b", "ffn_up"},
    {"ffn_up_s", "ffn_up"},
    {"ffn_down_s", "ffn_down"},
    {"ffn_sub_out", "ffn_act"},
    {"ffn_swiglu", "ffn_act"},
    {"ffn_gate_par", "ffn_act"},
    {"ffn_sub_norm", "ffn_sub_norm"},
    {"ffn_down", "ffn_down"},
    {"ffn_out", "ffn_down"},
    {"l_out", "layer_out"},
    {"result_norm", "output_norm"},
    {"result_output", "logits"},
    // Halves of an operation.
    {"norm", ""},
    {"norm_w", ""},
    {"wqkv", ""},
    {"kqv", ""},
    {"kqv_merged", ""},
    {"kqv_merged_cont", ""},
    {"v_cont", ""},
    {"ffn_silu", ""},
    {"ffn_relu", ""},
    {"ffn_sqr(relu)", ""},
    // Inputs, and the way into the KV cache.
    {"inp_tokens", ""},
    {"inp_pos", ""},
    {"inp_out_ids", ""},
    {"KQ_mask", ""},
    {"self_kq_mask", ""},
    {"k", ""},
    {"q", ""},
    {"v", ""},
    {"k_cache_view", ""},
    {"v_cache_view", ""},
    {"v_cur_t", ""},
};

bool IsAnyOf(std::string_view value, std::initializer_list<std::string_view> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

NodeName ParseNodeName(std::string_view name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size() || name.size() - dash > 7) {
    return {std::string(name), -1};
  }
  int layer = 0;
  for (char c : name.substr(dash + 1)) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return {std::string(name), -1};
    layer = layer * 10 + (c - '0');
  }
  return {std::string(name.substr(0, dash)), layer};
}

MappedNode MapNode(const NodeName& name, std::string_view op) {
  const bool is_view = IsAnyOf(op, {"VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"});
  if (name.base == "Qcur" || name.base == "Kcur") {
    const bool is_q = name.base == "Qcur";
    if (op == "ROPE") return {NodeKind::kStage, is_q ? "q_rope" : "k_rope", false};
    return {NodeKind::kStage, is_q ? "q_proj" : "k_proj", is_view};
  }
  // The product ffn_down; in bitnet.cpp's b1.58 graph, the activation times ffn_up.
  if (name.base == "ffn_out" && IsAnyOf(op, {"GLU", "MUL"})) return {NodeKind::kStage, "ffn_act", false};
  for (const Entry& entry : kEntries) {
    if (name.base != entry.base) continue;
    if (entry.stage.empty()) return {NodeKind::kInternal, "", false};
    return {NodeKind::kStage, std::string(entry.stage), is_view};
  }
  // Views carry the name of what they view, and a word in parentheses; writes into the cache are copies.
  if (is_view || IsAnyOf(op, {"NONE", "CPY", "SET_ROWS", "CONT", "DUP"})) return {NodeKind::kInternal, "", is_view};
  // Without a name of its own: picking the rows whose logits are wanted.
  if (name.base.starts_with("node_") && op == "GET_ROWS") return {NodeKind::kInternal, "", false};
  return {};
}

}  // namespace parity
