// Many cases as one table: the worst metrics of each group (a reference, a model, a schedule) and every divergence.
//
//   Summary summary;
//   summary.Add({"llama.cpp", "kjv-bitnet.tq2_0", "batch"}, "capital_of_france", verdict);
//   fmt::print("{}", summary.Text());
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_SUMMARY_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_SUMMARY_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "parity_tests/findings/case_result.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

struct SummaryGroup {
  std::string reference;
  std::string model;
  std::string schedule;
  bool operator==(const SummaryGroup&) const = default;
};

class Summary {
 public:
  // A case that was skipped, or had no reference, counts as such and nothing more.
  void Add(const CaseResult& result);
  // `prompt`: what to call the climb within its group.
  void Add(const SummaryGroup& group, const std::string& prompt, const Verdict& verdict);
  // So many cases have no result yet.
  void AddMissing(size_t cases) { missing_ += cases; }

  // 0: every climb that was not skipped passed, and at least one was not skipped, or there was no reference. 1: a
  // divergence. 2: an error, or nothing was compared.
  int ExitCode() const;

  std::string Text() const;
  std::string Markdown() const;
  nlohmann::json Json() const;  // schema "bitnet-parity/summary/1"

  std::string Table() const;    // in Markdown
  std::string Closing() const;  // one line: "PARITY: 6 of 6 climbs passed ..."

 private:
  struct Row {
    SummaryGroup group;
    std::string builds;  // of both engines, where one engine ran in several builds; else empty
    std::string profile;
    int climbs = 0, passed = 0, skipped = 0, alone = 0;
    WorstRows prompt;   // all prompt positions
    WorstRows decode;   // all generated tokens up to a difference
    int64_t asked = 0;  // generated tokens asked for
    int64_t ties = 0;
    std::vector<std::string> notes;  // each once
  };

  // A row for each group, and within it for each build where an engine ran in several: figures of two builds are not
  // mixed.
  std::vector<Row> Rows() const;
  bool ManyBuilds() const;
  std::vector<std::vector<std::string>> Cells() const;  // header first
  // Every note once, with the groups that it is about unless these are all.
  std::vector<std::string> Notes() const;
  std::vector<const CaseResult*> Problems() const;

  std::vector<CaseResult> results_;
  size_t missing_ = 0;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_SUMMARY_H_
