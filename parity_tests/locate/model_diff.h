// Two model files, tensor by tensor and key by key: what a converter did, without running an engine.
//
//   const ModelDiff diff = DiffModels("a.gguf", "b.gguf");
//   if (const TensorDiff* first = diff.first_that_breaks_parity()) ... Describe(*first) ...
#ifndef BITNET_PARITY_PARITY_TESTS_LOCATE_MODEL_DIFF_H_
#define BITNET_PARITY_PARITY_TESTS_LOCATE_MODEL_DIFF_H_

#include <functional>
#include <string>

#include "parity_tests/findings/model_diff.h"

namespace parity {

// Throws as GgufFile::Open does. A tensor of any type that this program decodes is compared by its float32 values, row
// by row. `progress` is called with the tensor that is next.
ModelDiff DiffModels(const std::string& a, const std::string& b,
                     const std::function<void(const std::string&)>& progress = nullptr);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_LOCATE_MODEL_DIFF_H_
