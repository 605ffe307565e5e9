#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/npy.h"
#include "reference/capture/trace_record.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

void CheckHash(const JsonFields& fields, const std::string& key, const std::string& hash) {
  if (hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos) return;
  fields.Problem(key, fmt::format("found '{}', expected a BLAKE3 hash (64 lower-case hex digits)", hash));
}

Matrix ReadMatrix(const std::string& path, size_t rows, int64_t cols, const char* rows_meaning) {
  NpyArray array = ReadNpy(path);
  if (array.shape.size() != 2 || array.shape[0] != static_cast<int64_t>(rows) || array.shape[1] != cols) {
    throw std::runtime_error(fmt::format("{}: shape is ({}), expected ({}, {}): {} by n_vocab", path,
                                         fmt::join(array.shape, ", "), rows, cols, rows_meaning));
  }
  return {array.shape[0], array.shape[1], std::move(array.data)};
}

void KeepUnknown(const JsonFields& fields, const char* key, Capture* capture) {
  if (JsonValue unknown = fields.Unknown(); !unknown->empty()) (*capture->extra)[key] = std::move(*unknown);
}

void ReadBackend(JsonFields fields, Capture* capture) {
  BackendInfo& backend = capture->backend;
  fields.Read("name", &backend.name);
  fields.Read("version", &backend.version);
  fields.Read("build", &backend.build);
  fields.Read("simd", &backend.simd);
  fields.Read("threads", &backend.threads);
  KeepUnknown(fields, "backend", capture);
}

void ReadModel(JsonFields fields, Capture* capture) {
  ModelInfo& model = capture->model;
  fields.Read("path", &model.path);
  fields.Read("blake3", &model.blake3);
  fields.Read("architecture", &model.architecture);
  fields.Read("hyperparameters", &model.hyperparameters);
  // An engine without BLAKE3 leaves it empty; the preflight rung then says that the file was not checked.
  if (!model.blake3.empty()) CheckHash(fields, "blake3", model.blake3);
  if (!model.hyperparameters->is_object()) fields.Problem("hyperparameters", "expected an object");
  KeepUnknown(fields, "model", capture);
}

// The texts of `ids`, one each.
void ReadTokens(JsonFields& top, const char* ids_key, const char* pieces_key, const char* what,
                std::vector<int32_t>* ids, std::vector<std::string>* pieces) {
  top.Read(ids_key, ids);
  top.Read(pieces_key, pieces);
  if (pieces->size() == ids->size()) return;
  top.Problem(pieces_key, fmt::format("found {} entries, expected one a {} ({})", pieces->size(), what, ids->size()));
}

void CheckIds(const JsonFields& top, const char* key, const std::vector<int32_t>& ids, int n_vocab) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < n_vocab) continue;
    top.Problem(fmt::format("{}[{}]", key, i),
                fmt::format("found {}, expected an id below n_vocab ({})", ids[i], n_vocab));
  }
}

// What the capture shows, and what an engine writes that does not show everything.
void ReadPartial(JsonFields& top, Capture* capture) {
  std::vector<std::string> words;
  if (!top.ReadIfPresent("shows", &words)) return;
  capture->shown = kNothingShown;
  for (const std::string& word : words) {
    const auto part = std::find_if(std::begin(kShownParts), std::end(kShownParts),
                                   [&word](const ShownPart& p) { return p.name == word; });
    if (part == std::end(kShownParts)) {
      top.Problem("shows",
                  fmt::format("found '{}', expected tokens, shapes, logits, text, generated, decode_logits", word));
    } else {
      capture->shown.*part->shown = true;
    }
  }
  top.ReadIfPresent("positions", &capture->positions);
  top.ReadIfPresent("text", &capture->text);
  JsonValue logprobs;
  if (!top.ReadIfPresent("top_logprobs", &logprobs)) return;
  if (!logprobs->is_array()) {
    top.Problem("top_logprobs", "expected an array, an entry a generated token");
    return;
  }
  for (const nlohmann::json& step : *logprobs) {
    std::vector<TokenLogprob>& entries = capture->top_logprobs.emplace_back();
    for (const nlohmann::json& entry : step) {
      JsonFields fields(entry, fmt::format("{}: top_logprobs[{}]", capture->directory + "/capture.json",
                                           capture->top_logprobs.size() - 1));
      TokenLogprob& token = entries.emplace_back();
      fields.Read("id", &token.id);
      fields.Read("text", &token.text);
      fields.Read("logprob", &token.logprob);
    }
  }
}

// Where the shape of the logits is known: rows that they can have.
void CheckLogitsShape(const JsonFields& fields, size_t n_tokens, const Capture& capture) {
  const std::vector<int>& logits = capture.shapes.logits;
  if (capture.shown.tokens && static_cast<size_t>(logits[0]) > n_tokens) {
    fields.Problem("logits", fmt::format("{} positions, but there are only {} tokens", logits[0], n_tokens));
  }
  const size_t positions = capture.positions.size();
  if (positions > 0 && positions != static_cast<size_t>(logits[0])) {
    fields.Problem("logits", fmt::format("{} rows, but the capture names {} positions", logits[0], positions));
  }
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
  const bool none_shown = !capture->shown.logits && shapes.logits.empty();
  if (!none_shown && (shapes.logits.size() != 2 || shapes.logits[0] < 0 || shapes.logits[1] < 1)) {
    fields.Problem("logits", fmt::format("found [{}], expected [positions, n_vocab]", fmt::join(shapes.logits, ", ")));
    shapes.logits.clear();
  }
  if (shapes.logits.size() == 2) CheckLogitsShape(fields, n_tokens, *capture);
  if (!shapes.attends.empty() && shapes.attends.size() != n_tokens) {
    fields.Problem("attends", fmt::format("found {} entries, expected one a token ({}), or none", shapes.attends.size(),
                                          n_tokens));
  }
  for (size_t i = 0; i < shapes.attends.size(); ++i) {
    int next = 0;
    for (const auto& [first, last] : shapes.attends[i]) {
      if (first < next || last < first) {
        fields.Problem(fmt::format("attends[{}]", i),
                       fmt::format("[{}, {}] is not an ascending range of keys", first, last));
      }
      next = last < std::numeric_limits<int>::max() ? last + 1 : last;
    }
  }
  KeepUnknown(fields, "shapes", capture);
}

void ReadTraceFile(const std::string& path, std::vector<std::string>* problems, std::set<std::string>* names,
                   std::vector<TraceRecord>* records) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{}: no such file, but capture.json lists it in files.traces", path));
  int line_number = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string origin = fmt::format("{}:{}", path, ++line_number);
    if (line.empty()) continue;
    Guard(problems, [&] {
      JsonFields fields = JsonFields::Parse(line, origin);
      fields.CollectInto(problems);
      const size_t before = problems != nullptr ? problems->size() : 0;
      TraceRecord record = ReadTraceRecord(std::move(fields));
      if (problems != nullptr && problems->size() > before) return;
      if (!names->insert(record.name).second) {
        ThrowJsonError(origin, "name", fmt::format("'{}' occurs twice in this capture", record.name));
      }
      records->push_back(std::move(record));
    });
  }
}

// The matrices and traces that `fields` names.
void ReadFiles(JsonFields fields, std::vector<std::string>* problems, Capture* capture) {
  std::string logits, decode_logits;
  std::vector<std::string> trace_files;
  fields.Read("logits", &logits);
  fields.Read("decode_logits", &decode_logits);
  fields.ReadIfPresent("traces", &trace_files);
  KeepUnknown(fields, "files", capture);
  const auto path = [&](const char* key, const std::string& name) {
    CheckFileInside(name, fields, key);
    return capture->directory + "/" + name;
  };
  if (capture->shapes.logits.size() == 2) {
    const int n_vocab = capture->shapes.logits[1];
    Guard(problems, [&] {
      if (logits.empty()) return;
      capture->logits =
          ReadMatrix(path("logits", logits), static_cast<size_t>(capture->shapes.logits[0]), n_vocab, "positions");
    });
    Guard(problems, [&] {
      if (decode_logits.empty()) return;
      capture->decode_logits =
          ReadMatrix(path("decode_logits", decode_logits), capture->generated.size(), n_vocab, "generated tokens");
    });
  }
  std::set<std::string> names;
  for (const std::string& file : trace_files) {
    Guard(problems, [&] { ReadTraceFile(path("traces", file), problems, &names, &capture->traces); });
  }
  for (TraceRecord& record : capture->traces) {
    if (record.blake3.empty()) Guard(problems, [&] { FillHashAndRms(&record, ReadTensor(*capture, record)); });
  }
}

}  // namespace

Capture ReadCapture(const std::string& directory) { return ReadCapture(directory, nullptr); }

Capture ReadCapture(const std::string& directory, std::vector<std::string>* problems) {
  const std::string origin = directory + "/capture.json";
  if (!fs::exists(origin)) {
    throw std::runtime_error(fmt::format("{}: no such file; {} is not a finished capture", origin, directory));
  }
  Capture capture;
  capture.directory = directory;
  JsonFields top = JsonFields::ReadFile(origin);
  top.CollectInto(problems);
  top.Expect("schema", "bitnet-parity/capture/1");
  ReadBackend(top.Object("backend"), &capture);
  ReadModel(top.Object("model"), &capture);
  JsonValue request;
  top.Read("request", &request);
  if (top.Has("request")) {
    Guard(problems, [&] { capture.request = RequestFromJson(*request, origin + ": request"); });
  }

  ReadTokens(top, "tokens", "pieces", "token", &capture.tokens, &capture.pieces);
  ReadTokens(top, "generated", "generated_pieces", "generated token", &capture.generated, &capture.generated_pieces);
  top.ReadIfPresent("notes", &capture.notes);
  ReadPartial(top, &capture);
  ReadShapes(top.Object("shapes"), capture.tokens.size(), &capture);
  if (capture.shapes.logits.size() == 2) {
    CheckIds(top, "tokens", capture.tokens, capture.shapes.logits[1]);
    CheckIds(top, "generated", capture.generated, capture.shapes.logits[1]);
  }

  JsonFields timings = top.Object("timings");
  timings.ReadIfPresent("load_ms", &capture.timings.load_ms);
  timings.ReadIfPresent("prompt_ms", &capture.timings.prompt_ms);
  timings.ReadIfPresent("decode_ms", &capture.timings.decode_ms);
  timings.ReadIfPresent("peak_rss_bytes", &capture.timings.peak_rss_bytes);
  KeepUnknown(timings, "timings", &capture);

  ReadFiles(top.Object("files"), problems, &capture);
  capture.extra->update(*top.Unknown());
  return capture;
}

bool ShowsFigures(const Capture& capture) {
  return capture.shown.logits || capture.shown.decode_logits || !capture.top_logprobs.empty();
}

std::string GeneratedText(const Capture& capture) {
  if (!capture.text.empty()) return capture.text;
  std::string text;
  for (const std::string& piece : capture.generated_pieces) text += piece;
  return text;
}

std::vector<int64_t> RowPositions(const Capture& capture, int64_t n_tokens) {
  std::vector<int64_t> positions(static_cast<size_t>(capture.logits.rows));
  for (size_t i = 0; i < positions.size(); ++i) {
    positions[i] = capture.positions.empty() ? static_cast<int64_t>(i) : capture.positions[i];
    if (positions[i] < 0) positions[i] += n_tokens;
    if (positions[i] >= 0 && positions[i] < n_tokens) continue;
    throw std::runtime_error(fmt::format("{}: row {} of the logits is of position {}, and the prompt has {} tokens",
                                         capture.backend.name, i, positions[i], n_tokens));
  }
  return positions;
}

int64_t CountOf(const ModelInfo& model, std::string_view name) {
  const auto found = model.hyperparameters->find(std::string(name));
  return found != model.hyperparameters->end() && found->is_number_integer() ? found->get<int64_t>() : 0;
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
