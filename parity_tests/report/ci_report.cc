#include "parity_tests/report/ci_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/thresholds.h"
#include "parity_tests/report/explanation_report.h"
#include "parity_tests/report/json_report.h"
#include "parity_tests/report/phrases.h"
#include "reference/capture/hash.h"
#include "reference/capture/quote.h"

namespace parity {
namespace {

using Json = nlohmann::json;

CiLevel LevelOf(const Verdict& verdict) {
  if (verdict.parity()) return CiLevel::kNone;
  return verdict.rung(Rung::kPreflight).status == Status::kSkip ? CiLevel::kWarning : CiLevel::kError;
}

std::string PlaceOf(const Explanation& explanation) {
  const Place at = explanation.location();
  if (at.point == Point::kUnknown) return "";
  return fmt::format(
      "t{}/{}", at.position,
      at.layer < 0 ? std::string(PointName(at.point)) : fmt::format("blk{}/{}", at.layer, PointName(at.point)));
}

std::string Message(const Verdict& verdict, const Explanation* explanation) {
  std::string text = fmt::format("{} against {}, {}, schedule {}", DescribeBackend(verdict.candidate),
                                 DescribeBackend(verdict.reference), Quote(verdict.request.prompt),
                                 ScheduleName(verdict.request.schedule));
  if (const auto failed = verdict.failed_rung()) text += "\n" + verdict.rung(*failed).message;
  if (explanation != nullptr) {
    for (const std::string& line : WhereLines(*explanation)) text += "\n" + line;
  }
  return text;
}

std::string_view GithubCommand(CiLevel level) {
  constexpr std::string_view kCommands[] = {"notice", "notice", "warning", "error"};
  return kCommands[static_cast<size_t>(level)];
}

std::string_view SarifLevel(CiLevel level) {
  constexpr std::string_view kLevels[] = {"none", "note", "warning", "error"};
  return kLevels[static_cast<size_t>(level)];
}

// Percent-encodes `special`.
std::string Encode(const std::string& text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

// A path as a URI reference.
std::string Uri(const std::string& path) {
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return path.starts_with("/") ? "file://" + out : out;
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string CsvLine(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) line += (&cell == cells.data() ? "" : ",") + CsvCell(cell);
  return line + "\r\n";
}

// One position of a stage.
struct Row {
  int64_t position;
  int32_t token;  // the prompt's token, or the reference's choice; -1: not known
  Grade grade;
  const RowMetrics* metrics;
};

std::vector<Row> RowsOf(const Verdict& verdict, const RungResult& result) {
  const Limits limits = LimitsOf(verdict.profile, result.rung);
  const bool generated = InfoOf(result.rung).positions == PositionKind::kGenerated;
  const std::vector<int32_t>& tokens = generated ? verdict.said_reference.ids : verdict.tokens;
  std::vector<Row> rows;
  for (size_t i = 0; i < result.rows.size(); ++i) {
    rows.push_back(
        {result.PositionOf(i), i < tokens.size() ? tokens[i] : -1, GradeRow(result.rows[i], limits), &result.rows[i]});
  }
  return rows;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace

std::vector<CiResult> CiResults(const Verdict& verdict, const Explanation* explanation, const std::string& report) {
  const auto failed = verdict.failed_rung();
  CiResult result{.level = LevelOf(verdict),
                  .rule = fmt::format("stage/{}", failed ? RungName(*failed) : "all"),
                  .title = Headline(verdict),
                  .message = Message(verdict, explanation),
                  .file = verdict.request.model,
                  .place = explanation != nullptr ? PlaceOf(*explanation) : "",
                  .report = report};
  std::vector<CiResult> results = {result};
  if (explanation == nullptr) return results;
  for (const Cause& cause : explanation->diagnosis.causes) {
    results.push_back({.level = failed ? CiLevel::kError : CiLevel::kNote,
                       .rule = "cause/" + cause.id,
                       .title = fmt::format("{} ({})", cause.what, CertaintyName(cause.certainty)),
                       .message = fmt::format("{}\ndo: {}", cause.evidence, cause.remedy),
                       .file = result.file,
                       .place = result.place,
                       .report = ""});
  }
  return results;
}

std::vector<CiResult> CiResults(const TraceDiff& diff, const std::string& report) {
  if (!diff.first) {
    return {{.level = CiLevel::kNone,
             .rule = "trace/all",
             .title = "EQUAL",
             .message = fmt::format("{} tensors of {} and {}", diff.tensors.size(), diff.a, diff.b),
             .file = diff.a,
             .place = "",
             .report = report}};
  }
  const TensorDifference& d = diff.tensors[*diff.first];
  return {{.level = CiLevel::kError,
           .rule = "trace/" + d.stage,
           .title = "DIVERGENCE at " + d.name,
           .message = fmt::format("{} and {}: rms {:.9g} and {:.9g}; {} of {} tensors differ", diff.a, diff.b, d.rms_a,
                                  d.rms_b, static_cast<int64_t>(diff.tensors.size()) - diff.count(TensorStatus::kEqual),
                                  diff.tensors.size()),
           .file = diff.a,
           .place = d.name,
           .report = report}};
}

std::string GithubReport(std::span<const CiResult> results) {
  std::string out;
  for (const CiResult& result : results) {
    const std::string message = result.message + (result.place.empty() ? "" : "\nat " + result.place);
    out += fmt::format("::{} title={}::{}\n", GithubCommand(result.level),
                       Encode("bitnet-parity: " + Utf8(result.title), "%\r\n:,"), Encode(Utf8(message), "%\r\n"));
  }
  for (const CiResult& result : results) {
    if (result.report.empty()) continue;
    // Between stop-commands and its token nothing is a command. No text has its own hash in it.
    const std::string token = "bitnet-parity-" + HashText(result.report).substr(0, 24);
    out += fmt::format("::group::{}\n::stop-commands::{}\n{}\n::{}::\n::endgroup::\n",
                       Encode(Utf8(result.title), "%\r\n"), token, result.report, token);
  }
  return out;
}

nlohmann::json SarifReport(std::span<const CiResult> results, std::string_view version, int exit_code) {
  std::map<std::string, std::string> rules;
  Json list = Json::array();
  for (const CiResult& r : results) {
    if (r.level == CiLevel::kNone) continue;  // an empty list is what closes the alerts of an earlier run
    rules.emplace(r.rule, r.title);
    Json location = {
        {"physicalLocation", {{"artifactLocation", {{"uri", Uri(r.file)}}}, {"region", {{"startLine", 1}}}}}};
    if (!r.place.empty()) location["logicalLocations"] = {{{"fullyQualifiedName", r.place}, {"kind", "member"}}};
    list.push_back({{"ruleId", r.rule},
                    {"kind", "fail"},
                    {"level", SarifLevel(r.level)},
                    {"message", {{"text", Utf8(r.title + "\n" + r.message)}}},
                    {"locations", Json::array({std::move(location)})},
                    {"partialFingerprints", {{"place/v1", HashText(r.rule + "\n" + r.place)}}}});
  }
  Json rule_list = Json::array();
  for (const auto& [id, title] : rules)
    rule_list.push_back({{"id", id}, {"shortDescription", {{"text", Utf8(title)}}}});
  return {{"$schema", "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"},
          {"version", "2.1.0"},
          {"runs",
           {{{"tool", {{"driver", {{"name", "bitnet-parity"}, {"version", version}, {"rules", std::move(rule_list)}}}}},
             {"invocations", {{{"executionSuccessful", exit_code != 2}, {"exitCode", exit_code}}}},
             {"columnKind", "utf16CodeUnits"},
             {"results", std::move(list)}}}}};
}

std::string CsvHeader() {
  std::vector<std::string> cells = {"candidate", "reference", "model",    "prompt", "schedule",
                                    "stage",     "status",    "position", "token",  "grade"};
  for (const Metric metric : kMetrics) cells.emplace_back(MetricName(metric));
  return CsvLine(cells);
}

std::string CsvRows(const Verdict& verdict) {
  std::string out;
  for (const RungResult& result : verdict.rungs) {
    std::vector<std::string> head = {DescribeBackend(verdict.candidate),
                                     DescribeBackend(verdict.reference),
                                     verdict.request.model,
                                     Utf8(verdict.request.prompt),
                                     std::string(ScheduleName(verdict.request.schedule)),
                                     std::string(RungName(result.rung)),
                                     std::string(StatusName(result.status))};
    const std::vector<Row> rows = RowsOf(verdict, result);
    if (rows.empty()) {  // the stage all the same
      head.resize(head.size() + 3 + kMetrics.size());
      out += CsvLine(head);
    }
    for (const Row& row : rows) {
      std::vector<std::string> cells = head;
      cells.push_back(std::to_string(row.position));
      cells.push_back(std::to_string(row.token));
      cells.emplace_back(GradeName(row.grade));
      for (const Metric metric : kMetrics) cells.push_back(fmt::format("{}", MetricValue(*row.metrics, metric)));
      out += CsvLine(cells);
    }
  }
  return out;
}

std::string TraceCsv(const TraceDiff& diff) {
  std::string out = CsvLine({"name", "position", "layer", "stage", "status", "elements", "rms_a", "rms_b",
                             "rms_relative", "differing", "max_abs", "mse", "cosine", "blake3_a", "blake3_b"});
  for (const TensorDifference& d : diff.tensors) {
    std::vector<std::string> cells = {d.name,
                                      std::to_string(d.place.position),
                                      std::to_string(d.place.layer),
                                      d.stage,
                                      std::string(TensorStatusName(d.status)),
                                      std::to_string(d.num_elements),
                                      fmt::format("{}", d.rms_a),
                                      fmt::format("{}", d.rms_b),
                                      fmt::format("{}", d.rms_relative)};
    if (d.raw) {
      cells.insert(cells.end(), {std::to_string(d.raw->differing), fmt::format("{}", d.raw->max_abs),
                                 fmt::format("{}", d.raw->mse), fmt::format("{}", d.raw->cosine)});
    } else {
      cells.resize(cells.size() + 4);
    }
    cells.push_back(d.blake3_a);
    cells.push_back(d.blake3_b);
    out += CsvLine(cells);
  }
  return out;
}

std::string JsonLines(const Verdict& verdict) {
  std::string out;
  for (const RungResult& result : verdict.rungs) {
    for (const Row& row : RowsOf(verdict, result)) {
      Json json = {{"type", "position"},
                   {"schedule", ScheduleName(verdict.request.schedule)},
                   {"stage", RungName(result.rung)},
                   {"position", row.position},
                   {"token", row.token},
                   {"grade", GradeName(row.grade)}};
      for (const Metric metric : kMetrics) {
        json[std::string(MetricName(metric))] = JsonNumber(MetricValue(*row.metrics, metric));
      }
      out += Dump(json);
    }
    out += Dump({{"type", "stage"},
                 {"schedule", ScheduleName(verdict.request.schedule)},
                 {"stage", RungName(result.rung)},
                 {"status", StatusName(result.status)},
                 {"compared", result.compared},
                 {"message", result.message}});
  }
  Json report = JsonReport(verdict);
  report.erase("stages");  // said above
  report["type"] = "verdict";
  return out + Dump(report);
}

std::string TraceJsonLines(const TraceDiff& diff) {
  Json json = TraceDiffJson(diff);
  std::string out;
  for (Json& tensor : json["tensors"]) {
    tensor["type"] = "tensor";
    out += Dump(tensor);
  }
  json.erase("tensors");
  json["type"] = "trace-diff";
  return out + Dump(json);
}

}  // namespace parity
