#include "reference/engines/backend.h"

#include <fmt/format.h>

#include "reference/engines/exec_backend.h"
#include "reference/engines/recorded_backend.h"
#include "reference/engines/runner_backend.h"

namespace parity {

void Backend::RunTo(const Request& request, const std::string& directory) { WriteCapture(Run(request), directory); }

std::unique_ptr<Backend> MakeBackend(const std::string& spec) {
  if (spec == "llama.cpp") return MakeLlamaCppBackend();
  if (spec == "bitnet.cpp") return MakeBitnetCppBackend();
  if (spec.starts_with("recorded:") && spec.size() > 9) return MakeRecordedBackend(spec.substr(9));
  if (spec.starts_with("exec:") && spec.size() > 5) return MakeExecBackend(spec.substr(5));
  throw std::runtime_error(fmt::format(
      "backend: found '{}', expected llama.cpp, bitnet.cpp, recorded:DIR (captures on disk), or exec:COMMAND (a "
      "program that is given REQUEST.json and OUTDIR)",
      spec));
}

}  // namespace parity
