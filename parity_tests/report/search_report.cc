#include "parity_tests/report/search_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "parity_tests/report/color.h"
#include "parity_tests/report/json_report.h"

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
  if (!r.alike.empty()) json["alike"] = r.alike;
  return json;
}

}  // namespace

std::string SearchText(const SearchResult& result, bool color, bool verbose) {
  const bool accused = result.certainty.has_value();
  std::string out =
      Paint(accused ? fmt::format("{} ({})", result.best[0].id, CertaintyName(*result.certainty)) : "NO KNOWN MISTAKE",
            accused ? Color::kRed : Color::kGreen, color);
  out += fmt::format("\n  {}\n", result.verdict);
  if (accused) out += fmt::format("  {}\n  to do: {}\n", result.best[0].what, result.best[0].remedy);
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
    json["text_bytes"] = result.text_bytes;
  } else {
    json["positions"] = result.positions;
  }
  for (const HypothesisResult& r : result.best) json["best"].push_back(HypothesisJson(r, result.from_text));
  return json;
}

}  // namespace parity
