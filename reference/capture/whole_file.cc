#include "reference/capture/whole_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace parity {

void WriteWhole(const std::string& path, std::string_view text) {
  std::string temporary = path + ".XXXXXX";
  const int fd = mkstemp(temporary.data());
  const auto fail = [&](const char* what) {
    const int error = errno;
    if (fd >= 0) unlink(temporary.c_str());
    throw std::runtime_error(fmt::format("{}: {}: {}", path, what, std::strerror(error)));
  };
  if (fd < 0) fail("cannot be made");
  fchmod(fd, 0644);
  close(fd);
  std::ofstream out(temporary, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out) fail("cannot be written");
  if (rename(temporary.c_str(), path.c_str()) != 0) fail("cannot be put in place");
}

}  // namespace parity
