#include "parity_tests/harness/native_backend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/kernels/counts.h"
#include "engine/kernels/targets.h"
#include "engine/model/model.h"
#include "parity_tests/harness/capture_sink.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/harness/orders.h"
#include "reference/engines/in_process_backend.h"
#include "reference/engines/registry.h"

namespace parity {
namespace {

constexpr const char* kVersion = PARITY_VERSION;

std::string ArithmeticOf(std::string_view order) { return fmt::format("arithmetic of {}", order); }

class NativeSession : public Session {
 public:
  // `followed`: see MakeNativeBackendFor; else the order of that name.
  NativeSession(const Request& request, const std::string& order, const std::optional<BackendInfo>& followed)
      : request_(request),
        loaded_(LoadModel(SourceOf(request))),
        order_(followed ? OrderFor(*followed, loaded_->model) : OrderNamed(order, loaded_->model)),
        tokenizer_(LoadTokenizer(request, followed ? DialectFor(*followed, loaded_->model) : DialectOf(order_))) {}

  int n_vocab() const override { return static_cast<int>(h().n_vocab); }
  std::vector<int32_t> Tokenize(const Request& request, std::vector<std::string>*) override {
    return tokenizer_->Encode(request.text,
                              {.add_special = request.add_special, .parse_special = request.parse_special});
  }
  std::string Piece(int32_t id) const override { return tokenizer_ ? tokenizer_->Piece(id) : ""; }
  bool IsEndOfGeneration(int32_t id) const override { return tokenizer_ && tokenizer_->IsEndOfGeneration(id); }

  void Start(int n_ctx, int, CaptureWriter* writer) override {
    if (writer != nullptr && request_.trace != "none") sink_.emplace(request_, writer);
    context_.emplace(loaded_->model, bitnet::ContextOptions{.n_ctx = static_cast<size_t>(n_ctx),
                                                            .threads = static_cast<size_t>(request_.threads),
                                                            .order = &order_,
                                                            .trace = sink_ ? &*sink_ : nullptr});
  }
  std::span<const float> Forward(std::span<const int32_t> tokens, bool) override {
    logits_.resize(tokens.size() * h().n_vocab);
    context_->Forward(tokens, bitnet::LogitsFor::kAll, logits_);
    return logits_;
  }
  void Describe(Capture* capture) const override {
    capture->backend = {.name = "native",
                        .version = kVersion,
                        .build = ArithmeticOf(context_->order().name),
                        .simd = bitnet::TargetName(order_),
                        .threads = request_.threads};
    (*capture->extra)["kernels"] = bitnet::KernelCallsSince(kernels_before_);
    capture->model = loaded_->info;
    Shapes& s = capture->shapes;
    s.kv_cells = static_cast<int>(context_->n_cells());
    s.n_embd_k = s.n_embd_v = static_cast<int>(h().n_head_kv * h().n_embd_head);
    for (size_t i = 0; i < capture->tokens.size(); ++i) {
      s.attends.push_back({{context_->FirstKey(i), context_->KeysAttended(i) - 1}});
    }
  }

 private:
  const bitnet::Hyperparameters& h() const { return loaded_->model.hyperparameters; }

  const Request& request_;
  std::shared_ptr<const LoadedModel> loaded_;
  const bitnet::ArithmeticOrder& order_;
  std::shared_ptr<const bitnet::Tokenizer> tokenizer_;
  std::optional<CaptureSink> sink_;
  std::optional<bitnet::Context> context_;
  std::vector<float> logits_;
  std::map<std::string, uint64_t> kernels_before_ = bitnet::KernelCalls();
};

class NativeBackend : public InProcessBackend {
 public:
  explicit NativeBackend(std::string order, std::optional<BackendInfo> followed = std::nullopt)
      : order_(std::move(order)), followed_(std::move(followed)) {
    if (!order_.empty()) bitnet::FindOrder(order_);
  }

  std::string name() const override { return "native"; }

  ProbeResult Probe() override {
    ProbeResult result;
    result.available = true;
    result.version = kVersion;
    result.found = {fmt::format("kernels for {}", bitnet::TargetName())};
    std::vector<std::string_view> orders;
    for (const bitnet::ArithmeticOrder& order : bitnet::AllOrders()) orders.push_back(order.name);
    result.details = {fmt::format("orders: {}", fmt::join(orders, ", "))};
    return result;
  }

  std::string Identity(const FileHasher& hash) override {
    static const std::string program = hash("/proc/self/exe");
    return fmt::format("native {} {} {}", kVersion, order_, program);
  }

 protected:
  std::unique_ptr<Session> Open(const Request& request) override {
    return std::make_unique<NativeSession>(request, order_, followed_);
  }

 private:
  std::string order_;
  std::optional<BackendInfo> followed_;
};

}  // namespace

std::unique_ptr<Backend> MakeNativeBackend(const std::string& order) { return std::make_unique<NativeBackend>(order); }

std::unique_ptr<Backend> MakeNativeBackendFor(const BackendInfo& reference) {
  return std::make_unique<NativeBackend>(OrderOf(reference), reference);
}

bool Follows(const BackendInfo& native, const BackendInfo& reference) {
  return native.build == ArithmeticOf(OrderOf(reference));
}

}  // namespace parity
