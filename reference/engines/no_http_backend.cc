// A build without cpp-httplib.
#include <fmt/format.h>

#include <stdexcept>

#include "reference/engines/http_backend.h"

namespace parity {

std::unique_ptr<Backend> MakeHttpBackend(const std::string& url, bool) {
  throw std::runtime_error(fmt::format("{}: this build has no cpp-httplib and asks no server; build with it", url));
}

}  // namespace parity
