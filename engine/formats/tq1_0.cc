#include "engine/formats/tq1_0.h"

#include <array>

namespace bitnet {
namespace {

// Weight first + bytes*n + m is trit n of byte first_byte + m.
struct TritSegment {
  int first, first_byte, bytes, trits;
};
constexpr std::array<TritSegment, 3> kTritSegments = {{{0, 0, 32, 5}, {160, 32, 16, 5}, {240, 48, 4, 4}}};
constexpr std::array<int, 5> kPow3 = {1, 3, 9, 27, 81};

// The byte is a fraction of 256; times 3^n, its whole part is dropped and the next trit is at the point.
uint8_t TritOf(uint8_t byte, int n) { return static_cast<uint8_t>((byte * kPow3[n] & 0xff) * 3 >> 8); }

}  // namespace

void BlockTQ1_0::Unpack(uint8_t* codes) const {
  for (const TritSegment& s : kTritSegments) {
    for (int n = 0; n < s.trits; ++n) {
      for (int m = 0; m < s.bytes; ++m) codes[s.first + n * s.bytes + m] = TritOf(trits[s.first_byte + m], n);
    }
  }
}

void BlockTQ1_0::UnpackLinear(uint8_t* codes) const {
  for (const TritSegment& s : kTritSegments) {
    for (int m = 0; m < s.bytes; ++m) {
      for (int n = 0; n < s.trits; ++n) codes[s.first + m * s.trits + n] = TritOf(trits[s.first_byte + m], n);
    }
  }
}

void BlockTQ1_0::Pack(const uint8_t* codes) {
  for (const TritSegment& s : kTritSegments) {
    for (int m = 0; m < s.bytes; ++m) {
      int number = 0;
      for (int n = 0; n < 5; ++n) number = number * 3 + (n < s.trits ? codes[s.first + n * s.bytes + m] : 0);
      trits[s.first_byte + m] = static_cast<uint8_t>((number * 256 + 242) / 243);
    }
  }
}

}  // namespace bitnet
