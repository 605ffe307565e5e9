// NumPy's .npy files, restricted to little-endian float32 in C order.
//
//   WriteNpy("logits.npy", {positions, n_vocab}, logits);
//   NpyArray a = ReadNpy("logits.npy");   // a.shape, a.data
//
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (versions 1.0, 2.0, 3.0 are read, 1.0
// is written).
#ifndef BITNET_PARITY_REFERENCE_CAPTURE_NPY_H_
#define BITNET_PARITY_REFERENCE_CAPTURE_NPY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace parity {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> data;  // row-major, product(shape) numbers
};

// Throws std::runtime_error if the shape and the data disagree, or the file cannot be written whole.
void WriteNpy(const std::string& path, std::span<const int64_t> shape, std::span<const float> data);

// Throws std::runtime_error, naming file and field, on anything but a whole float32 C-order array. Memory is allocated
// only for what the file holds.
NpyArray ReadNpy(const std::string& path);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_CAPTURE_NPY_H_
