// What differs between the C APIs of the llama.cpp family, for bitnet.cpp: a fork of llama.cpp of autumn 2024. The
// other half is reference/llama_family/api_llama_cpp.h; the runner's sources are written against the names that both
// define.
//
// PARITY_BITNET_CPP_VERSION and PARITY_BITNET_CPP_COMPILER are read from the checkout and its libraries when this
// project is configured: the library itself does not tell them.
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_BITNET_CPP_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_BITNET_CPP_H_

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

namespace parity::api {

inline constexpr char kBackendName[] = "bitnet.cpp";

inline std::string Version() { return PARITY_BITNET_CPP_VERSION; }

inline std::string BuildCommit() { return PARITY_BITNET_CPP_VERSION ", " PARITY_BITNET_CPP_COMPILER; }

// Called first thing in main. The engine's I2_S product of a batch keeps rows / threads x positions float32 on the
// stack: 14 MB for 6912 rows, 512 positions and one thread, where 8 MB is usual. A process and its threads take the
// size of their stacks from the limit with which it starts, so this one starts again with a larger one.
inline void PrepareProcess(char** argv) {
  constexpr rlim_t kStackBytes = rlim_t{256} << 20;
  rlimit limit = {};
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= std::min(kStackBytes, limit.rlim_max)) return;
  limit.rlim_cur = std::min(kStackBytes, limit.rlim_max);
  if (setrlimit(RLIMIT_STACK, &limit) != 0) return;
  setenv("OMP_STACKSIZE", "256M", 0);
  execv("/proc/self/exe", argv);
}

// CPU kernels are part of libggml: there is nothing to load, and nothing to pick.
inline constexpr bool kHasCpuPlugins = false;
inline void LoadBestCpuPlugin(const std::string&) {}
inline bool LoadCpuPlugin(const std::string&) { return false; }
inline bool HaveCpuDevice() { return true; }

// An address inside libllama, to find its file.
inline const void* LibraryAddress() { return reinterpret_cast<const void*>(&llama_backend_init); }

// `overrides`: nullptr, or entries of which the last has no key.
inline llama_model* LoadModel(const std::string& path, bool vocab_only,
                              const llama_model_kv_override* overrides = nullptr) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  params.use_mmap = true;
  params.vocab_only = vocab_only;
  params.kv_overrides = overrides;
  return llama_load_model_from_file(path.c_str(), params);
}

// What the feed-forward of an architecture computes, whatever the file's `hidden_activation` says (it is not read); ""
// where nobody looked.
inline std::string_view ActivationOf(std::string_view architecture) {
  if (architecture == "bitnet-b1.58" || architecture == "bitnet-25") return "relu2";
  return architecture == "bitnet" || architecture == "llama" ? "silu" : "";
}

inline void FreeModel(llama_model* model) { llama_free_model(model); }

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
  params.flash_attn = false;
  params.type_k = GGML_TYPE_F16;
  params.type_v = GGML_TYPE_F16;
  params.offload_kqv = false;
  params.no_perf = true;
  params.cb_eval = callback;
  params.cb_eval_user_data = user_data;
  return llama_new_context_with_model(model, params);
}
inline void FreeContext(llama_context* context) { llama_free(context); }

inline int VocabSize(const llama_model* model) { return llama_n_vocab(model); }
inline bool HasVocab(const llama_model* model) { return llama_vocab_type(model) != LLAMA_VOCAB_TYPE_NONE; }
inline bool IsEndOfGeneration(const llama_model* model, llama_token token) { return llama_token_is_eog(model, token); }
inline int Tokenize(const llama_model* model, const std::string& text, llama_token* tokens, int capacity,
                    bool add_special, bool parse_special) {
  return llama_tokenize(model, text.data(), static_cast<int>(text.size()), tokens, capacity, add_special,
                        parse_special);
}
inline int TokenToPiece(const llama_model* model, llama_token token, char* buffer, int capacity) {
  return llama_token_to_piece(model, token, buffer, capacity, 0, true);
}

}  // namespace parity::api

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_BITNET_CPP_H_
