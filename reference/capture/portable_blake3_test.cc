// Test vectors of BLAKE3: the input is bytes 0, 1, ... 250, 0, 1, ...
#include <blake3.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

// Given in pieces of 1, 2, 3, ... bytes.
std::string HashOfPattern(size_t size) {
  std::vector<uint8_t> input(size);
  for (size_t i = 0; i < size; ++i) input[i] = static_cast<uint8_t>(i % 251);
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  for (size_t at = 0, piece = 1; at < size; at += piece, ++piece) {
    blake3_hasher_update(&hasher, input.data() + at, std::min(piece, size - at));
  }
  uint8_t hash[BLAKE3_OUT_LEN];
  blake3_hasher_finalize(&hasher, hash, sizeof hash);
  std::string hex;
  for (const uint8_t byte : hash) hex += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return hex;
}

// The published test vectors, by the length of their input.
constexpr std::pair<size_t, const char*> kVectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
    {64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"},
    {65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
    {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
    {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
};

TEST(PortableBlake3, GivesTheTestVectors) {
  for (const auto& [n, hash] : kVectors) EXPECT_EQ(HashOfPattern(n), hash) << n;
}

}  // namespace
