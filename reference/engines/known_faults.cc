#include "reference/engines/known_faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace parity {
namespace {

// bitnet.cpp stands on another llama.cpp since July 2026, whose list of features has REPACK.
constexpr std::string_view kSinceJuly2026 = "since July 2026", kUpToJuly2026 = "up to July 2026";
constexpr std::string_view kNew = "REPACK = ";

constexpr KnownFault kFaults[] = {
    {.id = "bitnet.cpp#588",
     .engine = "bitnet.cpp",
     .versions = kSinceJuly2026,
     .has = kNew,
     .architecture = "bitnet-b1.58",
     .point = Point::kFfnAct,
     .mistake = "activation_function",
     .way = "SiLU in place of squared ReLU",
     .what = "computes ffn_act with SiLU where bitnet-b1.58 asks for squared ReLU",
     .link = "https://github.com/microsoft/BitNet/issues/588"},
    {.id = "bitnet.cpp-zero-row",
     .engine = "bitnet.cpp",
     .versions = kSinceJuly2026,
     .has = kNew,
     .what =
         "divides by the scale of a row of activations, which is 0 where the row is: an I2_S product of zeros is NaN, "
         "and so is the rest of its batch"},
    {.id = "bitnet.cpp#585",
     .engine = "bitnet.cpp",
     .versions = kSinceJuly2026,
     .has = kNew,
     .has_too = "NEON = 1",
     .what = "is reported to read I2_S files of x86 in blocks of 64 on ARM, where they have blocks of 128",
     .link = "https://github.com/microsoft/BitNet/issues/585"},
    {.id = "bitnet.cpp-narrow-sums",
     .engine = "bitnet.cpp",
     .versions = kUpToJuly2026,
     .has = "AVX2 = 1",
     .lacks = kNew,
     .mistake = "narrow_sums",
     .way = "16 sums of 16 bits for 4096 weights, which wrap (AVX2)",
     .what = "adds I2_S products in 16 bits over up to 32 blocks, which can wrap where activations are large"},
    {.id = "bitnet.cpp-arm-blocks",
     .engine = "bitnet.cpp",
     .versions = kUpToJuly2026,
     .has = "NEON = 1",
     .lacks = kNew,
     .mistake = "weights_block_order",
     .way = "blocks of 128 in 32 bytes read as blocks of 64 in 16 bytes (ARM)",
     .what = "reads every I2_S file in ARM's blocks of 64, and those made on x86 have blocks of 128",
     .link = "https://github.com/microsoft/BitNet/issues/585"},
    {.id = "bitnet.cpp-arm-narrow-sums",
     .engine = "bitnet.cpp",
     .versions = kUpToJuly2026,
     .has = "NEON = 1",
     .lacks = kNew,
     .mistake = "narrow_sums",
     .way = "8 sums of 16 bits for 2048 weights, which wrap (ARM without the dot product)",
     .what = "adds I2_S products in 16 bits over up to 32 blocks where it is built without the int8 dot product"},
    {.id = "bitnet.cpp-arm-batch",
     .engine = "bitnet.cpp",
     .versions = kUpToJuly2026,
     .has = "NEON = 1",
     .lacks = kNew,
     .what =
         "leaves three positions of an I2_S product unwritten where it is built with the int8 dot product and a batch "
         "has 4 to 7 positions more than a multiple of 8"},
    {.id = "bitnet.cpp-tl1-memory",
     .engine = "bitnet.cpp",
     .versions = kUpToJuly2026,
     .has = "TL1 = 1",
     .lacks = kNew,
     .what =
         "writes beyond the memory that it reserves for a TL1 product (15 bytes an activation, where it takes 16), and "
         "has no TL1 product of a batch: crashes, hangs, NaN"},
    {.id = "bitnet.cpp-tl2-batch",
     .engine = "bitnet.cpp",
     .versions = kUpToJuly2026,
     .has = "TL2 = 1",
     .lacks = kNew,
     .what = "writes eight positions and more of a TL2 product into one: a batch of that length is garbage",
     .link = "https://github.com/microsoft/BitNet/pull/521"},
};

}  // namespace

std::span<const KnownFault> AllKnownFaults() { return kFaults; }

std::string Describe(const KnownFault& fault) {
  return fmt::format("{} ({}, {}){}{}", fault.what, fault.id, fault.versions, fault.link.empty() ? "" : ": ",
                     fault.link);
}

std::vector<KnownFault> KnownFaultsOf(const BackendInfo& backend) {
  std::vector<KnownFault> faults;
  std::copy_if(std::begin(kFaults), std::end(kFaults), std::back_inserter(faults),
               [&backend](const KnownFault& fault) { return fault.Of(backend); });
  return faults;
}

}  // namespace parity
