#include "parity_tests/harness/loaded_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "reference/capture/hash.h"
#include "reference/capture/kv_override.h"

namespace parity {
namespace {

// What was last made of a file.
template <typename T>
class LastFile {
 public:
  template <typename Make>
  std::shared_ptr<const T> Get(const ModelSource& source, const Make& make) {
    const std::lock_guard lock(mutex_);
    const std::string key =
        fmt::format("{}\n{}\n{}", KeyOf(source.path), source.i2s_layout, fmt::join(source.override_kv, "\n"));
    if (value_ == nullptr || key != key_) {
      value_.reset();  // two models may not fit into memory
      value_ = std::make_shared<const T>(make());
      key_ = key;
    }
    return value_;
  }

 private:
  static std::string KeyOf(const std::string& path) {
    std::string key = path;
    for (const std::string& shard : ShardsOf(path)) {
      struct stat s = {};
      if (stat(shard.c_str(), &s) != 0) return path;  // `make` says what is wrong with it
      key += fmt::format("\n{} {}.{} {} {}", s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec, s.st_dev, s.st_ino);
    }
    return key;
  }

  std::mutex mutex_;
  std::string key_;
  std::shared_ptr<const T> value_;
};

LoadedModel Load(const ModelSource& source) {
  LoadedModel loaded{ReadModel(source), {}};
  const bitnet::Hyperparameters& h = loaded.model.hyperparameters;
  loaded.info.path = source.path;
  loaded.info.blake3 = HashFile(source.path);
  loaded.info.architecture = h.architecture;
  loaded.info.hyperparameters = HyperparametersJson(loaded.model.file, h);
  return loaded;
}

}  // namespace

nlohmann::json HyperparametersJson(const bitnet::GgufFile& file, const bitnet::Hyperparameters& h) {
  nlohmann::json json = {{"n_vocab", h.n_vocab},
                         {"n_embd", h.n_embd},
                         {"n_layer", h.n_layer},
                         {"n_head", h.n_head},
                         {"n_head_kv", h.n_head_kv},
                         {"n_embd_head", h.n_embd_head},
                         {"n_ff", h.n_ff},
                         {"n_rot", h.n_rot},
                         {"rope_freq_base", h.rope_freq_base},
                         {"rms_norm_eps", h.rms_norm_eps},
                         {"n_ctx_train", h.n_ctx_train},
                         {"file_type", h.file_type}};
  if (file.Has(h.architecture + ".hidden_activation")) {
    json["hidden_activation"] = bitnet::ActivationName(h.activation);
  }
  return json;
}

ModelSource SourceOf(const Request& request) { return {request.model, request.override_kv, request.i2s_layout}; }

bitnet::GgufFile OpenModel(const ModelSource& source) {
  bitnet::GgufFile file = bitnet::GgufFile::Open(source.path);
  for (const std::string& text : source.override_kv) {
    KvOverride override = ParseKvOverride(text);
    std::visit([&](auto& value) { file.Override(override.key, std::move(value)); }, override.value);
  }
  return file;
}

bitnet::Model ReadModel(const ModelSource& source) {
  bitnet::LoadOptions options;
  if (!source.i2s_layout.empty()) options.i2s_layout = bitnet::ParseI2sLayout(source.i2s_layout);
  bitnet::Model model = bitnet::Model::FromFile(OpenModel(source), options);
  const std::vector<std::string> unread = model.file.UnreadKeys();
  for (const std::string& text : source.override_kv) {
    const std::string key = ParseKvOverride(text).key;
    if (!key.starts_with(model.hyperparameters.architecture + ".")) continue;
    if (std::find(unread.begin(), unread.end(), key) == unread.end()) continue;
    throw std::runtime_error(fmt::format(
        "{}: override_kv: this engine does not read {}, expected a key that it reads; compat-check lists the "
        "keys of the file that it does not use",
        source.path, key));
  }
  return model;
}

std::shared_ptr<const LoadedModel> LoadModel(const ModelSource& source) {
  static LastFile<LoadedModel> last;
  return last.Get(source, [&] { return Load(source); });
}

std::shared_ptr<const bitnet::Tokenizer> LoadTokenizer(const Request& request, bitnet::TokenizerDialect dialect) {
  static std::array<LastFile<bitnet::Tokenizer>, 2> by_dialect;
  LastFile<bitnet::Tokenizer>& last = by_dialect[dialect == bitnet::TokenizerDialect::kLlamaCpp ? 0 : 1];
  try {
    if (!request.tokenizer.empty()) {
      return last.Get({request.tokenizer}, [&] { return bitnet::Tokenizer::FromTokenizerJson(request.tokenizer); });
    }
    return last.Get(SourceOf(request),
                    [&] { return bitnet::Tokenizer::FromGguf(OpenModel(SourceOf(request)), dialect); });
  } catch (const std::exception&) {
    if (request.token_ids) return nullptr;
    throw;
  }
}

std::function<std::string(int32_t)> PieceLookup(const Request& request) {
  struct Lookup {
    Request request;
    bool read = false;
    std::shared_ptr<const bitnet::Tokenizer> tokenizer = nullptr;
  };
  const auto lookup = std::make_shared<Lookup>(Lookup{request});
  return [lookup](int32_t id) -> std::string {
    if (!std::exchange(lookup->read, true)) {
      try {
        lookup->tokenizer = LoadTokenizer(lookup->request);
      } catch (const std::exception&) {
        // A model without a vocabulary climbs on token ids; its tokens have no text.
      }
    }
    if (!lookup->tokenizer || id < 0 || id >= lookup->tokenizer->n_vocab()) return "";
    return lookup->tokenizer->Piece(id);
  };
}

}  // namespace parity
