// A receipt: what ran, on what, and what came of it, in one file that can be checked later and elsewhere. It holds
// times, so two receipts of one run differ.
//
//   nlohmann::json receipt = MakeReceipt(header, {ReceiptRun(facts), ...});
//   for (const std::string& problem : ReceiptProblems(receipt, "receipt.json", {})) ...
//
// Fields: docs/receipts.md.
#ifndef BITNET_PARITY_PARITY_TESTS_REPORT_RECEIPT_H_
#define BITNET_PARITY_PARITY_TESTS_REPORT_RECEIPT_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

// What no verdict and no capture says of a run.
struct ReceiptFacts {
  uint64_t model_bytes = 0;
  uint64_t layer_bytes = 0;           // of the tensors of the layers: what each token needs all of
  uint64_t layer_weights = 0;         // their elements
  std::string tokenizer_blake3 = {};  // of the tokenizer.json; empty: the vocabulary is in the model's file
};

// One comparison. `captures`: null where an engine did not answer.
nlohmann::json ReceiptRun(const Verdict& verdict, const Captures* captures, const ReceiptFacts& facts);

struct ReceiptHeader {
  std::string command = {};  // "ladder"
  std::string version = {}, commit = {};
  std::string time = {};  // "2026-01-31T12:00:00Z"
  std::string cpu = {}, libc = {};
};

// Schema "bitnet-parity/receipt/1". The hash of all the rest stands in "blake3".
nlohmann::json MakeReceipt(const ReceiptHeader& header, std::vector<nlohmann::json> runs);

struct ReceiptDemands {
  std::vector<std::string> kernels = {};  // globs: in every run the candidate ran a kernel of such a name
  bool gpu_kernels = false;               // ... one that runs on a GPU
  std::string model_blake3 = {};          // the model is this one
};

// What is wrong with a receipt, a line each: its fields, its hash, hashes that are none, kernels that do not belong to
// the engine's instruction set, limits and verdicts that contradict the rows, rates that no CPU reaches.
// `origin`: the file.
std::vector<std::string> ReceiptProblems(const nlohmann::json& receipt, const std::string& origin,
                                         const ReceiptDemands& demands);

// Fields that two receipts do not share, without times and rates: "runs[0].model.blake3: 4fd2... / 8c11...".
std::vector<std::string> ReceiptDifferences(const nlohmann::json& a, const nlohmann::json& b);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_REPORT_RECEIPT_H_
