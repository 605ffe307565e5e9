// Memory for vectors: as std::vector, and each begins at a cache line.
#ifndef BITNET_PARITY_ENGINE_KERNELS_ALIGNED_H_
#define BITNET_PARITY_ENGINE_KERNELS_ALIGNED_H_

#include <cstddef>
#include <new>
#include <vector>

namespace bitnet {

template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{128};

  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}

  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* p, size_t n) { ::operator delete(p, n * sizeof(T), kAlignment); }
  template <class U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_ALIGNED_H_
