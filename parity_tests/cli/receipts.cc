#include "parity_tests/cli/receipts.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/formats/format.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/report/receipt.h"
#include "reference/capture/hash.h"
#include "reference/capture/whole_file.h"
#include "reference/engines/machine.h"

namespace parity {
namespace {

// What can be read of the files; the rest stays empty.
ReceiptFacts FactsOf(const Request& request) {
  ReceiptFacts facts;
  try {
    if (!request.tokenizer.empty()) facts.tokenizer_blake3 = HashFile(request.tokenizer);
    const bitnet::GgufFile file = OpenModel(SourceOf(request));
    for (const bitnet::TensorInfo& tensor : file.tensors()) {
      facts.model_bytes += tensor.bytes;
      if (!tensor.name.starts_with("blk.")) continue;
      uint64_t weights = 1;
      for (const uint64_t n : tensor.shape) weights *= n;
      facts.layer_bytes += tensor.bytes;
      facts.layer_weights += weights;
    }
  } catch (const std::exception&) {
    // The verdict says what is wrong with them.
  }
  return facts;
}

}  // namespace

void AddReceiptOption(Options& options, std::string& file) {
  options.Add("--receipt", file, "file for a receipt of this run, which verify-receipt checks",
              {.show_default = false});
}

nlohmann::json RunOfReceipt(const Verdict& verdict, const Captures* captures) {
  return ReceiptRun(verdict, captures, FactsOf(verdict.request));
}

void WriteReceipt(const std::string& file, const std::string& command, std::vector<nlohmann::json> runs) {
  if (file.empty()) return;
  const ReceiptHeader header = {.command = command,
                                .version = PARITY_VERSION,
                                .commit = PARITY_COMMIT,
                                .time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))),
                                .cpu = ThisMachine().cpu,
                                .libc = ThisMachine().libc};
  WriteWhole(file, DumpJson(MakeReceipt(header, std::move(runs))));
}

}  // namespace parity
