#include "reference/engines/turn.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace parity {

Turn::Turn(const std::string& path, std::chrono::seconds limit, const std::function<bool()>& done)
    : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if ((errno != EWOULDBLOCK && errno != EINTR) || done() || std::chrono::steady_clock::now() > deadline) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Turn::~Turn() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace parity
