#include "parity_tests/harness/native_backend.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "engine/kernels/targets.h"
#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "reference/capture/capture_writer.h"
#include "reference/capture/hash.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

int64_t PeakRss() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

// Traced tensors go straight to disk, into a directory that lives as long as the backend.
class WritingSink : public bitnet::TraceSink {
 public:
  WritingSink(const Request& request, CaptureWriter* writer)
      : selection_(request.trace), keep_raw_(request.raw_tensors), positions_(request.positions), writer_(writer) {}

  bool Wants(bitnet::Point point, int layer) const override { return selection_.Wants(point, layer); }
  void OnTensor(const bitnet::TracedTensor& t) override {
    if ((positions_ > 0 && t.position >= positions_) || !selection_.WantsSeq(t.position)) return;
    std::vector<int64_t> shape;
    if (t.rows > 1) shape.push_back(static_cast<int64_t>(t.rows));
    shape.push_back(static_cast<int64_t>(t.cols));
    writer_->AddTensor(t.position, t.layer, t.point, shape, t.data, keep_raw_);
  }

 private:
  TraceSelection selection_;
  bool keep_raw_;
  int positions_;
  CaptureWriter* writer_;
};

ModelInfo Info(const bitnet::Model& model, const std::string& path) {
  const bitnet::Hyperparameters& h = model.hyperparameters;
  ModelInfo info;
  info.path = path;
  info.blake3 = HashFile(path);
  info.architecture = h.architecture;
  info.hyperparameters = {{"n_vocab", h.n_vocab},
                          {"n_embd", h.n_embd},
                          {"n_layer", h.n_layer},
                          {"n_head", h.n_head},
                          {"n_head_kv", h.n_head_kv},
                          {"n_embd_head", h.n_embd_head},
                          {"n_ff", h.n_ff},
                          {"n_rot", h.n_rot},
                          {"rope_freq_base", h.rope_freq_base},
                          {"rms_norm_eps", h.rms_norm_eps},
                          {"n_ctx_train", h.n_ctx_train},
                          {"file_type", h.file_type}};
  return info;
}

std::optional<bitnet::Tokenizer> LoadTokenizer(const Request& request, const bitnet::Model& model) {
  if (!request.tokenizer.empty()) return bitnet::Tokenizer::FromTokenizerJson(request.tokenizer);
  // A model without a vocabulary still runs on token ids.
  if (request.token_ids && !model.file.Has("tokenizer.ggml.tokens")) return std::nullopt;
  return bitnet::Tokenizer::FromGguf(model.file);
}

size_t ContextSize(const Request& request, size_t n_tokens) {
  const size_t needed = n_tokens + static_cast<size_t>(request.max_tokens);
  if (request.n_ctx > 0) {
    if (needed > static_cast<size_t>(request.n_ctx)) {
      throw std::runtime_error(fmt::format("request: n_ctx: found {}, but {} prompt tokens and {} to generate need {}",
                                           request.n_ctx, n_tokens, request.max_tokens, needed));
    }
    return static_cast<size_t>(request.n_ctx);
  }
  return (std::max<size_t>(needed, 1) + 255) / 256 * 256;
}

// The prompt by the request's schedule, with logits; returns the last position's.
std::vector<float> RunPrompt(const Request& request, bitnet::Context& context, size_t n_vocab, size_t n_ubatch,
                             Capture& capture) {
  const size_t n = capture.tokens.size();
  const size_t step = request.schedule == Schedule::kBatch ? n_ubatch : 1;
  const size_t kept = static_cast<size_t>(capture.logits.rows);
  std::vector<float> logits;
  std::vector<float> last;
  for (size_t first = 0; first < n; first += step) {
    const size_t count = std::min(step, n - first);
    logits.resize(count * n_vocab);
    context.Forward(std::span(capture.tokens).subspan(first, count), bitnet::LogitsFor::kAll, logits);
    for (size_t i = 0; i < count && first + i < kept; ++i) {
      std::copy_n(logits.data() + i * n_vocab, n_vocab, capture.logits.data.data() + (first + i) * n_vocab);
    }
    last.assign(logits.end() - static_cast<ptrdiff_t>(n_vocab), logits.end());
  }
  return last;
}

void Decode(const Request& request, bitnet::Context& context, const std::optional<bitnet::Tokenizer>& tokenizer,
            std::vector<float> last, Capture& capture) {
  for (int i = 0; i < request.max_tokens && !capture.tokens.empty(); ++i) {
    const int32_t token = bitnet::Argmax(last);
    capture.decode_logits.data.insert(capture.decode_logits.data.end(), last.begin(), last.end());
    ++capture.decode_logits.rows;
    capture.generated.push_back(token);
    capture.generated_pieces.push_back(tokenizer ? tokenizer->Piece(token) : "");
    if (i + 1 == request.max_tokens) break;
    if (!request.ignore_eos && tokenizer && tokenizer->IsEndOfGeneration(token)) break;
    context.Forward({&token, 1}, bitnet::LogitsFor::kLast, last);
  }
}

class NativeBackend : public Backend {
 public:
  explicit NativeBackend(std::string order) : order_(std::move(order)) {
    if (!order_.empty()) bitnet::FindOrder(order_);
  }
  ~NativeBackend() override {
    std::error_code ignored;
    for (const std::string& directory : directories_) std::filesystem::remove_all(directory, ignored);
  }

  std::string name() const override { return "native"; }

  ProbeResult Probe() override {
    ProbeResult result;
    result.available = bitnet::CpuIsSupported();
    result.version = kVersion;
    result.found = {fmt::format("kernels for {}", bitnet::TargetName())};
    if (!result.available) {
      result.problem = "this CPU lacks AVX2 or FMA";
      result.remedy = "run on an x86-64 machine with AVX2";
    }
    return result;
  }

  std::string Identity(const FileHasher& hash) override {
    static const std::string program = hash("/proc/self/exe");
    return fmt::format("native {} {} {}", kVersion, order_, program);
  }

  Capture Run(const Request& request) override {
    const auto load_start = Clock::now();
    const bitnet::Model model = bitnet::Model::Load(request.model);
    const std::optional<bitnet::Tokenizer> tokenizer = LoadTokenizer(request, model);
    Capture capture;
    capture.request = request;
    capture.model = Info(model, request.model);
    capture.tokens = request.token_ids ? *request.token_ids
                                       : tokenizer->Encode(request.text, {.add_special = request.add_special,
                                                                          .parse_special = request.parse_special});
    for (const int32_t id : capture.tokens) capture.pieces.push_back(tokenizer ? tokenizer->Piece(id) : "");

    std::optional<CaptureWriter> writer;
    std::optional<WritingSink> sink;
    if (request.trace != "none") {
      writer.emplace(NewDirectory());
      sink.emplace(request, &*writer);
    }
    const size_t n = capture.tokens.size();
    const size_t n_ctx = ContextSize(request, n);
    const size_t n_ubatch = std::min<size_t>(static_cast<size_t>(request.n_ubatch), n_ctx);
    bitnet::Context context(model, {.n_ctx = n_ctx,
                                    .threads = static_cast<size_t>(request.threads),
                                    .order = order_.empty() ? nullptr : &bitnet::FindOrder(order_),
                                    .trace = sink ? &*sink : nullptr});
    const size_t n_vocab = model.hyperparameters.n_vocab;
    const size_t kept = request.positions > 0 ? std::min<size_t>(n, static_cast<size_t>(request.positions)) : n;
    capture.logits = {static_cast<int64_t>(kept), static_cast<int64_t>(n_vocab), std::vector<float>(kept * n_vocab)};
    capture.decode_logits.cols = static_cast<int64_t>(n_vocab);
    capture.timings.load_ms = MillisecondsSince(load_start);

    const auto prompt_start = Clock::now();
    std::vector<float> last = RunPrompt(request, context, n_vocab, n_ubatch, capture);
    capture.timings.prompt_ms = MillisecondsSince(prompt_start);
    const auto decode_start = Clock::now();
    Decode(request, context, tokenizer, std::move(last), capture);
    capture.timings.decode_ms = MillisecondsSince(decode_start);
    capture.timings.peak_rss_bytes = PeakRss();

    capture.backend = {.name = name(),
                       .version = kVersion,
                       .build = fmt::format("arithmetic of {}", context.order().name),
                       .simd = bitnet::TargetName(),
                       .threads = request.threads};
    FillShapes(model.hyperparameters, context, n_ubatch, capture);
    if (!writer) return capture;
    writer->Finish(capture);
    return ReadCapture(directories_.back());
  }

 private:
  static constexpr const char* kVersion = "0.1.0";

  static void FillShapes(const bitnet::Hyperparameters& h, const bitnet::Context& context, size_t n_ubatch,
                         Capture& capture) {
    Shapes& s = capture.shapes;
    s.n_ctx = static_cast<int>(context.n_ctx());
    s.n_ubatch = static_cast<int>(n_ubatch);
    s.kv_cells = static_cast<int>(context.n_cells());
    s.n_embd_k = s.n_embd_v = static_cast<int>(h.n_head_kv * h.n_embd_head);
    s.logits = {static_cast<int>(capture.logits.rows), static_cast<int>(capture.logits.cols)};
    for (size_t i = 0; i < capture.tokens.size(); ++i) s.attends.push_back({{0, context.KeysAttended(i) - 1}});
  }

  std::string NewDirectory() {
    static int counter = 0;
    const auto path = std::filesystem::temp_directory_path() / fmt::format("bitnet-parity.{}.{}", getpid(), counter++);
    directories_.push_back(path.string());
    return directories_.back();
  }

  std::string order_;
  std::vector<std::string> directories_;
};

bool Contains(std::span<const std::string_view> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::unique_ptr<Backend> MakeNativeBackend(const std::string& order) { return std::make_unique<NativeBackend>(order); }

std::unique_ptr<Backend> MakeAnyBackend(const std::string& spec) {
  if (spec == "native") return MakeNativeBackend();
  if (spec.starts_with("native:")) return MakeNativeBackend(spec.substr(7));
  return MakeBackend(spec);
}

std::string OrderOf(const BackendInfo& reference) {
  // Names of llama.cpp's CPU plugins, by the vectors that they were compiled for.
  static constexpr std::array<std::string_view, 4> kAvx512 = {"skylakex", "icelake", "cannonlake", "cascadelake"};
  static constexpr std::array<std::string_view, 2> kAvx512Bf16 = {"cooperlake", "zen4"};
  static constexpr std::array<std::string_view, 2> kAvx2 = {"haswell", "alderlake"};
  if (reference.name == "llama.cpp") {
    if (Contains(kAvx512, reference.simd)) return "llama.cpp-avx512";
    if (Contains(kAvx512Bf16, reference.simd)) return "llama.cpp-avx512-bf16";
    if (Contains(kAvx2, reference.simd)) return "llama.cpp-avx2";
  }
  if (reference.name == "bitnet.cpp" && (reference.simd == "avx512" || reference.simd == "avx2")) {
    // The compiler decides which products are fused.
    if (reference.build.find("clang") != std::string::npos) return "bitnet.cpp-" + reference.simd;
    if (reference.build.find("GCC") != std::string::npos) return fmt::format("bitnet.cpp-{}-gcc", reference.simd);
  }
  return "";
}

std::unique_ptr<Backend> MakeCandidateFor(const std::string& spec, const BackendInfo& reference) {
  return spec == "native" ? MakeNativeBackend(OrderOf(reference)) : MakeAnyBackend(spec);
}

}  // namespace parity
