// What differs between the C APIs of the llama.cpp family, for llama.cpp v0.5.0. Everything else in this room is
// written against these names, so that it compiles against another fork with another such header (PARITY_ENGINE_API
// names the header).
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_LLAMA_CPP_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_LLAMA_CPP_H_

#include <ggml-backend.h>
#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include <string>
#include <string_view>

namespace parity::api {

inline constexpr char kBackendName[] = "llama.cpp";

inline std::string Version() { return std::string(llama_version()); }

inline std::string BuildCommit() { return ggml_commit(); }

// Called first thing in main.
inline void PrepareProcess(char**) {}

// CPU kernels come as plugins, one library for each instruction set.
inline constexpr bool kHasCpuPlugins = true;
inline void LoadBestCpuPlugin(const std::string& directory) { ggml_backend_load_all_from_path(directory.c_str()); }
inline bool LoadCpuPlugin(const std::string& file) { return ggml_backend_load(file.c_str()) != nullptr; }
inline bool HaveCpuDevice() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr; }

// An address inside libllama, to find its file.
inline const void* LibraryAddress() { return reinterpret_cast<const void*>(&llama_backend_init); }

// `overrides`: nullptr, or entries of which the last has no key.
inline llama_model* LoadModel(const std::string& path, bool vocab_only,
                              const llama_model_kv_override* overrides = nullptr) {
  static ggml_backend_dev_t no_devices[] = {nullptr};  // the CPU is always there
  llama_model_params params = llama_model_default_params();
  params.devices = no_devices;
  params.n_gpu_layers = 0;
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  params.vocab_only = vocab_only;
  params.kv_overrides = overrides;
  return llama_model_load_from_file(path.c_str(), params);
}
// What the feed-forward of an architecture computes, whatever the file's `hidden_activation` says (v0.5.0 does not read
// it); "" where nobody looked.
inline std::string_view ActivationOf(std::string_view architecture) {
  if (architecture == "gemma3") return "gelu";
  return architecture == "bitnet" || architecture == "llama" || architecture == "qwen3" ? "silu" : "";
}

inline void FreeModel(llama_model* model) { llama_model_free(model); }

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
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.type_k = GGML_TYPE_F16;
  params.type_v = GGML_TYPE_F16;
  params.offload_kqv = false;
  params.op_offload = false;
  params.no_perf = true;
  params.cb_eval = callback;
  params.cb_eval_user_data = user_data;
  return llama_init_from_model(model, params);
}
inline void FreeContext(llama_context* context) { llama_free(context); }

inline int VocabSize(const llama_model* model) { return llama_vocab_n_tokens(llama_model_get_vocab(model)); }
inline bool HasVocab(const llama_model* model) {
  return llama_vocab_type(llama_model_get_vocab(model)) != LLAMA_VOCAB_TYPE_NONE;
}
inline bool IsEndOfGeneration(const llama_model* model, llama_token token) {
  return llama_vocab_is_eog(llama_model_get_vocab(model), token);
}
inline int Tokenize(const llama_model* model, const std::string& text, llama_token* tokens, int capacity,
                    bool add_special, bool parse_special) {
  return llama_tokenize(llama_model_get_vocab(model), text.data(), static_cast<int>(text.size()), tokens, capacity,
                        add_special, parse_special);
}
inline int TokenToPiece(const llama_model* model, llama_token token, char* buffer, int capacity) {
  return llama_token_to_piece(llama_model_get_vocab(model), token, buffer, capacity, 0, true);
}

}  // namespace parity::api

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_API_LLAMA_CPP_H_
