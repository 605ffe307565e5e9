// What must not outlive this process, however it ends: directories that are not finished, programs that it started.
//
//   int main() { parity::StartJanitor(); ... }               // before any thread
//   { const Leftover scratch(path); ... }                    // whoever made it removes it; the janitor, if we die here
//
// A signal handler could not do that: it may not remove a directory, and SIGKILL calls none. The janitor is a small
// process of its own that waits for our end.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_LEFTOVERS_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_LEFTOVERS_H_

#include <sys/types.h>

#include <string>

namespace parity {

// Without it a Leftover does nothing. Call it once.
void StartJanitor();

class Leftover {
 public:
  Leftover() = default;
  explicit Leftover(const std::string& path);  // a file, or a directory with all that is in it
  explicit Leftover(pid_t process_group);      // of a program that we started
  ~Leftover() { Forget(); }
  Leftover(Leftover&& other) noexcept : message_(std::move(other.message_)) { other.message_.clear(); }
  Leftover& operator=(Leftover&& other) noexcept;
  Leftover(const Leftover&) = delete;
  Leftover& operator=(const Leftover&) = delete;

  // It is gone, or is to stay.
  void Forget();

 private:
  std::string message_;  // what the janitor was told; empty: nothing
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_LEFTOVERS_H_
