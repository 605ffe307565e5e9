// From the BLAKE3 paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: section 2). Words are little-endian on any machine.
#include "reference/capture/portable/blake3.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace {

using Words = std::array<uint32_t, 16>;

constexpr uint32_t kStart[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
constexpr int kOrder[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
constexpr uint32_t kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8;
constexpr size_t kBlock = 64, kBlocksOfChunk = 16;

void Mix(Words& v, int a, int b, int c, int d, uint32_t x, uint32_t y) {
  v[a] += v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] += v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

void Compress(const uint32_t* cv, Words m, uint64_t counter, uint32_t size, uint32_t flags, uint32_t* out) {
  Words v = {cv[0],
             cv[1],
             cv[2],
             cv[3],
             cv[4],
             cv[5],
             cv[6],
             cv[7],
             kStart[0],
             kStart[1],
             kStart[2],
             kStart[3],
             static_cast<uint32_t>(counter),
             static_cast<uint32_t>(counter >> 32),
             size,
             flags};
  for (int round = 0; round < 7; ++round) {
    for (int i = 0; i < 4; ++i) Mix(v, i, i + 4, i + 8, i + 12, m[2 * i], m[2 * i + 1]);
    for (int i = 0; i < 4; ++i) {
      Mix(v, i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12, m[8 + 2 * i], m[9 + 2 * i]);
    }
    Words next;
    for (int i = 0; i < 16; ++i) next[i] = m[kOrder[i]];
    m = next;
  }
  for (int i = 0; i < 8; ++i) out[i] = v[i] ^ v[i + 8];
}

Words Load(const uint8_t* p) {
  Words m;
  for (int i = 0; i < 16; ++i, p += 4) {
    m[i] = p[0] | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
  }
  return m;
}

void Join(const uint32_t* left, const uint32_t* right, uint32_t flags, uint32_t* out) {
  Words m;
  std::copy_n(left, 8, m.begin());
  std::copy_n(right, 8, m.begin() + 8);
  Compress(kStart, m, 0, kBlock, kParent | flags, out);
}

// The block that is full, or the last one.
void EndBlock(const blake3_hasher& h, uint32_t flags, uint32_t* out) {
  uint8_t block[kBlock] = {};
  std::memcpy(block, h.block, h.in_block);
  Compress(h.cv, Load(block), h.chunk, h.in_block, flags | (h.blocks == 0 ? kChunkStart : 0), out);
}

void StartChunk(blake3_hasher* h, uint64_t chunk) {
  std::copy_n(kStart, 8, h->cv);
  h->chunk = chunk;
  h->in_block = h->blocks = 0;
}

}  // namespace

void blake3_hasher_init(blake3_hasher* self) {
  self->in_stack = 0;
  StartChunk(self, 0);
}

void blake3_hasher_update(blake3_hasher* self, const void* input, size_t size) {
  const auto* from = static_cast<const uint8_t*>(input);
  while (size > 0) {
    // What is full is closed when more comes: the last block of all is closed otherwise.
    if (self->in_block == kBlock) {
      const bool chunk_ends = self->blocks + 1u == kBlocksOfChunk;
      EndBlock(*self, chunk_ends ? kChunkEnd : 0, self->cv);
      ++self->blocks;
      self->in_block = 0;
      if (chunk_ends) {
        const uint64_t chunks = self->chunk + 1;
        for (uint64_t left = chunks; left % 2 == 0; left /= 2) {
          Join(self->stack[--self->in_stack], self->cv, 0, self->cv);
        }
        std::copy_n(self->cv, 8, self->stack[self->in_stack++]);
        StartChunk(self, chunks);
      }
    }
    const size_t taken = std::min(size, kBlock - self->in_block);
    std::memcpy(self->block + self->in_block, from, taken);
    self->in_block = static_cast<uint8_t>(self->in_block + taken);
    from += taken;
    size -= taken;
  }
}

void blake3_hasher_finalize(const blake3_hasher* self, uint8_t* out, size_t size) {
  uint32_t cv[8];
  size_t left = self->in_stack;
  EndBlock(*self, kChunkEnd | (left == 0 ? kRoot : 0), cv);
  while (left > 0) {
    --left;
    Join(self->stack[left], cv, left == 0 ? kRoot : 0, cv);
  }
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(cv[i / 4] >> (8 * (i % 4)));
}
