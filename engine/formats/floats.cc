#include "engine/formats/floats.h"

#include <cstring>

#include "engine/formats/half.h"

namespace bitnet {
namespace {

void DecodeHalves(std::span<const std::byte> row, std::span<float> out, float (*decode)(uint16_t)) {
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, row.data() + 2 * i, 2);
    out[i] = decode(bits);
  }
}

void EncodeHalves(std::span<const float> row, std::span<std::byte> out, uint16_t (*encode)(float)) {
  for (size_t i = 0; i < row.size(); ++i) {
    const uint16_t bits = encode(row[i]);
    std::memcpy(out.data() + 2 * i, &bits, 2);
  }
}

}  // namespace

void DecodeF32(std::span<const std::byte> row, float, std::span<float> out) {
  if (!out.empty()) std::memcpy(out.data(), row.data(), row.size());
}
void EncodeF32(std::span<const float> row, float, std::span<std::byte> out) {
  if (!row.empty()) std::memcpy(out.data(), row.data(), out.size());
}
void DecodeF16(std::span<const std::byte> row, float, std::span<float> out) { DecodeHalves(row, out, F32FromF16); }
void EncodeF16(std::span<const float> row, float, std::span<std::byte> out) { EncodeHalves(row, out, F16FromF32); }
void DecodeBF16(std::span<const std::byte> row, float, std::span<float> out) { DecodeHalves(row, out, F32FromBf16); }
void EncodeBF16(std::span<const float> row, float, std::span<std::byte> out) { EncodeHalves(row, out, Bf16FromF32); }

}  // namespace bitnet
