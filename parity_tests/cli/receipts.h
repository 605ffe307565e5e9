// Receipts as commands leave them: --receipt FILE.
#ifndef BITNET_PARITY_PARITY_TESTS_CLI_RECEIPTS_H_
#define BITNET_PARITY_PARITY_TESTS_CLI_RECEIPTS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "parity_tests/cli/options.h"
#include "parity_tests/findings/captures.h"
#include "parity_tests/findings/verdict.h"

namespace parity {

void AddReceiptOption(Options& options, std::string& file);

// One run of a receipt. `captures`: null where an engine did not answer.
nlohmann::json RunOfReceipt(const Verdict& verdict, const Captures* captures);

// Writes the receipt of `command`, whole or not at all; nothing where `file` is empty.
void WriteReceipt(const std::string& file, const std::string& command, std::vector<nlohmann::json> runs);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_CLI_RECEIPTS_H_
