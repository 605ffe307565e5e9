// `check-capture`: what is wrong with a capture that somebody's engine wrote.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"
#include "reference/capture/capture.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/trace_record.h"
#include "reference/capture/trace_selection.h"

namespace parity {
namespace {

// The shape of a point's tensor by the model's hyper-parameters; a 0 where these do not say.
std::vector<int64_t> ExpectedShape(const Capture& c, const TraceRecord& r) {
  const auto number = [&c](const char* name) {
    return static_cast<size_t>(std::max<int64_t>(CountOf(c.model, name), 0));
  };
  const bitnet::GraphShape shape = {.n_vocab = number("n_vocab"),
                                    .n_embd = number("n_embd"),
                                    .n_layer = number("n_layer"),
                                    .n_head = number("n_head"),
                                    .n_head_kv = number("n_head_kv"),
                                    .head_dim = number("n_embd_head"),
                                    .n_ff = number("n_ff")};
  const bitnet::Width width = bitnet::InfoOf(r.point).width;
  if (width == bitnet::Width::kKeys) return {static_cast<int64_t>(shape.n_head), r.position + 1};
  return {static_cast<int64_t>(bitnet::WidthOf(width, shape))};
}

// Nothing where the shape may be right.
std::string WrongShape(const Capture& c, const TraceRecord& r) {
  if (r.point == Point::kUnknown) return "";  // a tensor of the engine's own
  const std::vector<int64_t> expected = ExpectedShape(c, r);
  bool right = expected.size() == r.shape.size();
  for (size_t i = 0; right && i < expected.size(); ++i) right = expected[i] == 0 || expected[i] == r.shape[i];
  if (right) return "";
  return fmt::format("{}: shape: found [{}], expected [{}] by the model's hyper-parameters", r.name,
                     fmt::join(r.shape, ", "), fmt::join(expected, ", "));
}

void CheckFinite(const Matrix& m, const char* name, std::vector<std::string>* problems) {
  for (int64_t i = 0; i < m.rows; ++i) {
    for (int64_t j = 0; j < m.cols; ++j) {
      if (std::isfinite(m.row(i)[j])) continue;
      problems->push_back(fmt::format("{}.npy: [{}, {}] is {}, expected a finite number", name, i, j, m.row(i)[j]));
      return;
    }
  }
}

void CheckDecoding(const Capture& c, std::vector<std::string>* problems) {
  const auto row = [](const Matrix& m, int64_t i) { return std::span(m.row(i), static_cast<size_t>(m.cols)); };
  for (int64_t i = 0; i < c.decode_logits.rows && static_cast<size_t>(i) < c.generated.size(); ++i) {
    const int32_t best = Argmax(row(c.decode_logits, i)), found = c.generated[static_cast<size_t>(i)];
    if (best < 0 || best == found) continue;
    problems->push_back(fmt::format(
        "generated[{}]: found {}, expected {}, the first of the largest in decode_logits.npy", i, found, best));
    break;
  }
  const bool all = c.logits.rows > 0 && static_cast<size_t>(c.logits.rows) == c.tokens.size();
  if (!all || c.decode_logits.rows == 0 || c.decode_logits.cols != c.logits.cols) return;
  const std::span<const float> last = row(c.logits, c.logits.rows - 1), first = row(c.decode_logits, 0);
  const auto different = std::mismatch(last.begin(), last.end(), first.begin());
  if (different.first == last.end() || std::isnan(*different.first)) return;
  problems->push_back(
      fmt::format("decode_logits.npy: [0, {}] is {}, expected {}: row 0 repeats the last row of logits.npy",
                  different.first - last.begin(), *different.second, *different.first));
}

// What the reader cannot see: numbers that contradict each other.
std::vector<std::string> Contradictions(const Capture& c) {
  std::vector<std::string> problems;
  CheckFinite(c.logits, "logits", &problems);
  CheckFinite(c.decode_logits, "decode_logits", &problems);
  CheckDecoding(c, &problems);
  if (const std::string other = NotTheTracedLogits(c); !other.empty()) problems.push_back(other);
  if (c.shown.shapes && c.shapes.attends.size() != c.tokens.size()) {
    problems.push_back(fmt::format("shapes.attends: found {} positions, expected {} (one for each token)",
                                   c.shapes.attends.size(), c.tokens.size()));
  }
  for (const TraceRecord& r : c.traces) {
    if (const std::string wrong = WrongShape(c, r); !wrong.empty()) problems.push_back(wrong);
    if (r.tensor_file.empty()) continue;
    Guard(&problems, [&] { ReadTensor(c, r); });
  }
  return problems;
}

// Which operations a replay can judge: those whose output and inputs are there as raw tensors.
std::string ReplayWords(const Capture& c) {
  std::map<Point, std::set<int>> raw;  // positions
  std::set<int> positions;
  for (const TraceRecord& r : c.traces) {
    if (r.tensor_file.empty()) continue;
    raw[r.point].insert(r.position);
    positions.insert(r.position);
  }
  if (raw.empty()) return "no raw tensors: a request with raw_tensors has them, and a replay needs them";
  bitnet::GraphShape shape;
  for (const auto& [point, at] : raw) {
    if (point != Point::kUnknown) shape.parts.Add(bitnet::InfoOf(point).when);
  }
  std::vector<std::string> absent, partly, lacking;
  size_t judged = 0;
  for (const bitnet::PointInfo& p : bitnet::kGraph) {
    if (!bitnet::Exists(p, shape)) continue;
    std::vector<std::string_view> inputs;
    for (size_t i = 0; i < p.inputs.size(); ++i) {
      const Point input = bitnet::SourceOf(p, i, 0, shape).point;
      if (input != Point::kUnknown && !raw.contains(input)) inputs.push_back(PointName(input));
    }
    if (!raw.contains(p.point)) {
      absent.emplace_back(p.name);
    } else if (!inputs.empty()) {
      lacking.push_back(fmt::format("{} (lacks {})", p.name, fmt::join(inputs, ", ")));
    } else {
      ++judged;
      if (const size_t n = raw[p.point].size(); n < positions.size()) {
        partly.push_back(fmt::format("{} ({} of {})", p.name, n, positions.size()));
      }
    }
  }
  std::string words =
      fmt::format("a replay can judge {} of {} operations", judged, judged + absent.size() + lacking.size());
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) words += fmt::format("\n  {}: {}", what, fmt::join(names, ", "));
  };
  add("not traced", absent);
  add("without inputs", lacking);
  add("at some positions alone", partly);
  return words;
}

// The first three of those that differ in numbers only, and how many more.
std::vector<std::string> Grouped(const std::vector<std::string>& problems) {
  constexpr size_t kShown = 3;
  std::map<std::string, size_t> counts;
  const auto kind = [](const std::string& problem) {
    std::string text;
    for (const char c : problem) {
      if (c < '0' || c > '9') text += c;
    }
    return text;
  };
  for (const std::string& problem : problems) ++counts[kind(problem)];
  std::vector<std::string> lines;
  std::map<std::string, size_t> seen;
  for (const std::string& problem : problems) {
    const size_t n = ++seen[kind(problem)], all = counts[kind(problem)];
    if (n <= kShown) lines.push_back(problem);
    if (n == kShown && all > kShown) lines.push_back(fmt::format("... and {} more like this", all - kShown));
  }
  return lines;
}

int CheckCapture(const std::string& directory) {
  std::vector<std::string> unreadable;
  const Capture c = ReadCapture(directory, &unreadable);
  const std::vector<std::string> contradictions = Contradictions(c);
  fmt::print("{}: {} {}, {} ({}), {} prompt tokens, {} generated, {} traces\n", directory, c.backend.name,
             c.backend.version, c.model.path, c.model.architecture, c.tokens.size(), c.generated.size(),
             c.traces.size());
  for (const std::string& problem : Grouped(unreadable)) fmt::print("  {}\n", problem);
  for (const std::string& problem : Grouped(contradictions)) fmt::print("  {}\n", problem);
  if (!c.traces.empty()) fmt::print("{}\n", ReplayWords(c));
  const size_t n = unreadable.size() + contradictions.size();
  fmt::print("{}\n", n == 0 ? "a sound capture" : fmt::format("{} problem{}", n, n == 1 ? "" : "s"));
  return !unreadable.empty() ? 2 : !contradictions.empty() ? 1 : 0;
}

}  // namespace

void AddCheckCaptureCommand(CLI::App& app, int& exit_code) {
  auto directory = std::make_shared<std::string>();
  Options options(app, "check-capture",
                  "All that is wrong with a capture: 0 nothing, 1 it contradicts itself, 2 it cannot be read");
  options.Add("directory", *directory, "Directory with capture.json", {.required = true});
  options.Run(exit_code, [directory] { return CheckCapture(*directory); });
}

}  // namespace parity
