// npy:FILE: logits that somebody saved, float32 [positions, n_vocab], or [n_vocab] of the prompt's last position.
#ifndef BITNET_PARITY_REFERENCE_ENGINES_NPY_BACKEND_H_
#define BITNET_PARITY_REFERENCE_ENGINES_NPY_BACKEND_H_

#include <memory>
#include <string>

#include "reference/engines/backend.h"

namespace parity {

// `at`: the prompt positions of its rows: "first" (or empty: row i is of position i), "last", or one for each row, as
// "0,4,-1"; -1 is the last. Throws std::runtime_error where it is none of these.
std::unique_ptr<Backend> MakeNpyBackend(const std::string& file, const std::string& at);

}  // namespace parity

#endif  // BITNET_PARITY_REFERENCE_ENGINES_NPY_BACKEND_H_
