#include "reference/capture/trace_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <utility>

#include "reference/capture/json_fields.h"
#include "reference/capture/npy.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTraceSchema = "bitnet-parity/trace/1";
constexpr size_t kWaitingBytes = size_t{64} << 20;
constexpr size_t kRecordBytes = 512;  // a record's own size, about

std::vector<std::string> TraceFiles(const std::string& directory) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".trace") files.push_back(entry.path().filename().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void RemoveRecords(const std::string& directory, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    fs::remove(directory + "/" + file);
    fs::remove(directory + "/" + fs::path(file).stem().string() + ".npy");
  }
  fs::remove(directory + "/trace.json");
}

TraceRecord ReadRecord(const std::string& directory, const std::string& file) {
  const std::string path = directory + "/" + file;
  TraceRecord record = ReadTraceRecord(JsonFields::ReadFile(path));
  if (file != TraceFileStem(record.name) + ".trace") {
    ThrowJsonError(path, "name",
                   fmt::format("found '{}', which belongs in {}.trace", record.name, TraceFileStem(record.name)));
  }
  return record;
}

// What trace.json says of the run; the names of the records.
std::vector<std::string> ReadManifest(const std::string& path, Capture* run) {
  JsonFields top = JsonFields::ReadFile(path, kTraceSchema);
  JsonFields backend = top.Object("backend");
  backend.Read("name", &run->backend.name);
  backend.Read("version", &run->backend.version);
  backend.Read("build", &run->backend.build);
  backend.Read("simd", &run->backend.simd);
  JsonFields model = top.Object("model");
  model.Read("path", &run->model.path);
  model.Read("blake3", &run->model.blake3);
  model.Read("architecture", &run->model.architecture);
  top.Read("trace", &run->request.trace);
  top.Read("tokens", &run->tokens);
  top.Read("generated", &run->generated);
  std::vector<std::string> files;
  top.Read("records", &files);
  for (const std::string& file : files) CheckFileInside(file, top, "records");
  return files;
}

Capture ReadTraceDirectory(const std::string& directory) {
  Capture run;
  run.directory = directory;
  const std::vector<std::string> found = TraceFiles(directory);
  const std::string manifest = directory + "/trace.json";
  if (fs::exists(manifest)) {
    const std::vector<std::string> named = ReadManifest(manifest, &run);
    const std::set<std::string> there(found.begin(), found.end()), expected(named.begin(), named.end());
    for (const std::string& file : named) {
      if (!there.contains(file)) {
        throw std::runtime_error(
            fmt::format("{}/{}: no such file, but trace.json names it; trace again", directory, file));
      }
    }
    for (const std::string& file : found) {
      if (!expected.contains(file)) {
        throw std::runtime_error(
            fmt::format("{}/{}: trace.json does not name it: a record of another run; remove it", directory, file));
      }
    }
  } else {
    run.notes.push_back(
        fmt::format("{} has no trace.json: whether it is whole, and of which model, is not known", directory));
  }
  for (const std::string& file : found) run.traces.push_back(ReadRecord(directory, file));
  return run;
}

}  // namespace

TraceDirectory::TraceDirectory(std::string directory) : directory_(std::move(directory)) {
  fs::create_directories(directory_);
  const std::string manifest = directory_ + "/trace.json";
  if (fs::exists(manifest)) {
    Capture earlier;
    RemoveRecords(directory_, ReadManifest(manifest, &earlier));
  }
  if (const std::vector<std::string> left = TraceFiles(directory_); !left.empty()) {
    throw std::runtime_error(fmt::format(
        "{}/{}: a record of a run that was not finished; remove it, or trace elsewhere", directory_, left.front()));
  }
}

void TraceDirectory::Add(int position, int layer, Point point, std::vector<int64_t> shape, std::span<const float> data,
                         bool keep_raw) {
  Waiting waiting{MakeTraceRecord(position, layer, PointName(point), std::move(shape), data), {}};
  if (keep_raw) {
    waiting.record.tensor_file = TraceFileStem(waiting.record.name) + ".npy";
    waiting.raw.assign(data.begin(), data.end());
  }
  const std::lock_guard lock(mutex_);
  waiting_bytes_ += kRecordBytes + waiting.raw.size() * sizeof(float);
  waiting_.push_back(std::move(waiting));
  if (waiting_bytes_ > kWaitingBytes) Flush();
}

void TraceDirectory::Flush() {
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    const std::string stem = directory_ + "/" + TraceFileStem(waiting.record.name);
    if (!waiting.record.tensor_file.empty()) WriteNpy(stem + ".npy", waiting.record.shape, waiting.raw);
    if (fs::exists(stem + ".trace")) throw std::runtime_error(fmt::format("{}.trace: traced twice in one run", stem));
    std::ofstream file(stem + ".trace", std::ios::binary);
    file << ToJson(waiting.record).dump() << '\n';
    file.close();
    if (!file) throw std::runtime_error(fmt::format("{}.trace: cannot write: {}", stem, std::strerror(errno)));
    files_.push_back(fs::path(stem + ".trace").filename().string());
  }
  waiting_bytes_ = 0;
}

void TraceDirectory::Finish(const Capture& run) {
  const std::lock_guard lock(mutex_);
  Flush();
  std::sort(files_.begin(), files_.end());
  WriteJsonFile(directory_ + "/trace.json", {{"schema", kTraceSchema},
                                             {"backend",
                                              {{"name", TextToJson(run.backend.name)},
                                               {"version", TextToJson(run.backend.version)},
                                               {"build", TextToJson(run.backend.build)},
                                               {"simd", TextToJson(run.backend.simd)}}},
                                             {"model",
                                              {{"path", TextToJson(run.model.path)},
                                               {"blake3", run.model.blake3},
                                               {"architecture", TextToJson(run.model.architecture)}}},
                                             {"trace", run.request.trace},
                                             {"tokens", run.tokens},
                                             {"generated", run.generated},
                                             {"records", files_}});
}

size_t TraceDirectory::size() const {
  const std::lock_guard lock(mutex_);
  return files_.size() + waiting_.size();
}

Capture ReadTraces(const std::string& directory) {
  if (!fs::is_directory(directory)) throw std::runtime_error(fmt::format("{}: no such directory", directory));
  const bool is_capture = fs::exists(directory + "/capture.json");
  Capture capture = is_capture ? ReadCapture(directory) : ReadTraceDirectory(directory);
  if (capture.traces.empty()) {
    throw std::runtime_error(fmt::format(
        "{}: holds no traces; {}", directory,
        is_capture ? "capture again with trace core or full" : "expected a capture (capture.json) or .trace files"));
  }
  std::sort(capture.traces.begin(), capture.traces.end(),
            [](const TraceRecord& a, const TraceRecord& b) { return ComputationOrder(a) < ComputationOrder(b); });
  return capture;
}

}  // namespace parity
