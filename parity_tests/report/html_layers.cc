#include "parity_tests/report/html_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "parity_tests/judge/trace_diff.h"
#include "parity_tests/report/html_parts.h"

namespace parity {
namespace {

using TensorSpan = std::span<const TensorFigures>;

// How far the reference is from itself.
class Noise {
 public:
  explicit Noise(TensorSpan other) : other_(other) {}

  bool known() const { return !other_.empty(); }
  // The reference's RMS there; NaN where it is not known.
  double Rms(const TensorFigures& t) const {
    const auto found = std::find_if(other_.begin(), other_.end(),
                                    [&t](const TensorFigures& o) { return o.stage == t.stage && o.layer == t.layer; });
    return found == other_.end() ? std::nan("") : found->rms_reference;
  }
  double Relative(const TensorFigures& t) const {
    const double here = t.rms_reference, there = Rms(t), larger = std::max(std::fabs(here), std::fabs(there));
    return larger > 0 ? std::fabs(here - there) / larger : 0;
  }

 private:
  TensorSpan other_;
};

// Stages in the order of the computation, and how many layers there are.
std::vector<std::string> StagesOf(TensorSpan tensors) {
  std::vector<std::string> stages;
  for (const TensorFigures& t : tensors) {
    if (std::find(stages.begin(), stages.end(), t.stage) == stages.end()) stages.push_back(t.stage);
  }
  return stages;
}
int LayersOf(TensorSpan tensors) {
  int layers = 0;
  for (const TensorFigures& t : tensors) layers = std::max(layers, t.layer + 1);
  return layers;
}

// A step of colour is a factor of ten from the reference's own noise, or, where that is not known, below 1.
std::string CellClass(const TensorFigures& t, const Noise& noise) {
  const double d = t.worst_relative;
  if (!std::isfinite(d)) return "inf";
  if (t.equal == t.tensors) return "z";
  const auto level = [](double step, int last) { return static_cast<int>(std::clamp<double>(step, 0, last)); };
  const double floor = noise.known() ? noise.Relative(t) : 0;
  if (d > kSuspiciousRms) return fmt::format("o{}", level(std::log10(d / kSuspiciousRms) + 2, 3));
  if (floor > 0 && d <= floor) return fmt::format("w{}", level(4 + std::log10(std::max(d, 1e-12) / floor), 4));
  return fmt::format("n{}", d == 0 ? 0 : level(std::log10(d) + 7, 4));
}

std::string CellTitle(const TensorFigures& t, const Noise& noise) {
  std::string text = fmt::format("{}{}\n{} of {} tensors equal\nRMS {:.6g}, reference {:.6g}\nworst relative {:.3g}",
                                 t.stage, t.layer < 0 ? "" : fmt::format(", layer {}", t.layer), t.equal, t.tensors,
                                 t.rms_candidate, t.rms_reference, t.worst_relative);
  if (noise.known()) text += fmt::format("\nthe reference against itself {:.3g}", noise.Relative(t));
  return Tag("title", Escape(text));
}

std::string LayerMap(TensorSpan tensors, const Noise& noise) {
  constexpr int kLabels = 128, kTop = 16, kHeight = 16, kWidth = 15;
  const std::vector<std::string> stages = StagesOf(tensors);
  const int layers = std::max(1, LayersOf(tensors));
  std::string out;
  for (size_t row = 0; row < stages.size(); ++row) {
    const int y = kTop + kHeight * static_cast<int>(row);
    out += Tag(fmt::format("text class=\"dim\" x=\"{}\" y=\"{}\" text-anchor=\"end\"", kLabels - 6, y + 11),
               Escape(Shorten(stages[row], 20)));
    for (const TensorFigures& t : tensors) {
      if (t.stage != stages[row]) continue;
      const int x = kLabels + kWidth * std::max(0, t.layer);
      out += Tag(
          "g", CellTitle(t, noise) + fmt::format("<rect class=\"c {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                                                 CellClass(t, noise), x, y, kWidth - 1, kHeight - 1));
    }
  }
  for (int layer = 0; layer < layers; layer += 4) {
    out += Tag(fmt::format("text class=\"dim\" x=\"{}\" y=\"11\"", kLabels + kWidth * layer), std::to_string(layer));
  }
  const int width = kLabels + kWidth * layers, height = kTop + kHeight * static_cast<int>(stages.size());
  return Tag(
      fmt::format("svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"stages down, "
                  "layers across\"",
                  width, height),
      out + "\n");
}

// Of one stage: RMS over layers, on a logarithmic scale; dotted where the reference stands in the other schedule.
std::string RmsPlot(TensorSpan tensors, const std::string& stage, const Noise& noise) {
  constexpr double kWidth = 240, kHeight = 90, kLeft = 44;
  struct Line {
    const char* name;
    std::function<double(const TensorFigures&)> value;
  };
  const Line lines[] = {{"noise", [&](const TensorFigures& t) { return noise.Rms(t); }},
                        {"ref", [](const TensorFigures& t) { return t.rms_reference; }},
                        {"cand", [](const TensorFigures& t) { return t.rms_candidate; }}};
  double low = 0, high = 0;
  bool some = false;
  for (const TensorFigures& t : tensors) {
    for (const Line& line : lines) {
      if (t.stage != stage || !(line.value(t) > 0) || !std::isfinite(line.value(t))) continue;
      const double v = std::log10(line.value(t));
      low = some ? std::min(low, v) : v;
      high = some ? std::max(high, v) : v;
      some = true;
    }
  }
  if (!some) return "";
  const double range = std::max(high - low, 0.05);
  const int layers = std::max(2, LayersOf(tensors));
  std::string out;
  for (const Line& line : lines) {
    std::string points;
    for (const TensorFigures& t : tensors) {
      if (t.stage != stage || !(line.value(t) > 0) || !std::isfinite(line.value(t))) continue;
      points += fmt::format("{:.1f},{:.1f} ", kLeft + (kWidth - kLeft - 4) * std::max(0, t.layer) / (layers - 1),
                            kHeight - 6 - (kHeight - 14) * (std::log10(line.value(t)) - low) / range);
    }
    if (!points.empty()) out += fmt::format("<polyline class=\"line {}\" points=\"{}\"/>", line.name, points);
  }
  out += Tag(fmt::format("text class=\"dim\" x=\"0\" y=\"{}\"", kHeight - 4), fmt::format("{:.3g}", std::pow(10, low)));
  out += Tag("text class=\"dim\" x=\"0\" y=\"11\"", fmt::format("{:.3g}", std::pow(10, low + range)));
  return Tag("div class=\"card\"",
             Tag("h4", Escape(stage)) + Tag(fmt::format("svg class=\"plot\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
                                                        "aria-label=\"RMS over layers\"",
                                                        kWidth, kHeight),
                                            out));
}

}  // namespace

std::string LayersHtml(TensorSpan tensors, const LayersOptions& options) {
  const Noise noise(options.noise);
  std::string plots;
  for (const std::string& stage : StagesOf(tensors)) {
    const bool in_layers = std::any_of(tensors.begin(), tensors.end(),
                                       [&](const TensorFigures& t) { return t.stage == stage && t.layer >= 0; });
    if (in_layers) plots += RmsPlot(tensors, stage, noise);
  }
  std::string out;
  if (!options.alone) {
    out += Tag("h4", "Stages and layers") + Tag("div class=\"heat\"", LayerMap(tensors, noise));
  }
  if (plots.empty()) return out;
  plots = Tag("div class=\"cards plots\"", plots);
  constexpr const char* kTitle = "RMS along the layers";
  return out + (options.folded ? Tag("details", Tag("summary", kTitle) + plots) : Tag("h4", kTitle) + plots);
}

std::string LayersKey(bool noise) {
  const std::string within =
      noise ? Key({{{"w0", "w1", "w2", "w3", "w4"},
                    "within the reference's own noise (the other schedule), a factor of ten each"}})
            : "";
  return Key({{{"z"}, "every bit equal"}}) + within +
         Key({{{"n0", "n1", "n2", "n3", "n4"},
               std::string(noise ? "beyond it, or it is not known: " : "") +
                   "RMS differ by 1e-7 to 1e-2, a factor of ten each"},
              {{"o2", "o3"}, "RMS differ by more than 1 %"},
              {{"inf"}, "NaN or infinity"}});
}

}  // namespace parity
