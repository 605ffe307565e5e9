// `inspect`: are a model's norms and projections what a trained model's are?
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <vector>

#include "engine/formats/codec.h"
#include "engine/gguf/gguf.h"
#include "engine/model/i2_s_evidence.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/suggest.h"

namespace parity {
namespace {

struct InspectOptions {
  std::string model;
  std::string gate = "auto";
  std::string format = "text";
  bool ln_stats = false, tensors = false;
};

// Limits of a gamma's RMS, by kind of norm.
using Gate = std::map<std::string, std::pair<double, double>>;

constexpr const char* kNorms[] = {"attn_norm", "attn_sub_norm", "ffn_norm", "ffn_sub_norm"};
constexpr const char* kProjections[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};

// What training leaves. BitNet's attn_norm is small by nature: 0.018 in the published 2B-4T model, whose ffn_norm
// is 1.2 to 1.5.
Gate AutoGate(const std::string& architecture) {
  const bool bitnet = architecture.starts_with("bitnet");
  return {{"attn_norm", {bitnet ? 0.004 : 0.02, 16}},
          {"attn_sub_norm", {0.02, 64}},
          {"ffn_norm", {0.05, 16}},
          {"ffn_sub_norm", {0.02, 64}},
          {"output_norm", {0.05, 256}}};
}

// {"attn_norm": {"min": 0.004, "max": 16}, ...}; norms that it does not name have no limits.
Gate ReadGate(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw std::runtime_error(fmt::format("{}: cannot be read; --gate takes auto, none or a JSON file", path));
  }
  JsonFields fields = JsonFields::ReadFile(path);
  Gate gate;
  std::vector<std::string> norms(std::begin(kNorms), std::end(kNorms));
  norms.push_back("output_norm");
  for (const std::string& norm : fields.Keys()) {
    if (std::find(norms.begin(), norms.end(), norm) == norms.end()) {
      fields.Fail(norm,
                  fmt::format("is no norm; expected some of {}{}", fmt::join(norms, ", "), DidYouMean(norm, norms)));
    }
    JsonFields limits = fields.Object(norm);
    auto& [least, most] = gate[norm];
    limits.Read("min", &least);
    limits.Read("max", &most);
    limits.RejectUnknown();
    if (!(least <= most)) limits.Fail("min", fmt::format("found {:g}, expected at most max, {:g}", least, most));
  }
  if (gate.empty()) fields.Fail("", "found no norm; --gate none is the gate that refuses nothing");
  return gate;
}

struct NormStats {
  std::string tensor;
  std::string kind;
  int layer = -1;
  std::string type;
  double rms = 0;
  size_t distinct = 0;  // up to 17
  size_t size = 0;
  bool finite = true;
};

struct ProjectionStats {
  std::string tensor;
  std::string type;
  bool read = true;  // false: this engine does not know how
  bool ternary = false;
  double scale = 0;
  double zeros = 0;  // share
};

std::vector<float> ReadValues(const bitnet::GgufFile& file, const bitnet::TensorInfo& tensor) {
  std::vector<float> values(tensor.rows() * tensor.cols());
  bitnet::DequantizeTensor(tensor.type, file.Data(tensor), tensor.rows(), tensor.cols(), values);
  return values;
}

NormStats InspectNorm(const bitnet::GgufFile& file, const bitnet::TensorInfo& tensor, const std::string& kind,
                      int layer) {
  NormStats s{.tensor = tensor.name, .kind = kind, .layer = layer, .type = tensor.type_name()};
  if (!tensor.is_own()) return s;
  const std::vector<float> values = ReadValues(file, tensor);
  std::set<float> distinct;
  double squares = 0;
  for (const float v : values) {
    squares += static_cast<double>(v) * v;
    s.finite = s.finite && std::isfinite(v);
    if (distinct.size() <= 16 && !std::isnan(v)) distinct.insert(v);
  }
  s.size = values.size();
  s.rms = std::sqrt(squares / static_cast<double>(std::max<size_t>(values.size(), 1)));
  s.distinct = distinct.size();
  return s;
}

ProjectionStats InspectProjection(const bitnet::GgufFile& file, const bitnet::TensorInfo& tensor) {
  ProjectionStats s{.tensor = tensor.name, .type = tensor.type_name(), .read = tensor.is_own()};
  if (!s.read) return s;
  const std::vector<float> values = ReadValues(file, tensor);
  s.zeros = static_cast<double>(std::count(values.begin(), values.end(), 0.0f)) /
            static_cast<double>(std::max<size_t>(values.size(), 1));
  if (const auto ternary = bitnet::FindTernary(values, tensor.rows(), tensor.cols())) {
    s.ternary = true;
    s.scale = ternary->scale;
  }
  return s;
}

// Why the gate refuses a norm; empty if it does not. `median`: RMS of the same norm over all layers.
std::string Refusal(const NormStats& s, const Gate& gate, double median) {
  if (!s.finite) return "holds NaN or Inf";
  if (s.type != "F32" && s.type != "F16" && s.type != "BF16")
    return fmt::format("is {}; norms are never quantized", s.type);
  if (s.rms == 0) return "is all zeros";
  if (s.size >= 64 && s.distinct > 1 && s.distinct <= 16) {
    return fmt::format("has only {} distinct values: it was quantized", s.distinct);
  }
  const auto limits = gate.find(s.kind);
  if (limits != gate.end() && (s.rms < limits->second.first || s.rms > limits->second.second)) {
    return fmt::format("has RMS {:.4g}, expected {:.4g} to {:.4g} for this architecture", s.rms, limits->second.first,
                       limits->second.second);
  }
  if (s.layer >= 0 && (s.rms > 16 * median || s.rms < median / 16)) {
    return fmt::format("has RMS {:.4g}, more than 16 times from the median of its kind, {:.4g}", s.rms, median);
  }
  return "";
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Every tensor of the file: name, type, shape as [rows, cols] (GGUF has them the other way round), bytes.
int ListTensors(const InspectOptions& o, const bitnet::GgufFile& file) {
  nlohmann::json json = {{"model", o.model}, {"tensors", nlohmann::json::array()}};
  size_t width = 4;
  for (const bitnet::TensorInfo& t : file.tensors()) width = std::max(width, t.name.size());
  if (o.format == "text") fmt::print("{:<{}}  {:<8}  {:>14}  shape\n", "name", width, "type", "bytes");
  for (const bitnet::TensorInfo& t : file.tensors()) {
    const std::vector<uint64_t> shape(t.shape.rbegin(), t.shape.rend());
    if (o.format == "json") {
      json["tensors"].push_back({{"name", t.name}, {"type", t.type_name()}, {"shape", shape}, {"bytes", t.bytes}});
    } else {
      fmt::print("{:<{}}  {:<8}  {:>14}  [{}]\n", t.name, width, t.type_name(), t.bytes, fmt::join(shape, ", "));
    }
  }
  if (o.format == "json") fmt::print("{}", DumpJson(json));
  return 0;
}

int Inspect(const InspectOptions& o) {
  const bitnet::GgufFile file = bitnet::GgufFile::Open(o.model);
  if (o.tensors) return ListTensors(o, file);
  const std::string architecture = file.Get<std::string>("general.architecture");
  const uint32_t n_layer = file.Get<uint32_t>(architecture + ".block_count");
  const Gate gate = o.gate == "auto" ? AutoGate(architecture) : o.gate == "none" ? Gate{} : ReadGate(o.gate);

  std::vector<NormStats> norms;
  std::vector<ProjectionStats> projections;
  std::map<std::string, std::vector<double>> rms_of_kind;
  for (uint32_t layer = 0; layer < n_layer && layer < file.tensors().size(); ++layer) {
    for (const char* kind : kNorms) {
      const auto* tensor = file.FindTensor(fmt::format("blk.{}.{}.weight", layer, kind));
      if (tensor == nullptr) continue;
      norms.push_back(InspectNorm(file, *tensor, kind, static_cast<int>(layer)));
      rms_of_kind[kind].push_back(norms.back().rms);
    }
    if (o.ln_stats && o.format == "text") continue;
    for (const char* kind : kProjections) {
      const auto* tensor = file.FindTensor(fmt::format("blk.{}.{}.weight", layer, kind));
      if (tensor != nullptr) projections.push_back(InspectProjection(file, *tensor));
    }
  }
  if (const auto* tensor = file.FindTensor("output_norm.weight"))
    norms.push_back(InspectNorm(file, *tensor, "output_norm", -1));

  std::vector<std::string> refusals;
  if (o.gate != "none") {
    for (const NormStats& s : norms) {
      const std::string refusal = Refusal(s, gate, Median(rms_of_kind[s.kind]));
      if (!refusal.empty()) refusals.push_back(fmt::format("{} {}", s.tensor, refusal));
    }
  }

  const auto i2s = bitnet::ExamineI2s(file);
  const std::string i2s_warning = i2s ? i2s->Warning() : "";
  if (o.format == "json") {
    nlohmann::json json = {
        {"model", o.model}, {"architecture", architecture}, {"gate", o.gate}, {"refusals", refusals}};
    for (const NormStats& s : norms)
      json["norms"].push_back({{"tensor", s.tensor}, {"layer", s.layer}, {"type", s.type}, {"rms", s.rms}});
    for (const ProjectionStats& s : projections) {
      json["projections"].push_back(
          {{"tensor", s.tensor}, {"type", s.type}, {"ternary", s.ternary}, {"scale", s.scale}, {"zeros", s.zeros}});
      if (!s.read) json["projections"].back()["read"] = false;
    }
    if (!i2s_warning.empty()) json["i2_s_warning"] = i2s_warning;
    fmt::print("{}", DumpJson(json));
    return refusals.empty() ? 0 : 1;
  }
  fmt::print("{}: {}, {} layers\n\nRMS of the norms' gammas\n  layer", o.model, architecture, n_layer);
  for (const char* kind : kNorms) fmt::print("  {:>13}", kind);
  int row = -2;
  for (const NormStats& s : norms) {
    if (s.layer < 0) {
      fmt::print("\n  output_norm {:.4g}", s.rms);
      continue;
    }
    if (s.layer != row) fmt::print("\n  {:5}", row = s.layer);
    fmt::print("  {:13.4g}", s.rms);
  }
  fmt::print("\n");
  if (!projections.empty()) fmt::print("\nprojections                    type     scale   zeros\n");
  for (const ProjectionStats& s : projections) {
    fmt::print("  {:28} {:5}  {:>8}  {:4.1f} %\n", s.tensor, s.type,
               !s.read     ? "not read"
               : s.ternary ? fmt::format("{:.4g}", s.scale)
                           : "not ternary",
               100 * s.zeros);
  }
  if (!i2s_warning.empty()) fmt::print("\nI2_S: {}\n", i2s_warning);
  if (o.gate != "none") fmt::print("\ngate {}: {}\n", o.gate, refusals.empty() ? "passed" : "refused");
  for (const std::string& refusal : refusals) fmt::print("  {}\n", refusal);
  return refusals.empty() ? 0 : 1;
}

}  // namespace

void AddInspectCommand(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<InspectOptions>();
  Options options(app, "inspect", "Norms and projections of a model: are they what a trained model's are?");
  options.Add("model,--model", o->model, "GGUF file", {.required = true});
  options.Flag("--ln-stats", o->ln_stats, "The norms alone");
  options.Flag("--tensors", o->tensors, "List the file's tensors with type, shape and bytes instead");
  options.Add("--gate", o->gate,
              "auto (by architecture), none, or a JSON file of limits; exit code 1 where it refuses");
  AddFormatOption(options, o->format, {"text", "json"});
  options.Run(exit_code, [o] { return Inspect(*o); });
}

}  // namespace parity
