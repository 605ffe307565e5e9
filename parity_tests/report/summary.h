// Many verdicts as one table: the worst metrics of each group (a reference, a model, a schedule) and every divergence.
//
//   Summary summary;
//   summary.Add({"llama.cpp", "kjv-bitnet.tq2_0", "batch"}, "capital_of_france", verdict);
//   fmt::print("{}", summary.Text());
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_SUMMARY_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_SUMMARY_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

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
  // `prompt`: what to call the climb within its group. A verdict whose preflight was skipped counts as skipped.
  void Add(const SummaryGroup& group, const std::string& prompt, const Verdict& verdict);

  // 0: every climb that was not skipped passed, and at least one was not skipped. 1: a divergence. 2: an error, or
  // nothing was compared.
  int ExitCode() const;

  std::string Text() const;
  std::string Markdown() const;
  nlohmann::json Json() const;  // schema "bitnet-parity/summary/1"

 private:
  struct Row {
    SummaryGroup group;
    std::string profile;
    int climbs = 0, passed = 0, skipped = 0;
    WorstRows prompt;  // all prompt positions
    WorstRows decode;  // all generated tokens up to a difference
    int asked = 0;     // generated tokens asked for
    int ties = 0;
    std::vector<std::string> notes;  // each once
  };
  struct Problem {
    SummaryGroup group;
    std::string prompt;
    std::string rung;
    std::string message;
  };

  std::vector<std::vector<std::string>> Cells() const;  // header first
  std::string Closing() const;
  // Every note once, with the groups that it is about unless these are all.
  std::vector<std::string> Notes() const;

  std::vector<Row> rows_;
  std::vector<Problem> problems_;
  int exit_code_ = 0;
};

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_SUMMARY_H_
