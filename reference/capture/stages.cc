#include "reference/capture/stages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <stdexcept>

namespace parity {
namespace {

constexpr std::array<Stage, 22> kStages = {{
    {"embeddings", false, true}, {"attn_norm", true, true},      {"q_proj", true, true},
    {"k_proj", true, true},      {"v_proj", true, true},         {"q_rope", true, false},
    {"k_rope", true, false},     {"attn_scores", true, false},   {"attn_scores_softmax", true, false},
    {"attn_out", true, true},    {"attn_sub_norm", true, false}, {"attn_o_proj", true, true},
    {"ffn_inp", true, false},    {"ffn_norm", true, false},      {"ffn_gate", true, false},
    {"ffn_up", true, false},     {"ffn_act", true, true},        {"ffn_sub_norm", true, false},
    {"ffn_down", true, true},    {"layer_out", true, true},      {"output_norm", false, true},
    {"logits", false, true},
}};

bool Matches(const std::string& pattern, std::string_view stage, const std::string& place) {
  const std::string text = pattern.find('/') == std::string::npos ? std::string(stage) : place;
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool MatchesAnyStage(const std::string& pattern) {
  const size_t slash = pattern.find('/');
  if (slash == std::string::npos) {
    return std::any_of(kStages.begin(), kStages.end(), [&](const Stage& s) { return Matches(pattern, s.name, ""); });
  }
  const std::string stage_part = pattern.substr(slash + 1);
  return pattern.starts_with("blk") && std::any_of(kStages.begin(), kStages.end(), [&](const Stage& s) {
           return s.in_layer && fnmatch(stage_part.c_str(), std::string(s.name).c_str(), 0) == 0;
         });
}

}  // namespace

std::span<const Stage> AllStages() { return kStages; }

int StageIndex(std::string_view name) {
  for (size_t i = 0; i < kStages.size(); ++i) {
    if (kStages[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

std::string TraceName(int seq, int layer, std::string_view stage) {
  return layer < 0 ? fmt::format("t{}/{}", seq, stage) : fmt::format("t{}/blk{}/{}", seq, layer, stage);
}

TraceSelection::TraceSelection(const std::string& spec) {
  std::stringstream stream(spec);
  for (std::string pattern; std::getline(stream, pattern, ',');) {
    if (pattern.empty() || pattern == "none") continue;
    if (pattern == "full") pattern = "*";
    if (pattern == "core") {
      for (const Stage& stage : kStages) {
        if (stage.core) patterns_.emplace_back(stage.name);
      }
      continue;
    }
    if (!MatchesAnyStage(pattern)) {
      std::vector<std::string_view> names;
      for (const Stage& stage : kStages) names.push_back(stage.name);
      throw std::runtime_error(fmt::format(
          "trace: '{}' matches no stage; expected none, core, full, or globs over these: {} (or blk<layer>/<stage>)",
          pattern, fmt::join(names, " ")));
    }
    patterns_.push_back(pattern);
  }
}

bool TraceSelection::Wants(std::string_view stage, int layer) const {
  if (patterns_.empty()) return false;
  const std::string place = fmt::format("blk{}/{}", layer, stage);
  return std::any_of(patterns_.begin(), patterns_.end(),
                     [&](const std::string& p) { return Matches(p, stage, place); });
}

}  // namespace parity
