#include "parity_tests/suites/not_exact_faults.h"

namespace parity {
namespace {

using bitnet::Point;

constexpr const char* kTernary = "tq2_0 i2_s";

constexpr NotExactFault kFaults[] = {
    {"embedding_scaled", Point::kEmbeddings, "embedding_scaled", false},
    {"embedding_next_row", Point::kEmbeddings, "embedding_row", false},
    {"epsilon_outside", Point::kAttnNorm, "norm_epsilon_outside"},
    {"epsilon_small", Point::kAttnNorm, "norm_epsilon"},
    {"norm_sum", Point::kAttnNorm, "norm_divisor"},
    {"norm_n_minus_1", Point::kFfnNorm, "norm_divisor"},
    {"norm_of_wrong_tensor", Point::kFfnNorm, "norm_wrong_input"},
    {"norm_gamma", Point::kAttnNorm, "norm_wrong_gamma"},
    {"sub_norm_missing", Point::kFfnSubNorm, "sub_norm_skipped"},
    {"attn_sub_norm_gamma", Point::kAttnSubNorm, "norm_gamma_missing"},
    {"output_norm_missing", Point::kOutputNorm, "norm_skipped", false},
    {"rope_layout", Point::kQRope, "rope_layout"},
    {"rope_base", Point::kQRope, "rope_base"},
    {"rope_half", Point::kQRope, "rope_part"},
    {"rope_first_head", Point::kQRope, "rope_part"},
    {"rope_negative", Point::kQRope, "rope_angle"},
    {"rope_k_position", Point::kKRope, "rope_position_off_by_one"},
    {"rope_decode_position", Point::kQRope, "rope_position_off_by_one"},
    {"rope_twice", Point::kKRope, "rope_angle"},
    {"gqa_modulo", Point::kAttnScores, "gqa_mapping"},
    {"v_head", Point::kAttnOut, "gqa_mapping"},
    {"k_stride", Point::kAttnScores, "k_stride"},
    {"k_stale", Point::kAttnScores, "kv_not_stored"},
    {"softmax_scale", Point::kAttnScoresSoftmax, "softmax_scale"},
    {"softmax_scale_n", Point::kAttnScoresSoftmax, "softmax_scale"},
    {"softmax_sum", Point::kAttnScoresSoftmax, "softmax_sum"},
    {"mask_future", Point::kAttnScores, "mask_missing"},
    {"mask_self", Point::kAttnScores, "mask_off_by_one"},
    {"window", Point::kAttnScoresSoftmax, "attention_window"},
    {"residual_missing", Point::kFfnInp, "residual"},
    {"residual_twice", Point::kFfnInp, "residual"},
    {"residual_tail", Point::kFfnInp, "residual"},
    {"residual_element", Point::kLayerOut, "residual"},
    {"activation", Point::kFfnAct, "activation_function"},
    {"gelu", Point::kFfnAct, "activation_function"},
    {"gate_up_swapped", Point::kFfnAct, "gate_up_swapped"},
    {"wrong_layer", Point::kFfnDown, "weights_of_another_layer"},
    {"kv_swapped", Point::kKProj, "wrong_tensor"},
    {"weight_scale_missing", Point::kQProj, "weights_scale_dropped", true, kTernary},
    {"weight_scale_of_q", Point::kKProj, "weights_scale_misused", true, kTernary},
    {"code_order", Point::kFfnGate, "weights_block_order", true, kTernary},
    {"code_blocks_of_256", Point::kQProj, "weights_linear_order", true, kTernary},
    {"weight_scales_missing", Point::kQProj, "weights_scale_dropped", true, kTernary},
    {"code_map", Point::kAttnOProj, "weights_code_map", true, kTernary},
    {"weight_row_missing", Point::kFfnUp, nullptr},
    {"quantize_truncate", Point::kQProj, "quantized_by_truncation", true, kTernary},
    {"quantize_128", Point::kQProj, "quantized_scale", true, kTernary},
    {"quantize_045", Point::kQProj, "quantized_rounding", true, kTernary},
    {"quantize_signed_max", Point::kQProj, "quantized_scale", true, kTernary},
    {"quantize_first_row", Point::kQProj, nullptr, true, kTernary},
    {"batch_last_row", Point::kFfnDown, nullptr},
    {"head_last_row", Point::kLogits, "neighbouring_row", false},
    {"logits_capped", Point::kLogits, "logits_changed", false},
};

}  // namespace

std::span<const NotExactFault> NotExactFaults() { return kFaults; }

}  // namespace parity
