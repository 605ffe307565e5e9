// The C API of the llama.cpp family, of any generation since autumn 2024: llama.cpp itself, bitnet.cpp before and after
// July 2026, other forks. What differs between them is found by the compiler (a member that a struct has, a function
// that takes an argument) or, for functions without one, in the libraries at run time. The runner's sources are written
// against the names below.
//
// Given on the command line: PARITY_ENGINE_NAME, "llama.cpp", "bitnet.cpp" or "ik_llama.cpp"; PARITY_ENGINE_VERSION,
// its commit or release, "" where the library tells it; PARITY_ENGINE_COMPILER, the compiler's signature in the
// library, "" where it does not matter.
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_H_

#include <dlfcn.h>
#include <ggml-backend.h>
#include <ggml.h>
#if __has_include(<gguf.h>)
#include <gguf.h>
#endif
#include <llama.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>

namespace parity::api {

inline constexpr char kBackendName[] = PARITY_ENGINE_NAME;
inline constexpr bool kIsBitnetCpp = std::string_view(kBackendName) == "bitnet.cpp";
inline constexpr bool kIsIkLlamaCpp = std::string_view(kBackendName) == "ik_llama.cpp";
// llama.cpp from 2025 on has its GGUF functions in a header of their own, and so has what stands on it.
#if __has_include(<gguf.h>)
inline constexpr bool kSince2025 = true;
#else
inline constexpr bool kSince2025 = false;
#endif

// A function of the libraries; nullptr where this build has none.
template <typename Function>
Function* Find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

inline std::string Version() {
  const std::string given = PARITY_ENGINE_VERSION;
  const auto version = Find<const char*()>("llama_version");
  if (version != nullptr && !kIsBitnetCpp) return version();
  return given.empty() ? "unknown version" : given;
}

inline std::string BuildCommit() {
  const auto commit = Find<const char*()>("ggml_commit");
  const std::string text = commit != nullptr && !kIsBitnetCpp ? commit() : Version();
  const std::string compiler = PARITY_ENGINE_COMPILER;
  return compiler.empty() ? text : text + ", " + compiler;
}

// Called first thing in main. The I2_S product of a batch of the older bitnet.cpp keeps rows / threads x positions
// float32 on the stack: 14 MB for 6912 rows, 512 positions and one thread, where 8 MB is usual. A process and its
// threads take the size of their stacks from the limit with which it starts, so this one starts again with a larger
// one.
inline void PrepareProcess(char** argv) {
  if (!kIsBitnetCpp) return;
  constexpr rlim_t kStackBytes = rlim_t{256} << 20;
  rlimit limit = {};
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= std::min(kStackBytes, limit.rlim_max)) return;
  limit.rlim_cur = std::min(kStackBytes, limit.rlim_max);
  if (setrlimit(RLIMIT_STACK, &limit) != 0) return;
  setenv("OMP_STACKSIZE", "256M", 0);
  execv("/proc/self/exe", argv);
}

// CPU kernels may come as plugins, one library for each instruction set. Where they are part of libggml or libggml-cpu,
// there is nothing to load.
inline void LoadBestCpuPlugin(const std::string& directory) {
  if (const auto load = Find<void(const char*)>("ggml_backend_load_all_from_path")) load(directory.c_str());
}
inline bool LoadCpuPlugin(const std::string& file) {
  const auto load = Find<void*(const char*)>("ggml_backend_load");
  return load != nullptr && load(file.c_str()) != nullptr;
}
// Kernels of a library can be named; those of plugins are a device, which in 2024 a library did not list.
inline bool HaveCpuDevice() {
  constexpr int kCpu = 0;  // GGML_BACKEND_DEVICE_TYPE_CPU
  if (Find<void*()>("ggml_backend_cpu_init") != nullptr) return true;
  const auto device = Find<void*(int)>("ggml_backend_dev_by_type");
  return device != nullptr && device(kCpu) != nullptr;
}

// An address inside libllama, to find its file.
inline const void* LibraryAddress() { return reinterpret_cast<const void*>(&llama_backend_init); }

// In templates, so that a name which a generation does not have is looked for where it is used, by its argument.

template <typename Params>
llama_model* LoadModelWith(const char* path, Params params) {
  if constexpr (requires { **params.devices; }) {                                        // elsewhere a text, or nothing
    static std::remove_reference_t<decltype(*params.devices)> no_devices[] = {nullptr};  // the CPU is always there
    params.devices = no_devices;
  }
  if constexpr (requires { params.load_mode; }) {
    params.load_mode = static_cast<decltype(params.load_mode)>(1);  // LLAMA_LOAD_MODE_MMAP
  } else {
    params.use_mmap = true;
  }
  if constexpr (requires { llama_model_load_from_file(path, params); }) {
    return llama_model_load_from_file(path, params);
  } else {
    return llama_load_model_from_file(path, params);
  }
}

// `overrides`: nullptr, or entries of which the last has no key.
inline llama_model* LoadModel(const std::string& path, bool vocab_only,
                              const llama_model_kv_override* overrides = nullptr) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  params.vocab_only = vocab_only;
  params.kv_overrides = overrides;
  return LoadModelWith(path.c_str(), params);
}

// Whether this build of bitnet.cpp has table kernels, which know one layout, TL1 or TL2, and the shapes of one model.
// They take Q4_0 for theirs too.
inline auto* TableBits() { return Find<int(ggml_type)>("ggml_bitnet_get_type_bits"); }
inline bool IsTableType(ggml_type type) {
  const char* name = kIsBitnetCpp ? ggml_type_name(type) : nullptr;
  return name != nullptr && (std::string_view(name) == "tl1" || std::string_view(name) == "tl2");
}

// What the library's list of features does not say: " | TL2 = 1".
inline std::string TableFeatures() {
  std::string features;
  for (int i = 0; TableBits() != nullptr && i < GGML_TYPE_COUNT; ++i) {
    const auto type = static_cast<ggml_type>(i);
    if (!IsTableType(type) || TableBits()(type) == 0) continue;
    features += std::string(ggml_type_name(type)) == "tl1" ? " | TL1 = 1" : " | TL2 = 1";
  }
  return features;
}

// Whether the library multiplies by weights of this type. Since 2025 it says so itself when it loads a file, and
// bitnet.cpp has products beside its table of types.
template <typename Type>
bool HasProduct(Type type) {
  if (IsTableType(type)) return TableBits() != nullptr && TableBits()(type) != 0;
  if (kIsBitnetCpp && type == GGML_TYPE_Q4_0) return TableBits() == nullptr;
  if constexpr (requires { ggml_internal_get_type_traits(type).vec_dot; }) {
    return kIsBitnetCpp || ggml_internal_get_type_traits(type).vec_dot != nullptr;
  }
  return true;
}

// What helps where it does not; "" where nothing is known to.
inline std::string_view ProductRemedy(ggml_type type) {
  if (IsTableType(type)) {
    return "; take a bitnet.cpp that was built with BITNET_X86_TL2 or BITNET_ARM_TL1 and the kernels of this model's "
           "shapes, or convert the original model with its setup_env.py -q i2_s";
  }
  return kIsBitnetCpp && type == GGML_TYPE_Q4_0
             ? "; its table kernels take these weights for theirs: use a build without BITNET_X86_TL2, BITNET_ARM_TL1"
             : "";
}

// What the feed-forward of an architecture computes, whatever the file's `hidden_activation` says (it is not read); ""
// where nobody looked, or where it depends on the commit.
inline std::string_view ActivationOf(std::string_view architecture) {
  if (architecture == "bitnet" || architecture == "llama") return "silu";
  if (kIsBitnetCpp || kIsIkLlamaCpp) return !kSince2025 && architecture.starts_with("bitnet-") ? "relu2" : "";
  return architecture == "gemma3" ? "gelu" : architecture == "qwen3" ? "silu" : "";
}

template <typename Model>
void FreeModel(Model* model) {
  if constexpr (requires { llama_model_free(model); }) {
    llama_model_free(model);
  } else {
    llama_free_model(model);
  }
}

template <typename Params>
llama_context* NewContextWith(llama_model* model, Params params) {
  if constexpr (requires { params.flash_attn_type; }) {
    params.flash_attn_type = static_cast<decltype(params.flash_attn_type)>(0);  // LLAMA_FLASH_ATTN_TYPE_DISABLED
  } else {
    params.flash_attn = false;
  }
  if constexpr (requires { params.op_offload; }) params.op_offload = false;
  if constexpr (requires { params.no_perf; }) params.no_perf = true;
  // ik_llama.cpp makes one operation of several, whose parts nobody sees.
  if constexpr (requires { params.fused_up_gate; }) params.fused_up_gate = false;
  if constexpr (requires { params.graph_reuse; }) params.graph_reuse = false;
  if constexpr (requires { llama_init_from_model(model, params); }) {
    return llama_init_from_model(model, params);
  } else {
    return llama_new_context_with_model(model, params);
  }
}

// A function that watches the graph: it answers with a bool, or in forks with an int.
using WatchAnswer = std::invoke_result_t<ggml_backend_sched_eval_callback, ggml_tensor*, bool, void*>;
template <bool (*watch)(ggml_tensor*, bool, void*)>
WatchAnswer Watch(ggml_tensor* tensor, bool ask, void* user_data) {
  return watch(tensor, ask, user_data);
}

// Flash attention off (its graph has no kq node), K and V in F16.
inline llama_context* NewContext(llama_model* model, int n_ctx, int n_ubatch, int threads,
                                 ggml_backend_sched_eval_callback callback, void* user_data) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(n_ctx);
  params.n_batch = static_cast<uint32_t>(n_ubatch);
  params.n_ubatch = static_cast<uint32_t>(n_ubatch);
  params.n_seq_max = 1;
  params.n_threads = threads;
  params.n_threads_batch = threads;
  params.type_k = GGML_TYPE_F16;
  params.type_v = GGML_TYPE_F16;
  params.offload_kqv = false;
  params.cb_eval = callback;
  params.cb_eval_user_data = user_data;
  return NewContextWith(model, params);
}
inline void FreeContext(llama_context* context) { llama_free(context); }

// Calls `function` with the model where it takes that, as all did before 2025, and else with the model's vocabulary: a
// fork may have some of each.
template <typename Model, typename Function>
auto OfVocabulary(const Model* model, Function function) {
  if constexpr (requires { function(model); }) {
    return function(model);
  } else {
    return function(llama_model_get_vocab(model));
  }
}

template <typename Model>
int VocabSize(const Model* model) {
  if constexpr (requires { llama_vocab_n_tokens(llama_model_get_vocab(model)); }) {
    return llama_vocab_n_tokens(llama_model_get_vocab(model));
  } else {
    return OfVocabulary(model, [](const auto* v) -> decltype(llama_n_vocab(v)) { return llama_n_vocab(v); });
  }
}
template <typename Model>
bool IsEndOfGeneration(const Model* model, llama_token token) {
  if constexpr (requires { llama_vocab_is_eog(llama_model_get_vocab(model), token); }) {
    return llama_vocab_is_eog(llama_model_get_vocab(model), token);
  } else {
    return OfVocabulary(model, [token](const auto* v) -> decltype(llama_token_is_eog(v, token)) {
      return llama_token_is_eog(v, token);
    });
  }
}
template <typename Model>
bool HasVocab(const Model* model) {
  return OfVocabulary(model, [](const auto* v) -> decltype(llama_vocab_type(v)) { return llama_vocab_type(v); }) !=
         LLAMA_VOCAB_TYPE_NONE;
}
template <typename Model>
int Tokenize(const Model* model, const std::string& text, llama_token* tokens, int capacity, bool add_special,
             bool parse_special) {
  const char* bytes = text.data();
  const auto n = static_cast<int32_t>(text.size());
  return OfVocabulary(
      model, [=](const auto* v) -> decltype(llama_tokenize(v, bytes, n, tokens, capacity, add_special, parse_special)) {
        return llama_tokenize(v, bytes, n, tokens, capacity, add_special, parse_special);
      });
}
template <typename Model>
int TokenToPiece(const Model* model, llama_token token, char* buffer, int capacity) {
  return OfVocabulary(model, [=](const auto* v) -> decltype(llama_token_to_piece(v, token, buffer, capacity, 0, true)) {
    return llama_token_to_piece(v, token, buffer, capacity, 0, true);
  });
}

}  // namespace parity::api

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_H_
