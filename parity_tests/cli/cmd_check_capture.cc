// `check-capture`: what is wrong with a capture that somebody's engine wrote.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/judge/metrics.h"
#include "reference/capture/capture.h"
#include "reference/capture/capture_writer.h"
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

// What the reader cannot see: numbers that contradict each other.
std::vector<std::string> Contradictions(const Capture& c) {
  std::vector<std::string> problems;
  const auto finite = [&](const Matrix& m, const char* name) {
    for (int64_t i = 0; i < m.rows; ++i) {
      for (int64_t j = 0; j < m.cols; ++j) {
        if (std::isfinite(m.row(i)[j])) continue;
        problems.push_back(fmt::format("{}.npy: [{}, {}] is {}, expected a finite number", name, i, j, m.row(i)[j]));
        return;
      }
    }
  };
  finite(c.logits, "logits");
  finite(c.decode_logits, "decode_logits");
  for (size_t i = 0; i < c.generated.size() && static_cast<int64_t>(i) < c.decode_logits.rows; ++i) {
    const int32_t best =
        Argmax({c.decode_logits.row(static_cast<int64_t>(i)), static_cast<size_t>(c.decode_logits.cols)});
    if (best >= 0 && best != c.generated[i]) {
      problems.push_back(
          fmt::format("generated[{}]: found {}, expected {}, the first of the largest in decode_logits.npy", i,
                      c.generated[i], best));
      break;
    }
  }
  if (c.shapes.attends.size() != c.tokens.size()) {
    problems.push_back(fmt::format("shapes.attends: found {} positions, expected {} (one for each token)",
                                   c.shapes.attends.size(), c.tokens.size()));
  }
  for (const TraceRecord& r : c.traces) {
    if (const std::string wrong = WrongShape(c, r); !wrong.empty()) problems.push_back(wrong);
    if (r.tensor_file.empty()) continue;
    const std::vector<float> data = ReadTensor(c, r);
    if (MakeTraceRecord(r.position, r.layer, r.stage, r.shape, data).blake3 != r.blake3) {
      problems.push_back(fmt::format("{}: blake3: the raw tensor {} has another hash", r.name, r.tensor_file));
    }
  }
  return problems;
}

int CheckCapture(const std::string& directory) {
  const Capture c = ReadCapture(directory);
  const std::vector<std::string> problems = Contradictions(c);
  fmt::print("{}: {} {}, {} ({}), {} prompt tokens, {} generated, {} traces\n", directory, c.backend.name,
             c.backend.version, c.model.path, c.model.architecture, c.tokens.size(), c.generated.size(),
             c.traces.size());
  for (const std::string& problem : problems) fmt::print("  {}\n", problem);
  fmt::print("{}\n", problems.empty() ? "a sound capture" : fmt::format("{} problems", problems.size()));
  return problems.empty() ? 0 : 1;
}

}  // namespace

void AddCheckCaptureCommand(CLI::App& app, int& exit_code) {
  auto directory = std::make_shared<std::string>();
  Options options(app, "check-capture",
                  "What is wrong with a capture: 0 nothing, 1 it contradicts itself, 2 it cannot be read");
  options.Add("directory", *directory, "Directory with capture.json", {.required = true});
  options.Run(exit_code, [directory] { return CheckCapture(*directory); });
}

}  // namespace parity
