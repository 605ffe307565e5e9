#include "parity_tests/report/model_diff_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "parity_tests/report/color.h"
#include "parity_tests/report/json_report.h"

namespace parity {
namespace {

// "blk.3.attn_q.weight" -> "blk.*.attn_q.weight"
std::string KindOf(const std::string& name) {
  if (!name.starts_with("blk.")) return name;
  const size_t end = name.find('.', 4);
  return end == std::string::npos ? name : "blk.*" + name.substr(end);
}

// Tensors of one kind with one relation.
struct SameDiffs {
  std::string kind;
  const TensorDiff* first = nullptr;
  size_t count = 0;
  double least_factor = 0, most_factor = 0;
};

std::vector<SameDiffs> Grouped(const ModelDiff& diff) {
  std::vector<SameDiffs> groups;
  for (const TensorDiff& tensor : diff.tensors) {
    if (tensor.relation == TensorRelation::kSameBytes) continue;
    const std::string kind = KindOf(tensor.name);
    auto group = std::find_if(groups.begin(), groups.end(), [&](const SameDiffs& g) {
      return g.kind == kind && g.first->relation == tensor.relation && g.first->type_a == tensor.type_a &&
             g.first->type_b == tensor.type_b;
    });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {kind, &tensor, 0, tensor.factor, tensor.factor});
    }
    ++group->count;
    group->least_factor = std::min(group->least_factor, tensor.factor);
    group->most_factor = std::max(group->most_factor, tensor.factor);
  }
  return groups;
}

std::string Line(const SameDiffs& group, bool color) {
  const TensorDiff& first = *group.first;
  const std::string types = first.type_a == first.type_b ? first.type_a
                            : first.type_a.empty()       ? first.type_b
                            : first.type_b.empty()       ? first.type_a
                                                         : fmt::format("{} -> {}", first.type_a, first.type_b);
  std::string what = Describe(first);
  if (group.count > 1 && first.relation == TensorRelation::kScaled) {
    what = fmt::format("B is A times {:.6g} to {:.6g}", group.least_factor, group.most_factor);
  } else if (group.count > 1 && first.breaks_parity()) {
    what = fmt::format("{} (as in {})", what, first.name);
  }
  const std::string name = group.count > 1 ? fmt::format("{} ({} layers)", group.kind, group.count) : first.name;
  return fmt::format("  {:<40} {:<16} {}\n", name, types,
                     Paint(what, first.breaks_parity() ? Color::kRed : Color::kGreen, color));
}

std::string Keys(const std::string& title, const std::vector<KeyDiff>& keys, std::string_view remark) {
  if (keys.empty()) return fmt::format("{}: the same\n", title);
  std::string out = fmt::format("{}: {} {}{}\n", title, keys.size(), keys.size() == 1 ? "differs" : "differ", remark);
  const auto value = [](const std::string& text) {
    if (text.empty()) return std::string("(none)");
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
  };
  for (const KeyDiff& key : keys) out += fmt::format("  {:<40} A {}, B {}\n", key.key, value(key.a), value(key.b));
  return out;
}

nlohmann::json KeysJson(const std::vector<KeyDiff>& keys) {
  nlohmann::json json = nlohmann::json::array();
  for (const KeyDiff& key : keys) {
    nlohmann::json row = {{"key", key.key}};
    if (!key.a.empty()) row["a"] = key.a;
    if (!key.b.empty()) row["b"] = key.b;
    json.push_back(std::move(row));
  }
  return json;
}

}  // namespace

std::string ModelDiffText(const ModelDiff& diff, bool color) {
  std::string out = Paint(diff.equal() ? "EQUAL" : "DIFFERENT", diff.equal() ? Color::kGreen : Color::kRed, color);
  out += fmt::format("\n  A  {}\n  B  {}\n\n", diff.a, diff.b);
  out += Keys("Hyper-parameters", diff.hyperparameters, "");
  out += Keys("Vocabulary", diff.vocabulary, "");
  out += Keys("Other metadata", diff.other, "; no engine computes with it");
  const auto same = std::count_if(diff.tensors.begin(), diff.tensors.end(),
                                  [](const TensorDiff& t) { return t.relation == TensorRelation::kSameBytes; });
  out += fmt::format("Tensors: {} of {} have the same bytes\n", same, diff.tensors.size());
  for (const SameDiffs& group : Grouped(diff)) out += Line(group, color);
  if (const TensorDiff* first = diff.first_that_breaks_parity()) {
    out += fmt::format("\nFirst that breaks parity: {} (A {}, B {}): {}\n", first->name,
                       first->type_a.empty() ? "has none" : first->type_a,
                       first->type_b.empty() ? "has none" : first->type_b, Describe(*first));
  }
  return out;
}

nlohmann::json ModelDiffJson(const ModelDiff& diff) {
  nlohmann::json json = {{"schema", "bitnet-parity/model-diff/1"},
                         {"a", diff.a},
                         {"b", diff.b},
                         {"equal", diff.equal()},
                         {"hyperparameters", KeysJson(diff.hyperparameters)},
                         {"vocabulary", KeysJson(diff.vocabulary)},
                         {"other", KeysJson(diff.other)},
                         {"tensors", nlohmann::json::array()}};
  for (const TensorDiff& tensor : diff.tensors) {
    nlohmann::json row = {{"name", tensor.name}, {"relation", RelationName(tensor.relation)}};
    if (!tensor.type_a.empty()) row["a"] = {{"type", tensor.type_a}, {"shape", tensor.shape_a}};
    if (!tensor.type_b.empty()) row["b"] = {{"type", tensor.type_b}, {"shape", tensor.shape_b}};
    if (tensor.relation != TensorRelation::kSameBytes) {
      row["factor"] = JsonNumber(tensor.factor);
      row["rest"] = JsonNumber(tensor.rest);
      row["max_abs"] = JsonNumber(tensor.max_abs);
      row["what"] = Describe(tensor);
    }
    json["tensors"].push_back(std::move(row));
  }
  if (const TensorDiff* first = diff.first_that_breaks_parity()) json["first_that_breaks_parity"] = first->name;
  return json;
}

}  // namespace parity
