#include "reference/engines/machine.h"

#include <gnu/libc-version.h>
#include <sys/utsname.h>

#include <fstream>

namespace parity {
namespace {

// As Linux calls it; the machine's kind where it does not say.
std::string Cpu() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos && line.starts_with("model name")) return line.substr(colon + 2);
  }
  utsname machine = {};
  return uname(&machine) == 0 ? machine.machine : "unknown";
}

}  // namespace

const Machine& ThisMachine() {
  static const Machine machine = {Cpu(), std::string("glibc ") + gnu_get_libc_version()};
  return machine;
}

}  // namespace parity
