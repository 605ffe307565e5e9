#include "reference/capture/capture_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "reference/capture/json_fields.h"
#include "reference/capture/npy.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json TextsToJson(const std::vector<std::string>& texts) {
  json array = json::array();
  for (const std::string& text : texts) array.push_back(TextToJson(text));
  return array;
}

// NaN and infinities have no JSON number: null.
json NumberToJson(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json ToJson(const Capture& capture, const std::vector<std::string>& trace_files) {
  json document = capture.extra->is_object() ? *capture.extra : json::object();
  json known = {
      {"schema", "bitnet-parity/capture/1"},
      {"backend",
       {{"name", TextToJson(capture.backend.name)},
        {"version", TextToJson(capture.backend.version)},
        {"build", TextToJson(capture.backend.build)},
        {"simd", TextToJson(capture.backend.simd)},
        {"threads", capture.backend.threads}}},
      {"model",
       {{"path", TextToJson(capture.model.path)},
        {"blake3", capture.model.blake3},
        {"architecture", TextToJson(capture.model.architecture)},
        {"hyperparameters", *capture.model.hyperparameters}}},
      {"request", ToJson(capture.request)},
      {"tokens", capture.tokens},
      {"pieces", TextsToJson(capture.pieces)},
      {"shapes",
       {{"n_ctx", capture.shapes.n_ctx},
        {"n_ubatch", capture.shapes.n_ubatch},
        {"kv_cells", capture.shapes.kv_cells},
        {"n_embd_k", capture.shapes.n_embd_k},
        {"n_embd_v", capture.shapes.n_embd_v},
        {"logits", capture.shapes.logits},
        {"attends", json::array()}}},
      {"generated", capture.generated},
      {"generated_pieces", TextsToJson(capture.generated_pieces)},
      {"notes", TextsToJson(capture.notes)},
      {"timings",
       {{"load_ms", NumberToJson(capture.timings.load_ms)},
        {"prompt_ms", NumberToJson(capture.timings.prompt_ms)},
        {"decode_ms", NumberToJson(capture.timings.decode_ms)},
        {"peak_rss_bytes", capture.timings.peak_rss_bytes}}},
      {"files", {{"logits", "logits.npy"}, {"decode_logits", "decode_logits.npy"}, {"traces", trace_files}}},
  };
  json& attends = known["shapes"]["attends"];
  for (const auto& ranges : capture.shapes.attends) {
    json row = json::array();
    for (const auto& [first, last] : ranges) row.push_back({first, last});
    attends.push_back(std::move(row));
  }
  document.update(known, /*merge_objects=*/true);
  // An object that is replaced whole: merging would keep keys of another model.
  document["model"]["hyperparameters"] = *capture.model.hyperparameters;
  return document;
}

void WriteMatrix(const std::string& path, const Matrix& matrix) {
  WriteNpy(path, std::vector<int64_t>{matrix.rows, matrix.cols}, matrix.data);
}

std::string TensorFileName(const std::string& trace_name) { return "tensors/" + TraceFileStem(trace_name) + ".npy"; }

}  // namespace

CaptureWriter::CaptureWriter(const std::string& directory) {
  fs::path target = fs::absolute(directory).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  directory_ = target.string();
  fs::create_directories(target.parent_path());
  std::string pattern = directory_ + ".tmp-XXXXXX";
  if (!mkdtemp(pattern.data())) {
    throw std::runtime_error(fmt::format("{}: cannot make a temporary directory: {}", pattern, std::strerror(errno)));
  }
  temporary_ = pattern;
  fs::permissions(temporary_, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                  fs::perms::others_read | fs::perms::others_exec);
}

CaptureWriter::~CaptureWriter() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void CaptureWriter::AddTensor(int position, int layer, Point point, std::vector<int64_t> shape,
                              std::span<const float> data, bool keep_raw) {
  TraceRecord record = MakeTraceRecord(position, layer, PointName(point), std::move(shape), data);
  if (keep_raw) {
    record.tensor_file = TensorFileName(record.name);
    fs::create_directories(temporary_ + "/tensors");
    WriteNpy(temporary_ + "/" + record.tensor_file, record.shape, data);
  }
  records_[record.name] = std::move(record);
}

void CaptureWriter::Finish(const Capture& capture) {
  std::vector<TraceRecord> records;
  for (TraceRecord record : capture.traces) {
    if (records_.contains(record.name)) continue;
    if (!record.tensor_file.empty()) {
      const std::vector<float> data = ReadTensor(capture, record);
      record.tensor_file = TensorFileName(record.name);
      fs::create_directories(temporary_ + "/tensors");
      WriteNpy(temporary_ + "/" + record.tensor_file, record.shape, data);
    }
    records.push_back(std::move(record));
  }
  for (const auto& [name, record] : records_) records.push_back(record);
  std::sort(records.begin(), records.end(),
            [](const TraceRecord& a, const TraceRecord& b) { return ComputationOrder(a) < ComputationOrder(b); });

  std::vector<std::string> trace_files;
  for (size_t i = 0; i < records.size();) {
    const int position = records[i].position;
    if (trace_files.empty()) fs::create_directories(temporary_ + "/traces");
    trace_files.push_back(fmt::format("traces/t{}.trace", position));
    std::ofstream file(temporary_ + "/" + trace_files.back(), std::ios::binary);
    for (; i < records.size() && records[i].position == position; ++i) file << ToJson(records[i]).dump() << '\n';
    file.close();
    if (!file) {
      throw std::runtime_error(
          fmt::format("{}/{}: cannot write: {}", temporary_, trace_files.back(), std::strerror(errno)));
    }
  }
  WriteMatrix(temporary_ + "/logits.npy", capture.logits);
  WriteMatrix(temporary_ + "/decode_logits.npy", capture.decode_logits);
  WriteJsonFile(temporary_ + "/capture.json", ToJson(capture, trace_files));

  std::string old;
  if (fs::exists(directory_) && !(fs::is_directory(directory_) && fs::is_empty(directory_))) {
    if (!fs::exists(directory_ + "/capture.json")) {
      throw std::runtime_error(
          fmt::format("{}: exists and is not a capture; remove it, or write somewhere else", directory_));
    }
    old = temporary_ + ".old";
    fs::rename(directory_, old);
  }
  fs::rename(temporary_, directory_);
  temporary_.clear();
  if (!old.empty()) fs::remove_all(old);
}

void WriteCapture(const Capture& capture, const std::string& directory) { CaptureWriter(directory).Finish(capture); }

}  // namespace parity
