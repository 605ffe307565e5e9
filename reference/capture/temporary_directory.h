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

namespace parity {

class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_((std::filesystem::temp_directory_path() / "bitnet-parity-XXXXXX").string()) {
    if (!mkdtemp(path_.data())) {
      throw std::runtime_error(fmt::format("{}: cannot make a temporary directory: {}", path_, std::strerror(errno)));
    }
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
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_TEMPORARY_DIRECTORY_H_
