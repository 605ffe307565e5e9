#include "parity_tests/oracle/ternary.h"

#include "engine/formats/format.h"

namespace parity {
namespace {

using bitnet::Format;
using bitnet::WeightMatrix;

// A copy of the matrix whose blocks `change` has seen.
template <typename Change>
ProductParameters Changed(const WeightMatrix& w, Change change) {
  const Format& format = bitnet::FormatOf(w.type);
  std::vector<std::byte> bytes(w.data, w.data + bitnet::TensorBytes(w.type, w.rows, w.cols));
  for (size_t b = 0; b < w.rows * w.cols / format.block_weights; ++b) {
    change(format, bytes.data() + b * format.block_bytes);
  }
  ProductParameters own;
  own.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  own.w = w;
  own.w.data = own.bytes->data();
  return own;
}

}  // namespace

ProductParameters WithCodes(const WeightMatrix& w, const std::function<uint8_t(uint8_t)>& map) {
  return Changed(w, [&](const Format& format, std::byte* block) {
    std::vector<uint8_t> codes(format.block_weights);
    format.ternary->unpack(block, codes.data());
    for (uint8_t& code : codes) code = map(code);
    format.ternary->pack(codes.data(), block);
  });
}

ProductParameters WithOrder(const WeightMatrix& w, const std::function<size_t(size_t i)>& from) {
  return Changed(w, [&](const Format& format, std::byte* block) {
    std::vector<uint8_t> codes(format.block_weights), read(format.block_weights);
    format.ternary->unpack(block, codes.data());
    for (size_t i = 0; i < read.size(); ++i) read[i] = codes[from(i)];
    format.ternary->pack(read.data(), block);
  });
}

ProductParameters ReadLinearly(const WeightMatrix& w) {
  return Changed(w, [](const Format& format, std::byte* block) {
    std::vector<uint8_t> codes(format.block_weights);
    format.ternary->unpack_linear(block, codes.data());
    format.ternary->pack(codes.data(), block);
  });
}

ProductParameters WithoutScale(const WeightMatrix& w) {
  ProductParameters own = Changed(w, [](const Format& format, std::byte* block) {
    if (format.ternary->scale_at >= 0) SetBlockScale(*format.ternary, 1.0f, block);
  });
  own.w.scale = 1.0f;
  return own;
}

}  // namespace parity
