// Runs a program in a process group of its own, with a time limit.
//
//   ProcessResult r = RunProcess({"llama_cpp_runner", "info"}, std::chrono::seconds(180));
//   if (!r.ok()) throw std::runtime_error(r.Describe());
#ifndef BITNET_PARITY_REFERENCE_ENGINES_PROCESS_H_
#define BITNET_PARITY_REFERENCE_ENGINES_PROCESS_H_

#include <chrono>
#include <string>
#include <vector>

namespace parity {

struct ProcessResult {
  int exit_code = -1;       // -1: it did not exit by itself
  int signal = 0;           // the signal that ended it
  bool timed_out = false;   // it was killed at the time limit
  std::string start_error;  // why it could not be started at all
  std::string output;       // standard output, its first 16 MiB
  std::string last_words;   // the last 40 lines of standard error, or of standard output where that is empty

  bool ok() const { return start_error.empty() && !timed_out && signal == 0 && exit_code == 0; }
  // What happened, in words: "crashed with SIGSEGV", "did not finish in 180 s and was killed". Without the last words.
  std::string Describe() const;

  std::chrono::seconds limit{0};
};

// `argv[0]` is a path, or a name to be found in PATH. Standard input is `input`, a file; nothing reaches our own
// standard output or error. At the time limit, and when the program ends, everything in its process group is killed; it
// dies with us as well.
ProcessResult RunProcess(const std::vector<std::string>& argv, std::chrono::seconds limit,
                         const std::string& input = "/dev/null");

// CROSSVAL_TIMEOUT_SECS, 180 where it is not set. Throws where it is not a whole number of seconds from 1 to 86400.
std::chrono::seconds TimeLimit();

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_PROCESS_H_
