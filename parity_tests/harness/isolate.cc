#include "parity_tests/harness/isolate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "reference/capture/temporary_directory.h"

namespace parity {
namespace {

using Clock = std::chrono::steady_clock;

// One message of the child: a letter, its text, and a zero byte.
constexpr char kSays = 's', kFails = 'f';

void Send(int fd, char kind, const std::string& text) {
  std::string message = kind + text;
  std::replace(message.begin(), message.end(), '\0', ' ');
  message += '\0';
  for (size_t sent = 0; sent < message.size();) {
    const ssize_t n = write(fd, message.data() + sent, message.size() - sent);
    if (n < 0 && errno != EINTR) return;
    sent += n < 0 ? 0 : static_cast<size_t>(n);
  }
}

[[noreturn]] void RunChild(int fd, pid_t parent, const std::string& scratch,
                           const std::function<void(const Say&)>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  setenv("TMPDIR", scratch.c_str(), 1);
  try {
    work([fd](const std::string& what) { Send(fd, kSays, what); });
  } catch (const std::exception& error) {
    Send(fd, kFails, error.what());
  } catch (...) {
    Send(fd, kFails, "an exception of an unknown type");
  }
  // Nothing of the parent's is destroyed twice.
  _exit(0);
}

std::vector<pid_t> Children() {
  std::ifstream file(fmt::format("/proc/self/task/{}/children", getpid()));
  std::vector<pid_t> children;
  for (pid_t pid = 0; file >> pid;) children.push_back(pid);
  return children;
}

// Ends the processes that lost their parent with the child: they became ours.
void KillOrphans(const std::vector<pid_t>& others) {
  for (int round = 0; round < 100; ++round) {
    bool some = false;
    for (const pid_t pid : Children()) {
      if (std::find(others.begin(), others.end(), pid) != others.end()) continue;
      some = true;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    if (!some) return;
  }
}

// Takes the whole messages off `text`.
void Deliver(std::string& text, const Say& said, Isolated& end) {
  for (size_t zero = text.find('\0'); zero != std::string::npos; zero = text.find('\0')) {
    const std::string what = text.substr(1, zero - 1);
    if (text[0] == kFails) {
      end.error = what;
    } else {
      end.doing = what;
      if (said) said(what);
    }
    text.erase(0, zero + 1);
  }
}

// Until the child closes its end, or the time is over.
void Listen(int fd, Clock::time_point deadline, const Say& said, Isolated& end) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    end.timed_out = left <= 0;
    if (end.timed_out) return;
    pollfd wait = {fd, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(std::min<int64_t>(left, 1000))) <= 0) continue;
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n == 0) return;
    if (n < 0 && errno != EINTR) return;
    if (n > 0) text.append(buffer.data(), static_cast<size_t>(n));
    Deliver(text, said, end);
  }
}

}  // namespace

std::string Isolated::Describe() const {
  if (!error.empty()) return error;
  const std::string what =
      timed_out     ? fmt::format("did not finish in {} s and was stopped", limit.count())
      : signal != 0 ? fmt::format("crashed with {}",
                                  [this] {
                                    const char* name = sigabbrev_np(signal);
                                    return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
                                  }())
                    : "finished";
  return doing.empty() ? what : fmt::format("{}; the last that it did: {}", what, doing);
}

Isolated RunIsolated(std::chrono::seconds limit, const std::function<void(const Say&)>& work, const Say& said) {
  const TemporaryDirectory scratch;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error(fmt::format("pipe: {}", std::strerror(errno)));
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::vector<pid_t> others = Children();
  const pid_t parent = getpid();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    throw std::runtime_error(fmt::format("fork: {}", std::strerror(error)));
  }
  if (child == 0) RunChild(ends[1], parent, scratch.path(), work);
  close(ends[1]);
  Isolated end;
  end.limit = limit;
  Listen(ends[0], Clock::now() + limit, said, end);
  close(ends[0]);
  if (end.timed_out) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!end.timed_out && WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  KillOrphans(others);
  return end;
}

}  // namespace parity
