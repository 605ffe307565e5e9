#include "parity_tests/report/search_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "parity_tests/report/color.h"
#include "parity_tests/report/json_report.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

std::string ScoreOf(const HypothesisResult& r, const SearchResult& result) {
  if (!result.from_text) return r.every_bit ? "every bit" : fmt::format("{:.4f} left", r.distance);
  if (r.logprob) {
    return fmt::format("{} of {} tokens first choice, log-likelihood {:.1f}", r.first_choice, r.tokens, *r.logprob);
  }
  return fmt::format("{}/{} bytes, {} of {} tokens first choice, regret {:.3g}", r.bytes, result.text_bytes,
                     r.first_choice, r.tokens, r.regret);
}

std::string PlaceOf(const HypothesisResult& r) {
  if (r.how.empty()) return r.where;
  return r.where.empty() ? r.how : fmt::format("{} ({})", r.how, r.where);
}

nlohmann::json HypothesisJson(const HypothesisResult& r, bool from_text) {
  nlohmann::json json = {{"id", r.id}, {"what", r.what}, {"how", r.how}, {"where", r.where}, {"remedy", r.remedy}};
  if (from_text) {
    json["tokens"] = r.tokens;
    json["first_choice"] = r.first_choice;
    json["bytes"] = r.bytes;
    json["regret"] = JsonNumber(r.regret);
    json["whole_text"] = r.whole_text;
    if (r.logprob) json["logprob"] = JsonNumber(*r.logprob);
  } else {
    json["distance"] = JsonNumber(r.distance);
    json["every_bit"] = r.every_bit;
  }
  if (r.habit) json["habit"] = true;
  if (!r.alike.empty()) json["alike"] = r.alike;
  return json;
}

std::string Factor(double logarithm) {
  if (logarithm < 7) return fmt::format("{:.3g} times", std::exp(logarithm));
  return fmt::format("e^{:.0f} times", logarithm);
}

std::string LikelihoodText(const SearchResult& result) {
  std::string out;
  if (result.over_next) {
    out += fmt::format("{} as likely as with {}", Factor(*result.over_next), result.next);
  }
  if (result.over_healthy) {
    out +=
        fmt::format("{}{} as likely as with no known mistake", out.empty() ? "" : ", ", Factor(*result.over_healthy));
  }
  return out.empty() ? "" : fmt::format("  likelihood: {}\n", out);
}

std::string SeparatingText(const SearchResult& result) {
  if (!result.separating) {
    if (result.prompts_tried == 0) return "";
    return fmt::format("  none of {} other prompts tells them apart: what they do may be the same\n",
                       result.prompts_tried);
  }
  const SeparatingPrompt& s = *result.separating;
  std::string out = fmt::format(
      "  to tell them apart: another prompt, on which they print {} different texts\n    {}\n", s.groups, s.command);
  for (const SeparatingPrompt::Says& says : s.says) {
    out += fmt::format("    {:<28} {} prints {}\n", says.id, says.where, Quote(says.text));
  }
  return out;
}

std::string ConfirmationText(const Confirmation& c) {
  std::string out =
      fmt::format("  on the prompt {}, which was not used\n    with the mistake  {}\n    healthy           {}\n",
                  Quote(c.prompt), Quote(c.predicted), Quote(c.healthy));
  if (c.predicted == c.healthy) return out + "    both are the same there: another prompt may tell them apart\n";
  if (!c.said) return out;
  return out + fmt::format("    the candidate     {}\n    {}: {} bytes of it as predicted, {} as the healthy model\n",
                           Quote(*c.said), c.confirmed() ? "confirmed" : "NOT confirmed", c.as_predicted, c.as_healthy);
}

nlohmann::json SeparatingJson(const SeparatingPrompt& s) {
  nlohmann::json json = {{"groups", s.groups}, {"command", s.command}, {"says", nlohmann::json::array()}};
  if (s.token_ids.empty()) {
    json["prompt"] = s.prompt;
  } else {
    json["token_ids"] = s.token_ids;
  }
  for (const SeparatingPrompt::Says& says : s.says) {
    json["says"].push_back({{"id", says.id}, {"where", says.where}, {"text", Utf8(says.text)}});
  }
  return json;
}

nlohmann::json ConfirmationJson(const Confirmation& c) {
  nlohmann::json json = {{"prompt", c.prompt},
                         {"predicted", Utf8(c.predicted)},
                         {"healthy", Utf8(c.healthy)},
                         {"tells_them_apart", c.tells_them_apart()}};
  if (!c.said) return json;
  json["said"] = Utf8(*c.said);
  json["as_predicted"] = c.as_predicted;
  json["as_healthy"] = c.as_healthy;
  json["confirmed"] = c.confirmed();
  return json;
}

}  // namespace

std::string SearchText(const SearchResult& result, bool color, bool verbose) {
  const bool accused = result.certainty.has_value(), habit = accused && result.best[0].habit;
  std::string out = Paint(
      accused ? fmt::format("{}{} ({})", habit ? "HABIT " : "", result.best[0].id, CertaintyName(*result.certainty))
              : "NO KNOWN MISTAKE",
      accused && !habit ? Color::kRed : Color::kGreen, color);
  out += fmt::format("\n  {}\n", result.verdict);
  if (accused) out += fmt::format("  {}\n  to do: {}\n", result.best[0].what, result.best[0].remedy);
  out += LikelihoodText(result) + SeparatingText(result);
  if (result.confirmation) out += ConfirmationText(*result.confirmation);
  out += fmt::format("\n{:<28} {:<56} {}\n", "mistake", "how and where", result.from_text ? "the text" : "distance");
  out += fmt::format("{:<28} {:<56} {}\n", "none: the healthy model", "", ScoreOf(result.healthy, result));
  for (const HypothesisResult& r : result.best) {
    out += fmt::format("{:<28} {:<56} {}\n", r.id, PlaceOf(r), ScoreOf(r, result));
    if (r.alike.empty()) continue;
    const size_t shown = verbose ? r.alike.size() : 0;
    for (size_t i = 0; i < shown; ++i) out += fmt::format("{:<28} {}\n", "  as well as", r.alike[i]);
    if (shown == 0) out += fmt::format("{:<28} and {} other places or ways, not told apart\n", "", r.alike.size());
  }
  if (result.tried > 0) {
    out += fmt::format("\n{} of {} hypotheses tried in {:.1f} s\n", result.tried, result.possible, result.seconds);
  }
  return out;
}

nlohmann::json SearchJson(const SearchResult& result) {
  nlohmann::json json = {{"schema", "bitnet-parity/search/1"},
                         {"evidence", result.from_text ? "text" : "logits"},
                         {"verdict", result.verdict},
                         {"certainty", nullptr},
                         {"healthy", HypothesisJson(result.healthy, result.from_text)},
                         {"best", nlohmann::json::array()},
                         {"tried", result.tried},
                         {"possible", result.possible},
                         {"seconds", result.seconds}};
  if (result.certainty) json["certainty"] = CertaintyName(*result.certainty);
  if (result.from_text) {
    json["texts"] = result.texts;
    json["text_bytes"] = result.text_bytes;
  }
  if (result.positions > 0) json["positions"] = result.positions;
  if (!result.habits.empty()) json["habits"] = result.habits;
  if (result.over_next || result.over_healthy) {
    nlohmann::json& likelihood = json["likelihood"];
    if (result.over_next) {
      likelihood["next"] = result.next;
      likelihood["over_next"] = JsonNumber(*result.over_next);
    }
    if (result.over_healthy) likelihood["over_healthy"] = JsonNumber(*result.over_healthy);
  }
  if (result.separating) json["separating"] = SeparatingJson(*result.separating);
  if (result.prompts_tried > 0) json["prompts_tried"] = result.prompts_tried;
  if (result.confirmation) json["confirmation"] = ConfirmationJson(*result.confirmation);
  for (const HypothesisResult& r : result.best) json["best"].push_back(HypothesisJson(r, result.from_text));
  return json;
}

}  // namespace parity
