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
    side.problem = error.what();
  }
  return side;
}

// What the reference says of itself in a capture without a generated token.
Side Reference(const std::string& spec, Request request) {
  request.positions = 1;
  request.max_tokens = 0;
  const Capture capture = MakeEngine(spec)->Run(request);
  if (!capture.shown.tokens) throw std::runtime_error(fmt::format("--reference: {} shows no token ids", spec));
  Side side{fmt::format("{} {}", capture.backend.name, capture.backend.version), capture.tokens, capture.pieces, {}};
  side.pieces.resize(side.ids.size());  // an engine need not give them
  return side;
}

int Tokenize(const TokenizeOptions& o) {
  o.prompt.run.ApplyTimeout();
  const Request request = o.prompt.MakeRequest();
  const auto dialect =
      o.reference == "bitnet.cpp" ? bitnet::TokenizerDialect::kBitnetCpp : bitnet::TokenizerDialect::kLlamaCpp;
  const Side native = Native(request, dialect), reference = Reference(o.reference, request);
  const size_t first = static_cast<size_t>(
      std::mismatch(native.ids.begin(), native.ids.end(), reference.ids.begin(), reference.ids.end()).first -
      native.ids.begin());
  const size_t rows = std::max(native.ids.size(), reference.ids.size());
  const bool equal = native.problem.empty() && native.ids == reference.ids;
  const int exit_code = equal ? 0 : native.problem.empty() ? 1 : 2;
  if (o.format == "json") {
    nlohmann::json json = {{"equal", equal}, {"text", TextToJson(request.text)}, {"template", request.prompt_template}};
    if (!equal && native.problem.empty()) json["first_difference"] = first;
    for (const auto& [key, side] : {std::pair("native", &native), std::pair("reference", &reference)}) {
      json[key] = {{"name", side->name}, {"ids", side->ids}, {"pieces", nlohmann::json::array()}};
      for (const std::string& piece : side->pieces) json[key]["pieces"].push_back(TextToJson(piece));
      if (!side->problem.empty()) json[key]["problem"] = side->problem;
    }
    fmt::print("{}", DumpJson(json));
    return exit_code;
  }
  if (!native.problem.empty()) {
    fmt::print("{} ids from {} alone; native: {}\n", rows, reference.name, native.problem);
  } else if (equal) {
    fmt::print("{} ids, the same from {} and {}\n", rows, native.name, reference.name);
  } else {
    fmt::print("first difference at position {}: {} has {}, {} has {} ({} and {} ids)\n", first, native.name,
               native.Cell(first), reference.name, reference.Cell(first), native.ids.size(), reference.ids.size());
  }
  size_t width = native.name.size();
  for (size_t i = 0; i < rows; ++i) width = std::max(width, native.Cell(i).size());
  fmt::print("\n  {:>6}  {:{}}  {}\n", "", native.name, width, reference.name);
  for (size_t i = 0; i < rows; ++i) {
    fmt::print("{} {:>6}  {:{}}  {}\n", !equal && i == first ? ">" : " ", i, native.Cell(i), width, reference.Cell(i));
  }
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
