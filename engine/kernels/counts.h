// Which kernels ran in this process, and how often.
//
//   static KernelCounter counter("rms_norm");     // where the kernel is called
//   counter.Add(run);
//   for (const auto& [name, calls] : KernelCalls()) ...     // "rms_norm.AVX3_DL"
#ifndef BITNET_PARITY_ENGINE_KERNELS_COUNTS_H_
#define BITNET_PARITY_ENGINE_KERNELS_COUNTS_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

namespace bitnet {

struct Primitives;

// Lives until the process ends.
class KernelCounter {
 public:
  explicit KernelCounter(std::string name);
  KernelCounter(const KernelCounter&) = delete;
  KernelCounter& operator=(const KernelCounter&) = delete;

  void Add(const Primitives& run);
  const std::string& name() const { return name_; }
  uint64_t in_vectors() const { return in_vectors_.load(std::memory_order_relaxed); }
  uint64_t plain() const { return plain_.load(std::memory_order_relaxed); }

 private:
  std::string name_;
  std::atomic<uint64_t> in_vectors_{0}, plain_{0};
};

// Calls since the process began, of kernels that were called at all. A name ends with what ran: the instruction set
// that Highway's dispatch takes, or kPlainTarget.
std::map<std::string, uint64_t> KernelCalls();

// What was called since `before`.
std::map<std::string, uint64_t> KernelCallsSince(const std::map<std::string, uint64_t>& before);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_KERNELS_COUNTS_H_
