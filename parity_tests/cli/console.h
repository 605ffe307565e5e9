// What every command does the same way with its output: --output, --color, --quiet. The result goes to standard output,
// or to a file that is there whole or not at all; all else to standard error.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_CONSOLE_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_CONSOLE_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace parity {

struct Console {
  std::string output;          // --output; empty: standard output
  std::string color = "auto";  // --color
  bool quiet = false;          // --quiet
  bool dry_run = false;        // --dry-run
};

// The one of this process.
Console& TheConsole();

// Descriptors 0 to 2 that are closed become ones that no file can take the place of. Call it first.
void KeepStandardDescriptors();

// Runs a command and returns what it returns; with --dry-run 0, and nothing ran. Throws where its result could not be
// written; the file that --output names is then as it was before.
int RunWithOutput(const std::function<int()>& command);

// Throws where what was printed could not be written.
void CheckStandardOutput();

// Colours: --color, or where that is auto a terminal without NO_COLOR (no-color.org).
bool ColorWanted();

// A line on standard error, unless --quiet.
void Note(const std::string& text);

// What is being done. On a terminal a line that the next one replaces, and that goes at the end; elsewhere, as in the
// log of a CI job, a line of its own every few seconds, with the time that has passed.
class Progress {
 public:
  Progress() = default;
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Show(const std::string& line);

 private:
  void Tick();

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable end_;
  std::string line_;
  bool ended_ = false;
  std::thread ticker_;  // where it is no terminal
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_CONSOLE_H_
