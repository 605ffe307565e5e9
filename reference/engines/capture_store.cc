#include "reference/engines/capture_store.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/capture/hash.h"
#include "reference/capture/whole_file.h"
#include "reference/engines/process.h"
#include "reference/engines/turn.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

// What names the processes of this machine: two containers that share a folder have other ones of the same number.
std::string ProcessSpace() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::error_code ignored;
  return HashText(boot + fs::read_symlink("/proc/self/ns/pid", ignored).string()).substr(0, 12);
}

// A folder of this process in the store, removed with what is left in it.
class Workplace {
 public:
  Workplace(const std::string& store, const std::string& key) {
    std::string pattern = fmt::format("{}/making/{}.{}.{}.XXXXXX", store, ProcessSpace(), getpid(), key.substr(0, 12));
    if (!mkdtemp(pattern.data())) {
      throw std::runtime_error(fmt::format("{}: cannot make a folder: {}", pattern, std::strerror(errno)));
    }
    path_ = pattern;
  }
  ~Workplace() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Removes the workplaces of processes that were killed.
void RemoveLeftovers(const std::string& making) {
  const std::string here = ProcessSpace() + ".";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(making, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(here)) continue;
    const pid_t owner = std::atoi(name.c_str() + here.size());
    if (owner > 0 && kill(owner, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), ignored);
  }
}

bool IsHash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

CaptureStore::CaptureStore(std::string directory) : directory_(std::move(directory)) {
  for (const char* folder : {"/locks", "/file_hashes", "/making"}) fs::create_directories(directory_ + folder);
  RemoveLeftovers(directory_ + "/making");
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
  WriteWhole(remembered, hash + "\n");
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
  const auto exists = [&] { return fs::exists(directory + "/capture.json"); };
  for (int tries = 0;; ++tries) {
    if (exists()) {
      try {
        return read();
      } catch (const std::exception&) {
        if (tries >= 4) throw;
        // Damaged from outside (a full disk, a deleted file): out of the way, and made again.
        const Workplace aside(directory_, key);
        std::error_code ignored;
        fs::rename(directory, aside.path() + "/damaged", ignored);
      }
    }
    const Turn turn(directory_ + "/locks/" + key, TimeLimit(), exists);
    if (exists()) continue;
    const Workplace work(directory_, key);
    backend.RunTo(request, work.path() + "/capture");
    // Who is first wins: a folder that is there and not empty cannot be renamed to, and holds the same.
    std::error_code error;
    fs::rename(work.path() + "/capture", directory, error);
    if (error && !exists()) {
      throw std::runtime_error(fmt::format("{}: cannot put a capture there: {}", directory, error.message()));
    }
  }
}

}  // namespace parity
