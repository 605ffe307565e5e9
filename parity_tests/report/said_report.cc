#include "parity_tests/report/said_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "parity_tests/report/color.h"
#include "parity_tests/report/html_parts.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

constexpr size_t kLongestText = 160;  // bytes of each side's text in the text format
constexpr size_t kBefore = 2;         // tokens shown in front of the one in which they part
constexpr size_t kBehind = 5;         // and from there on

// The last `most` bytes, and the first: what stands at the place where two texts part.
std::string Tail(const std::string& text, size_t most) {
  return text.size() <= most ? Quote(text) : "..." + Quote(text.substr(text.size() - most));
}
std::string Head(const std::string& text, size_t most) {
  return text.size() <= most ? Quote(text) : Quote(text.substr(0, most)) + "...";
}

std::string TokenCell(const Said& said, size_t i) {
  return i < said.ids.size() ? fmt::format("{:>7} {}", said.ids[i], Quote(said.pieces[i])) : "    (end)";
}

// The tokens around the one in which they part; none where a side shows no tokens.
std::pair<size_t, size_t> Window(const SaidSides& sides, const Parting& part) {
  if (part.bytes) return {0, 0};
  return {part.at - std::min(part.at, kBefore),
          std::min(part.at + kBehind, std::max(sides.a->ids.size(), sides.b->ids.size()))};
}

std::optional<Parting> PartOf(const SaidSides& sides) { return sides.same ? std::nullopt : PartAt(*sides.a, *sides.b); }

bool Nothing(const SaidSides& sides) { return sides.a->empty() && sides.b->empty(); }

}  // namespace

// What is not compared (a text that goes on behind the tokens that were asked for, the piece of an end token) parts
// nobody: of text alone the judge knows.
bool SaysTheSame(const Verdict& verdict) {
  const RungResult& decode = verdict.rung(Rung::kDecode);
  const bool text_alone = !verdict.said_candidate.printed.empty() || !verdict.said_reference.printed.empty();
  return text_alone && decode.status == Status::kPass && decode.position < 0;
}

SaidSides SaidSidesOf(const Verdict& verdict) {
  const Status decode = verdict.rung(Rung::kDecode).status;
  return {.name_a = verdict.candidate.name.empty() ? "candidate" : verdict.candidate.name,
          .name_b = verdict.reference.name.empty() ? "reference" : verdict.reference.name,
          .a = &verdict.said_candidate,
          .b = &verdict.said_reference,
          .compared = decode == Status::kPass || decode == Status::kFail,
          .same = SaysTheSame(verdict)};
}

std::string SaidInWords(const SaidSides& sides) {
  const std::optional<Parting> part = PartOf(sides);
  if (!part) {
    return fmt::format("both say the same{}: if it is nonsense, it is the model or its prompt, and not the engine",
                       sides.compared ? "" : ", although they differ before that");
  }
  const std::string_view unit = part->bytes ? "byte" : "token";
  if (part->at == 0) return fmt::format("they part at the first {}", unit);
  const bool one = part->at == 1;
  return fmt::format("the first {} {}{} {} the same, then they part", part->at, unit, one ? "" : "s",
                     one ? "is" : "are");
}

std::string SaidText(const SaidSides& sides, bool color) {
  if (Nothing(sides)) return "";
  std::string out = "\n" + Paint("What they said", Color::kBold, color) + "\n";
  const std::optional<Parting> part = PartOf(sides);
  if (!part) {
    return out + fmt::format("  {}\n  {}\n", Head(sides.a->Text(), kLongestText), SaidInWords(sides));
  }
  const size_t width = std::max(sides.name_a.size(), sides.name_b.size());
  out += fmt::format("  {}\n", SaidInWords(sides));
  if (part->at > 0) out += fmt::format("  {:<{}}  {}\n", "both", width, Tail(part->both, kLongestText / 2));
  for (const auto& [name, rest] : {std::pair{&sides.name_a, &part->rest_a}, std::pair{&sides.name_b, &part->rest_b}}) {
    out += fmt::format("  {:<{}}  {}\n", *name, width, Head(*rest, kLongestText / 2));
  }
  const auto [first, last] = Window(sides, *part);
  if (first == last) return out;
  size_t cell = sides.name_a.size();
  for (size_t i = first; i < last; ++i) cell = std::max(cell, TokenCell(*sides.a, i).size());
  out += fmt::format("    token  {:<{}}  {}\n", sides.name_a, cell, sides.name_b);
  for (size_t i = first; i < last; ++i) {
    const std::string line = fmt::format("{} {:>7}  {:<{}}  {}", i == part->at ? ">" : " ", i, TokenCell(*sides.a, i),
                                         cell, TokenCell(*sides.b, i));
    out += Paint(line, i == part->at ? Color::kRed : Color::kNone, color) + "\n";
  }
  return out;
}

std::string SaidMarkdown(const SaidSides& sides) {
  if (Nothing(sides)) return "";
  std::string out = fmt::format("\n### What they said\n\n{}\n", SaidInWords(sides));
  // A block of code: nothing in it is markup. Quote leaves no line break, and no fence can begin inside a line.
  const std::optional<Parting> part = PartOf(sides);
  if (!part) return out + fmt::format("\n```text\n{}\n```\n", Quote(sides.a->Text()));
  const size_t width = std::max(sides.name_a.size(), sides.name_b.size());
  out += "\n```text\n";
  for (const auto& [name, said] : {std::pair{&sides.name_a, sides.a}, std::pair{&sides.name_b, sides.b}}) {
    out += fmt::format("{:<{}}  {}\n", *name, width, Quote(said->Text()));
  }
  const auto [first, last] = Window(sides, *part);
  for (size_t i = first; i < last; ++i) {
    out += fmt::format("{} {:>4}  {:<28}  {}\n", i == part->at ? ">" : " ", i, TokenCell(*sides.a, i),
                       TokenCell(*sides.b, i));
  }
  return out + "```\n";
}

std::string SaidHtml(const SaidSides& sides) {
  if (Nothing(sides)) return "";
  const std::optional<Parting> part = PartOf(sides);
  std::string head, row, tokens;
  for (const auto& [name, said] : {std::pair{&sides.name_a, sides.a}, std::pair{&sides.name_b, sides.b}}) {
    head += Tag("th", Escape(*name));
    const std::string rest = !part ? "" : said == sides.a ? part->rest_a : part->rest_b;
    row += Tag("td class=\"text lines\"",
               Escape(Utf8(part ? part->both : said->Text())) + (rest.empty() ? "" : Tag("mark", Escape(Utf8(rest)))));
  }
  std::string out = Tag("h3", "What they said") + Tag("p", Escape(SaidInWords(sides))) +
                    Tag("table class=\"said\"", Tag("thead", Tag("tr", head)) + Tag("tbody", Tag("tr", row)));
  if (!part || part->bytes) return out;
  const auto [first, last] = Window(sides, *part);
  for (size_t i = first; i < last; ++i) {
    const std::string cells = Tag("td class=\"num\"", std::to_string(i)) +
                              Tag("td class=\"text\"", Escape(TokenCell(*sides.a, i))) +
                              Tag("td class=\"text\"", Escape(TokenCell(*sides.b, i)));
    tokens += Tag(i == part->at ? "tr class=\"moved\"" : "tr", cells);
  }
  return out + Tag("table class=\"narrow\"", Tag("tr", Tag("th class=\"num\"", "token") + head) + tokens);
}

nlohmann::json SaidJson(const SaidSides& sides, const std::string& key_a, const std::string& key_b) {
  if (Nothing(sides)) return nullptr;
  nlohmann::json json;
  for (const auto& [key, said] : {std::pair{&key_a, sides.a}, std::pair{&key_b, sides.b}}) {
    nlohmann::json pieces = nlohmann::json::array();
    for (const std::string& piece : said->pieces) pieces.push_back(TextToJson(piece));
    json[*key] = {{"text", TextToJson(said->Text())}, {"ids", said->ids}, {"pieces", std::move(pieces)}};
  }
  const std::optional<Parting> part = PartOf(sides);
  json["part_at"] = part && !part->bytes ? nlohmann::json(part->at) : nlohmann::json(nullptr);
  json["part_at_byte"] = part && part->bytes ? nlohmann::json(part->at) : nlohmann::json(nullptr);
  return json;
}

}  // namespace parity
