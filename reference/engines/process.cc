#include "reference/engines/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "reference/capture/leftovers.h"

namespace parity {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxOutput = 16 << 20;
constexpr size_t kMaxTail = 64 << 10;
constexpr int kLastLines = 40;

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error(fmt::format("pipe: {}", std::strerror(errno)));
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void CloseRead() { Close(&read_end); }
  void CloseWrite() { Close(&write_end); }

  int read_end = -1;
  int write_end = -1;

 private:
  static void Close(int* fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
};

// Between fork and exec only async-signal-safe calls are allowed.
[[noreturn]] void ExecInChild(char* const* argv, const char* input, pid_t parent, int out, int err, int error_fd) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  const int in = open(input, O_RDONLY | O_CLOEXEC);
  if (in >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
  }
  const int error = errno;
  if (write(error_fd, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

// Reads what is there. False at the end of the file.
bool Drain(int fd, std::string* text, size_t keep_first, size_t keep_last) {
  std::array<char, 65536> buffer;
  const ssize_t n = read(fd, buffer.data(), buffer.size());
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) return false;
  text->append(buffer.data(), static_cast<size_t>(n));
  if (keep_first > 0 && text->size() > keep_first) text->resize(keep_first);
  if (keep_last > 0 && text->size() > 2 * keep_last) text->erase(0, text->size() - keep_last);
  return true;
}

std::string LastLines(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  size_t start = text.size();
  for (int lines = 0; start > 0; --start) {
    if (text[start - 1] == '\n' && ++lines == kLastLines) break;
  }
  start = std::max(start, text.size() > kMaxTail ? text.size() - kMaxTail : 0);
  return text.substr(start);
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

// True when the child has ended; it stays a zombie, so that its process group cannot be anybody else's yet.
bool HasEnded(pid_t pid) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

}  // namespace

std::string ProcessResult::Describe() const {
  if (!start_error.empty()) return fmt::format("could not be started: {}", start_error);
  if (timed_out) return fmt::format("did not finish in {} s (CROSSVAL_TIMEOUT_SECS) and was killed", limit.count());
  if (signal != 0) return fmt::format("crashed with {}", SignalName(signal));
  // A shell reports the signal that ended its program as 128 + signal.
  if (exit_code > 128 && exit_code < 128 + 32) {
    return fmt::format("exited with code {}: a program in it crashed with {}", exit_code, SignalName(exit_code - 128));
  }
  return fmt::format("exited with code {}", exit_code);
}

ProcessResult RunProcess(const std::vector<std::string>& argv, std::chrono::seconds limit, const std::string& input) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  ProcessResult result;
  result.limit = limit;
  Pipe out, err, exec_error;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) {
    result.start_error = std::strerror(errno);
    return result;
  }
  if (pid == 0)
    ExecInChild(arguments.data(), input.c_str(), parent, out.write_end, err.write_end, exec_error.write_end);
  setpgid(pid, pid);  // here too, so that the group exists before we may have to kill it
  const Leftover group(pid);
  out.CloseWrite();
  err.CloseWrite();
  exec_error.CloseWrite();

  int error = 0;
  ssize_t n;
  do {
    n = read(exec_error.read_end, &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(sizeof error)) {
    result.start_error = fmt::format("{}: {}", argv[0], std::strerror(error));
  }

  fcntl(out.read_end, F_SETFL, O_NONBLOCK);
  fcntl(err.read_end, F_SETFL, O_NONBLOCK);
  std::string stderr_text;
  const auto deadline = Clock::now() + limit;
  while (!HasEnded(pid)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      result.timed_out = true;
      break;
    }
    // A closed pipe has fd -1, which poll passes over. The tick is for a program that closes its output and goes on.
    std::array<pollfd, 2> fds = {{{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}}};
    poll(fds.data(), fds.size(), static_cast<int>(std::min<int64_t>(left, 20)));
    if (fds[0].revents && !Drain(out.read_end, &result.output, kMaxOutput, 0)) out.CloseRead();
    if (fds[1].revents && !Drain(err.read_end, &stderr_text, 0, kMaxTail)) err.CloseRead();
  }
  kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  // What is still in the pipes. They do not block, so a stray writer that left the group cannot hold us.
  for (size_t before = ~size_t{0}; out.read_end >= 0 && before != result.output.size();) {
    before = result.output.size();
    if (!Drain(out.read_end, &result.output, kMaxOutput, 0)) break;
  }
  for (size_t before = ~size_t{0}; err.read_end >= 0 && before != stderr_text.size();) {
    before = stderr_text.size();
    if (!Drain(err.read_end, &stderr_text, 0, kMaxTail)) break;
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.last_words = LastLines(stderr_text.empty() ? result.output : std::move(stderr_text));
  return result;
}

std::chrono::seconds TimeLimit() {
  const char* text = std::getenv("CROSSVAL_TIMEOUT_SECS");
  if (!text || !*text) return std::chrono::seconds(180);
  int seconds = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, seconds);
  if (error != std::errc() || rest != end || seconds < 1 || seconds > 86400) {
    throw std::runtime_error(fmt::format(
        "environment: CROSSVAL_TIMEOUT_SECS: found '{}', expected a whole number of seconds from 1 to 86400", text));
  }
  return std::chrono::seconds(seconds);
}

}  // namespace parity
