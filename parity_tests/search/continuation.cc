#include "parity_tests/search/continuation.h"

#include <set>
#include <utility>

namespace parity {
namespace {

constexpr size_t kTokens = 24;   // that a prompt is judged by
constexpr double kSeconds = 20;  // that are spent on a prompt that tells mistakes apart

}  // namespace

std::vector<int32_t> Continue(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic,
                              size_t max_tokens) {
  MistakenPass pass(prompt, h, arithmetic);
  std::vector<int32_t> ids;
  for (Step step = pass.First(); step.finite; step = pass.Next(ids.back())) {
    ids.push_back(step.choice);
    if (ids.size() >= max_tokens) break;
  }
  return ids;
}

std::string Say(const PromptTrial& prompt, const Hypothesis& h, Arithmetic& arithmetic, size_t max_tokens,
                const bitnet::Tokenizer& tokenizer) {
  return tokenizer.Decode(Continue(prompt, h, arithmetic, max_tokens), {.render_special = true});
}

std::optional<SeparatingPrompt> FindSeparatingPrompt(const SearchOptions& options, const Trials& trials,
                                                     std::span<const Hypothesis> rivals,
                                                     const std::vector<Hypothesis>& habits,
                                                     const bitnet::Tokenizer& tokenizer, size_t& tried) {
  std::optional<SeparatingPrompt> best;
  const double start = trials.seconds();
  for (const TokenSite& site : options.further) {
    if (trials.OutOfTime() || trials.seconds() > start + kSeconds || (best && best->groups == rivals.size())) break;
    if (site.right.empty()) continue;
    ++tried;
    const PromptTrial prompt(options, site, CellsFor(site.right.size() + kTokens), habits);
    std::vector<std::string> texts(rivals.size());
    const auto done = trials.All(rivals, [&](const Hypothesis& h, Arithmetic& arithmetic, HypothesisResult&) {
      texts[static_cast<size_t>(&h - rivals.data())] = Say(prompt, h, arithmetic, kTokens, tokenizer);
    });
    if (done.size() < rivals.size()) break;  // no time: a text that was not made is no text
    const size_t groups = std::set<std::string>(texts.begin(), texts.end()).size();
    if (groups < 2 || (best && groups <= best->groups)) continue;
    best.emplace(SeparatingPrompt{.prompt = site.request.prompt, .groups = groups});
    if (site.request.token_ids) best->token_ids = *site.request.token_ids;
    for (size_t i = 0; i < rivals.size(); ++i) {
      const HypothesisResult r = Describe(rivals[i], bitnet::ShapeOf(options.model->hyperparameters));
      best->says.push_back({r.id, r.where, texts[i]});
    }
  }
  return best;
}

}  // namespace parity
