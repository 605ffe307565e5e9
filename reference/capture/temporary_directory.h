// A directory that is removed with everything in it when its owner goes.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_TEMPORARY_DIRECTORY_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_TEMPORARY_DIRECTORY_H_

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "reference/capture/leftovers.h"

namespace parity {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* wanted = std::getenv("TMPDIR");
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    path_ = (parent / "bitnet-parity-XXXXXX").string();
    if (error || !mkdtemp(path_.data())) {
      throw std::runtime_error(
          fmt::format("TMPDIR: found '{}', expected a directory that can be written to: {}; name another one",
                      wanted ? wanted : parent.string(), error ? error.message() : std::strerror(errno)));
    }
    leftover_ = Leftover(path_);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Leftover leftover_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_TEMPORARY_DIRECTORY_H_
