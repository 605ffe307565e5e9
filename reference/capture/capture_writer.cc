#include "reference/capture/capture_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json TextsToJson(const std::vector<std::string>& texts) {
  json array = json::array();
  for (const std::string& text : texts) array.push_back(TextToJson(text));
  return array;
}

json ShownToJson(const Shown& shown) {
  json words = json::array();
  for (const ShownPart& part : kShownParts) {
    if (shown.*part.shown) words.push_back(part.name);
  }
  return words;
}

json LogprobsToJson(const std::vector<std::vector<TokenLogprob>>& steps) {
  json all = json::array();
  for (const std::vector<TokenLogprob>& step : steps) {
    json& entries = all.emplace_back(json::array());
    for (const TokenLogprob& t : step) {
      entries.push_back({{"id", t.id}, {"text", TextToJson(t.text)}, {"logprob", t.logprob}});
    }
  }
  return all;
}

// What an adapter never writes: the parts of an engine that shows less.
void AddPartial(const Capture& capture, json* document) {
  if (capture.shown.everything()) return;
  json& d = *document;
  d["shows"] = ShownToJson(capture.shown);
  if (!capture.positions.empty()) d["positions"] = capture.positions;
  if (!capture.text.empty()) d["text"] = TextToJson(capture.text);
  if (!capture.top_logprobs.empty()) d["top_logprobs"] = LogprobsToJson(capture.top_logprobs);
  if (!capture.shown.logits) d["files"]["logits"] = "";
  if (!capture.shown.decode_logits) d["files"]["decode_logits"] = "";
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
  AddPartial(capture, &document);
  return document;
}

void WriteMatrix(const std::string& path, const Matrix& matrix) {
  WriteNpy(path, std::vector<int64_t>{matrix.rows, matrix.cols}, matrix.data);
}

std::string TensorFileName(const std::string& trace_name) { return "tensors/" + TraceFileStem(trace_name) + ".npy"; }

void AppendRow(std::span<const float> row, Matrix* matrix) {
  const auto n = static_cast<int64_t>(row.size());
  if (matrix->rows > 0 && matrix->cols != n) {
    throw std::runtime_error(
        fmt::format("row {} of the logits has {} numbers, the rows before have {}", matrix->rows, n, matrix->cols));
  }
  matrix->cols = n;
  matrix->data.insert(matrix->data.end(), row.begin(), row.end());
  ++matrix->rows;
}

Point PointOf(std::string_view stage) {
  const Point point = bitnet::PointFromName(stage);
  if (point != Point::kUnknown) return point;
  std::vector<std::string_view> names;
  for (const bitnet::PointInfo& p : bitnet::kGraph) names.push_back(p.name);
  throw std::runtime_error(
      fmt::format("stage: found '{}', expected one of {} (docs/capture-format.md)", stage, fmt::join(names, " ")));
}

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
  leftover_ = Leftover(temporary_);
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
  if (capture.shown.logits) WriteMatrix(temporary_ + "/logits.npy", capture.logits);
  if (capture.shown.decode_logits) WriteMatrix(temporary_ + "/decode_logits.npy", capture.decode_logits);
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
  leftover_.Forget();
  if (!old.empty()) fs::remove_all(old);
}

EngineCapture::EngineCapture(Request request, const std::string& directory)
    : writer_(directory), selection_(request.trace) {
  capture_.request = std::move(request);
}

bool EngineCapture::Wants(int position, int layer, std::string_view stage) const {
  const int positions = capture_.request.positions;
  return (positions == 0 || position < positions) && selection_.Wants(PointOf(stage), layer, position);
}

void EngineCapture::Tensor(int position, int layer, std::string_view stage, std::span<const float> data,
                           int64_t heads) {
  if (!Wants(position, layer, stage)) return;
  const Point point = PointOf(stage);
  const auto n = static_cast<int64_t>(data.size());
  const bool by_head = bitnet::InfoOf(point).width == bitnet::Width::kKeys;
  if (heads < 1 || n % heads != 0) {
    throw std::runtime_error(
        fmt::format("{}: found {} numbers for {} heads", TraceName(position, layer, stage), n, heads));
  }
  writer_.AddTensor(position, layer, point, by_head ? std::vector{heads, n / heads} : std::vector{n}, data,
                    capture_.request.raw_tensors);
}

void EngineCapture::PromptToken(int32_t id, std::string piece, std::span<const float> logits) {
  const auto position = static_cast<int>(capture_.tokens.size());
  capture_.tokens.push_back(id);
  capture_.pieces.push_back(std::move(piece));
  if (capture_.request.positions == 0 || position < capture_.request.positions) AppendRow(logits, &capture_.logits);
}

void EngineCapture::GeneratedToken(int32_t id, std::string piece, std::span<const float> logits) {
  capture_.generated.push_back(id);
  capture_.generated_pieces.push_back(std::move(piece));
  AppendRow(logits, &capture_.decode_logits);
}

void EngineCapture::Finish(BackendInfo backend, ModelInfo model, Shapes shapes) {
  capture_.backend = std::move(backend);
  capture_.model = std::move(model);
  const int64_t n_vocab = CountOf(capture_.model, "n_vocab");
  for (Matrix* matrix : {&capture_.logits, &capture_.decode_logits}) {
    if (matrix->rows == 0) matrix->cols = n_vocab;
  }
  const auto kv = static_cast<int>(CountOf(capture_.model, "n_head_kv") * CountOf(capture_.model, "n_embd_head"));
  if (shapes.n_embd_k == 0) shapes.n_embd_k = kv;
  if (shapes.n_embd_v == 0) shapes.n_embd_v = kv;
  if (shapes.logits.empty()) {
    shapes.logits = {static_cast<int>(capture_.logits.rows), static_cast<int>(capture_.logits.cols)};
  }
  const auto n = static_cast<int>(capture_.tokens.size());
  const bool causal = shapes.attends.empty();
  for (int i = 0; causal && i < n; ++i) shapes.attends.push_back({{0, i}});
  capture_.shapes = std::move(shapes);
  writer_.Finish(capture_);
}

void WriteCapture(const Capture& capture, const std::string& directory) { CaptureWriter(directory).Finish(capture); }

}  // namespace parity
