/* Of BLAKE3's C API what hash.cc calls, for machines where the official code is not found: slower, the same hashes. */
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_PORTABLE_BLAKE3_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_PORTABLE_BLAKE3_H_

#include <stddef.h>
#include <stdint.h>

#define BLAKE3_OUT_LEN 32

struct blake3_hasher {
  uint32_t stack[54][8]; /* chaining values of whole subtrees, the largest first */
  uint32_t cv[8];        /* of the chunk that is being read */
  uint8_t block[64];
  uint64_t chunk;
  uint8_t in_stack, in_block, blocks;
};

void blake3_hasher_init(blake3_hasher* self);
void blake3_hasher_update(blake3_hasher* self, const void* input, size_t size);
void blake3_hasher_finalize(const blake3_hasher* self, uint8_t* out, size_t size); /* size: at most BLAKE3_OUT_LEN */

#endif /* BITNET_PARITY_REFERENCE_CAPTURE_PORTABLE_BLAKE3_H_ */
