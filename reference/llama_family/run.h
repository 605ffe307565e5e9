// Serves one request with a library of the llama.cpp family.
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_RUN_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_RUN_H_

#include <string>

#include "reference/capture/request.h"
#include "reference/llama_family/engine.h"

namespace parity {

// Writes a capture to `directory`. With `observe` false no callback is installed: shapes.attends stays empty, nothing
// is traced, and the graph runs as the library would run it for anybody. Throws UnsupportedModel or std::runtime_error.
void RunRequest(const Request& request, const std::string& directory, bool observe);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_RUN_H_
