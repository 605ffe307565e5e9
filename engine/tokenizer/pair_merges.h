// The merging step of byte-pair encoding.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_PAIR_MERGES_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_PAIR_MERGES_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace bitnet {

// Merges the neighbours whose pair has the lowest rank, the leftmost of equals first, until no neighbours are a pair.
class PairMerges {
 public:
  struct Symbol {
    int32_t id;              // kMerged once merged into the one before it
    int32_t previous, next;  // -1 at the ends
  };
  static constexpr int32_t kMerged = -1;

  // The first rank of a pair counts.
  void Add(int32_t left, int32_t right, int32_t rank, int32_t result) {
    merges_.try_emplace(Key(left, right), Result{rank, result});
  }
  void Reserve(size_t n) { merges_.reserve(n); }

  // `symbols` are chained in their order. O(n log n).
  void Merge(std::vector<Symbol>* symbols) const;

 private:
  struct Result {
    int32_t rank, id;
  };
  struct Candidate {
    int32_t rank;
    int32_t left, right;  // indices of symbols
    int32_t left_id, right_id;

    // The queue's order: lowest rank first, then leftmost.
    bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };

  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  void Consider(int32_t left, int32_t right, const std::vector<Symbol>& symbols, std::vector<Candidate>* queue) const;

  std::unordered_map<uint64_t, Result> merges_;
};

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_PAIR_MERGES_H_
