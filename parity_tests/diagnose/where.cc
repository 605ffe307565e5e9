#include "parity_tests/diagnose/where.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace parity {
namespace {

// More than so many runs of numbers are counted, not listed.
constexpr size_t kMostRuns = 6;

bool IsRange(const std::vector<int>& sorted) {
  return !sorted.empty() && sorted.back() - sorted.front() + 1 == static_cast<int>(sorted.size());
}

// "at every 4th position from 3 on", where it is so.
std::string EveryNth(const std::vector<int>& at, int n_positions) {
  if (at.size() < 3) return "";
  const int step = at[1] - at[0];
  for (size_t i = 1; i < at.size(); ++i) {
    if (at[i] - at[i - 1] != step) return "";
  }
  if (step < 2 || at.back() + step < n_positions) return "";
  return fmt::format("at every {}{} position from {} on", step, step == 2 ? "nd" : step == 3 ? "rd" : "th", at[0]);
}

// The last position of each batch, where there are several.
std::string InBatches(const std::vector<int>& at, const std::vector<Batch>& batches) {
  std::vector<int> firsts, lasts;
  for (const Batch& b : batches) {
    if (b.n < 2) continue;
    firsts.push_back(static_cast<int>(b.first));
    lasts.push_back(static_cast<int>(b.first + b.n) - 1);
  }
  if (firsts.size() < 2) return "";
  if (at == firsts) return "at the first position of each batch";
  if (at == lasts) return "at the last position of each batch";
  return "";
}

std::string WhichPositions(const std::vector<int>& at, const std::vector<Batch>& batches, int n_positions,
                           int n_prompt) {
  if (static_cast<int>(at.size()) == n_positions) return "";
  const bool decodes = n_prompt < n_positions;
  if (decodes && IsRange(at) && at.front() == n_prompt && at.back() == n_positions - 1) return "while decoding alone";
  if (decodes && IsRange(at) && at.front() == 0 && at.back() == n_prompt - 1) return "in the prompt alone";
  if (at.size() == 1) return fmt::format("at position {} alone", at[0]);
  if (IsRange(at) && at.back() == n_positions - 1) return fmt::format("from position {} on", at[0]);
  if (std::string words = InBatches(at, batches); !words.empty()) return words;
  if (std::string words = EveryNth(at, n_positions); !words.empty()) return words;
  const std::string ranges = Ranges(at);
  return ranges.empty() ? fmt::format("at {} of {} positions", at.size(), n_positions) : "at positions " + ranges;
}

std::string WhichHeads(const Fit& fit) {
  std::map<int, std::vector<int>> wrong;  // by position
  int heads = 0;
  for (const Cell& c : fit.cells) {
    heads = std::max(heads, c.head + 1);
    if (c.wrong()) wrong[c.position].push_back(c.head);
  }
  if (heads < 2 || wrong.empty()) return "";
  const std::vector<int>& first = wrong.begin()->second;
  if (static_cast<int>(first.size()) == heads) return "";
  for (const auto& [position, at] : wrong) {
    if (at != first) return "";
  }
  return first.size() == 1 ? fmt::format("in head {} alone", first[0]) : fmt::format("in heads {}", Ranges(first));
}

std::string WhichElements(const Fit& fit) {
  int64_t first = -1, last = -1;
  size_t width = 0, most = 0;
  for (const Cell& c : fit.cells) {
    if (!c.wrong()) continue;
    if (c.first_wrong < 0 || c.head >= 0) return "";
    first = first < 0 ? c.first_wrong : std::min(first, c.first_wrong);
    last = std::max(last, c.last_wrong);
    width = c.elements;
    most = std::max(most, c.n_wrong);
  }
  if (first < 0) return "";
  const auto span = static_cast<size_t>(last - first + 1);
  // A few stray elements say nothing; most of a stretch do.
  if (span * 2 > width || most * 2 < span) return "";
  return span == 1 ? fmt::format("element {} alone", first) : fmt::format("elements {} to {}", first, last);
}

}  // namespace

std::string Ranges(const std::vector<int>& numbers) {
  std::vector<std::string> runs;
  for (size_t i = 0; i < numbers.size();) {
    size_t j = i;
    while (j + 1 < numbers.size() && numbers[j + 1] == numbers[j] + 1) ++j;
    runs.push_back(j == i       ? fmt::format("{}", numbers[i])
                   : j == i + 1 ? fmt::format("{}, {}", numbers[i], numbers[j])
                                : fmt::format("{} to {}", numbers[i], numbers[j]));
    i = j + 1;
  }
  if (runs.size() > kMostRuns) return "";
  return fmt::format("{}", fmt::join(runs, ", "));
}

std::string WhichCells(const Fit& fit, const std::vector<Batch>& batches, size_t n_prompt) {
  std::set<int> all, wrong;
  for (const Cell& c : fit.cells) {
    all.insert(c.position);
    if (c.wrong()) wrong.insert(c.position);
  }
  std::vector<std::string> words;
  for (std::string part : {WhichElements(fit), WhichHeads(fit),
                           WhichPositions({wrong.begin(), wrong.end()}, batches, static_cast<int>(all.size()),
                                          static_cast<int>(n_prompt))}) {
    if (!part.empty()) words.push_back(std::move(part));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string WhichLayers(const std::vector<int>& layers, size_t n_layer) {
  if (layers.empty()) return "";
  if (layers.size() == n_layer && n_layer > 1) return fmt::format("in all {} layers", n_layer);
  if (layers.size() == 1) return fmt::format("in layer {}", layers[0]);
  const std::string ranges = Ranges(layers);
  return ranges.empty() ? fmt::format("in {} of {} layers", layers.size(), n_layer) : "in layers " + ranges;
}

}  // namespace parity
