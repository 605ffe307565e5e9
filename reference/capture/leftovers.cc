#include "reference/capture/leftovers.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>
#include <utility>

namespace parity {
namespace {

int janitor = -1;  // our end of the connection

constexpr size_t kLongestMessage = 16 << 10;

void Send(char sign, const std::string& message) {
  if (janitor < 0 || message.empty()) return;
  const std::string signed_message = sign + message;
  while (send(janitor, signed_message.data(), signed_message.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

// "gPID": a process group, "p/PATH": a path.
void Remove(const std::set<std::string>& leftovers) {
  for (const std::string& leftover : leftovers) {
    pid_t group = 0;
    const auto parsed = std::from_chars(leftover.data() + 1, leftover.data() + leftover.size(), group);
    if (leftover[0] == 'g' && parsed.ec == std::errc() && group > 1) kill(-group, SIGKILL);
  }
  // A program that is being killed may still be writing there.
  for (int again = 0; again < 20; ++again) {
    bool all_gone = true;
    for (const std::string& leftover : leftovers) {
      if (leftover[0] != 'p') continue;
      std::error_code error;
      all_gone = all_gone && std::filesystem::remove_all(leftover.substr(1), error) == 0 && !error;
    }
    if (all_gone) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

[[noreturn]] void Wait(int connection) {
  setsid();  // a terminal's signals, and a signal to our group, are not for us
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) signal(signal_number, SIG_IGN);
  // Whoever reads our standard output waits for its last writer; that must not be the janitor.
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
  const auto end = static_cast<unsigned>(connection);
  close_range(3, end - 1, 0);
  close_range(end + 1, ~0u, 0);

  std::set<std::string> leftovers;
  std::array<char, kLongestMessage> message;
  for (;;) {
    const ssize_t n = recv(connection, message.data(), message.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 1) break;
    const std::string text(message.data() + 1, static_cast<size_t>(n) - 1);
    if (message[0] == '+') {
      leftovers.insert(text);
    } else {
      leftovers.erase(text);
    }
  }
  Remove(leftovers);
  _exit(0);
}

}  // namespace

void StartJanitor() {
  int ends[2];
  // Without a janitor the command works all the same.
  if (janitor >= 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  // The two ends stand above what dup2 fills, also where standard input or output is closed.
  for (int& end : ends) {
    const int moved = fcntl(end, F_DUPFD_CLOEXEC, 3);
    close(end);
    end = moved;
  }
  const pid_t pid = ends[0] < 0 || ends[1] < 0 ? -1 : fork();
  if (pid == 0) {
    close(ends[0]);
    Wait(ends[1]);
  }
  close(ends[1]);
  janitor = ends[0];
  if (pid < 0) {
    close(janitor);
    janitor = -1;
  }
}

Leftover::Leftover(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error || absolute.string().size() + 2 > kLongestMessage) return;
  message_ = "p" + absolute.string();
  Send('+', message_);
}

Leftover::Leftover(pid_t process_group) : message_("g" + std::to_string(process_group)) { Send('+', message_); }

Leftover& Leftover::operator=(Leftover&& other) noexcept {
  if (this == &other) return *this;
  Forget();
  message_ = std::exchange(other.message_, "");
  return *this;
}

void Leftover::Forget() {
  Send('-', message_);
  message_.clear();
}

}  // namespace parity
