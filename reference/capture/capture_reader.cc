#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <stdexcept>

#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/npy.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void CheckHash(const JsonFields& fields, const std::string& key, const std::string& hash) {
  if (hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos) return;
  ThrowJsonError(fields.origin(), fields.Place(key),
                 fmt::format("found '{}', expected a BLAKE3 hash (64 lower-case hex digits)", hash));
}

// Files are named relative to the capture and stay inside it.
std::string CheckFileName(const JsonFields& fields, const std::string& key, const std::string& name) {
  CheckFileInside(name, fields.origin(), fields.Place(key));
  return name;
}

Matrix ReadMatrix(const std::string& path, size_t rows, int64_t cols, const char* rows_meaning) {
  NpyArray array = ReadNpy(path);
  if (array.shape.size() != 2 || array.shape[0] != static_cast<int64_t>(rows) || array.shape[1] != cols) {
    throw std::runtime_error(fmt::format("{}: shape is ({}), expected ({}, {}): {} by n_vocab", path,
                                         fmt::join(array.shape, ", "), rows, cols, rows_meaning));
  }
  return {array.shape[0], array.shape[1], std::move(array.data)};
}

void KeepUnknown(const JsonFields& fields, const char* key, json* extra) {
  if (json unknown = fields.Unknown(); !unknown.empty()) (*extra)[key] = std::move(unknown);
}

void ReadShapes(JsonFields fields, size_t n_tokens, Capture* capture) {
  Shapes& shapes = capture->shapes;
  fields.Read("n_ctx", &shapes.n_ctx);
  fields.Read("n_ubatch", &shapes.n_ubatch);
  fields.Read("kv_cells", &shapes.kv_cells);
  fields.Read("n_embd_k", &shapes.n_embd_k);
  fields.Read("n_embd_v", &shapes.n_embd_v);
  fields.Read("logits", &shapes.logits);
  fields.Read("attends", &shapes.attends);
  const auto fail = [&](const std::string& key, const std::string& what) {
    ThrowJsonError(fields.origin(), fields.Place(key), what);
  };
  if (shapes.logits.size() != 2 || shapes.logits[0] < 0 || shapes.logits[1] < 1) {
    fail("logits", fmt::format("found [{}], expected [positions, n_vocab]", fmt::join(shapes.logits, ", ")));
  }
  if (static_cast<size_t>(shapes.logits[0]) > n_tokens) {
    fail("logits", fmt::format("{} positions, but there are only {} tokens", shapes.logits[0], n_tokens));
  }
  if (!shapes.attends.empty() && shapes.attends.size() != n_tokens) {
    fail("attends",
         fmt::format("found {} entries, expected one a token ({}), or none", shapes.attends.size(), n_tokens));
  }
  for (size_t i = 0; i < shapes.attends.size(); ++i) {
    int next = 0;
    for (const auto& [first, last] : shapes.attends[i]) {
      if (first < next || last < first) {
        fail(fmt::format("attends[{}]", i), fmt::format("[{}, {}] is not an ascending range of keys", first, last));
      }
      next = last < std::numeric_limits<int>::max() ? last + 1 : last;
    }
  }
  KeepUnknown(fields, "shapes", &capture->extra);
}

void ReadTraceFile(const std::string& path, std::set<std::string>* names, std::vector<TraceRecord>* records) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: no such file, but capture.json lists it in files.traces", path));
  int line_number = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string origin = fmt::format("{}:{}", path, ++line_number);
    if (line.empty()) continue;
    json object;
    try {
      object = json::parse(line);
    } catch (const json::exception& error) {
      throw std::runtime_error(fmt::format("{}: not valid JSON: {}", origin, error.what()));
    }
    records->push_back(TraceRecordFromJson(object, origin));
    if (!names->insert(records->back().name).second) {
      ThrowJsonError(origin, "name", fmt::format("'{}' occurs twice in this capture", records->back().name));
    }
  }
}

}  // namespace

Capture ReadCapture(const std::string& directory) {
  const std::string origin = directory + "/capture.json";
  if (!fs::exists(origin)) {
    throw std::runtime_error(fmt::format("{}: no such file; {} is not a finished capture", origin, directory));
  }
  const json document = ReadJsonFile(origin);
  Capture capture;
  capture.directory = directory;
  JsonFields top(document, origin);
  top.Expect("schema", "bitnet-parity/capture/1");

  JsonFields backend = top.Object("backend");
  backend.Read("name", &capture.backend.name);
  backend.Read("version", &capture.backend.version);
  backend.Read("build", &capture.backend.build);
  backend.Read("simd", &capture.backend.simd);
  backend.Read("threads", &capture.backend.threads);
  KeepUnknown(backend, "backend", &capture.extra);

  JsonFields model = top.Object("model");
  model.Read("path", &capture.model.path);
  model.Read("blake3", &capture.model.blake3);
  model.Read("architecture", &capture.model.architecture);
  model.Read("hyperparameters", &capture.model.hyperparameters);
  // An engine without BLAKE3 leaves it empty; the preflight stage then says that the file was not checked.
  if (!capture.model.blake3.empty()) CheckHash(model, "blake3", capture.model.blake3);
  if (!capture.model.hyperparameters.is_object()) {
    ThrowJsonError(origin, "model.hyperparameters", "expected an object");
  }
  KeepUnknown(model, "model", &capture.extra);

  json request;
  top.Read("request", &request);
  capture.request = RequestFromJson(request, origin + ": request");

  top.Read("tokens", &capture.tokens);
  top.Read("pieces", &capture.pieces);
  top.Read("generated", &capture.generated);
  top.Read("generated_pieces", &capture.generated_pieces);
  top.ReadIfPresent("notes", &capture.notes);
  if (capture.pieces.size() != capture.tokens.size()) {
    ThrowJsonError(
        origin, "pieces",
        fmt::format("found {} entries, expected one a token ({})", capture.pieces.size(), capture.tokens.size()));
  }
  if (capture.generated_pieces.size() != capture.generated.size()) {
    ThrowJsonError(origin, "generated_pieces",
                   fmt::format("found {} entries, expected one a generated token ({})", capture.generated_pieces.size(),
                               capture.generated.size()));
  }
  ReadShapes(top.Object("shapes"), capture.tokens.size(), &capture);
  const int n_vocab = capture.shapes.logits[1];
  for (const auto* ids : {&capture.tokens, &capture.generated}) {
    for (size_t i = 0; i < ids->size(); ++i) {
      if ((*ids)[i] >= 0 && (*ids)[i] < n_vocab) continue;
      ThrowJsonError(origin, fmt::format("{}[{}]", ids == &capture.tokens ? "tokens" : "generated", i),
                     fmt::format("found {}, expected an id below n_vocab ({})", (*ids)[i], n_vocab));
    }
  }

  JsonFields timings = top.Object("timings");
  timings.ReadIfPresent("load_ms", &capture.timings.load_ms);
  timings.ReadIfPresent("prompt_ms", &capture.timings.prompt_ms);
  timings.ReadIfPresent("decode_ms", &capture.timings.decode_ms);
  timings.ReadIfPresent("peak_rss_bytes", &capture.timings.peak_rss_bytes);
  KeepUnknown(timings, "timings", &capture.extra);

  JsonFields files = top.Object("files");
  std::string logits, decode_logits;
  std::vector<std::string> trace_files;
  files.Read("logits", &logits);
  files.Read("decode_logits", &decode_logits);
  files.ReadIfPresent("traces", &trace_files);
  KeepUnknown(files, "files", &capture.extra);
  capture.logits = ReadMatrix(directory + "/" + CheckFileName(files, "logits", logits),
                              static_cast<size_t>(capture.shapes.logits[0]), n_vocab, "positions");
  capture.decode_logits = ReadMatrix(directory + "/" + CheckFileName(files, "decode_logits", decode_logits),
                                     capture.generated.size(), n_vocab, "generated tokens");
  std::set<std::string> names;
  for (const std::string& file : trace_files) {
    ReadTraceFile(directory + "/" + CheckFileName(files, "traces", file), &names, &capture.traces);
  }
  for (TraceRecord& record : capture.traces) {
    if (record.blake3.empty()) FillFigures(&record, ReadTensor(capture, record));
  }
  capture.extra.update(top.Unknown());
  return capture;
}

std::vector<float> ReadTensor(const Capture& capture, const TraceRecord& record) {
  if (record.tensor_file.empty() || capture.directory.empty()) {
    throw std::runtime_error(fmt::format("{}: {}: the capture holds no raw tensor; make it with raw_tensors: true",
                                         capture.directory.empty() ? "capture" : capture.directory, record.name));
  }
  const std::string path = capture.directory + "/" + record.tensor_file;
  NpyArray array = ReadNpy(path);
  if (array.shape != record.shape) {
    throw std::runtime_error(fmt::format("{}: shape is ({}), but the trace {} says ({})", path,
                                         fmt::join(array.shape, ", "), record.name, fmt::join(record.shape, ", ")));
  }
  if (record.blake3.empty()) return std::move(array.data);
  if (const std::string hash = HashBytes(array.data.data(), array.data.size() * sizeof(float)); hash != record.blake3) {
    throw std::runtime_error(
        fmt::format("{}: blake3 is {}, but the trace {} says {}", path, hash, record.name, record.blake3));
  }
  return std::move(array.data);
}

}  // namespace parity
