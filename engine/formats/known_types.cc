#include "engine/formats/known_types.h"

#include <fmt/format.h>

#include <algorithm>

namespace bitnet {
namespace {

constexpr TypeOwner kLlama = TypeOwner::kLlamaCpp;
constexpr TypeOwner kOld = TypeOwner::kOldLlamaCpp;
constexpr TypeOwner kBitnet = TypeOwner::kBitnetCpp;
constexpr TypeOwner kIk = TypeOwner::kIkLlamaCpp;
constexpr TypeOwner kOther = TypeOwner::kOther;

// By number; see ggml.h and ggml.c of llama.cpp v0.5.0, of bitnet.cpp's two forks and of ik_llama.cpp (August 2026).
// What this engine runs is not repeated here.
constexpr TypeMeaning kKnownTypes[] = {
    {4, "Q4_2", kOld},
    {5, "Q4_3", kOld},
    {9, "Q8_1", kLlama, 32, 36},
    {15, "Q8_K", kLlama, 256, 292},
    {16, "IQ2_XXS", kLlama, 256, 66},
    {17, "IQ2_XS", kLlama, 256, 74},
    {18, "IQ3_XXS", kLlama, 256, 98},
    {19, "IQ1_S", kLlama, 256, 50},
    {20, "IQ4_NL", kLlama, 32, 18},
    {21, "IQ3_S", kLlama, 256, 110},
    {22, "IQ2_S", kLlama, 256, 82},
    {23, "IQ4_XS", kLlama, 256, 136},
    {24, "I8", kLlama, 1, 1},
    {25, "I16", kLlama, 1, 2},
    {26, "I32", kLlama, 1, 4},
    {27, "I64", kLlama, 1, 8},
    {28, "F64", kLlama, 1, 8},
    {29, "IQ1_M", kLlama, 256, 56},
    {31, "Q4_0_4_4", kOld, 32, 18},
    {32, "Q4_0_4_8", kOld, 32, 18},
    {33, "Q4_0_8_8", kOld, 32, 18},
    {36, "I2_S", kOther, 4, 1, 0, 0, "codes alone, with no scale behind them"},
    {36, "I2_S", kOther, 32, 10, 0, 0, "blocks of 32 weights in 10 bytes, each with its own F16 scale"},
    {36, "IQ4_NL_4_4", kOld, 32, 18},
    {37, "I8_S", kBitnet, 1, 1},
    {37, "IQ4_NL_4_8", kOld, 32, 18},
    {38, "TL1", kBitnet},
    {38, "IQ4_NL_8_8", kOld, 32, 18},
    {39, "MXFP4", kLlama, 32, 17},
    {39, "TL2", kBitnet},
    {40, "NVFP4", kLlama, 64, 36},
    {42, "Q2_0", kOther, 128, 34, 0, 0, "128 weights in 34 bytes"},
    {42, "TL2", kBitnet},
    {97, "Q8_0_X4", kIk, 32, 34},
    {98, "Q8_1_X4", kIk, 32, 36},
    {99, "Q8_2_X4", kIk, 32, 36},
    {133, "Q6_0", kIk, 32, 26},
    {134, "IQ1_BN", kIk, 64, 13, 2},
    {135, "IQ2_BN", kIk, 64, 16, 4},
    {136, "Q8_K64", kIk, 64, 68},
    {137, "IQ2_K", kIk, 256, 76},
    {138, "IQ3_K", kIk, 256, 110},
    {139, "IQ4_K", kIk, 256, 144},
    {140, "IQ5_K", kIk, 256, 176},
    {141, "IQ6_K", kIk, 256, 212},
    {142, "IQ2_TN", kIk},
    {142, "PQ2_0", kOther},
    {143, "IQ1_TN", kIk},
    {143, "PTQ1_0", kOther},
    {144, "IQ4_KS", kIk, 256, 136, 4},
    {145, "IQ2_KS", kIk, 256, 70, 2},
    {146, "IQ4_KSS", kIk, 256, 128, 4},
    {147, "Q8_K16", kIk, 64, 64, 20},
    {148, "Q8_K32", kIk, 256, 296},
    {149, "Q8_KR8", kIk, 256, 296},
    {150, "Q8_K128", kIk, 128, 140},
    {151, "Q8_KV", kIk, 32, 32, 8},
    {152, "IQ5_KS", kIk, 256, 168, 4},
    {153, "IQ2_KT", kIk, 256, 68, 4},
    {154, "IQ3_KT", kIk, 256, 100, 4},
    {155, "IQ4_KT", kIk, 256, 128, 4},
    {156, "IQ3_KS", kIk, 256, 102, 2},
    {157, "IQ2_KL", kIk, 256, 86, 2},
    {158, "IQ1_KT", kIk, 256, 56, 4},
    {202, "Q4_0_R8", kIk, 32, 18},
    {206, "Q5_0_R4", kIk, 32, 22},
    {208, "Q8_0_R8", kIk, 32, 34},
    {210, "Q2_K_R4", kIk, 256, 84},
    {211, "Q3_K_R4", kIk, 256, 110},
    {212, "Q4_K_R4", kIk, 256, 144},
    {213, "Q5_K_R4", kIk, 256, 176},
    {214, "Q6_K_R4", kIk, 256, 210},
    {216, "IQ2_XXS_R4", kIk, 256, 66},
    {217, "IQ2_XS_R4", kIk, 256, 74},
    {218, "IQ3_XXS_R4", kIk, 256, 98},
    {219, "IQ1_S_R4", kIk, 32, 6, 2},
    {220, "IQ4_NL_R4", kIk, 32, 18},
    {221, "IQ3_S_R4", kIk, 256, 110},
    {222, "IQ2_S_R4", kIk, 256, 82},
    {223, "IQ4_XS_R8", kIk, 256, 136},
    {229, "IQ1_M_R4", kIk, 32, 7, 2},
    {230, "BF16_R16", kIk, 1, 2},
    {233, "Q6_0_R4", kIk, 32, 26},
    {335, "IQ2_BN_R4", kIk, 64, 16, 4},
    {337, "IQ2_K_R4", kIk, 256, 76},
    {338, "IQ3_K_R4", kIk, 256, 110},
    {339, "IQ4_K_R4", kIk, 256, 144},
    {340, "IQ5_K_R4", kIk, 256, 176},
    {344, "IQ4_KS_R4", kIk, 256, 136, 4},
    {352, "IQ5_KS_R4", kIk, 256, 168, 4},
    {353, "MXFP4_R8", kIk, 32, 17},
    {397, "Q8_K_R16", kIk, 256, 258},
    {398, "Q8_KV_R8", kIk, 32, 32, 4},
    {399, "Q8_K_R8", kIk, 256, 258},
};

}  // namespace

std::vector<TypeMeaning> MeaningsOf(TensorType type) {
  std::vector<TypeMeaning> meanings;
  if (const Format* own = FindFormat(type)) {
    meanings.push_back({.number = static_cast<uint32_t>(type),
                        .name = own->name,
                        .block_weights = own->block_weights,
                        .block_bytes = own->block_bytes,
                        .tensor_extra = own->tensor_extra});
  }
  std::copy_if(std::begin(kKnownTypes), std::end(kKnownTypes), std::back_inserter(meanings),
               [type](const TypeMeaning& m) { return m.number == static_cast<uint32_t>(type); });
  return meanings;
}

std::optional<size_t> BytesOf(const TypeMeaning& m, uint64_t rows, uint64_t cols) {
  if (m.block_weights == 0 || cols % m.block_weights != 0) return std::nullopt;
  size_t bytes = 0;
  const bool overflow = __builtin_mul_overflow(cols / m.block_weights, m.block_bytes, &bytes) ||
                        __builtin_add_overflow(bytes, m.row_extra, &bytes) ||
                        __builtin_mul_overflow(bytes, rows, &bytes) ||
                        __builtin_add_overflow(bytes, m.tensor_extra, &bytes);
  if (overflow) return std::nullopt;
  return bytes;
}

std::string NameOf(const TypeMeaning& m) {
  return m.layout.empty() ? std::string(m.name) : fmt::format("{} ({})", m.name, m.layout);
}

std::string_view RemedyFor(TypeOwner owner) {
  switch (owner) {
    case TypeOwner::kThisEngine:
      return "this engine runs it";
    case TypeOwner::kLlamaCpp:
      return "llama.cpp writes and runs it; quantize the original again with llama-quantize, to a type that this "
             "engine multiplies with";
    case TypeOwner::kOldLlamaCpp:
      return "an older llama.cpp wrote it, and today's refuses it; convert the original model again";
    case TypeOwner::kBitnetCpp:
      return "bitnet.cpp writes it, for the machine and the model that it was built for; convert the original with its "
             "setup_env.py -q i2_s";
    case TypeOwner::kIkLlamaCpp:
      return "ik_llama.cpp writes and runs it; quantize the original with llama.cpp's llama-quantize";
    case TypeOwner::kOther:
      return "another engine's layout under a number that others use; get the file as TQ2_0, or convert the original";
  }
  return "";
}

}  // namespace bitnet
