#include "parity_tests/cli/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "reference/capture/leftovers.h"

namespace parity {
namespace {

constexpr std::chrono::seconds kBetweenLines{5};

// Standard output goes to a temporary file, which takes its name when all is well.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path), temporary_(path + ".tmp-XXXXXX") {
    // A directory, a device: there is nothing that a rename could replace as a whole.
    if (std::error_code error; std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
      throw std::runtime_error(fmt::format("--output: {}: is no file; name one, or use standard output", path));
    }
    const int file = mkstemp(temporary_.data());
    if (file < 0) {
      throw std::runtime_error(
          fmt::format("--output: {}: cannot be written: {}; name a file in a directory that can be written to", path,
                      std::strerror(errno)));
    }
    leftover_ = Leftover(temporary_);
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(file, 0666 & ~mask);
    std::fflush(stdout);
    standard_output_ = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(file, STDOUT_FILENO);
    close(file);
  }
  ~OutputFile() {
    Restore();
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void Keep() {
    CheckStandardOutput();
    Restore();
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
      throw std::runtime_error(fmt::format("--output: {}: cannot be written: {}", path_, std::strerror(errno)));
    }
    temporary_.clear();
    leftover_.Forget();
  }

 private:
  void Restore() {
    if (standard_output_ < 0) return;
    std::fflush(stdout);
    dup2(standard_output_, STDOUT_FILENO);
    close(standard_output_);
    standard_output_ = -1;
  }

  std::string path_, temporary_;
  Leftover leftover_;
  int standard_output_ = -1;
};

[[noreturn]] void OutputLost(const std::string& reason) {
  const std::string file = TheConsole().output == "-" ? "" : TheConsole().output;
  throw std::runtime_error(fmt::format("{}: cannot be written: {}; the result is lost or cut short, so run it again",
                                       file.empty() ? "standard output" : "--output: " + file, reason));
}

bool OnTerminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

}  // namespace

Console& TheConsole() {
  static Console console;
  return console;
}

void KeepStandardDescriptors() {
  for (int fd = 0; fd < 3; ++fd) {
    // Open for reading alone: what is written there is an error, as it was.
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) std::abort();
  }
}

void CheckStandardOutput() {
  errno = 0;
  if (std::fflush(stdout) != 0) OutputLost(std::strerror(errno));
  if (std::ferror(stdout) != 0) OutputLost("an earlier write failed");
}

int RunWithOutput(const std::function<int()>& command) {
  const Console& console = TheConsole();
  if (console.dry_run) return 0;
  try {
    if (console.output.empty() || console.output == "-") {
      const int exit_code = command();
      CheckStandardOutput();
      return exit_code;
    }
    OutputFile file(console.output);
    const int exit_code = command();
    file.Keep();
    return exit_code;
  } catch (const std::system_error& error) {
    if (std::ferror(stdout) == 0) throw;
    OutputLost(error.code().message());
  }
}

bool ColorWanted() {
  if (TheConsole().color != "auto") return TheConsole().color == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

void Note(const std::string& text) {
  if (!TheConsole().quiet) fmt::print(stderr, "{}\n", text);
}

Progress::~Progress() {
  Show("");
  if (!ticker_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_one();
  ticker_.join();
}

void Progress::Show(const std::string& line) {
  if (TheConsole().quiet) return;
  if (OnTerminal()) {
    fmt::print(stderr, "\r\x1b[K{}", line);
    std::fflush(stderr);
    return;
  }
  const std::lock_guard lock(mutex_);
  line_ = line;
  if (!line.empty() && !ticker_.joinable()) ticker_ = std::thread([this] { Tick(); });
}

void Progress::Tick() {
  std::unique_lock lock(mutex_);
  while (!end_.wait_for(lock, kBetweenLines, [this] { return ended_; })) {
    const auto passed = std::chrono::steady_clock::now() - start_;
    if (line_.empty()) continue;
    fmt::print(stderr, "{} ({} s)\n", line_, std::chrono::duration_cast<std::chrono::seconds>(passed).count());
    std::fflush(stderr);
  }
}

}  // namespace parity
