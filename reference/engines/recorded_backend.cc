#include "reference/engines/recorded_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

// What is needed to choose: capture.json without the arrays beside it.
struct Entry {
  std::string directory;
  std::string backend, version, simd;
  std::string model_path, model_blake3;
  Request request;
  std::vector<int32_t> tokens;
  size_t n_generated = 0;
  int positions = 0;
  int n_ctx = 0;
  bool everything = true;  // of an engine that shows less: it answers the request that it was made for
};

Entry ReadEntry(const std::string& directory) {
  const std::string origin = directory + "/capture.json";
  Entry entry;
  entry.directory = directory;
  JsonFields top = JsonFields::ReadFile(origin, "bitnet-parity/capture/1");
  JsonFields backend = top.Object("backend");
  backend.Read("name", &entry.backend);
  backend.Read("version", &entry.version);
  backend.Read("simd", &entry.simd);
  JsonFields model = top.Object("model");
  model.Read("path", &entry.model_path);
  model.Read("blake3", &entry.model_blake3);
  JsonValue request;
  top.Read("request", &request);
  entry.request = RequestFromJson(*request, origin + ": request");
  top.Read("tokens", &entry.tokens);
  std::vector<int> generated, logits;
  entry.everything = !top.Has("shows");
  top.Read("generated", &generated);
  entry.n_generated = generated.size();
  JsonFields shapes = top.Object("shapes");
  shapes.Read("logits", &logits);
  shapes.Read("n_ctx", &entry.n_ctx);
  entry.positions = logits.empty() ? 0 : logits[0];
  return entry;
}

const char* NameOf(Schedule schedule) { return schedule == Schedule::kBatch ? "batch" : "token-by-token"; }

std::string QuoteStart(std::string_view text) { return Quote(text.substr(0, 60)); }

// Why this capture does not answer the request; "" where it does.
std::string Mismatch(const Entry& e, const Request& request, const std::string& model_blake3) {
  // An engine need not know the hash of its model; the ladder's preflight says so.
  if (!e.model_blake3.empty() && e.model_blake3 != model_blake3) return "of another model file";
  if (request.token_ids) {
    if (e.tokens != *request.token_ids) return "other token ids";
  } else {
    if (e.request.token_ids || e.request.text != request.text) return "another text";
    if (e.request.add_special != request.add_special || e.request.parse_special != request.parse_special) {
      return "add_special or parse_special differ";
    }
  }
  if (e.request.prompt_template != request.prompt_template)
    return fmt::format("template {}", e.request.prompt_template);
  if (e.request.schedule != request.schedule) return fmt::format("schedule {}", NameOf(e.request.schedule));
  if (e.request.override_kv != request.override_kv) return "override_kv differs";
  if (e.request.i2s_layout != request.i2s_layout) return "i2s_layout differs";
  if (!request.cpu_variant.empty() && e.simd != request.cpu_variant) return fmt::format("made with {}", e.simd);
  if (!e.everything) {
    if (e.request.max_tokens != request.max_tokens) return fmt::format("{} tokens asked for", e.request.max_tokens);
    return "";
  }
  const int n_tokens = static_cast<int>(e.tokens.size());
  if (request.schedule == Schedule::kBatch && n_tokens > std::min(request.n_ubatch, e.request.n_ubatch) &&
      request.n_ubatch != e.request.n_ubatch) {
    return fmt::format("batches of {}", e.request.n_ubatch);
  }
  if (request.n_ctx > 0 && request.n_ctx != e.n_ctx) return fmt::format("n_ctx {}", e.n_ctx);
  const int positions = request.positions > 0 ? std::min(request.positions, n_tokens) : n_tokens;
  if (e.positions < positions) return fmt::format("logits of {} positions only", e.positions);
  const bool ended_early =
      !request.ignore_eos && !e.request.ignore_eos && e.n_generated < static_cast<size_t>(e.request.max_tokens);
  if (e.n_generated < static_cast<size_t>(request.max_tokens) && n_tokens > 0 && !ended_early) {
    return fmt::format("{} generated tokens only", e.n_generated);
  }
  if (e.request.ignore_eos != request.ignore_eos && request.max_tokens > 0) return "ignore_eos differs";
  if (!TraceSelection(request.trace).empty()) {
    if (e.request.trace != request.trace && e.request.trace != "full") return fmt::format("trace {}", e.request.trace);
    if (request.raw_tensors && !e.request.raw_tensors) return "no raw tensors";
  }
  return "";
}

// What was recorded, as the answer to this request.
void CutTo(const Request& request, Capture* capture) {
  if (request.token_ids) capture->request.token_ids = request.token_ids;  // of a text, maybe
  if (!capture->shown.everything()) return;
  const auto cut = [](int64_t rows, Matrix* matrix) {
    if (rows >= matrix->rows) return;
    matrix->rows = rows;
    matrix->data.resize(static_cast<size_t>(rows * matrix->cols));
  };
  if (request.positions > 0) cut(request.positions, &capture->logits);
  capture->shapes.logits[0] = static_cast<int>(capture->logits.rows);
  cut(request.max_tokens, &capture->decode_logits);
  capture->generated.resize(static_cast<size_t>(capture->decode_logits.rows));
  capture->generated_pieces.resize(capture->generated.size());
  capture->request.positions = request.positions;
  capture->request.max_tokens = request.max_tokens;
}

class RecordedBackend : public Backend {
 public:
  explicit RecordedBackend(std::string directory) : directory_(std::move(directory)) {}

  // What was recorded of a program that prints ends at the end of its text.
  bool stops_at_end() const override {
    const std::vector<Entry> entries = Entries();
    return std::any_of(entries.begin(), entries.end(),
                       [](const Entry& e) { return !e.everything && !e.request.ignore_eos; });
  }

  std::string name() const override { return "recorded:" + directory_; }

  ProbeResult Probe() override {
    ProbeResult result;
    result.looked_in = {directory_};
    result.remedy = "name a capture, or a folder of captures";
    if (!fs::is_directory(directory_)) {
      result.problem = fmt::format("{}: no such directory", directory_);
      return result;
    }
    try {
      for (const Entry& e : Entries()) {
        result.found.push_back(e.directory);
        result.version = fmt::format("{} {}", e.backend, e.version);
      }
    } catch (const std::exception& error) {
      result.problem = error.what();
      return result;
    }
    result.available = !result.found.empty();
    if (result.available) {
      result.remedy.clear();
    } else {
      result.problem = fmt::format("{}: holds no capture (no capture.json below it)", directory_);
    }
    return result;
  }

  bool live() const override { return false; }
  std::string Identity(const FileHasher& hash) override {
    std::string identity = "recorded\n";
    for (const Entry& e : Entries()) identity += hash(e.directory + "/capture.json") + "\n";
    return identity;
  }

  Capture Run(const Request& request) override {
    const std::vector<Entry> entries = Entries();
    const std::string model_blake3 = HashFile(request.model);
    std::string listing;
    const Entry* answer = nullptr;
    for (const Entry& e : entries) {
      const std::string mismatch = Mismatch(e, request, model_blake3);
      if (mismatch.empty()) {
        if (answer != nullptr && answer->backend != e.backend) {
          throw std::runtime_error(
              fmt::format("{}: captures of two engines answer this request, {} ({}) and {} ({}); "
                          "name one of them",
                          name(), answer->directory, answer->backend, e.directory, e.backend));
        }
        if (answer == nullptr) answer = &e;
        continue;
      }
      listing += fmt::format("\n  {}: {}, {}, {}, {} tokens, {}: {}", fs::relative(e.directory, directory_).string(),
                             fs::path(e.model_path).filename().string(), QuoteStart(e.request.text),
                             NameOf(e.request.schedule), e.tokens.size(), e.request.prompt_template, mismatch);
    }
    if (answer != nullptr) {
      Capture capture = ReadCapture(answer->directory);
      CutTo(request, &capture);
      return capture;
    }
    throw std::runtime_error(fmt::format(
        "{}: no capture answers this request: {}, {}, {}, template {}, {} positions, {} tokens to "
        "generate; record one, or ask for "
        "one of these:{}",
        name(), fs::path(request.model).filename().string(),
        request.token_ids ? fmt::format("{} token ids", request.token_ids->size()) : QuoteStart(request.text),
        NameOf(request.schedule), request.prompt_template, request.positions, request.max_tokens,
        listing.empty() ? "\n  (none: the directory holds no capture)" : listing));
  }

 private:
  std::vector<Entry> Entries() const {
    std::vector<std::string> directories;
    if (fs::exists(directory_ + "/capture.json")) {
      directories.push_back(directory_);
    } else if (fs::is_directory(directory_)) {
      for (const auto& item : fs::recursive_directory_iterator(directory_)) {
        if (item.path().filename() == "capture.json") directories.push_back(item.path().parent_path().string());
      }
    }
    std::sort(directories.begin(), directories.end());
    std::vector<Entry> entries;
    for (const std::string& directory : directories) entries.push_back(ReadEntry(directory));
    return entries;
  }

  std::string directory_;
};

}  // namespace

std::unique_ptr<Backend> MakeRecordedBackend(const std::string& directory) {
  return std::make_unique<RecordedBackend>(directory);
}

}  // namespace parity
