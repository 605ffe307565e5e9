// What an engine leaves behind. A Capture is data, and the judge reads nothing else.
//
//   WriteCapture(capture, "out/");            // to a temporary name, renamed when whole
//   Capture c = ReadCapture("out/");          // throws, naming file and key, unless every part is right
//
// On disk (format 1): see docs/capture-format.md.
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "reference/capture/hash.h"
#include "reference/capture/json_value.h"
#include "reference/capture/request.h"

namespace parity {

using bitnet::Point;
using bitnet::PointName;

struct BackendInfo {
  std::string name;     // "native", "llama.cpp", "bitnet.cpp", ...
  std::string version;  // "v0.5.0"
  std::string build;    // commit, compiler, where the libraries are
  std::string simd;     // the instruction set in use: "zen4", "AVX3_ZEN4"
  int threads = 0;
};

struct ModelInfo {
  std::string path;
  std::string blake3;  // of the file, 64 hex digits
  std::string architecture;
  // Every hyper-parameter by its standard name: n_vocab, n_embd, n_layer, n_head, n_head_kv, n_embd_head, n_ff, n_rot,
  // rope_freq_base, rms_norm_eps, n_ctx_train, file_type.
  JsonValue hyperparameters;
};

// A hyper-parameter that counts something, as n_layer; 0 if the model does not report it.
int64_t CountOf(const ModelInfo& model, std::string_view name);

struct Shapes {
  int n_ctx = 0;
  int n_ubatch = 0;
  int kv_cells = 0;  // cells that the cache holds
  int n_embd_k = 0;  // numbers in one K row of one layer (n_head_kv * head_dim)
  int n_embd_v = 0;
  std::vector<int> logits;  // [positions, n_vocab]
  // attends[i]: the keys that prompt position i may attend, as inclusive ranges [first, last].
  std::vector<std::vector<std::pair<int, int>>> attends;
};

// Row-major [rows, cols].
struct Matrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> data;
  const float* row(int64_t i) const { return data.data() + i * cols; }
};

// One tensor of one position: name "t0/blk0/attn_norm".
struct TraceRecord {
  std::string name;
  int position = 0;
  int layer = -1;
  Point point = Point::kUnknown;
  std::string stage;  // the point's name, or that of a tensor which only this engine has
  std::vector<int64_t> shape;
  std::string dtype = "F32";
  std::string blake3;  // of the float32 bytes
  double rms = 0;
  int64_t num_elements = 0;
  std::string tensor_file;  // "tensors/t0_blk0_attn_norm.npy", empty if raw tensors were not kept
  JsonValue extra;          // unknown keys, kept
};

struct Timings {
  double load_ms = 0;
  double prompt_ms = 0;
  double decode_ms = 0;
  int64_t peak_rss_bytes = 0;
};

// What a capture shows of a run. An adapter shows everything; a program that prints, its text alone.
struct Shown {
  bool tokens = true;         // the prompt's ids and pieces
  bool shapes = true;         // architecture, hyper-parameters and shapes
  bool logits = true;         // of prompt positions
  bool text = true;           // what was generated, as text
  bool generated = true;      // its ids and pieces
  bool decode_logits = true;  // a row for each of them
  bool everything() const { return tokens && shapes && logits && text && generated && decode_logits; }
};
inline constexpr Shown kNothingShown = {false, false, false, false, false, false};

// The parts by their names in files.
struct ShownPart {
  const char* name;
  bool Shown::*shown;
};
inline constexpr ShownPart kShownParts[] = {{"tokens", &Shown::tokens},       {"shapes", &Shown::shapes},
                                            {"logits", &Shown::logits},       {"text", &Shown::text},
                                            {"generated", &Shown::generated}, {"decode_logits", &Shown::decode_logits}};

// One of the likeliest tokens at a step of decoding, as a server tells it. id -1: it tells the text alone.
struct TokenLogprob {
  int32_t id = -1;
  std::string text;
  double logprob = 0;  // natural logarithm of the probability
};

struct Capture {
  BackendInfo backend;
  ModelInfo model;
  Request request;
  std::vector<int32_t> tokens;
  std::vector<std::string> pieces;  // the text of each token, for messages
  Shapes shapes;
  Matrix logits;  // [positions, n_vocab]; row i = logits after prompt token i
  std::vector<int32_t> generated;
  std::vector<std::string> generated_pieces;
  Matrix decode_logits;  // [generated, n_vocab]; row i = the logits from which generated[i] was taken
  std::vector<TraceRecord> traces;
  std::vector<std::string> notes;  // what the engine wants said: graph nodes it could not map, ...
  Timings timings;

  // Of engines that show less than an adapter does; what is not shown is empty.
  Shown shown;
  std::vector<int> positions;  // of the rows of logits; -1: the last. Empty: row i is of position i
  std::string text;            // what was generated, where the pieces do not give it
  std::vector<std::vector<TokenLogprob>> top_logprobs;  // of each generated token, the likeliest first

  JsonValue extra;        // unknown keys, kept
  std::string directory;  // where it was read from; "" for one that was never on disk
};

// The text behind the prompt, as far as the engine shows it.
std::string GeneratedText(const Capture& capture);
// Logits or log-probabilities: what tells how near an engine comes.
bool ShowsFigures(const Capture& capture);

// The prompt position of each row of logits, for a prompt of so many tokens. Throws std::runtime_error on one that the
// prompt does not have.
std::vector<int64_t> RowPositions(const Capture& capture, int64_t n_tokens);

// Raw tensors are copied from capture.directory. A capture that stands at `directory` is replaced; anything else there
// is an error. An engine that traces while it runs writes through CaptureWriter (capture_writer.h) instead.
void WriteCapture(const Capture& capture, const std::string& directory);
Capture ReadCapture(const std::string& directory);
// The same for somebody who wants to know all that is wrong with a capture: adds it to `problems`, a line each, and
// returns what could be read. Throws only where capture.json is no JSON object.
Capture ReadCapture(const std::string& directory, std::vector<std::string>* problems);

// The raw tensor of a record. Throws if the capture was made without raw tensors.
std::vector<float> ReadTensor(const Capture& capture, const TraceRecord& record);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_CAPTURE_H_
