#include "reference/llama_family/observer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "reference/llama_family/api.h"
#include "reference/llama_family/node_map.h"

namespace parity {
namespace {

// Element [i0, i1, i2] by the tensor's own strides.
float ElementAt(const ggml_tensor* t, int64_t i0, int64_t i1, int64_t i2) {
  const char* at = static_cast<const char*>(t->data) + i0 * static_cast<int64_t>(t->nb[0]) +
                   i1 * static_cast<int64_t>(t->nb[1]) + i2 * static_cast<int64_t>(t->nb[2]);
  if (t->type == GGML_TYPE_F16) {
    ggml_fp16_t half;
    std::memcpy(&half, at, sizeof half);
    return ggml_fp16_to_fp32(half);
  }
  float value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void CheckReadable(const ggml_tensor* t) {
  const ggml_backend_buffer_t buffer = t->view_src ? t->view_src->buffer : t->buffer;
  if ((t->type == GGML_TYPE_F32 || t->type == GGML_TYPE_F16) && t->data && buffer &&
      ggml_backend_buffer_is_host(buffer)) {
    return;
  }
  throw std::runtime_error(
      fmt::format("graph node {}: type {}, expected F32 or F16 in host memory; run this model without a GPU", t->name,
                  ggml_type_name(t->type)));
}

bool IsScores(Point point) { return bitnet::InfoOf(point).width == bitnet::Width::kKeys; }

// A product with one number is a scale.
std::string_view OpOf(const ggml_tensor* t) {
  const bool by_one_number = t->op == GGML_OP_MUL && t->src[1] != nullptr && ggml_nelements(t->src[1]) == 1;
  return by_one_number ? "SCALE" : ggml_op_name(t->op);
}

// A product with K or V of the cache, by the cache's name: "cache_k_l3".
NodeName ProductWithCache(const ggml_tensor* product) {
  const ggml_tensor* cache = product->src[0]->view_src;
  if (cache == nullptr) return {};
  NodeName name = ParseNodeName(cache->name);
  if (name.layer >= 0 && (name.base == "cache_k" || name.base == "cache_v")) {
    name.base = name.base == "cache_k" ? "kq" : "kqv";
    return name;
  }
  return {};
}

// A product without a name, or a norm, has that of its weights or of the cache, and so has the scale or the softmax
// behind it.
NodeName NameOf(const ggml_tensor* t) {
  const NodeName name = ParseNodeName(t->name);
  if (!name.base.starts_with("node_")) return name;
  if (t->op == GGML_OP_SOFT_MAX && t->src[0] != nullptr) {
    const NodeName scores = NameOf(t->src[0]);
    return scores.base == "kq" ? NodeName{"kq_soft_max", scores.layer} : name;
  }
  if (OpOf(t) == "FUSED_RMS_NORM" && t->src[1] != nullptr) return ParseNodeName(t->src[1]->name);
  const ggml_tensor* product = OpOf(t) == "SCALE" ? t->src[0] : t;
  if (product == nullptr || product->op != GGML_OP_MUL_MAT || product->src[0] == nullptr) return name;
  if (const NodeName of_cache = ProductWithCache(product); of_cache.layer >= 0) return of_cache;
  const NodeName weights = ParseNodeName(product->src[0]->name);
  return weights.layer >= 0 ? weights : name;
}

}  // namespace

Observer::Observer(const std::string& trace, bool raw_tensors, int traced_positions, CaptureWriter* writer)
    : selection_(trace), raw_tensors_(raw_tensors), traced_positions_(traced_positions), writer_(writer) {}

void Observer::Begin(int first, int n_tokens, bool is_prompt) {
  first_ = first;
  n_tokens_ = n_tokens;
  is_prompt_ = is_prompt;
  done_.clear();
}

bool Observer::Callback(ggml_tensor* tensor, bool ask, void* user_data) {
  auto* self = static_cast<Observer*>(user_data);
  // An exception must not cross the library's C frames.
  try {
    if (ask) return self->Ask(tensor);
    self->Observe(tensor);
    return true;
  } catch (...) {
    self->error_ = std::current_exception();
    return false;
  }
}

void Observer::Rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

bool Observer::Ask(const ggml_tensor* t) {
  const NodeName name = NameOf(t);
  const std::string_view op = OpOf(t);
  const MappedNode node = MapNode(name, op);
  if (node.kind == NodeKind::kUnknown) {
    unknown_.insert(fmt::format("{} ({})", name.base.starts_with("node_") ? "unnamed" : name.base, op));
    return false;
  }
  if (node.kind == NodeKind::kInternal) {
    // kqv = V . softmax; V is a view of the cache, [n_kv, head_dim, n_head_kv].
    if (name.base == "kqv" && name.layer == 0 && t->src[0])
      n_embd_v_ = static_cast<int>(t->src[0]->ne[1] * t->src[0]->ne[2]);
    return false;
  }
  if (node.point == Point::kAttnScores && name.layer == 0 && t->src[0]) {
    // kq = K . Q; K is a view of the cache, [head_dim, n_kv, n_head_kv].
    const ggml_tensor* k = t->src[0];
    n_embd_k_ = static_cast<int>(k->ne[0] * k->ne[2]);
    kv_step_ = std::gcd(kv_step_, static_cast<int>(k->ne[1]));
    const ggml_tensor* cache = k->view_src ? k->view_src : k;
    kv_cells_ = n_embd_k_ > 0 ? static_cast<int>(ggml_nelements(cache) / n_embd_k_) : 0;
  }
  if (node.point == Point::kAttnScoresSoftmax && name.layer == 0 && is_prompt_) return true;
  return selection_.Wants(node.point, name.layer);
}

void Observer::Observe(const ggml_tensor* t) {
  const NodeName name = NameOf(t);
  const MappedNode node = MapNode(name, OpOf(t));
  if (node.point == Point::kAttnScoresSoftmax && name.layer == 0 && is_prompt_ && t->src[1]) ReadMask(t->src[1]);
  if (selection_.Wants(node.point, name.layer)) Record(t, node.point, name.layer, node.is_view);
}

void Observer::ReadMask(const ggml_tensor* mask) {
  CheckReadable(mask);
  if (mask->ne[1] < n_tokens_) {
    throw std::runtime_error(fmt::format("attention mask has {} rows for {} positions", mask->ne[1], n_tokens_));
  }
  for (int i = 0; i < n_tokens_; ++i) {
    std::vector<std::pair<int, int>> ranges;
    for (int key = 0; key < mask->ne[0]; ++key) {
      if (std::isinf(ElementAt(mask, key, i, 0))) continue;
      if (!ranges.empty() && ranges.back().second == key - 1) {
        ranges.back().second = key;
      } else {
        ranges.emplace_back(key, key);
      }
    }
    attends_.push_back(std::move(ranges));
  }
}

void Observer::Record(const ggml_tensor* t, Point point, int layer, bool is_view) {
  // A reshape of what was recorded brings nothing new.
  if (!done_.insert({point, layer}).second && is_view) return;
  CheckReadable(t);
  points_seen_.insert(point);
  std::vector<float> values;
  for (int i = 0; i < n_tokens_; ++i) {
    const int position = first_ + i;
    if (position >= traced_positions_) break;
    if (!selection_.WantsPosition(position)) continue;
    std::vector<int64_t> shape;
    values.clear();
    if (IsScores(point)) {
      // [n_kv, n_tokens, n_head]; keys behind the position are masked, and how many there are is the engine's affair.
      const int64_t n_keys = position + 1;
      if (t->ne[0] < n_keys || t->ne[1] < n_tokens_) {
        throw std::runtime_error(
            fmt::format("graph node {}: [{}, {}, {}], expected [n_kv, n_tokens, n_head] with {} keys, {} tokens",
                        t->name, t->ne[0], t->ne[1], t->ne[2], n_keys, n_tokens_));
      }
      shape = {t->ne[2], n_keys};
      for (int64_t head = 0; head < t->ne[2]; ++head) {
        for (int64_t key = 0; key < n_keys; ++key) values.push_back(ElementAt(t, key, i, head));
      }
    } else if (t->ne[2] == 1 && t->ne[1] == n_tokens_) {
      for (int64_t k = 0; k < t->ne[0]; ++k) values.push_back(ElementAt(t, k, i, 0));
      shape = {t->ne[0]};
    } else if (t->ne[2] == n_tokens_) {
      for (int64_t head = 0; head < t->ne[1]; ++head) {
        for (int64_t k = 0; k < t->ne[0]; ++k) values.push_back(ElementAt(t, k, head, i));
      }
      shape = {t->ne[0] * t->ne[1]};
    } else {
      throw std::runtime_error(fmt::format("graph node {}: [{}, {}, {}] has no dimension of {} tokens", t->name,
                                           t->ne[0], t->ne[1], t->ne[2], n_tokens_));
    }
    writer_->AddTensor(position, layer, point, shape, values, raw_tensors_);
  }
}

std::vector<std::string> Observer::Notes() const {
  std::vector<std::string> notes;
  if (!unknown_.empty())
    notes.push_back(fmt::format("graph nodes that are no known stage: {}", fmt::join(unknown_, ", ")));
  const auto wants = [&](const bitnet::PointInfo& p) { return selection_.Wants(p.point, p.in_layer ? 0 : -1); };
  // Who asks for everything asks for no part of a model by name.
  const bool all = std::all_of(bitnet::kGraph.begin(), bitnet::kGraph.end(), wants);
  const auto has_part = [&](bitnet::When part) {
    return std::any_of(points_seen_.begin(), points_seen_.end(),
                       [part](Point p) { return bitnet::InfoOf(p).when == part; });
  };
  std::vector<std::string_view> missing;
  for (const bitnet::PointInfo& p : bitnet::kGraph) {
    if (!wants(p) || points_seen_.contains(p.point) || (all && !has_part(p.when))) continue;
    missing.push_back(p.name);
  }
  if (!missing.empty())
    notes.push_back(fmt::format("stages that this graph does not have: {}", fmt::join(missing, ", ")));
  return notes;
}

}  // namespace parity
