#include "reference/engines/capture_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/capture/hash.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

// An exclusive lock on a file, held while the object lives. The kernel releases it when its owner dies.
class FileLock {
 public:
  explicit FileLock(const std::string& path) : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) throw std::runtime_error(fmt::format("{}: cannot open the lock file: {}", path, std::strerror(errno)));
    while (flock(fd_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      const int error = errno;
      close(fd_);
      throw std::runtime_error(fmt::format("{}: cannot lock: {}", path, std::strerror(error)));
    }
  }
  ~FileLock() { close(fd_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

bool IsHash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

CaptureStore::CaptureStore(std::string directory) : directory_(std::move(directory)) {
  fs::create_directories(directory_ + "/locks");
  fs::create_directories(directory_ + "/file_hashes");
}

std::string CaptureStore::FileHash(const std::string& path) const {
  const std::string absolute = fs::weakly_canonical(path).string();
  std::string states;
  for (const std::string& shard : ShardsOf(absolute)) {
    struct stat status = {};
    if (stat(shard.c_str(), &status) != 0) {
      throw std::runtime_error(fmt::format("{}: cannot read: {}", shard, std::strerror(errno)));
    }
    states += fmt::format("{}\n{}\n{}.{:09}\n{}\n{}", shard, status.st_size, status.st_mtim.tv_sec,
                          status.st_mtim.tv_nsec, status.st_dev, status.st_ino);
  }
  const std::string key = HashText(states);
  const std::string remembered = directory_ + "/file_hashes/" + key;
  std::string hash;
  if (std::ifstream file(remembered); file && std::getline(file, hash) && IsHash(hash)) return hash;
  hash = HashFile(absolute);
  const std::string temporary = fmt::format("{}.{}", remembered, getpid());
  std::ofstream(temporary) << hash << '\n';
  fs::rename(temporary, remembered);
  return hash;
}

std::string CaptureStore::Key(Backend& backend, const Request& request) const {
  nlohmann::json json = ToJson(request);
  json["model"] = FileHash(request.model);
  json["tokenizer"] = request.tokenizer.empty() ? "" : FileHash(request.tokenizer);
  return HashText(json.dump() + "\n" + backend.name() + "\n" +
                  backend.Identity([this](const std::string& path) { return FileHash(path); }));
}

Capture CaptureStore::Get(Backend& backend, const Request& request) {
  const std::string key = Key(backend, request);
  const std::string directory = directory_ + "/" + key;
  const auto read = [&] {
    Capture capture = ReadCapture(directory);
    // Paths are no part of the key: the caller's are the ones to show.
    capture.request = request;
    capture.model.path = request.model;
    return capture;
  };
  const FileLock lock(directory_ + "/locks/" + key);
  if (fs::exists(directory)) {
    try {
      return read();
    } catch (const std::exception&) {
      // Damaged from outside (a full disk, a deleted file): made again.
      fs::remove_all(directory);
    }
  }
  backend.RunTo(request, directory);
  return read();
}

}  // namespace parity
