#include "reference/capture/trace_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "reference/capture/hash.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

// Eight sums side by side: a compiler can keep them in registers, and the result does not depend on which.
double SumOfSquares(std::span<const float> data) {
  std::array<double, 8> sums = {};
  size_t i = 0;
  for (; i + sums.size() <= data.size(); i += sums.size()) {
    for (size_t lane = 0; lane < sums.size(); ++lane) {
      const double x = data[i + lane];
      sums[lane] += x * x;
    }
  }
  for (; i < data.size(); ++i) sums[0] += static_cast<double>(data[i]) * data[i];
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace

TraceRecord MakeTraceRecord(int position, int layer, std::string_view stage, std::vector<int64_t> shape,
                            std::span<const float> data) {
  TraceRecord record;
  record.name = TraceName(position, layer, stage);
  record.position = position;
  record.layer = layer;
  record.stage = stage;
  record.point = bitnet::PointFromName(stage);
  record.shape = std::move(shape);
  record.blake3 = HashBytes(data.data(), data.size_bytes());
  record.rms = data.empty() ? 0 : std::sqrt(SumOfSquares(data) / static_cast<double>(data.size()));
  record.num_elements = static_cast<int64_t>(data.size());
  return record;
}

nlohmann::json ToJson(const TraceRecord& record) {
  nlohmann::json object = record.extra->is_object() ? *record.extra : nlohmann::json::object();
  object.update(
      nlohmann::json{{"name", record.name},
                     {"seq", record.position},
                     {"layer", record.layer},
                     {"stage", record.stage},
                     {"shape", record.shape},
                     {"dtype", record.dtype},
                     {"blake3", record.blake3},
                     // NaN and infinities have no JSON number.
                     {"rms", std::isfinite(record.rms) ? nlohmann::json(record.rms) : nlohmann::json(nullptr)},
                     {"num_elements", record.num_elements}});
  if (!record.tensor_file.empty()) object["tensor_file"] = TextToJson(record.tensor_file);
  return object;
}

namespace {

// A number and the slash behind it.
bool ReadNumber(const char** at, const char* end, int* value) {
  const auto [rest, error] = std::from_chars(*at, end, *value);
  if (error != std::errc() || rest == end || *rest != '/') return false;
  *at = rest + 1;
  return true;
}

// Sets position, layer and stage from the name: "t0/blk3/attn_norm", "t0/embeddings". False for any other name.
bool PlaceFromName(TraceRecord* record) {
  const std::string& name = record->name;
  const char *at = name.data() + 1, *const end = name.data() + name.size();
  if (!name.starts_with("t") || !ReadNumber(&at, end, &record->position)) return false;
  record->layer = -1;
  if (std::string_view(at, end).starts_with("blk") && !ReadNumber(&(at += 3), end, &record->layer)) return false;
  record->stage.assign(at, end);
  return !record->stage.empty() && record->stage.find('/') == std::string::npos;
}

}  // namespace

TraceRecord ReadTraceRecord(JsonFields fields) {
  TraceRecord record;
  fields.Read("name", &record.name);
  const bool placed = fields.ReadIfPresent("seq", &record.position) | fields.ReadIfPresent("layer", &record.layer) |
                      fields.ReadIfPresent("stage", &record.stage);
  if (placed || !PlaceFromName(&record)) {
    fields.Read("seq", &record.position);
    fields.Read("layer", &record.layer);
    fields.Read("stage", &record.stage);
  }
  record.point = bitnet::PointFromName(record.stage);
  fields.Read("shape", &record.shape);
  fields.Read("dtype", &record.dtype);
  const bool hashed = fields.ReadIfPresent("blake3", &record.blake3) && !record.blake3.empty();
  if (hashed) fields.Read("rms", &record.rms);
  fields.Read("num_elements", &record.num_elements);
  if (fields.ReadIfPresent("tensor_file", &record.tensor_file) && !record.tensor_file.empty()) {
    CheckFileInside(record.tensor_file, fields, "tensor_file");
  }
  if (!hashed && record.tensor_file.empty()) {
    fields.Problem("blake3", "missing; only a record with a tensor_file may leave it to the reader");
  }
  if (hashed &&
      (record.blake3.size() != 64 || record.blake3.find_first_not_of("0123456789abcdef") != std::string::npos)) {
    fields.Problem("blake3",
                   fmt::format("found '{}', expected a BLAKE3 hash (64 lower-case hex digits)", record.blake3));
  }
  if (record.dtype != "F32") fields.Problem("dtype", fmt::format("found '{}', expected 'F32'", record.dtype));
  int64_t product = 1;
  for (int64_t n : record.shape) {
    if (n < 0 || __builtin_mul_overflow(product, n, &product)) {
      fields.Problem("shape", "not the shape of a tensor");
      break;
    }
  }
  if (product != record.num_elements) {
    fields.Problem("num_elements", fmt::format("found {}, the shape [{}] holds {}", record.num_elements,
                                               fmt::join(record.shape, ", "), product));
  }
  if (record.position < 0 || record.layer < -1) fields.Problem("seq, layer", "out of range");
  if (record.name != TraceName(record.position, record.layer, record.stage)) {
    fields.Problem("name", fmt::format("found '{}', but seq, layer and stage make '{}'", record.name,
                                       TraceName(record.position, record.layer, record.stage)));
  }
  record.extra = fields.Unknown();
  return record;
}

void FillHashAndRms(TraceRecord* record, std::span<const float> data) {
  const TraceRecord made = MakeTraceRecord(record->position, record->layer, record->stage, record->shape, data);
  record->blake3 = made.blake3;
  record->rms = made.rms;
}

std::tuple<int, int, int, std::string> ComputationOrder(const TraceRecord& record) {
  const bool unknown = record.point == Point::kUnknown;
  const bool first = unknown || record.point == Point::kEmbeddings;
  const int layer = record.layer >= 0 ? record.layer : first ? -1 : INT_MAX;
  return {record.position, layer, unknown ? -1 : static_cast<int>(record.point), record.name};
}

std::string TraceFileStem(const std::string& trace_name) {
  std::string stem = trace_name;
  std::replace(stem.begin(), stem.end(), '/', '_');
  return stem;
}

void CheckFileInside(const std::string& name, const JsonFields& fields, const std::string& key) {
  const std::filesystem::path path(name);
  bool inside = !name.empty() && path.is_relative();
  for (const std::filesystem::path& part : path) inside = inside && part != "..";
  if (!inside) fields.Fail(key, fmt::format("found '{}', expected the name of a file inside the capture", name));
}

}  // namespace parity
