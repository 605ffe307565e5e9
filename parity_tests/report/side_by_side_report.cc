#include "parity_tests/report/side_by_side_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/report/color.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/html_parts.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/numbers.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

// "A, B and C"
std::string Listed(const std::vector<std::string>& names) {
  if (names.size() < 2) return names.empty() ? "" : names[0];
  return fmt::format("{} and {}", fmt::join(names.begin(), names.end() - 1, ", "), names.back());
}

std::vector<std::string> LettersWhere(const SideBySide& all, bool (*holds)(const EngineBeside&)) {
  std::vector<std::string> letters;
  for (size_t i = 0; i < all.engines.size(); ++i) {
    if (holds(all.engines[i])) letters.push_back(LetterOf(i));
  }
  return letters;
}

// Groups of two and more, in words.
std::vector<std::string> Groups(const SideBySide& all) {
  std::vector<std::string> out;
  for (size_t group = 0; group < all.engines.size(); ++group) {
    std::vector<std::string> letters;
    for (size_t i = 0; i < all.engines.size(); ++i) {
      if (all.engines[i].group == group && all.engines[i].problem.empty()) letters.push_back(LetterOf(i));
    }
    if (letters.size() > 1) out.push_back(Listed(letters));
  }
  return out;
}

Color ColorOf(const PairBeside& pair) { return pair.equal ? Color::kGreen : pair.over ? Color::kRed : Color::kYellow; }

std::string_view StatusOf(const PairBeside& pair) {
  if (!pair.compared) return "not compared";
  return pair.equal ? "equal" : pair.over ? "differ" : "within limits";
}

std::string FirstDifference(const PairBeside& pair) {
  if (pair.equal) return "";
  if (!pair.compared) return pair.message;
  if (!pair.tensor) return fmt::format("{} ({})", RungName(*pair.differs), pair.no_tensor);
  const TensorDifference& t = *pair.tensor;
  return fmt::format("{}: position {}, {}", RungName(*pair.differs), t.place.position,
                     t.place.layer < 0 ? t.stage : fmt::format("layer {}, {}", t.place.layer, t.stage));
}

// Of that tensor.
std::string Distance(const PairBeside& pair) {
  if (!pair.tensor) return "";
  const TensorDifference& t = *pair.tensor;
  if (!t.raw) return fmt::format("rms {:.3g}", t.rms_relative);
  return fmt::format("{} of {}, max abs {:.3g}", t.raw->differing, t.num_elements, t.raw->max_abs);
}

// A cell of the table of all pairs.
std::string Cell(const SideBySide& all, size_t a, size_t b) {
  const PairBeside* pair = all.pair(a, b);
  if (pair == nullptr) return "no answer";
  if (pair->equal || !pair->compared) return std::string(StatusOf(*pair));
  const std::string where = pair->tensor ? pair->tensor->name : std::string(RungName(*pair->differs));
  return (pair->over ? "" : "~ ") + where;
}

std::string WhatItSaid(const EngineBeside& engine) { return engine.said.empty() ? "" : Quote(engine.said.Text()); }

std::string WhyHeading(const SideBySide& all, size_t i) {
  const EngineBeside& engine = all.engines[i];
  return fmt::format("{} (candidate) against {} (reference)", LetterOf(i), LetterOf(*engine.explained_beside));
}

// Facts of the request, each with its name.
std::vector<std::pair<std::string, std::string>> Facts(const SideBySide& all) {
  return {{"model", all.model.path.empty() ? all.request.model : all.model.path},
          {"prompt", all.request.token_ids
                         ? fmt::format("{} token ids", all.request.token_ids->size())
                         : fmt::format("{} ({})", Quote(all.request.prompt), all.request.prompt_template)},
          {"schedule", std::string(ScheduleName(all.request.schedule))},
          {"profile", DescribeProfile(all.profile)}};
}

nlohmann::json PairJson(const PairBeside& pair) {
  const auto stage = [](const std::optional<Rung>& rung) {
    return rung ? nlohmann::json(RungName(*rung)) : nlohmann::json(nullptr);
  };
  nlohmann::json json = {{"a", pair.a},
                         {"b", pair.b},
                         {"equal", pair.equal},
                         {"within_limits", pair.compared && !pair.over},
                         {"differs_at", stage(pair.differs)},
                         {"over_limit_at", stage(pair.over)}};
  if (!pair.message.empty()) json["message"] = TextToJson(pair.message);
  if (!pair.no_tensor.empty()) json["no_tensor"] = pair.no_tensor;
  if (pair.tensor) {
    const TensorDifference& t = *pair.tensor;
    json["first"] = {{"name", t.name},
                     {"position", t.place.position},
                     {"layer", t.place.layer},
                     {"stage", t.stage},
                     {"rms_relative", JsonNumber(t.rms_relative)}};
    if (t.raw) {
      json["first"]["differing"] = t.raw->differing;
      json["first"]["elements"] = t.num_elements;
      json["first"]["max_abs"] = JsonNumber(t.raw->max_abs);
      json["first"]["mse"] = JsonNumber(t.raw->mse);
    }
  }
  if (pair.figures.rows() > 0) {
    for (const Metric metric : kMetrics) {
      json["logits"][std::string(MetricName(metric))] = JsonNumber(pair.figures.value(metric));
    }
  }
  return json;
}

}  // namespace

std::string SideBySideHeadline(const SideBySide& all) {
  std::vector<std::string> parts;
  const auto silent = LettersWhere(all, [](const EngineBeside& e) { return !e.problem.empty(); });
  const auto alone = LettersWhere(all, [](const EngineBeside& e) { return e.alone; });
  const std::vector<std::string> groups = Groups(all);
  const bool all_equal = all.pairs.size() > 0 &&
                         std::all_of(all.pairs.begin(), all.pairs.end(), [](const PairBeside& p) { return p.equal; });
  if (!silent.empty()) parts.push_back(fmt::format("{} gave no answer", Listed(silent)));
  if (!alone.empty()) {
    parts.push_back(fmt::format("{} {} alone", Listed(alone), alone.size() == 1 ? "stands" : "each stand"));
  }
  for (const PairBeside& p : all.pairs) {
    if (!p.compared) parts.push_back(fmt::format("{} and {} show nothing in common", LetterOf(p.a), LetterOf(p.b)));
  }
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const EngineBeside& e = all.engines[i];
    const AtFault side = e.why ? e.why->diagnosis.at_fault : AtFault::kUnknown;
    if (side == AtFault::kUnknown) continue;
    std::string fault =
        side == AtFault::kNeither
            ? fmt::format("{} differs by rounding alone", LetterOf(i))
            : fmt::format("{} is at fault", LetterOf(side == AtFault::kCandidate ? i : *e.explained_beside));
    if (std::find(parts.begin(), parts.end(), fault) == parts.end()) parts.push_back(std::move(fault));
  }
  if (all_equal && silent.empty()) {
    const bool in_full = std::all_of(all.pairs.begin(), all.pairs.end(), [](const PairBeside& p) { return p.in_full; });
    parts.push_back(fmt::format("all {} agree in every bit{}", all.engines.size(), in_full ? "" : " that they show"));
  } else {
    for (const std::string& group : groups) parts.push_back(fmt::format("{} agree in every bit", group));
  }
  const bool over =
      std::any_of(all.pairs.begin(), all.pairs.end(), [](const PairBeside& p) { return p.over.has_value(); });
  const bool all_compared =
      std::all_of(all.pairs.begin(), all.pairs.end(), [](const PairBeside& p) { return p.compared; });
  if (!over && all_compared && !all_equal && !all.pairs.empty()) {
    parts.push_back(fmt::format("all pairs are within the limits of {}", all.profile.name));
  }
  if (over && alone.empty() && groups.empty()) parts.push_back("no two agree");
  return fmt::format("{}: {}",
                     all.exit_code() == 0   ? "PARITY"
                     : all.exit_code() == 1 ? "DIVERGENCE"
                                            : "ERROR",
                     fmt::join(parts, "; "));
}

std::string SideBySideText(const SideBySide& all, bool color) {
  const Color state = all.exit_code() == 0 ? Color::kGreen : Color::kRed;
  std::string out = Paint(SideBySideHeadline(all), state, color) + "\n";
  for (const auto& [name, value] : Facts(all)) out += fmt::format("  {:<10} {}\n", name, value);
  out += "\n";
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const EngineBeside& e = all.engines[i];
    out += fmt::format("  {:<2} {}{}\n", LetterOf(i), e.name, e.alone ? "  (alone)" : "");
    if (!e.backend.name.empty()) out += fmt::format("     {}\n", DescribeBackend(e.backend));
    if (!e.problem.empty()) out += Paint(fmt::format("     no answer: {}\n", e.problem), Color::kRed, color);
    if (!e.said.empty()) out += fmt::format("     {}\n", WhatItSaid(e));
  }
  size_t width = 9;
  for (const PairBeside& pair : all.pairs) width = std::max(width, Cell(all, pair.a, pair.b).size());
  const auto last = [&all](size_t b) { return b + 1 == all.engines.size(); };  // no blanks behind it
  out += "\n    ";
  for (size_t b = 1; b < all.engines.size(); ++b) out += fmt::format(" {:<{}}", LetterOf(b), last(b) ? 0 : width);
  out += "\n";
  for (size_t a = 0; a + 1 < all.engines.size(); ++a) {
    out += fmt::format("  {:<2}", LetterOf(a));
    for (size_t b = 1; b < all.engines.size(); ++b) {
      const PairBeside* pair = all.pair(a, b);
      const std::string cell = fmt::format("{:<{}}", b <= a ? "" : Cell(all, a, b), last(b) ? 0 : width);
      out += " " + Paint(cell, b <= a || pair == nullptr ? Color::kNone : ColorOf(*pair), color);
    }
    out += "\n";
  }
  out += Paint(fmt::format("\n  {:<6} {:<14} {:>10} {:>10} {:>12}  {}", "pair", "", "mse", "max abs", "cosine",
                           "first difference"),
               Color::kBold, color) +
         "\n";
  for (const PairBeside& pair : all.pairs) {
    const bool rows = pair.figures.rows() > 0;
    const auto figure = [&](Metric m) { return rows ? FormatMetric(m, pair.figures.value(m)) : std::string("-"); };
    const std::string distance = Distance(pair);
    out += Paint(fmt::format("  {:<6} {:<14} {:>10} {:>10} {:>12}{}{}", LetterOf(pair.a) + " " + LetterOf(pair.b),
                             StatusOf(pair), figure(Metric::kMse), figure(Metric::kMaxAbs), figure(Metric::kCosine),
                             pair.equal ? "" : "  " + FirstDifference(pair), distance.empty() ? "" : "; " + distance),
                 ColorOf(pair), color) +
           "\n";
  }
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const EngineBeside& e = all.engines[i];
    if (e.why) out += "\n" + Paint(WhyHeading(all, i), Color::kBold, color) + "\n" + ExplanationText(*e.why, color);
    if (!e.not_explained.empty()) out += fmt::format("\n{}: not explained: {}\n", LetterOf(i), e.not_explained);
  }
  return out;
}

nlohmann::json SideBySideJson(const SideBySide& all) {
  nlohmann::json json = {{"schema", "bitnet-parity/compare/1"},
                         {"headline", SideBySideHeadline(all)},
                         {"exit_code", all.exit_code()},
                         {"model", {{"path", all.model.path}, {"blake3", all.model.blake3}}},
                         {"prompt", TextToJson(all.request.prompt)},
                         {"prompt_template", all.request.prompt_template},
                         {"schedule", ScheduleName(all.request.schedule)},
                         {"profile", {{"name", all.profile.name}, {"overrides", all.profile.overrides}}},
                         {"engines", nlohmann::json::array()},
                         {"pairs", nlohmann::json::array()}};
  for (const EngineBeside& e : all.engines) {
    nlohmann::json row = {{"spec", e.name},
                          {"name", e.backend.name},
                          {"version", e.backend.version},
                          {"build", e.backend.build},
                          {"simd", e.backend.simd},
                          {"group", e.group},
                          {"alone", e.alone},
                          {"said", TextToJson(e.said.Text())},
                          {"ids", e.said.ids}};
    if (!e.problem.empty()) row["problem"] = TextToJson(e.problem);
    if (e.why) {
      row["explanation"] = ExplanationJson(*e.why);
      row["explained_beside"] = *e.explained_beside;
      row["at_fault"] = AtFaultName(e.why->diagnosis.at_fault);
    }
    if (!e.not_explained.empty()) row["not_explained"] = e.not_explained;
    json["engines"].push_back(std::move(row));
  }
  for (const PairBeside& pair : all.pairs) json["pairs"].push_back(PairJson(pair));
  return json;
}

namespace {

std::string EnginesTable(const SideBySide& all) {
  std::string rows;
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const EngineBeside& e = all.engines[i];
    const char* state = !e.problem.empty() || e.alone ? "fail" : "none";
    rows +=
        Tag("tr", Tag("th", LetterOf(i)) + Tag("td", Escape(e.name)) + Tag("td", Escape(DescribeBackend(e.backend))) +
                      Tag(fmt::format("td class=\"state {}\"", state), !e.problem.empty() ? "no answer"
                                                                       : e.alone          ? "alone"
                                                                                          : "") +
                      Tag("td class=\"lines\"", Escape(e.problem.empty() ? WhatItSaid(e) : e.problem))) +
        "\n";
  }
  return Tag("h3", "Engines") +
         Tag("div class=\"wide\"", Tag("table", Tag("tr", Tag("th", "") + Tag("th", "engine") + Tag("th", "build") +
                                                              Tag("th", "") + Tag("th", "said")) +
                                                    rows));
}

std::string_view CellClass(const PairBeside* pair) {
  return pair == nullptr ? "none" : pair->equal ? "pass" : pair->over ? "fail" : "skip";
}

std::string Grid(const SideBySide& all) {
  std::string head = Tag("th", ""), rows;
  for (size_t b = 0; b < all.engines.size(); ++b) head += Tag("th", LetterOf(b));
  for (size_t a = 0; a < all.engines.size(); ++a) {
    std::string cells = Tag("th", LetterOf(a));
    for (size_t b = 0; b < all.engines.size(); ++b) {
      const PairBeside* pair = all.pair(a, b);
      cells += a == b ? Tag("td class=\"dim\"", "same")
                      : Tag(fmt::format("td class=\"cell state {}\"", CellClass(pair)), Escape(Cell(all, a, b)));
    }
    rows += Tag("tr", cells) + "\n";
  }
  return Tag("h3", "Each beside each") +
         Tag("p class=\"dim\"", "The first tensor, or else the stage, at which two engines differ.") +
         Tag("div class=\"wide\"", Tag("table class=\"narrow\"", Tag("tr", head) + rows));
}

std::string PairsTable(const SideBySide& all) {
  std::string rows, head;
  for (const PairBeside& pair : all.pairs) {
    const bool compared = pair.figures.rows() > 0;
    std::string cells = Tag("td", LetterOf(pair.a) + " " + LetterOf(pair.b)) +
                        Tag(fmt::format("td class=\"state {}\"", CellClass(&pair)), StatusOf(pair));
    for (const Metric m : {Metric::kMse, Metric::kMaxAbs, Metric::kCosine}) {
      cells += Tag("td class=\"num\"", compared ? Escape(FormatMetric(m, pair.figures.value(m))) : "-");
    }
    rows += Tag("tr", cells + Tag("td", Escape(FirstDifference(pair))) + Tag("td", Escape(Distance(pair)))) + "\n";
  }
  for (const char* name : {"pair", "", "worst mse", "max abs", "cosine", "first difference", "there"}) {
    head += Tag("th", name);
  }
  return Tag("h3", "Pairs") + Tag("div class=\"wide\"", Tag("table", Tag("tr", head) + rows));
}

std::string Explanations(const SideBySide& all) {
  std::string out;
  for (size_t i = 0; i < all.engines.size(); ++i) {
    const EngineBeside& e = all.engines[i];
    if (e.why) {
      out += Tag("h3", Escape(WhyHeading(all, i))) +
             Tag("pre class=\"lines\"", Escape(ExplanationText(*e.why, /*color=*/false)));
    } else if (!e.not_explained.empty()) {
      out += Tag("p", Escape(fmt::format("{}: not explained: {}", LetterOf(i), e.not_explained)));
    }
  }
  return out;
}

}  // namespace

std::string SideBySideHtml(const SideBySide& all) {
  const std::string title = SideBySideHeadline(all);
  std::string facts;
  for (const auto& [name, value] : Facts(all)) facts += Tag("dt", name) + Tag("dd", Escape(value));
  const std::string body = Tag("h1", "bitnet-parity compare") +
                           Tag(fmt::format("h2 class=\"{}\"", all.exit_code() == 0 ? "pass" : "fail"), Escape(title)) +
                           Tag("dl", facts) + EnginesTable(all) + Grid(all) + PairsTable(all) + Explanations(all);
  return Page("bitnet-parity: " + title,
              "pre.lines { white-space: pre-wrap; }\n@media (max-width: 640px) { .wide td { white-space: nowrap; } }\n",
              body);
}

}  // namespace parity
