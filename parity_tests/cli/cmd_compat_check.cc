// `compat-check`: what a model file says of itself, and which engines here can run it.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/gguf/gguf.h"
#include "engine/model/hyperparameters.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/cli/commands.h"
#include "parity_tests/cli/common.h"
#include "parity_tests/harness/engines.h"
#include "parity_tests/harness/loaded_model.h"
#include "reference/capture/json_fields.h"

namespace parity {
namespace {

struct CompatCheckOptions {
  std::string model, format = "text";
  bool show_kv = false;
};

template <class T>
std::string Show(const T& value) {
  if constexpr (std::is_same_v<T, std::shared_ptr<bitnet::MetadataArray>>) {
    return std::visit(
        [](const auto& values) {
          using Element = typename std::decay_t<decltype(values)>::value_type;
          std::string text = fmt::format("[{} elements", values.size());
          if constexpr (!std::is_same_v<Element, std::shared_ptr<bitnet::MetadataArray>>) {
            for (size_t i = 0; i < values.size() && i < 4; ++i) {
              text += fmt::format("{}{}", i == 0 ? ": " : ", ", Show(static_cast<Element>(values[i])));
            }
            if (values.size() > 4) text += ", ...";
          }
          return text + "]";
        },
        value->values);
  } else if constexpr (std::is_same_v<T, std::string>) {
    const size_t shown = 100;
    std::string text;
    for (const char c : value.substr(0, shown)) text += c == '\n' ? "\\n" : std::string(1, c);
    return fmt::format("\"{}\"{}", text, value.size() > shown ? fmt::format(" ... ({} bytes)", value.size()) : "");
  } else {
    return fmt::format("{}", value);
  }
}

void PrintTensors(const bitnet::GgufFile& file) {
  std::map<std::string, std::pair<size_t, size_t>> by_type;
  std::map<std::string, const bitnet::TensorInfo*> foreign;  // types that the native engine does not run, and a tensor
  for (const bitnet::TensorInfo& t : file.tensors()) {
    auto& [count, bytes] = by_type[t.type_name()];
    ++count;
    bytes += t.bytes;
    if (!t.is_own()) foreign.insert({t.type_name(), &t});
  }
  fmt::print("tensors        {} in all\n", file.tensors().size());
  for (const auto& [type, total] : by_type) {
    fmt::print("               {:5} {:4} tensors, {:.1f} MB\n", type, total.first,
               static_cast<double>(total.second) / 1e6);
  }
  for (const auto& [type, tensor] : foreign) {
    fmt::print("               {}, as {}: {}\n", type, tensor->name, bitnet::RemedyFor(*tensor));
  }
  const auto* output = file.FindTensor("output.weight");
  fmt::print("output         {}\n",
             output != nullptr ? fmt::format("separate, {}", output->type_name()) : "tied to token_embd");
}

void PrintRopeScaling(const bitnet::GgufFile& file, const bitnet::Hyperparameters& h) {
  const bitnet::RopeScaling& s = h.rope_scaling;
  if (s.frequency != 1.0f || s.yarn) {
    fmt::print("               angles scaled by {:g}{}\n", s.frequency, s.yarn ? ", as YaRN does" : "");
  }
  if (s.magnitude != 1.0f) fmt::print("               cos and sin times {:g}\n", s.magnitude);
  if (file.FindTensor("rope_freqs.weight") != nullptr) {
    fmt::print("               angles divided by rope_freqs.weight\n");
  }
}

// Where the file asks for another activation than its architecture's, engines that go by the architecture are wrong.
void PrintActivation(const bitnet::Hyperparameters& h) {
  const auto words = [](bitnet::Activation a) {
    return a == bitnet::Activation::kSilu ? "SiLU" : a == bitnet::Activation::kGelu ? "GELU" : "squared ReLU";
  };
  const bitnet::Activation usual = bitnet::FindArchitecture(h.architecture)->activation;
  fmt::print("activation     {}{}\n", words(h.activation), h.parts.Has(bitnet::When::kSubNorms) ? ", sub-norms" : "");
  if (h.activation == usual) return;
  fmt::print(
      "               note: {0}.hidden_activation says so. llama.cpp v0.5.0 and bitnet.cpp do not read that key: they "
      "compute {1},\n"
      "               and give another result.\n",
      h.architecture, words(usual));
}

// What the model says and this engine has no use for. Nothing here changes a result: a key that would is an error.
void PrintUnreadKeys(const bitnet::GgufFile& file) {
  std::string_view label = "keys not used";
  for (const std::string& key : file.UnreadKeys()) {
    fmt::print("{:14} {} = {}\n", std::exchange(label, ""), key,
               std::visit([](const auto& v) { return Show(v); }, *file.Find(key)));
  }
}

void PrintShape(const bitnet::GgufFile& file) {
  const bitnet::Hyperparameters h = bitnet::ReadHyperparameters(file);
  fmt::print("shape          {} layers, {} wide, {}/{} heads of {}, feed-forward {}, vocabulary {}, context {}\n",
             h.n_layer, h.n_embd, h.n_head, h.n_head_kv, h.n_embd_head, h.n_ff, h.n_vocab, h.n_ctx_train);
  PrintActivation(h);
  fmt::print("RoPE           {} layout, base {}, {} of {} numbers of a head\n",
             h.rope_layout == bitnet::RopeLayout::kNeox ? "NeoX" : "interleaved", h.rope_freq_base, h.n_rot,
             h.n_embd_head);
  PrintRopeScaling(file, h);
  fmt::print("norm           RMS, epsilon {}{}\n", h.rms_norm_eps,
             h.parts.Has(bitnet::When::kNormsIn) ? ", one more in front of each projection" : "");
  if (!h.windowed.empty()) {
    fmt::print("window         {} keys in {} of {} layers, RoPE base {} there\n", h.window,
               std::count(h.windowed.begin(), h.windowed.begin() + h.n_layer, true), h.n_layer,
               h.window_rope_freq_base);
  }
}

// Nothing, and a line that says why, for a vocabulary that neither reference's reading makes sense of.
std::optional<bitnet::Tokenizer> ReadTokenizer(const bitnet::GgufFile& file) {
  try {
    return bitnet::Tokenizer::FromGguf(file);
  } catch (const std::exception& error) {
    try {
      auto tokenizer = bitnet::Tokenizer::FromGguf(file, bitnet::TokenizerDialect::kBitnetCpp);
      fmt::print("tokenizer      bitnet.cpp's own, which llama.cpp does not know:\n");
      return tokenizer;
    } catch (const std::exception&) {
      fmt::print("tokenizer      not read: {}\n", error.what());
      return std::nullopt;
    }
  }
}

// A converter that encodes added tokens with BOS leaves its text in front of theirs (llama.cpp #10876).
void PrintBosInOtherTokens(const bitnet::GgufFile& file, const bitnet::Tokenizer& tokenizer) {
  constexpr int32_t kControl = 3;  // llama_token_type
  const auto tokens = file.GetOr<std::vector<std::string>>("tokenizer.ggml.tokens", {});
  const auto types = file.GetOr<std::vector<int32_t>>("tokenizer.ggml.token_type", {});
  const size_t bos = static_cast<size_t>(tokenizer.bos().value_or(-1));
  if (bos >= tokens.size() || tokens[bos].size() < 3) return;
  std::string first;
  size_t n = 0;
  for (size_t i = 0; i < std::min(tokens.size(), types.size()); ++i) {
    if (i == bos || types[i] != kControl || tokens[i].find(tokens[bos]) == std::string::npos) continue;
    if (++n == 1) first = tokens[i];
  }
  if (n == 0) return;
  fmt::print(
      "               note: {} control tokens have the text of BOS in theirs, as '{}': the converter wrote it there, "
      "and "
      "no\n               prompt that spells them will find them; convert the model again\n",
      n, first);
}

void PrintTokenizer(const bitnet::GgufFile& file) {
  if (!file.Has("tokenizer.ggml.model")) {
    fmt::print("tokenizer      none in the file; give one with --tokenizer\n");
    return;
  }
  const std::optional<bitnet::Tokenizer> read = ReadTokenizer(file);
  if (!read) return;
  const bitnet::Tokenizer& tokenizer = *read;
  const auto id = [](const std::optional<int32_t>& token) { return token ? fmt::format("{}", *token) : "none"; };
  fmt::print("tokenizer      {}{}, {} tokens; BOS {}{}, EOS {}, EOT {}; chat template: {}\n",
             file.Get<std::string>("tokenizer.ggml.model"),
             tokenizer.pre().empty() ? "" : ", pre-tokenizer " + tokenizer.pre(), tokenizer.n_vocab(),
             id(tokenizer.bos()), tokenizer.add_bos() ? " (added)" : "", id(tokenizer.eos()), id(tokenizer.eot()),
             tokenizer.chat_template().empty() ? "no" : "yes");
  const bitnet::TensorInfo* embeddings = file.FindTensor("token_embd.weight");
  if (embeddings != nullptr && embeddings->rows() != static_cast<uint64_t>(tokenizer.n_vocab())) {
    fmt::print("               note: token_embd.weight has {} rows: llama.cpp refuses such a file\n",
               embeddings->rows());
  }
  PrintBosInOtherTokens(file, tokenizer);
  for (const std::string& warning : tokenizer.warnings()) fmt::print("               note: {}\n", warning);
  if (!file.Has("tokenizer.ggml.pre") && !tokenizer.pre().empty()) {
    fmt::print(
        "               note: tokenizer.ggml.pre is missing. The references fall back to 'default', which splits text "
        "otherwise than\n"
        "               the model was trained with (Llama 3: 'llama-bpe'): the ids agree with theirs, and not with the "
        "model's own.\n");
  }
}

struct EngineAnswer {
  std::string name, answer, problem;  // "runs it", "not here", "cannot run it", "failed"
};

// A real answer: one token through each engine that is here.
std::vector<EngineAnswer> AskEngines(const std::string& model) {
  std::vector<EngineAnswer> answers;
  for (const EngineRow& row : Engines()) {
    if (row.needs_argument) continue;
    EngineAnswer& engine = answers.emplace_back(EngineAnswer{row.name, "runs it", ""});
    const std::unique_ptr<Backend> backend = MakeEngine(row.name);
    if (const ProbeResult probe = backend->Probe(); !probe.available) {
      engine.answer = "not here";
      engine.problem = probe.problem;
      continue;
    }
    Request request;
    request.model = model;
    request.token_ids = std::vector<int32_t>{0};
    request.threads = 1;
    try {
      backend->Run(request);
    } catch (const std::exception& error) {
      engine.answer = dynamic_cast<const ModelNotSupported*>(&error) != nullptr ? "cannot run it" : "failed";
      engine.problem = error.what();
    }
  }
  return answers;
}

void PrintEngines(const std::string& model) {
  fmt::print("engines\n");
  for (const EngineAnswer& engine : AskEngines(model)) {
    fmt::print("  {:11}  {}{}{}\n", engine.name, engine.answer, engine.problem.empty() ? "" : ": ", engine.problem);
  }
}

nlohmann::json TokenizerJson(const bitnet::GgufFile& file) {
  const bitnet::Tokenizer tokenizer = bitnet::Tokenizer::FromGguf(file);
  const auto id = [](const std::optional<int32_t>& token) { return token ? nlohmann::json(*token) : nullptr; };
  return {{"model", TextToJson(file.Get<std::string>("tokenizer.ggml.model"))},
          {"pre", TextToJson(tokenizer.pre())},
          {"n_vocab", tokenizer.n_vocab()},
          {"bos", id(tokenizer.bos())},
          {"add_bos", tokenizer.add_bos()},
          {"eos", id(tokenizer.eos())},
          {"eot", id(tokenizer.eot())},
          {"chat_template", !tokenizer.chat_template().empty()},
          {"warnings", tokenizer.warnings()}};
}

// The same facts for programs. What cannot be read is null, and `problems` says why.
nlohmann::json CompatJson(const bitnet::GgufFile& file, const CompatCheckOptions& o) {
  nlohmann::json json = {{"file", TextToJson(o.model)},
                         {"gguf_version", file.version()},
                         {"bytes", file.file_bytes()},
                         {"architecture", TextToJson(file.GetOr<std::string>("general.architecture", ""))},
                         {"tied_output", file.FindTensor("output.weight") == nullptr},
                         {"types", nlohmann::json::object()},
                         {"problems", nlohmann::json::array()},
                         {"engines", nlohmann::json::array()}};
  const auto read = [&json](const char* key, const std::function<nlohmann::json()>& value) {
    json[key] = nullptr;
    try {
      json[key] = value();
    } catch (const std::runtime_error& error) {
      json["problems"].push_back(TextToJson(error.what()));
    }
  };
  read("sizes", [&] { return HyperparametersJson(file, bitnet::ReadHyperparameters(file)); });
  read("tokenizer", [&] { return TokenizerJson(file); });
  for (const bitnet::TensorInfo& t : file.tensors()) {
    nlohmann::json& type = json["types"][t.type_name()];
    if (type.is_null()) type = {{"tensors", 0}, {"bytes", 0}, {"own", t.is_own()}};
    type["tensors"] = type["tensors"].get<size_t>() + 1;
    type["bytes"] = type["bytes"].get<size_t>() + t.bytes;
  }
  json["unread_keys"] = json["problems"].empty() ? file.UnreadKeys() : std::vector<std::string>();
  for (const EngineAnswer& engine : AskEngines(o.model)) {
    json["engines"].push_back(
        {{"name", engine.name}, {"answer", engine.answer}, {"problem", TextToJson(engine.problem)}});
  }
  if (!o.show_kv) return json;
  json["metadata"] = nlohmann::json::object();
  for (const auto& [key, value] : file.metadata()) {
    json["metadata"][key] = TextToJson(std::visit([](const auto& v) { return Show(v); }, value));
  }
  return json;
}

void CompatCheck(const CompatCheckOptions& o) {
  const bitnet::GgufFile file = bitnet::GgufFile::Open(o.model);
  if (o.format == "json") {
    fmt::print("{}", DumpJson(CompatJson(file, o)));
    return;
  }
  fmt::print("file           {}, GGUF v{}, {:.1f} MB\n", o.model, file.version(),
             static_cast<double>(file.file_bytes()) / 1e6);
  fmt::print("architecture   {}\n", file.GetOr<std::string>("general.architecture", "not said"));
  // A file that this engine cannot run is still described as far as it goes.
  bool understood = true;
  try {
    PrintShape(file);
  } catch (const std::runtime_error& error) {
    fmt::print("shape          {}\n", error.what());
    understood = false;
  }
  PrintTensors(file);
  try {
    PrintTokenizer(file);
  } catch (const std::runtime_error& error) {
    fmt::print("tokenizer      {}\n", error.what());
    understood = false;
  }
  if (understood) PrintUnreadKeys(file);
  PrintEngines(o.model);
  if (!o.show_kv) return;
  fmt::print("metadata\n");
  for (const auto& [key, value] : file.metadata()) {
    fmt::print("  {} = {}\n", key, std::visit([](const auto& v) { return Show(v); }, value));
  }
}

}  // namespace

void AddCompatCheckCommand(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<CompatCheckOptions>();
  Options options(app, "compat-check", "What a model file says of itself, and which engines here run it");
  options.Add("model,--model", o->model, "GGUF file", {.required = true});
  options.Flag("--show-kv", o->show_kv, "Every metadata key; long arrays and texts are cut short");
  AddFormatOption(options, o->format, {"text", "json"});
  options.Run(exit_code, [o] {
    CompatCheck(*o);
    return 0;
  });
}

}  // namespace parity
