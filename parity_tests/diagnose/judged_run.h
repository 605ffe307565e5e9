// Whether the run whose tensors were looked into says something of the run that was judged.
#ifndef BITNET_PARITY_PARITY_TESTS_DIAGNOSE_JUDGED_RUN_H_
#define BITNET_PARITY_PARITY_TESTS_DIAGNOSE_JUDGED_RUN_H_

#include <string>

#include "reference/capture/capture.h"

namespace parity {

// "" where `traced` is `judged` over again, and whole: the same ids and bits; every row of logits the tensor that was
// traced as such, so that the first token comes from the prompt's last row; each token one of its largest logits. Else
// the first of these that does not hold.
std::string NotTheJudgedRun(const Capture& traced, const Capture& judged);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_DIAGNOSE_JUDGED_RUN_H_
