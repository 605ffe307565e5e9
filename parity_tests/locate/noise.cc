#include "parity_tests/locate/noise.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/metrics.h"

namespace parity {
namespace {

NoiseRow Compare(const std::string& what, bool like_schedules, const Capture& a, const Capture& b) {
  if (a.tokens != b.tokens || a.logits.rows != b.logits.rows || a.logits.cols != b.logits.cols) {
    throw std::runtime_error(
        fmt::format("{}: {}: the two runs do not even agree on tokens and shapes", a.backend.name, what));
  }
  NoiseRow row;
  row.what = what;
  row.like_schedules = like_schedules;
  const auto columns = static_cast<size_t>(a.logits.cols);
  for (int64_t i = 0; i < a.logits.rows; ++i) {
    const std::span<const float> x(a.logits.row(i), columns), y(b.logits.row(i), columns);
    row.worst.Add(CompareRows(x, y), i, a.logits.cols);
    row.argmax_equal += Argmax(x) == Argmax(y);
  }
  return row;
}

}  // namespace

NoiseFloor MeasureNoise(Backend& reference, const Request& request, const NoiseOptions& options) {
  NoiseFloor floor;
  floor.request = request;
  const int threads =
      options.threads > 1 ? options.threads : std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  Request base = request;
  base.trace = "none";
  base.max_tokens = 0;
  base.threads = 1;
  const auto run = [&](const std::string& what, const std::function<void(Request&)>& change) {
    Request changed = base;
    change(changed);
    if (options.progress) options.progress(what);
    ++floor.captures;
    return reference.Run(changed);
  };
  const Capture batch = run("batch, 1 thread", [](Request& r) { r.schedule = Schedule::kBatch; });
  floor.backend = batch.backend;
  floor.model = batch.model;
  floor.n_tokens = static_cast<int>(batch.tokens.size());
  if (!batch.shown.everything()) {
    throw std::runtime_error(fmt::format("{}: shows no logits of every position to compare", batch.backend.name));
  }
  if (batch.logits.rows == 0) throw std::runtime_error("the prompt has no tokens: there are no logits to compare");
  const Capture token = run("a token at a time, 1 thread", [](Request& r) { r.schedule = Schedule::kTokenByToken; });

  const Capture again = run("batch, once more", [](Request& r) { r.schedule = Schedule::kBatch; });
  floor.rows.push_back(Compare("batch, run twice", true, batch, again));
  const std::string many = fmt::format("1 and {} threads", threads);
  floor.rows.push_back(Compare("batch, " + many, true, batch, run("batch, " + many, [&](Request& r) {
                                 r.schedule = Schedule::kBatch;
                                 r.threads = threads;
                               })));
  floor.rows.push_back(
      Compare("a token at a time, " + many, true, token, run("a token at a time, " + many, [&](Request& r) {
                r.schedule = Schedule::kTokenByToken;
                r.threads = threads;
              })));
  const int n_batch = std::min(std::max(request.n_ubatch, 1), floor.n_tokens);
  if (const int half = (n_batch + 1) / 2; half < n_batch) {
    const std::string what = fmt::format("batches of {} and of {}", n_batch, half);
    // Other batches are another schedule: the ladder runs both engines in the same ones.
    floor.rows.push_back(Compare(what, false, batch, run(what, [&](Request& r) {
                                   r.schedule = Schedule::kBatch;
                                   r.n_ubatch = half;
                                 })));
  }
  floor.rows.push_back(Compare("batch and a token at a time", false, batch, token));
  return floor;
}

std::vector<std::string> NoiseNotes(const NoiseFloor& floor, const Verdict& verdict) {
  std::vector<std::string> notes;
  const WorstRows like = floor.Like(), all = floor.All();
  for (const auto& [rung, limits] : verdict.profile.limits) {
    if (InfoOf(rung).positions != PositionKind::kPrompt) continue;
    std::vector<std::string> below;
    for (const auto& [metric, limit] : limits) {
      if (!Meets(metric, all.value(metric), limit)) {
        below.push_back(fmt::format("{} (limit {:g}, floor {:.3g})", MetricName(metric), limit, all.value(metric)));
      }
    }
    if (below.empty()) continue;
    const bool even_like = std::any_of(limits.begin(), limits.end(), [&](const auto& entry) {
      return !Meets(entry.first, like.value(entry.first), entry.second);
    });
    notes.push_back(
        fmt::format("{} limits lie below the noise floor of {} for this model and prompt: {}; {}", RungName(rung),
                    floor.backend.name, fmt::join(below, ", "),
                    even_like ? "even its like schedules differ by more, so they judge rounding"
                              : "they are fair between like schedules, which agree with themselves, and only there"));
  }
  const std::optional<Rung> failed = verdict.failed_rung();
  if (!failed || InfoOf(*failed).positions != PositionKind::kPrompt) return notes;
  const RungResult& result = verdict.rung(*failed);
  bool any = false, within = true;
  for (const Check& check : result.checks) {
    if (check.pass) continue;
    any = true;
    within = within && Meets(check.metric, check.worst, all.value(check.metric));
  }
  if (any) {
    notes.push_back(within ? fmt::format("what fails is no larger than the noise floor: {} differs from itself as much "
                                         "between schedules, so this alone is no evidence of a bug",
                                         floor.backend.name)
                           : "what fails is larger than the noise floor");
  }
  return notes;
}

}  // namespace parity
