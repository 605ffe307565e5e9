#include "engine/tokenizer/pair_merges.h"

#include <algorithm>

namespace bitnet {

void PairMerges::Merge(std::vector<Symbol>* symbols) const {
  std::vector<Candidate> queue;
  const auto length = static_cast<int32_t>(symbols->size());
  for (int32_t i = 1; i < length; ++i) Consider(i - 1, i, *symbols, &queue);
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const Candidate best = queue.back();
    queue.pop_back();
    Symbol& left = (*symbols)[static_cast<size_t>(best.left)];
    Symbol& right = (*symbols)[static_cast<size_t>(best.right)];
    if (left.id != best.left_id || right.id != best.right_id) continue;  // one of them was merged meanwhile
    left.id = merges_.find(Key(left.id, right.id))->second.id;
    left.next = right.next;
    right.id = kMerged;
    if (left.next >= 0) (*symbols)[static_cast<size_t>(left.next)].previous = best.left;
    Consider(left.previous, best.left, *symbols, &queue);
    Consider(best.left, left.next, *symbols, &queue);
  }
}

void PairMerges::Consider(int32_t left, int32_t right, const std::vector<Symbol>& symbols,
                          std::vector<Candidate>* queue) const {
  if (left < 0 || right < 0) return;
  const int32_t left_id = symbols[static_cast<size_t>(left)].id, right_id = symbols[static_cast<size_t>(right)].id;
  const auto found = merges_.find(Key(left_id, right_id));
  if (found == merges_.end()) return;
  queue->push_back({found->second.rank, left, right, left_id, right_id});
  std::push_heap(queue->begin(), queue->end());
}

}  // namespace bitnet
