// Pictures of what happens inside a model: a map of stages and layers, and the RMS of each stage along the layers.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_HTML_LAYERS_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_HTML_LAYERS_H_

#include <span>
#include <string>
#include <string_view>

#include "parity_tests/findings/case_result.h"

namespace parity {

struct LayersOptions {
  std::span<const TensorFigures> noise = {};  // the same tensors in the other schedule; empty: not known
  bool alone = false;                         // there is no reference: no map
  bool folded = false;                        // the plots open by a click, and on paper
};

// Markup; needs kHtmlStyle and kLayersStyle.
std::string LayersHtml(std::span<const TensorFigures> tensors, const LayersOptions& options);
std::string LayersKey(bool noise);  // what the map's colours mean; `noise`: it is known in some map

inline constexpr std::string_view kLayersStyle = R"(
.line { fill: none; stroke-width: 1.5; } .line.cand { stroke: var(--cand); }
.line.ref { stroke: var(--ref); stroke-width: 3; opacity: .6; }
.line.noise { stroke: var(--dim); stroke-dasharray: 2 3; }
details { margin: .5rem 0 1rem; } summary { cursor: pointer; color: var(--dim); }
@media print { details::details-content { content-visibility: visible; } }
)";

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_HTML_LAYERS_H_
