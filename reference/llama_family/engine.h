// A model loaded in a library of the llama.cpp family.
#ifndef BITNET_PARITY_REFERENCE_LLAMA_FAMILY_ENGINE_H_
#define BITNET_PARITY_REFERENCE_LLAMA_FAMILY_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "reference/capture/capture.h"
#include "reference/capture/kv_override.h"

struct llama_model;

namespace parity {

// The library is sound but cannot run this model: exit code 3 of the runner.
class UnsupportedModel : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The library, with its CPU kernels loaded.
struct Library {
  std::string path;                   // of libllama
  std::vector<std::string> files;     // every library of the engine that this process has loaded
  std::string directory;              // where it and its plugins are
  std::vector<std::string> variants;  // the CPU plugins in that directory: "zen4", "haswell"
  std::string picked;                 // the one in use; "avx512", "avx2" or "built-in" where kernels are no plugin
  std::string features;               // what those kernels were compiled with, as the library tells it

  BackendInfo Info(int threads) const;
};

// Loads the CPU kernels: the plugin `cpu_variant`, or for "" the one that the library ranks highest here. Also routes
// the library's log: warnings and errors go to standard error. Throws where no kernels can be loaded.
Library LoadLibrary(const std::string& cpu_variant);

class Model {
 public:
  // Throws UnsupportedModel, or std::runtime_error with the library's own words.
  Model(const std::string& path, bool vocab_only, const std::vector<std::string>& override_kv = {});
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  llama_model* get() const { return model_; }
  int n_vocab() const { return n_vocab_; }
  // Architecture and hyper-parameters, from the file's metadata and what overrides it.
  ModelInfo Info() const;
  std::vector<int32_t> Tokenize(const std::string& text, bool add_special, bool parse_special) const;
  // The bytes of a token; special tokens as they are spelt. "" for an id that the vocabulary does not have.
  std::string Piece(int32_t token) const;

 private:
  std::string path_;
  llama_model* model_ = nullptr;
  int n_vocab_ = 0;
  std::map<std::string, KvOverride> overrides_;
};

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_LLAMA_FAMILY_ENGINE_H_
