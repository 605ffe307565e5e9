// Whether a receipt can be true.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "parity_tests/findings/metrics.h"
#include "parity_tests/judge/rungs.h"
#include "parity_tests/report/receipt.h"
#include "reference/capture/hash.h"
#include "reference/capture/json_fields.h"

namespace parity {
namespace {

using Json = nlohmann::json;

// More than a core of today reaches: 6 GHz, 128 bytes loaded and 512 multiply-adds of int8 in each cycle.
constexpr double kCycles = 6e9, kBytesACycle = 128, kMultiplyAddsACycle = 512;

constexpr const char* kGpuKernels[] = {"*cuda*",   "*hip*",  "*rocm*",   "*metal*",
                                       "*vulkan*", "*sycl*", "*opencl*", "*gpu*"};

bool IsHash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool Matches(const std::string& glob, const std::string& name) {
  return fnmatch(glob.c_str(), name.c_str(), FNM_CASEFOLD) == 0;
}

struct Engine {
  std::string name, simd;
  int threads = 0;
  std::vector<std::string> kernels;
};

// The problems of one receipt. Every check reads its fields first: what is missing is said as such.
class Checker {
 public:
  Checker(const ReceiptDemands& demands, std::vector<std::string>& problems) : demands_(demands), problems_(problems) {}

  void CheckRun(JsonFields& run, const std::string& place) {
    place_ = place;
    JsonFields model = run.Object("model");
    double layer_bytes = 0, layer_weights = 0;
    std::string blake3;
    model.Read("blake3", &blake3);
    model.Read("layer_bytes", &layer_bytes);
    model.Read("layer_weights", &layer_weights);
    std::string verdict;
    int exit_code = 0;
    run.Read("verdict", &verdict);
    run.Read("exit_code", &exit_code);
    const bool compared = !verdict.starts_with("ERROR") && !verdict.starts_with("SKIPPED");
    if (compared || !blake3.empty()) CheckHash("model.blake3", blake3);
    if (!demands_.model_blake3.empty() && blake3 != demands_.model_blake3) {
      Say("model.blake3", fmt::format("found {}, the model's file has {}", blake3, demands_.model_blake3));
    }
    JsonFields tokenizer = run.Object("tokenizer"), prompt = run.Object("prompt");
    std::string tokenizer_hash, prompt_hash;
    tokenizer.Read("blake3", &tokenizer_hash);
    prompt.Read("formatted_blake3", &prompt_hash);
    if (!tokenizer_hash.empty()) CheckHash("tokenizer.blake3", tokenizer_hash);
    if (!prompt_hash.empty()) CheckHash("prompt.formatted_blake3", prompt_hash);
    for (const char* side : {"candidate", "reference"}) {
      JsonFields engine = run.Object(side);
      CheckEngine(engine, side, compared, layer_bytes, layer_weights);
    }
    CheckStages(run, verdict, exit_code);
  }

 private:
  void Say(const std::string& field, const std::string& what) {
    problems_.push_back(fmt::format("{}{}: {}", place_, field, what));
  }

  void CheckHash(const std::string& field, const std::string& hash) {
    if (!IsHash(hash)) Say(field, fmt::format("found '{}', expected 64 hex digits", hash));
  }

  void CheckEngine(JsonFields& fields, const std::string& side, bool compared, double layer_bytes,
                   double layer_weights) {
    Engine engine;
    JsonValue kernels;
    fields.Read("name", &engine.name);
    fields.Read("simd", &engine.simd);
    fields.Read("threads", &engine.threads);
    fields.Read("kernels", &kernels);
    if (!kernels->is_object()) return Say(side + ".kernels", "expected an object of names and counts");
    for (const auto& [name, count] : kernels->items()) {
      engine.kernels.push_back(name);
      if (!count.is_number_integer() || count.get<int64_t>() <= 0)
        Say(side + ".kernels." + name, "expected a count above 0");
      // The native engine's kernels end with the instruction set that they ran on.
      if (engine.name == "native" && !name.ends_with("." + engine.simd)) {
        Say(side + ".kernels." + name, fmt::format("is not of the engine's instruction set {}", engine.simd));
      }
    }
    if (compared && engine.name == "native" && !Has(engine, "matmul.*")) {
      Say(side + ".kernels", "the native engine answered without a matrix product");
    }
    if (side == "candidate") CheckDemands(engine);
    if (!compared) return;
    const double cores = std::max(1, engine.threads);
    CheckRate(fields, side, "prompt", layer_weights > 0 ? cores * kCycles * kMultiplyAddsACycle / layer_weights : 0,
              "multiply-adds");
    CheckRate(fields, side, "decode", layer_bytes > 0 ? cores * kCycles * kBytesACycle / layer_bytes : 0,
              "bytes of weights");
  }

  static bool Has(const Engine& engine, const std::string& glob) {
    return std::any_of(engine.kernels.begin(), engine.kernels.end(),
                       [&glob](const std::string& name) { return Matches(glob, name); });
  }

  void CheckDemands(const Engine& engine) {
    const std::string ran =
        engine.kernels.empty() ? "the engine names none" : fmt::format("{}", fmt::join(engine.kernels, ", "));
    for (const std::string& glob : demands_.kernels) {
      if (!Has(engine, glob))
        Say("candidate.kernels", fmt::format("none matches '{}' (--require-kernel); ran: {}", glob, ran));
    }
    if (!demands_.gpu_kernels) return;
    const bool some =
        std::any_of(std::begin(kGpuKernels), std::end(kGpuKernels), [&](const char* g) { return Has(engine, g); });
    if (!some) Say("candidate.kernels", fmt::format("none is of a GPU (--require-gpu-kernels); ran: {}", ran));
  }

  // The rate is what tokens and time say, and no faster than `most` allows; 0: no bound is known.
  void CheckRate(JsonFields& engine, const std::string& side, const std::string& phase, double most, const char* what) {
    JsonFields rate = engine.Object(phase);
    double tokens = 0, ms = 0, per_second = 0;
    rate.Read("tokens", &tokens);
    rate.Read("ms", &ms);
    rate.Read("per_second", &per_second);
    const std::string field = fmt::format("{}.{}.per_second", side, phase);
    if (!(tokens >= 0) || !(ms >= 0) || !(per_second >= 0)) return Say(field, "expected numbers of at least 0");
    const double expected = ms > 0 ? 1e3 * tokens / ms : 0;
    if (std::fabs(per_second - expected) > 1e-6 * std::max(1.0, expected)) {
      Say(field,
          fmt::format("found {:.6g}, but {:.6g} tokens in {:.6g} ms are {:.6g}", per_second, tokens, ms, expected));
    }
    if (most > 0 && per_second > most) {
      Say(field,
          fmt::format("found {:.6g}; the {} of the layers allow at most {:.6g} a second", per_second, what, most));
    }
  }

  // Whether the rows meet the limits as the checks say, and stages and verdict follow from them.
  void CheckStages(JsonFields& run, const std::string& verdict, int exit_code) {
    std::string failed;
    for (JsonFields& stage : run.Objects("stages")) {
      std::string name, status;
      stage.Read("stage", &name);
      stage.Read("status", &status);
      if (status == "fail" && failed.empty()) failed = name;
      bool pass = true;
      JsonValue rows;
      stage.Read("rows", &rows);
      for (JsonFields& check : stage.Objects("checks")) pass = CheckLimit(check, *rows, name) && pass;
      if (!pass && status == "pass") Say(name, "passes, although a limit is exceeded");
    }
    const std::string expected = failed.empty()          ? "PARITY"
                                 : failed == "preflight" ? "ERROR at preflight"
                                                         : "DIVERGENCE at " + failed;
    if (!verdict.starts_with(expected) && !verdict.starts_with("SKIPPED")) {
      Say("verdict", fmt::format("found '{}', the stages say '{}'", verdict, expected));
    }
    const int code = verdict.starts_with("PARITY") ? 0 : verdict.starts_with("DIVERGENCE") ? 1 : 2;
    if (exit_code != code) Say("exit_code", fmt::format("found {}, the verdict means {}", exit_code, code));
  }

  bool CheckLimit(JsonFields& check, const Json& rows, const std::string& stage) {
    std::string name;
    double limit = 0;
    bool pass = false;
    JsonValue worst;
    check.Read("metric", &name);
    check.Read("limit", &limit);
    check.Read("pass", &pass);
    check.Read("worst", &worst);
    const Metric metric = MetricFromName(name);
    // In decode, positions behind a tie are not judged.
    if (stage == "decode" || !worst->is_number()) return pass;
    double of_rows = HigherIsBetter(metric) ? 1 : 0;
    for (const Json& row : rows) {
      const Json value = row.value(name, Json());
      if (!value.is_number()) return pass;
      of_rows =
          HigherIsBetter(metric) ? std::min(of_rows, value.get<double>()) : std::max(of_rows, value.get<double>());
    }
    const double said = worst->get<double>();
    if (!rows.empty() && !(std::fabs(of_rows - said) <= 1e-12 * std::max(1.0, std::fabs(said)))) {
      Say(fmt::format("{}.{}", stage, name),
          fmt::format("found a worst of {:.9g}, the rows have {:.9g}", said, of_rows));
    }
    if (Meets(metric, said, limit) != pass) {
      Say(fmt::format("{}.{}", stage, name),
          fmt::format("{:.9g} against a limit of {:.9g} is said to {}", said, limit, pass ? "pass" : "fail"));
    }
    return pass;
  }

  const ReceiptDemands& demands_;
  std::vector<std::string>& problems_;
  std::string place_;
};

}  // namespace

std::vector<std::string> ReceiptProblems(const Json& receipt, const std::string& origin,
                                         const ReceiptDemands& demands) {
  std::vector<std::string> problems;
  Guard(&problems, [&] {
    JsonFields fields(receipt, origin);
    fields.Expect("schema", "bitnet-parity/receipt/1");
    std::string hash;
    int exit_code = 0;
    fields.Read("blake3_of_receipt", &hash);
    fields.Read("exit_code", &exit_code);
    Json rest = receipt;
    rest.erase("blake3_of_receipt");
    if (HashText(rest.dump(-1, ' ', false, Json::error_handler_t::replace)) != hash) {
      problems.push_back(fmt::format("{}: blake3_of_receipt: is not the hash of this receipt: it was changed", origin));
    }
    std::vector<JsonFields> runs = fields.Objects("runs");
    if (runs.empty()) fields.Fail("runs", "expected at least one run");
    Checker checker(demands, problems);
    int worst = 0;
    for (size_t i = 0; i < runs.size(); ++i) {
      Guard(&problems, [&] {
        checker.CheckRun(runs[i], fmt::format("{}: runs[{}].", origin, i));
        int code = 0;
        runs[i].Read("exit_code", &code);
        worst = std::max(worst, code);
      });
    }
    if (worst != exit_code) fields.Fail("exit_code", fmt::format("found {}, the runs have {}", exit_code, worst));
  });
  return problems;
}

}  // namespace parity
