// A small capture, for tests that need one on disk.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_SMALL_CAPTURE_FOR_TEST_H_
#define BITNET_PARITY_REFERENCE_ENGINES_SMALL_CAPTURE_FOR_TEST_H_

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/capture/capture.h"

namespace parity {

// Three tokens, two generated, vocabulary of four; the model file is made at `model`.
inline Capture SmallCapture(const std::string& model) {
  std::ofstream(model) << "not really a model";
  Capture c;
  c.backend = {"llama.cpp", "v0.5.0", "build", "zen4", 2};
  c.model = {model, HashFile(model), "bitnet", nlohmann::json{{"n_layer", 2}}};
  c.request.model = model;
  c.request.text = "Hi there";
  c.request.max_tokens = 2;
  c.tokens = {1, 2, 3};
  c.pieces = {"<s>", "Hi", " there"};
  c.shapes = {256, 256, 256, 64, 64, {3, 4}, {{{0, 0}}, {{0, 1}}, {{0, 2}}}};
  c.logits = {3, 4, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  c.generated = {3, 0};
  c.generated_pieces = {" there", "!"};
  c.decode_logits = {2, 4, {9, 10, 11, 12, 4, 3, 2, 1}};
  return c;
}

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_SMALL_CAPTURE_FOR_TEST_H_
