#include "parity_tests/diagnose/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/diagnose/diagnosis.h"
#include "parity_tests/diagnose/judged_run.h"
#include "parity_tests/diagnose/survey.h"
#include "parity_tests/search/search.h"

namespace parity {
namespace {

// The captures, or, where only one of them has traces and the other's engine can be asked again, with traces of both.
Captures WithTraces(Backend& candidate, Backend& reference, const Request& request, const Captures& captures) {
  Captures inside = captures;
  const auto fill = [&request](Capture& without, Backend& backend, const Capture& with) {
    if (!without.traces.empty() || with.traces.empty() || !backend.live()) return;
    Request traced = request;
    traced.trace = with.request.trace;
    traced.raw_tensors = with.request.raw_tensors;
    without = backend.Run(traced);
  };
  fill(inside.candidate, candidate, captures.reference);
  fill(inside.reference, reference, captures.candidate);
  return inside;
}

// A search by logits ends here; a large model needs the rest of the time for its layers one by one (`whatbug`).
constexpr double kSearchSeconds = 120;

bool IsDecode(const Verdict& verdict) { return verdict.failed_rung() == Rung::kDecode; }

bool HasRawTensors(const Capture& capture) {
  return std::any_of(capture.traces.begin(), capture.traces.end(),
                     [](const TraceRecord& r) { return !r.tensor_file.empty(); });
}

// What the search says of the best mistake, and of one that cannot be told from it.
std::string SearchEvidence(const SearchResult& found, const HypothesisResult& r) {
  const std::string how = r.how.empty() ? r.what : r.how;
  if (found.from_text && r.logprob) return fmt::format("the printed text: {}", found.verdict);
  if (found.from_text) {
    return fmt::format("the printed text is what '{}'{}{} prints: {} of {} tokens are its first choice; healthy: {}",
                       how, r.where.empty() ? "" : " in ", r.where, r.first_choice, r.tokens,
                       found.healthy.first_choice);
  }
  if (&r == &found.best[0]) return fmt::format("the whole forward pass, by the logits alone: {}", found.verdict);
  return fmt::format("{}, {}: {:.3g} of the distance is left", r.how, r.where, r.distance);
}

// The rows of logits that are there, or the text.
SearchResult SearchWith(Search& search, const Request& request, const Capture& candidate, size_t n_tokens,
                        const OwnModel& own, bool by_logits) {
  if (by_logits) return search.ByLogits(candidate.logits, RowPositions(candidate, static_cast<int64_t>(n_tokens)));
  const bitnet::Tokenizer tokenizer = request.tokenizer.empty()
                                          ? bitnet::Tokenizer::FromGguf(own.model->file, own.dialect)
                                          : bitnet::Tokenizer::FromTokenizerJson(request.tokenizer);
  return search.ByText(GeneratedText(candidate), tokenizer);
}

// Where an engine shows no tensors, its logits are all there is, or its text: the mistake with which the whole forward
// pass gives them. Says in `explanation` what it found.
void SearchFromOutside(const Request& request, const Captures& captures, const OwnModel& own, bool by_logits,
                       const BisectOptions& options, Explanation& explanation) {
  const Capture& candidate = captures.candidate;
  const std::vector<int32_t>& tokens = candidate.shown.tokens ? candidate.tokens : captures.reference.tokens;
  Search search({.model = own.model,
                 .order = own.order,
                 .tokens = {.request = request, .right = tokens},
                 .threads = static_cast<size_t>(request.threads),
                 .budget_seconds = kSearchSeconds,
                 .progress = options.progress});
  const SearchResult found = SearchWith(search, request, candidate, tokens.size(), own, by_logits);
  explanation.not_diagnosed.clear();
  if (!found.certainty) {
    explanation.not_diagnosed = fmt::format(
        "the candidate {}, and by its {} alone: {}",
        candidate.shown.everything() ? "left no tensors (honour trace and raw_tensors)" : "shows no tensors",
        by_logits ? "logits" : "text", found.verdict);
    return;
  }
  constexpr size_t kMost = 5;  // of those that cannot be told apart
  for (const HypothesisResult& r : found.best) {
    const bool first = &r == &found.best[0];
    if (!first && (*found.certainty != Certainty::kPossible || explanation.diagnosis.causes.size() >= kMost)) break;
    explanation.diagnosis.causes.push_back({.id = r.id,
                                            .certainty = first ? *found.certainty : Certainty::kPossible,
                                            .evidence = SearchEvidence(found, r),
                                            .what = r.what,
                                            .remedy = r.remedy});
  }
}

// Bytes of every tensor at one position.
size_t TracedBytes(const bitnet::Model& model, size_t n_keys) {
  const bitnet::GraphShape shape = bitnet::ShapeOf(model.hyperparameters);
  size_t numbers = 0;
  for (const bitnet::PointInfo& info : bitnet::kGraph) {
    const size_t width =
        info.width == bitnet::Width::kKeys ? shape.n_head * n_keys : bitnet::WidthOf(info.width, shape);
    if (bitnet::Exists(info, shape)) numbers += width * (info.in_layer ? shape.n_layer : 1);
  }
  return numbers * sizeof(float);
}

// A survey writes no more than this to disk: of a long prompt it takes the first positions.
constexpr size_t kMostBytes = size_t{512} << 20;

// The request with every tensor kept. `least`: positions that are looked at whatever they cost.
Request WithEverything(const Request& request, const Capture& answered, const bitnet::Model& model, size_t least) {
  Request traced = request;
  traced.trace = "full";
  traced.raw_tensors = true;
  const size_t wanted = answered.tokens.size() + answered.generated.size();
  const size_t fits = std::max(least, kMostBytes / TracedBytes(model, wanted));
  if (wanted <= fits) return traced;
  traced.max_tokens = static_cast<int>(fits - std::min(fits, answered.tokens.size()));
  if (answered.tokens.size() > fits) {
    traced.token_ids.emplace(answered.tokens.begin(), answered.tokens.begin() + static_cast<ptrdiff_t>(fits));
    traced.positions = 0;
  }
  return traced;
}

// Every operation of one engine on its own inputs. Nothing where it leaves no tensors.
std::optional<Survey> SurveyOf(Backend& engine, const Capture& answered, const Request& request, const OwnModel& own,
                               size_t least, const BisectOptions& options) {
  const auto threads = static_cast<size_t>(std::max(request.threads, 1));
  if (!answered.shown.everything()) return std::nullopt;
  if (!engine.live()) {
    if (!HasRawTensors(answered)) return std::nullopt;
    Survey survey = SurveyCapture(own, answered, options.progress, threads);
    survey.not_the_judged_run = NotTheJudgedRun(answered, answered);
    return survey;
  }
  if (options.progress) options.progress(fmt::format("every tensor: {}", engine.name()));
  const Capture traced = engine.Run(WithEverything(request, answered, *own.model, least));
  if (!HasRawTensors(traced)) return std::nullopt;
  Survey survey = SurveyCapture(own, traced, options.progress, threads);
  survey.not_the_judged_run = NotTheJudgedRun(traced, answered);
  return survey;
}

// What the previous build does too did not change.
void LeaveOutWhatWasThereBefore(const Survey& before, Survey& survey) {
  std::erase_if(survey.findings, [&before](const SurveyFinding& f) {
    const std::string cause = f.causes.empty() ? "" : f.causes.front().id;
    return std::any_of(before.findings.begin(), before.findings.end(), [&](const SurveyFinding& g) {
      return g.where == f.where && (g.causes.empty() ? "" : g.causes.front().id) == cause;
    });
  });
}

// Whether something is wrong for certain, and is no way of rounding that an engine may mean.
bool IsProven(const std::optional<Survey>& survey) {
  if (!survey) return false;
  const auto is_habit = [](const std::string& id) {
    return std::ranges::any_of(AllMistakes(), [&id](const Mistake& m) { return m.id == id && m.habit; });
  };
  return std::ranges::any_of(survey->findings, [&](const SurveyFinding& f) {
    return std::ranges::any_of(f.causes,
                               [&](const Cause& c) { return c.certainty == Certainty::kCertain && !is_habit(c.id); });
  });
}

// What every engine does is asked of the candidate; of the reference, where no mistake of the candidate is certain: it
// may round otherwise, and be right; or where it is the candidate's previous build.
void SurveyBoth(Backend& candidate, Backend& reference, const Request& request, const Captures& captures,
                const OwnModel& own, const BisectOptions& options, Explanation& explanation) {
  const size_t least = explanation.bisection ? static_cast<size_t>(explanation.bisection->prefix_length) : 0;
  explanation.candidate = SurveyOf(candidate, captures.candidate, request, own, least, options);
  const bool found = explanation.candidate && !explanation.candidate->findings.empty();
  const bool wrong = explanation.baseline ? found : IsProven(explanation.candidate);
  if (wrong != explanation.baseline) return;
  explanation.reference = SurveyOf(reference, captures.reference, request, own, least, options);
  if (wrong && explanation.reference) LeaveOutWhatWasThereBefore(*explanation.reference, *explanation.candidate);
}

// Nothing is wrong with the candidate: what does not follow on the other side is the cause.
void AddCausesOfReference(Explanation& e) {
  std::vector<Cause>& causes = e.diagnosis.causes;
  causes.clear();
  for (const SurveyFinding& f : e.reference->findings) {
    for (const Cause& cause : f.causes) {
      const auto same = [&cause](const Cause& c) { return c.id == cause.id; };
      if (std::none_of(causes.begin(), causes.end(), same)) causes.push_back(cause);
    }
  }
  e.diagnosis.location = e.reference->findings.front().place;
  e.diagnosis.at_fault = AtFault::kReference;
}

// The survey looked at every layer, position and head; what the diagnosis says of one tensor stands where it has no
// cause, and what it says of ids, masks and runs stands beside it.
void AddCausesOfSurvey(Explanation& e) {
  const bool candidate_follows = !e.candidate || e.candidate->findings.empty();
  if (e.reference && !e.reference->findings.empty() && !e.baseline && (candidate_follows || IsProven(e.reference))) {
    return AddCausesOfReference(e);
  }
  if (!candidate_follows && !e.baseline) e.reference.reset();  // it rounds otherwise, if anything
  if (!e.candidate) return;
  if (e.candidate->of_the_model && e.candidate->findings.empty()) {
    e.diagnosis.causes = {*e.candidate->of_the_model};
    return;
  }
  if (!e.candidate->findings.empty()) e.diagnosis.at_fault = AtFault::kCandidate;
  std::vector<Cause>& causes = e.diagnosis.causes;
  const auto add = [&causes](const Cause& cause, bool first) {
    std::erase_if(causes, [&cause](const Cause& c) { return c.id == cause.id; });
    causes.insert(first ? causes.begin() : causes.end(), cause);
  };
  if (e.baseline && e.bisection) {
    // What changed begins where the bisection says; a change too small to be told from a rounding there may show
    // further on.
    if (!e.candidate->findings.empty()) std::erase_if(causes, [](const Cause& c) { return c.id == "rounding"; });
    for (const SurveyFinding& f : e.candidate->findings) {
      const Place& at = e.bisection->place;
      const bool there = at.layer < 0 || std::find(f.layers.begin(), f.layers.end(), at.layer) != f.layers.end();
      for (const Cause& cause : f.causes) add(cause, f.place.point == at.point && there);
    }
    return;
  }
  if (e.located_by_survey()) {
    e.diagnosis.location = e.location();
    const auto& findings = e.candidate->findings;
    const bool named = !findings.front().causes.empty();
    std::erase_if(
        causes, [named](const Cause& c) {  // what one tensor looks like, or a number that one row was solved for
          const bool shape = c.id == "permuted" || c.id == "head_not_tied" || FindMistake(c.id).dial != nullptr;
          return c.id == "rounding" || c.id == "scaled_by_constant" || (named && shape);
        });
    for (auto f = findings.rbegin(); f != findings.rend(); ++f) {
      for (auto cause = f->causes.rbegin(); cause != f->causes.rend(); ++cause) add(*cause, true);
    }
    std::stable_sort(causes.begin(), causes.end(),
                     [](const Cause& a, const Cause& b) { return a.certainty > b.certainty; });
    return;
  }
  if (!e.candidate->findings.empty() || e.candidate->habits.empty()) return;
  std::erase_if(causes, [](const Cause& c) { return c.certainty != Certainty::kCertain; });
  for (const Habit& habit : e.candidate->habits) {
    add({.id = habit.id,
         .certainty = Certainty::kLikely,
         .evidence = fmt::format("{} in every {}: beside that, each of {} operations follows from its inputs",
                                 habit.how, fmt::join(habit.where, ", "), e.candidate->operations),
         .what = habit.what,
         .remedy = std::string(FindMistake(habit.id).remedy)},
        false);
  }
}

// Every operation of both was looked into, each answer is what they computed, and what is left is named as a way of
// rounding. Shapes and masks are not rounded.
void AddThatNeitherIsAtFault(const Verdict& verdict, Explanation& e) {
  if (verdict.failed_rung() && *verdict.failed_rung() < Rung::kFirstLogit) return;
  const auto follows = [](const std::optional<Survey>& s) {
    return s && s->findings.empty() && s->not_traced == 0 && s->not_the_judged_run.empty() && !s->of_the_model;
  };
  if (e.baseline || !follows(e.candidate) || !follows(e.reference)) return;
  if (e.diagnosis.at_fault != AtFault::kUnknown || e.diagnosis.causes.empty()) return;
  const std::vector<Habit>& habits = e.candidate->habits;
  const auto is_rounding = [&habits](const Cause& c) {
    return c.id == "rounding" ||
           std::any_of(habits.begin(), habits.end(), [&c](const Habit& habit) { return habit.id == c.id; });
  };
  if (std::all_of(e.diagnosis.causes.begin(), e.diagnosis.causes.end(), is_rounding)) {
    e.diagnosis.at_fault = AtFault::kNeither;
  }
}

}  // namespace

Explanation Explain(Backend& candidate, Backend& reference, const Request& request, const Captures& captures,
                    const Verdict& verdict, const OwnModel& own, const BisectOptions& options) {
  Explanation explanation;
  explanation.baseline = options.every_bit;
  DiagnosisInput input{.verdict = &verdict, .captures = &captures, .own = own};
  const bool tokens = verdict.failed_rung() == Rung::kTokens;
  std::optional<Capture> again;
  std::optional<Captures> inside;
  try {
    if (candidate.live() && !tokens) {
      if (options.progress) options.progress("the whole prompt once more: candidate");
      again = candidate.Run(request);
      input.candidate_again = &*again;
    }
    const bool everything = captures.candidate.shown.everything() && captures.reference.shown.everything();
    // Other token ids end a bisection before it asks anything.
    if (!tokens && !everything) {
      explanation.not_bisected = fmt::format("the {} shows no logits of every position",
                                             captures.candidate.shown.everything() ? "reference" : "candidate");
      if (again && GeneratedText(*again) != GeneratedText(captures.candidate)) {
        explanation.not_diagnosed =
            "two runs of the candidate on the same request print different texts: it does not decode greedily "
            "(temperature 0), or reads memory that was never set. Neither text can be explained";
        return explanation;
      }
    } else if (tokens || (candidate.live() && reference.live())) {
      explanation.bisection = Bisect(candidate, reference, request, captures, verdict, own, options);
      const Bisection& found = *explanation.bisection;
      if (found.inside) input.inside = &*found.inside;
      input.location = found.place;
    } else {
      explanation.not_bisected = "a recorded capture has no answer for a shorter prompt";
      input.inside = &inside.emplace(WithTraces(candidate, reference, request, captures));
    }
  } catch (const std::exception& error) {
    explanation.not_bisected = error.what();
  }
  try {
    explanation.diagnosis = Diagnose(input);
  } catch (const std::exception& error) {
    explanation.not_diagnosed = error.what();
  }
  // Behind the diagnosis: an engine's raw tensors are readable until it runs again.
  if (own.model != nullptr && !tokens) {
    try {
      SurveyBoth(candidate, reference, request, captures, own, options, explanation);
      AddCausesOfSurvey(explanation);
      AddThatNeitherIsAtFault(verdict, explanation);
    } catch (const std::exception& error) {
      explanation.not_surveyed = error.what();
    }
  }
  const Captures& looked_at = input.inside != nullptr ? *input.inside : captures;
  if (explanation.diagnosis.causes.empty() && explanation.not_diagnosed.empty() && !tokens) {
    if (!HasRawTensors(looked_at.candidate)) {
      explanation.not_diagnosed = "the candidate left no tensors to compute from: honour trace and raw_tensors";
      const bool by_logits = captures.candidate.shown.logits && !IsDecode(verdict);
      try {
        if (own.model != nullptr && (by_logits || captures.candidate.shown.text)) {
          SearchFromOutside(request, captures, own, by_logits, options, explanation);
        }
      } catch (const std::exception& error) {
        explanation.not_diagnosed += fmt::format("; its {} alone: {}", by_logits ? "logits" : "text", error.what());
      }
    }
    if (own.model == nullptr) explanation.not_diagnosed = "the native engine cannot read the model";
  }
  return explanation;
}

}  // namespace parity
