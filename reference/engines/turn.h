// Waits while another process makes what this one would make too, so that it is made once. A courtesy: nothing depends
// on it. Whoever dies lets go; whoever stands still holds the others no longer than `limit`; and where the file system
// has no locks, nobody waits.
//
//   const Turn turn(folder + ".lock", std::chrono::seconds(60), [&] { return exists(thing); });
//   if (!exists(thing)) Make(thing);
#ifndef BITNET_PARITY_REFERENCE_ENGINES_TURN_H_
#define BITNET_PARITY_REFERENCE_ENGINES_TURN_H_

#include <chrono>
#include <functional>
#include <string>

namespace parity {

class Turn {
 public:
  // `path`: of the lock file; `done`: that there is nothing left to wait for.
  Turn(const std::string& path, std::chrono::seconds limit, const std::function<bool()>& done);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  int fd_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_TURN_H_
