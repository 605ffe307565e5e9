#include <fmt/format.h>

#include <stdexcept>

#include "parity_tests/diagnose/diagnosis.h"

namespace parity {
namespace {

constexpr KnownCause kCauses[] = {
    {"bos_twice", "the prompt starts with BOS twice: template and tokenizer both write it",
     "format with add_special off where the template writes BOS"},
    {"bos_missing", "BOS is missing in front of the prompt", "read tokenizer.ggml.add_bos_token, and add BOS"},
    {"ids_shifted", "token ids are shifted by a constant",
     "number the vocabulary as the file does: special tokens count, and the first id is 0"},
    {"prompt_template", "another prompt template was applied",
     "give both engines the text in one template; try --prompt-template raw"},
    {"pre_tokenizer", "words are split by another pre-tokenizer's expression", "obey tokenizer.ggml.pre"},
    {"weights_linear_order", "ternary codes are read in linear, not in interleaved order",
     "read a byte's four codes 32 weights apart (engine/gguf/quants.h has the layouts)"},
    {"weights_scale_dropped", "the scale of ternary weights is not applied",
     "multiply by the block's F16 scale (TQ1_0, TQ2_0) or by the tensor's float32 behind the codes (I2_S)"},
    {"weights_codes_swapped", "the codes 0 and 2 are exchanged", "codes 0, 1, 2 are -1, 0, +1"},
    {"norm_subtracts_mean", "the norm subtracts the mean: LayerNorm where the model has RMSNorm",
     "y = x / sqrt(mean(x^2) + eps) * gamma, with no mean taken off"},
    {"norm_gamma_rescaled", "gamma is rescaled by sqrt(n_embd)",
     "use gammas as they are: small ones (RMS 0.02) are how such models are trained"},
    {"norm_epsilon", "another epsilon in the norm", "read {architecture}.attention.layer_norm_rms_epsilon"},
    {"norm_gamma_zero", "a gamma of all zeros: the tensor was not loaded",
     "check the tensor's name and that it is read"},
    {"norm_gamma_missing", "gamma is not applied", "multiply the normed values by gamma"},
    {"sub_norm_skipped", "a sub-norm is left out",
     "norm the input of attn_output (attn_sub_norm) and of ffn_down (ffn_sub_norm)"},
    {"rope_layout", "RoPE pairs other elements than this architecture does",
     "bitnet: element i with i + n_rot/2 (NeoX); llama: 2i with 2i + 1 (interleaved)"},
    {"rope_base", "RoPE has another frequency base", "read {architecture}.rope.freq_base"},
    {"rope_position_off_by_one", "RoPE rotates by a neighbouring position", "count positions from 0"},
    {"rope_missing", "RoPE is not applied", "rotate Q and K"},
    {"k_not_rotated", "keys are cached before they are rotated", "rotate K, then store it"},
    {"gqa_mapping", "query heads read the wrong key head", "query head i reads key head i / (n_head / n_head_kv)"},
    {"k_stride", "a key head advances by the wrong number of values", "a row of K is n_head_kv * head_dim wide"},
    {"kv_wrong_cell", "K and V rows are in the wrong cells", "check the cell that a new row is written to"},
    {"kv_not_cleared", "rows of an earlier prompt are still attended", "clear the cache between prompts"},
    {"mask_off_by_one", "the causal mask is off by one", "the query at position i attends the keys 0 to i"},
    {"mask_missing", "the causal mask is missing", "the query at position i attends the keys 0 to i"},
    {"softmax_scale", "scores are not scaled by 1/sqrt(head_dim)", "multiply the scores by 1/sqrt(head_dim)"},
    {"activation_function", "another activation function: SiLU and squared ReLU exchanged",
     "bitnet takes SiLU; bitnet-b1.58 and bitnet-25 take squared ReLU"},
    {"gate_up_swapped", "ffn_gate and ffn_up are exchanged", "the activation is applied to the gate"},
    {"wrong_tensor", "another tensor of the layer is multiplied", "check the tensors' names"},
    {"quantized_per_tensor", "activations are quantized with one scale for the whole batch",
     "a scale for each row (I2_S) or block of 256 (TQ1_0, TQ2_0)"},
    {"quantized_by_truncation", "activations are truncated to int8", "round to the nearest, ties to even"},
    {"activations_not_quantized", "activations are not rounded to int8, as the references round them for these weights",
     "nothing, if that is meant: compare by profile cosine, or with an F32 model; else quantize them"},
    {"head_not_tied", "the head does not use token_embd", "without output.weight, the head is token_embd"},
    {"scaled_by_constant", "the output is the right one times a constant",
     "look for a scale applied twice or not at all"},
    {"permuted", "the output holds the right numbers in another order", "check the order of rows, heads or blocks"},
    {"argmax_last", "of equal logits the last is taken", "take the first of equals"},
    {"uninitialized", "the engine answers the same request in two ways: memory that was never set, or a race",
     "run it under a memory checker; compare two runs' traces"},
    {"rounding", "rounding: no mistake is proven, and figures differ a little everywhere",
     "round where the reference rounds (docs/exactness.md), or judge with --profile cosine beside --noise"},
};

}  // namespace

std::span<const KnownCause> KnownCauses() { return kCauses; }

const KnownCause& FindCause(std::string_view id) {
  for (const KnownCause& cause : kCauses) {
    if (cause.id == id) return cause;
  }
  throw std::logic_error(fmt::format("'{}' is no known cause", id));
}

}  // namespace parity
