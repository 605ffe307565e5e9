// The machine that this process runs on, as results and receipts name it.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_MACHINE_H_
#define BITNET_PARITY_REFERENCE_ENGINES_MACHINE_H_

#include <string>

namespace parity {

struct Machine {
  std::string cpu;   // "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"; "aarch64" where the system says no more
  std::string libc;  // "glibc 2.36"
};

const Machine& ThisMachine();

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_MACHINE_H_
