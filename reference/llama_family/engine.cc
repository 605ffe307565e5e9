#include "reference/llama_family/engine.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "reference/llama_family/api.h"

namespace parity {
namespace {

namespace fs = std::filesystem;

constexpr char kPluginPrefix[] = "libggml-cpu-";

// What the library has said at level warning or above since it was last asked.
std::string g_log;
std::mutex g_log_mutex;

void LogCallback(ggml_log_level level, const char* text, void*) {
  static ggml_log_level last = GGML_LOG_LEVEL_NONE;
  const std::lock_guard lock(g_log_mutex);
  if (level != GGML_LOG_LEVEL_CONT) last = level;
  if (last != GGML_LOG_LEVEL_WARN && last != GGML_LOG_LEVEL_ERROR) return;
  g_log += text;
  std::fputs(text, stderr);
}

std::string TakeLog() {
  const std::lock_guard lock(g_log_mutex);
  std::string log = std::move(g_log);
  g_log.clear();
  while (!log.empty() && log.back() == '\n') log.pop_back();
  return log;
}

std::vector<std::string> FindVariants(const std::string& directory) {
  std::vector<std::string> variants;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(kPluginPrefix) && file.ends_with(".so")) {
      variants.push_back(file.substr(sizeof kPluginPrefix - 1, file.size() - (sizeof kPluginPrefix - 1) - 3));
    }
  }
  std::sort(variants.begin(), variants.end());
  return variants;
}

// The engine's shared libraries that this process has mapped.
std::vector<std::string> MappedFiles() {
  std::set<std::string> files;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t at = line.find('/');
    if (at == std::string::npos) continue;
    const std::string path = line.substr(at);
    const std::string file = fs::path(path).filename().string();
    if (file.starts_with("libllama") || file.starts_with("libggml")) files.insert(path);
  }
  return {files.begin(), files.end()};
}

// The CPU plugin among them, or the vectors that built-in kernels were compiled for. `features` is the library's own
// list: "AVX2 = 1 | AVX512 = 1 | ...".
std::string PickedVariant(const std::vector<std::string>& files, const std::string& features) {
  for (const std::string& path : files) {
    const std::string file = fs::path(path).filename().string();
    if (file.starts_with(kPluginPrefix) && file.ends_with(".so")) {
      return file.substr(sizeof kPluginPrefix - 1, file.size() - (sizeof kPluginPrefix - 1) - 3);
    }
  }
  // BF16 products then add pairs of neighbours.
  if (features.find("AVX512_BF16 = 1") != std::string::npos) return "avx512-bf16";
  if (features.find("AVX512 = 1") != std::string::npos) return "avx512";
  if (features.find("AVX2 = 1") != std::string::npos) return "avx2";
  // Orders on ARM that nobody has looked at: of today's library, and of tiles for SVE and for int8 matrices.
  const bool other_tiles =
      features.find("SVE = 1") != std::string::npos || features.find("MATMUL_INT8 = 1") != std::string::npos;
  if (api::kSince2025 || other_tiles) return "built-in";
  if (features.find("FP16_VA = 1") != std::string::npos) return "neon-fp16";  // sums of F16 in F16
  if (features.find("NEON = 1") != std::string::npos) return "neon";
  return "built-in";
}

std::string Collapse(const std::string& text) {
  std::string line;
  for (char c : text) line += c == '\n' ? ' ' : c;
  while (!line.empty() && (line.back() == ' ' || line.back() == '|')) line.pop_back();
  return line;
}

// A model that needs what this library does not have, and not a broken file. Types of other forks have numbers that
// this one gave up ("TYPE_IQ4_NL_4_4 REMOVED") or never used; tensors that its architecture does not have are counted.
bool MeansUnsupported(const std::string& log) {
  for (const char* words :
       {"unknown model architecture", "unsupported model architecture", "has invalid ggml type", " REMOVED, use ",
        "unknown pre-tokenizer type", "unsupported tensor type", "wrong number of tensors"}) {
    if (log.find(words) != std::string::npos) return true;
  }
  return false;
}

// The number that an array holds for each layer, where it is the same for all.
std::optional<double> ArrayNumber(const gguf_context* gguf, decltype(gguf_find_key(nullptr, nullptr)) id) {
  const gguf_type type = gguf_get_arr_type(gguf, id);
  const auto n = gguf_get_arr_n(gguf, id);
  if ((type != GGUF_TYPE_UINT32 && type != GGUF_TYPE_INT32) || n == 0) return std::nullopt;
  const auto* values = static_cast<const int32_t*>(gguf_get_arr_data(gguf, id));
  if (std::any_of(values, values + n, [values](int32_t v) { return v != values[0]; })) return std::nullopt;
  return values[0];
}

// A number of the file's metadata, whatever integer or float type holds it.
std::optional<double> MetaNumber(const gguf_context* gguf, const std::string& key) {
  const auto id = gguf_find_key(gguf, key.c_str());
  if (id < 0) return std::nullopt;
  switch (gguf_get_kv_type(gguf, id)) {
    case GGUF_TYPE_UINT8:
      return gguf_get_val_u8(gguf, id);
    case GGUF_TYPE_INT8:
      return gguf_get_val_i8(gguf, id);
    case GGUF_TYPE_UINT16:
      return gguf_get_val_u16(gguf, id);
    case GGUF_TYPE_INT16:
      return gguf_get_val_i16(gguf, id);
    case GGUF_TYPE_UINT32:
      return gguf_get_val_u32(gguf, id);
    case GGUF_TYPE_INT32:
      return gguf_get_val_i32(gguf, id);
    case GGUF_TYPE_UINT64:
      return static_cast<double>(gguf_get_val_u64(gguf, id));
    case GGUF_TYPE_INT64:
      return static_cast<double>(gguf_get_val_i64(gguf, id));
    case GGUF_TYPE_FLOAT32:
      return gguf_get_val_f32(gguf, id);
    case GGUF_TYPE_FLOAT64:
      return gguf_get_val_f64(gguf, id);
    case GGUF_TYPE_ARRAY:
      return ArrayNumber(gguf, id);
    default:
      return std::nullopt;
  }
}

using Gguf = std::unique_ptr<gguf_context, decltype(&gguf_free)>;

Gguf ReadHead(const std::string& path) {
  gguf_init_params params = {};
  params.no_alloc = true;
  return {gguf_init_from_file(path.c_str(), params), &gguf_free};
}

// Throws where a tensor's type has no product in this library, which may crash on it or compute with its bytes as they
// are. Some divide by the size of a block, which is 0 for types that they do not know: so the head is read in another
// process first.
void CheckTypes(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    _exit(ReadHead(path) ? 0 : 1);
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE) {
    throw UnsupportedModel(
        fmt::format("{}: {} {} divides by zero when it reads the head of this file: a tensor's type "
                    "is one that it does not know",
                    path, api::kBackendName, api::Version()));
  }
  if (status != 0) return;  // it says itself what is wrong when it loads the file
  const Gguf head = ReadHead(path);
  if (!head) return;
  for (int i = 0; i < static_cast<int>(gguf_get_n_tensors(head.get())); ++i) {
    const auto type = gguf_get_tensor_type(head.get(), i);
    if (api::HasProduct(type)) continue;
    const char* name = ggml_type_name(type);
    throw UnsupportedModel(fmt::format("{}: {} {} has no product for weights of type {} {} ({}){}", path,
                                       api::kBackendName, api::Version(), static_cast<int>(type),
                                       name == nullptr ? "" : name, gguf_get_tensor_name(head.get(), i),
                                       api::ProductRemedy(type)));
  }
}

std::optional<double> AsNumber(const KvOverride& override) {
  if (const auto* number = std::get_if<int64_t>(&override.value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<double>(&override.value)) return *number;
  return std::nullopt;
}

// Its texts fit (ParseKvOverride).
llama_model_kv_override ForLibrary(const KvOverride& override) {
  llama_model_kv_override result = {};
  override.key.copy(result.key, sizeof(result.key) - 1);
  if (const auto* number = std::get_if<int64_t>(&override.value)) {
    result.tag = LLAMA_KV_OVERRIDE_TYPE_INT;
    result.val_i64 = *number;
  } else if (const auto* real = std::get_if<double>(&override.value)) {
    result.tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT;
    result.val_f64 = *real;
  } else if (const auto* truth = std::get_if<bool>(&override.value)) {
    result.tag = LLAMA_KV_OVERRIDE_TYPE_BOOL;
    result.val_bool = *truth;
  } else {
    result.tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::get<std::string>(override.value).copy(result.val_str, sizeof(result.val_str) - 1);
  }
  return result;
}

}  // namespace

BackendInfo Library::Info(int threads) const {
  BackendInfo info;
  info.name = api::kBackendName;
  info.version = api::Version();
  info.build = fmt::format("{}, commit {}; {}", fs::path(path).filename().string(), api::BuildCommit(), features);
  info.simd = picked;
  info.threads = threads;
  return info;
}

Library LoadLibrary(const std::string& cpu_variant) {
  // An assertion that fails prints its own line; a debugger started from inside the process would only hang it.
  setenv("GGML_NO_BACKTRACE", "1", 1);
  llama_log_set(&LogCallback, nullptr);
  Library library;
  Dl_info where = {};
  if (dladdr(const_cast<void*>(api::LibraryAddress()), &where) != 0 && where.dli_fname) {
    library.path = fs::weakly_canonical(where.dli_fname).string();
    library.directory = fs::path(library.path).parent_path().string();
  }
  library.variants = FindVariants(library.directory);
  if (!cpu_variant.empty()) {
    const std::string file = fmt::format("{}/{}{}.so", library.directory, kPluginPrefix, cpu_variant);
    if (!fs::exists(file)) {
      throw std::runtime_error(fmt::format(
          "cpu_variant: found '{}', but {} has only: {}", cpu_variant, library.directory,
          library.variants.empty() ? "kernels built in" : fmt::format("{}", fmt::join(library.variants, ", "))));
    }
    if (!api::LoadCpuPlugin(file)) {
      throw std::runtime_error(
          fmt::format("{}: cannot be loaded; this processor may lack its instructions. {}", file, TakeLog()));
    }
  } else if (!library.variants.empty()) {
    api::LoadBestCpuPlugin(library.directory);
  }
  if (!api::HaveCpuDevice()) {
    throw std::runtime_error(fmt::format("{}: no CPU kernels; expected {}<instruction set>.so beside it. {}",
                                         library.path, kPluginPrefix, TakeLog()));
  }
  llama_backend_init();
  library.files = MappedFiles();
  library.features = Collapse(llama_print_system_info()) + api::TableFeatures();
  library.picked = PickedVariant(library.files, library.features);
  return library;
}

Model::Model(const std::string& path, bool vocab_only, const std::vector<std::string>& override_kv) : path_(path) {
  if (!fs::is_regular_file(path)) {
    throw std::runtime_error(fmt::format("{}: no such file (request: model); give the path of a GGUF file", path));
  }
  std::vector<llama_model_kv_override> overrides;
  for (const std::string& text : override_kv) {
    KvOverride override = ParseKvOverride(text);
    overrides.push_back(ForLibrary(override));
    overrides_[override.key] = std::move(override);
  }
  overrides.emplace_back();  // the end
  TakeLog();
  if (!vocab_only) CheckTypes(path);
  model_ = api::LoadModel(path, vocab_only, overrides.data());
  if (!model_) {
    const std::string log = TakeLog();
    const std::string message =
        fmt::format("{}: {} {} rejects this model: {}", path, api::kBackendName, api::Version(), log);
    if (MeansUnsupported(log)) throw UnsupportedModel(message);
    throw std::runtime_error(message);
  }
  n_vocab_ = api::VocabSize(model_);
}

Model::~Model() { api::FreeModel(model_); }

ModelInfo Model::Info() const {
  ModelInfo info;
  info.path = path_;
  info.blake3 = HashFile(path_);
  const Gguf gguf = ReadHead(path_);
  if (!gguf) throw std::runtime_error(fmt::format("{}: metadata cannot be read: {}", path_, TakeLog()));
  const auto architecture = gguf_find_key(gguf.get(), "general.architecture");
  if (architecture >= 0) info.architecture = gguf_get_val_str(gguf.get(), architecture);

  const auto own = [&](const char* key) {
    const auto override = overrides_.find(info.architecture + "." + key);
    return override != overrides_.end() ? AsNumber(override->second)
                                        : MetaNumber(gguf.get(), info.architecture + "." + key);
  };
  nlohmann::json& h = *info.hyperparameters;
  const auto integer = [&](const char* name, std::optional<double> value) {
    if (value) h[name] = static_cast<int64_t>(*value);
    return value;
  };
  integer("n_vocab", n_vocab_);
  integer("n_layer", own("block_count"));
  integer("n_ff", own("feed_forward_length"));
  integer("n_ctx_train", own("context_length"));
  integer("file_type", MetaNumber(gguf.get(), "general.file_type"));
  const auto n_embd = integer("n_embd", own("embedding_length"));
  const auto n_head = integer("n_head", own("attention.head_count"));
  const auto n_head_kv = own("attention.head_count_kv");
  integer("n_head_kv", n_head_kv ? n_head_kv : n_head);
  auto n_embd_head = own("attention.key_length");
  if (!n_embd_head && n_embd && n_head && *n_head > 0)
    n_embd_head = static_cast<int64_t>(*n_embd) / static_cast<int64_t>(*n_head);
  integer("n_embd_head", n_embd_head);
  const auto n_rot = own("rope.dimension_count");
  integer("n_rot", n_rot ? n_rot : n_embd_head);
  h["rope_freq_base"] = own("rope.freq_base").value_or(10000.0);
  if (const auto eps = own("attention.layer_norm_rms_epsilon")) h["rms_norm_eps"] = *eps;
  // The file may ask for another activation than the engine computes.
  const std::string_view activation = api::ActivationOf(info.architecture);
  const std::string activation_key = info.architecture + ".hidden_activation";
  const bool is_said = overrides_.contains(activation_key) || gguf_find_key(gguf.get(), activation_key.c_str()) >= 0;
  if (is_said && !activation.empty()) {
    h["hidden_activation"] = activation;
  }
  return info;
}

std::vector<int32_t> Model::Tokenize(const std::string& text, bool add_special, bool parse_special) const {
  if (!api::HasVocab(model_)) {
    throw std::runtime_error(
        fmt::format("{}: has no vocabulary (tokenizer.ggml.model); give token_ids in the request", path_));
  }
  if (text.size() > INT32_MAX / 2) {
    throw std::runtime_error(
        fmt::format("request: text: {} bytes are more than {} can tokenize", text.size(), api::kBackendName));
  }
  std::vector<llama_token> tokens(text.size() + 8);
  int n = api::Tokenize(model_, text, tokens.data(), static_cast<int>(tokens.size()), add_special, parse_special);
  if (n < 0 && n > INT32_MIN) {
    tokens.resize(static_cast<size_t>(-n));
    n = api::Tokenize(model_, text, tokens.data(), static_cast<int>(tokens.size()), add_special, parse_special);
  }
  if (n < 0) throw std::runtime_error(fmt::format("{}: tokenizing {} bytes failed: {}", path_, text.size(), TakeLog()));
  tokens.resize(static_cast<size_t>(n));
  return tokens;
}

std::string Model::Piece(int32_t token) const {
  if (token < 0 || token >= n_vocab_ || !api::HasVocab(model_)) return "";
  std::string piece(64, '\0');
  int n = api::TokenToPiece(model_, token, piece.data(), static_cast<int>(piece.size()));
  if (n < 0) {
    piece.resize(static_cast<size_t>(-n));
    n = api::TokenToPiece(model_, token, piece.data(), static_cast<int>(piece.size()));
  }
  piece.resize(static_cast<size_t>(std::max(n, 0)));
  return piece;
}

}  // namespace parity
