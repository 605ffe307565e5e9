#include "reference/llama_family/node_map.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace parity {
namespace {

struct Entry {
  std::string_view base;
  Point point;  // kUnknown: internal
};

constexpr char kWeightEnd[] = ".weight";

constexpr Entry kEntries[] = {
    {"embd", Point::kEmbeddings},
    {"inp_embd", Point::kEmbeddings},
    {"inp_scaled", Point::kEmbeddings},
    {"attn_norm", Point::kAttnNorm},
    {"Vcur", Point::kVProj},
    {"Qcur_normed", Point::kQNorm},
    {"Kcur_normed", Point::kKNorm},
    {"kq", Point::kAttnScores},
    {"kq_soft_max", Point::kAttnScoresSoftmax},
    {"kq_soft_max_ext", Point::kAttnScoresSoftmax},
    {"kqv_merged_cont", Point::kAttnOut},
    {"kqv_out", Point::kAttnOut},
    {"attn_sub_norm", Point::kAttnSubNorm},
    {"attn_out", Point::kAttnOProj},
    {"attn_o_out", Point::kAttnOProj},
    {"attn_post_norm", Point::kAttnPostNorm},
    {"ffn_inp", Point::kFfnInp},
    {"sa_out", Point::kFfnInp},
    {"ffn_norm", Point::kFfnNorm},
    {"ffn_gate", Point::kFfnGate},
    {"ffn_up", Point::kFfnUp},
    // A bias or a scale behind the product: the later node is the stage's value.
    {"kqv_wo", Point::kAttnOProj},
    {"ffn_gate_b", Point::kFfnGate},
    {"ffn_gate_s", Point::kFfnGate},
    {"ffn_up_b", Point::kFfnUp},
    {"ffn_up_s", Point::kFfnUp},
    {"ffn_down_s", Point::kFfnDown},
    {"ffn_sub_out", Point::kFfnAct},
    {"ffn_swiglu", Point::kFfnAct},
    {"ffn_geglu", Point::kFfnAct},
    {"ffn_gate_par", Point::kFfnAct},
    {"ffn_sub_norm", Point::kFfnSubNorm},
    {"ffn_down", Point::kFfnDown},
    {"ffn_out", Point::kFfnDown},
    {"ffn_post_norm", Point::kFfnPostNorm},
    {"l_out", Point::kLayerOut},
    {"result_norm", Point::kOutputNorm},
    {"result_output", Point::kLogits},
    // Halves of an operation.
    {"norm", Point::kUnknown},
    {"norm_w", Point::kUnknown},
    {"wqkv", Point::kUnknown},
    {"kqv", Point::kUnknown},
    {"kqv_merged", Point::kUnknown},
    {"v_cont", Point::kUnknown},
    {"ffn_silu", Point::kUnknown},
    {"ffn_relu", Point::kUnknown},
    {"ffn_sqr(relu)", Point::kUnknown},
    // Inputs, and the way into the KV cache.
    {"inp_tokens", Point::kUnknown},
    {"inp_pos", Point::kUnknown},
    {"inp_out_ids", Point::kUnknown},
    {"KQ_mask", Point::kUnknown},
    {"self_kq_mask", Point::kUnknown},
    {"k", Point::kUnknown},
    {"q", Point::kUnknown},
    {"v", Point::kUnknown},
    {"k_cache_view", Point::kUnknown},
    {"v_cache_view", Point::kUnknown},
    {"v_cur_t", Point::kUnknown},
};

bool IsAnyOf(std::string_view value, std::initializer_list<std::string_view> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

NodeName ParseNodeName(std::string_view name) {
  constexpr std::string_view kLayer = "blk.";
  if (name.starts_with(kLayer) && name.ends_with(kWeightEnd)) {
    int layer = -1;
    const auto [end, error] = std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), layer);
    if (error == std::errc() && *end == '.') return {std::string(end + 1, name.data() + name.size()), layer};
  }
  for (const std::string_view cache : {"cache_k", "cache_v"}) {
    int layer = -1;
    if (!name.starts_with(cache) || !name.substr(cache.size()).starts_with("_l")) continue;
    const char* digits = name.data() + cache.size() + 2;
    const auto [end, error] = std::from_chars(digits, name.data() + name.size(), layer);
    if (error == std::errc() && end == name.data() + name.size()) return {std::string(cache), layer};
  }
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
    if (op == "ROPE") return {NodeKind::kPoint, is_q ? Point::kQRope : Point::kKRope, false};
    return {NodeKind::kPoint, is_q ? Point::kQProj : Point::kKProj, is_view};
  }
  // Two operations of one name: what attention gives, or, where the projection follows at once, that; the product
  // ffn_down, or in b1.58 graphs of 2025 the activation times ffn_up.
  if (name.base == "kqv_out" && IsAnyOf(op, {"MUL_MAT", "SCALE", "ADD"}))
    return {NodeKind::kPoint, Point::kAttnOProj, false};
  if (name.base == "ffn_out" && IsAnyOf(op, {"GLU", "MUL", "FUSED_MUL_UNARY"}))
    return {NodeKind::kPoint, Point::kFfnAct, false};
  // In ik_llama.cpp's b1.58 graph what enters the norm has the norm's name.
  if (name.base == "ffn_norm" && op == "ADD") return {NodeKind::kPoint, Point::kFfnInp, false};
  for (const bitnet::PointInfo& p : bitnet::kGraph) {
    const bool product = p.op == bitnet::Op::kProduct && IsAnyOf(op, {"MUL_MAT", "SCALE"});
    const bool norm = p.op == bitnet::Op::kNorm && op == "FUSED_RMS_NORM";
    if (!product && !norm) continue;
    if (name.base == std::string(InfoOf(p.weight).name) + kWeightEnd) return {NodeKind::kPoint, p.point, false};
  }
  for (const Entry& entry : kEntries) {
    if (name.base != entry.base) continue;
    if (entry.point == Point::kUnknown) return {NodeKind::kInternal, Point::kUnknown, false};
    return {NodeKind::kPoint, entry.point, is_view};
  }
  // Views carry the name of what they view, and a word in parentheses; writes into the cache are copies.
  if (is_view || IsAnyOf(op, {"NONE", "CPY", "SET_ROWS", "CONT", "DUP"}))
    return {NodeKind::kInternal, Point::kUnknown, is_view};
  // Without a name of its own: picking the rows whose logits are wanted; a product whose scale has the name; queries
  // scaled in the place of their scores.
  if (name.base.starts_with("node_") && IsAnyOf(op, {"GET_ROWS", "MUL_MAT", "SCALE"}))
    return {NodeKind::kInternal, Point::kUnknown, false};
  return {};
}

}  // namespace parity
