#include "parity_tests/oracle/ternary.h"

#include <array>
#include <memory>
#include <stdexcept>

#include "engine/formats/format.h"

namespace parity {
namespace {

constexpr size_t kMostWeights = 256;  // of a block
using Codes = std::array<uint8_t, kMostWeights>;

const bitnet::TernaryBlock& TernaryOf(const ProductParameters& p) {
  const bitnet::Format& format = bitnet::FormatOf(p.w.type);
  if (format.ternary == nullptr || format.block_weights > kMostWeights) {
    throw std::logic_error("no ternary format of blocks of up to 256 weights");
  }
  return *format.ternary;
}

// Behind what is done to a block already.
void Then(ProductParameters& p, std::function<void(std::byte*)> change) {
  if (!p.read_block) {
    p.read_block = std::move(change);
    return;
  }
  p.read_block = [first = p.read_block, then = std::move(change)](std::byte* block) {
    first(block);
    then(block);
  };
}

}  // namespace

void ReadWithCodes(ProductParameters& p, const std::function<uint8_t(uint8_t)>& map) {
  std::array<uint8_t, 256> to;
  for (size_t code = 0; code < to.size(); ++code) to[code] = map(static_cast<uint8_t>(code));
  Then(p, [&ternary = TernaryOf(p), to](std::byte* block) {
    Codes codes = {};
    ternary.unpack(block, codes.data());
    for (uint8_t& code : codes) code = to[code];
    ternary.pack(codes.data(), block);
  });
}

void ReadInOrder(ProductParameters& p, const std::function<size_t(size_t i)>& from) {
  std::vector<uint16_t> order(bitnet::FormatOf(p.w.type).block_weights);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint16_t>(from(i));
  Then(p, [&ternary = TernaryOf(p), order = std::move(order)](std::byte* block) {
    Codes codes, read;
    ternary.unpack(block, codes.data());
    for (size_t i = 0; i < order.size(); ++i) read[i] = codes[order[i]];
    ternary.pack(read.data(), block);
  });
}

void ReadLinearly(ProductParameters& p) {
  Then(p, [&ternary = TernaryOf(p)](std::byte* block) {
    Codes codes;
    ternary.unpack_linear(block, codes.data());
    ternary.pack(codes.data(), block);
  });
}

void ReadWithoutScale(ProductParameters& p) {
  const bitnet::TernaryBlock& ternary = TernaryOf(p);
  p.w.scale = 1;
  if (ternary.scale_at >= 0) Then(p, [&ternary](std::byte* block) { SetBlockScale(ternary, 1.0f, block); });
}

}  // namespace parity
