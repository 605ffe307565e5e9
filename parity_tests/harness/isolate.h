// A piece of work in a copy of this process, so that its crash or its delay costs no more than itself.
//
//   const Isolated end = RunIsolated(std::chrono::seconds(180), [&](const Say& say) { say("loading"); ... });
//   if (!end.ok()) ... end.Describe() ...          // "crashed with SIGSEGV while loading"
#ifndef BITNET_PARITY_PARITY_TESTS_HARNESS_ISOLATE_H_
#define BITNET_PARITY_PARITY_TESTS_HARNESS_ISOLATE_H_

#include <chrono>
#include <functional>
#include <string>

namespace parity {

using Say = std::function<void(const std::string& what)>;

struct Isolated {
  bool timed_out = false;
  int signal = 0;     // that ended it
  std::string error;  // what the work threw
  std::string doing;  // what it said last
  std::chrono::seconds limit{0};

  bool ok() const { return !timed_out && signal == 0 && error.empty(); }
  std::string Describe() const;
};

// Runs `work` in a child process; what it changes in memory is lost. At the limit the child and every process below it
// are killed. Its temporary files go with it. `said` is called here with what the work says. Call it while this process
// has one thread.
Isolated RunIsolated(std::chrono::seconds limit, const std::function<void(const Say&)>& work, const Say& said = {});

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_HARNESS_ISOLATE_H_
