// exec:COMMAND: anybody's engine. The command runs in a shell, with REQUEST.json and OUTDIR as its two last arguments,
// and leaves a capture at OUTDIR (docs/capture-format.md). Exit code 0, 3 where it cannot run the model, anything else
// for an error.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_EXEC_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_EXEC_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"

namespace parity {

std::unique_ptr<Backend> MakeExecBackend(const std::string& command);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_EXEC_BACKEND_H_
