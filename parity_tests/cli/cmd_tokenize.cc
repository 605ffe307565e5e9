// `tokenize`: one prompt through the native tokenizer and a reference's, side by side.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/prompt_options.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/report/color.h"
#include "reference/capture/json_fields.h"

namespace parity {
namespace {

struct TokenizeOptions {
  PromptOptions prompt;
  std::string reference = "llama.cpp";
  std::string format = "text";
};

struct Side {
  std::string name;
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
  std::string problem;  // why there are no ids

  std::string Cell(size_t i) const {
    return i < ids.size() ? fmt::format("{} {}", ids[i], TextToJson(pieces[i]).dump()) : "-";
  }
};

// A vocabulary that the native tokenizer cannot read leaves the reference's ids to be shown.
Side Native(const Request& request, bitnet::TokenizerDialect dialect) {
  Side side{"native", {}, {}, {}};
  try {
    const auto tokenizer = LoadTokenizer(request, dialect);
    side.ids = tokenizer->Encode(request.text, {request.add_special, request.parse_special});
    for (const int32_t id : side.ids) side.pieces.push_back(tokenizer->Piece(id));
  } catch (const std::exception& error) {
    side.problem = fmt::format("native: {}", error.what());
  }
  return side;
}

// What the reference says of itself in a capture without a generated token. One that is missing or fails leaves the
// native ids to be shown.
Side Reference(const std::string& spec, Request request) {
  Side side{spec, {}, {}, {}};
  const std::unique_ptr<Backend> engine = MakeEngine(spec);  // a misspelt one is an error
  try {
    request.positions = 1;
    request.max_tokens = 0;
    const Capture capture = engine->Run(request);
    if (!capture.shown.tokens) throw std::runtime_error(fmt::format("--reference: {} shows no token ids", spec));
    side = {fmt::format("{} {}", capture.backend.name, capture.backend.version), capture.tokens, capture.pieces, {}};
    side.pieces.resize(side.ids.size());  // an engine need not give them
  } catch (const std::exception& error) {
    side.problem = error.what();
  }
  return side;
}

nlohmann::json ToJson(const Side& side) {
  nlohmann::json json = {{"name", side.name}, {"ids", side.ids}, {"pieces", nlohmann::json::array()}};
  for (const std::string& piece : side.pieces) json["pieces"].push_back(TextToJson(piece));
  if (!side.problem.empty()) json["problem"] = side.problem;
  return json;
}

// The first position whose ids are not the same.
size_t FirstDifference(const Side& native, const Side& reference) {
  return static_cast<size_t>(
      std::mismatch(native.ids.begin(), native.ids.end(), reference.ids.begin(), reference.ids.end()).first -
      native.ids.begin());
}

// Both sides, a line each position: green where they agree, red where they do not.
std::string Table(const Side& native, const Side& reference, bool color) {
  const size_t rows = std::max(native.ids.size(), reference.ids.size()), first = FirstDifference(native, reference);
  const bool compared = native.problem.empty() && reference.problem.empty();
  size_t width = native.name.size();
  for (size_t i = 0; i < rows; ++i) width = std::max(width, native.Cell(i).size());
  std::string out = fmt::format("\n  {:>6}  {:{}}  {}\n", "", native.name, width, reference.name);
  for (size_t i = 0; i < rows; ++i) {
    const bool same = i < native.ids.size() && i < reference.ids.size() && native.ids[i] == reference.ids[i];
    const Color paint = !compared ? Color::kNone : same ? Color::kGreen : Color::kRed;
    out += Paint(fmt::format("{} {:>6}  {:{}}  {}", compared && i == first ? ">" : " ", i, native.Cell(i), width,
                             reference.Cell(i)),
                 paint, color) +
           "\n";
  }
  return out;
}

int Tokenize(const TokenizeOptions& o) {
  o.prompt.run.ApplyTimeout();
  const Request request = o.prompt.MakeRequest();
  const auto dialect =
      o.reference == "bitnet.cpp" ? bitnet::TokenizerDialect::kBitnetCpp : bitnet::TokenizerDialect::kLlamaCpp;
  const Side native = Native(request, dialect), reference = Reference(o.reference, request);
  const bool compared = native.problem.empty() && reference.problem.empty();
  if (!native.problem.empty() && !reference.problem.empty()) {
    throw std::runtime_error(native.problem + "\n" + reference.problem);
  }
  const bool equal = compared && native.ids == reference.ids;
  const size_t first = FirstDifference(native, reference);
  const int exit_code = equal ? 0 : compared ? 1 : 2;
  if (o.format == "json") {
    nlohmann::json json = {{"equal", equal},
                           {"text", TextToJson(request.text)},
                           {"template", request.prompt_template},
                           {"native", ToJson(native)},
                           {"reference", ToJson(reference)}};
    if (!equal && compared) json["first_difference"] = first;
    fmt::print("{}", DumpJson(json));
    return exit_code;
  }
  const bool color = ColorWanted();
  if (!compared) {
    const Side &there = native.problem.empty() ? native : reference,
               &not_there = native.problem.empty() ? reference : native;
    fmt::print("{} ids from {} alone; {}\n", there.ids.size(), there.name, not_there.problem);
  } else if (equal) {
    fmt::print("{}\n",
               Paint(fmt::format("{} ids, the same from {} and {}", native.ids.size(), native.name, reference.name),
                     Color::kGreen, color));
  } else {
    fmt::print("{}\n", Paint(fmt::format("first difference at position {}: {} has {}, {} has {} ({} and {} ids)", first,
                                         native.name, native.Cell(first), reference.name, reference.Cell(first),
                                         native.ids.size(), reference.ids.size()),
                             Color::kRed, color));
  }
  fmt::print("{}", Table(native, reference, color));
  return exit_code;
}

}  // namespace

void AddTokenizeCommand(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<TokenizeOptions>();
  Options options(app, "tokenize", "The ids of a prompt, the native tokenizer's and a reference's");
  PromptOptions& p = o->prompt;
  options.Add("--model", p.model, "GGUF file", {.required = true});
  options.Add("--tokenizer", p.tokenizer,
              "tokenizer.json for the native side; without it the vocabulary in the GGUF file, as the reference");
  options.Add("--prompt", p.prompt, "text of the prompt", {.required = true});
  options.Add("--system", p.system, "system turn, where the template has one");
  AddPromptTemplateOption(options, p.prompt_template);
  AddChatTemplateFileOption(options, p.chat_template_file);
  options.Flag("--no-parse-special", p.no_parse_special, "text that spells a special token stays text");
  AddReferenceOption(options, o->reference);
  AddFormatOption(options, o->format, {"text", "json"});
  p.run.AddTo(options);
  options.Run(exit_code, [o] { return Tokenize(*o); });
}

}  // namespace parity
