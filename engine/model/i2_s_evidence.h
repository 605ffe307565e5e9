// What a model's I2_S bytes say of the layout that they are in: AllI2sLayouts have the same size.
//
// Training leaves a trace: inputs with a large gamma in front of a matrix have more weights that are not 0. Read in the
// right order, with the right code for 0, the share of a column's weights that are not 0 goes with the gamma of the
// norm before it; otherwise it does not. Which of the two other codes is +1 cannot be told.
#ifndef BITNET_PARITY_ENGINE_MODEL_I2_S_EVIDENCE_H_
#define BITNET_PARITY_ENGINE_MODEL_I2_S_EVIDENCE_H_

#include <optional>
#include <string>
#include <vector>

#include "engine/formats/i2_s_layouts.h"
#include "engine/gguf/gguf.h"

namespace bitnet {

struct I2sEvidence {
  struct Fit {
    const I2sLayout* layout;
    int zero_code;
    double correlation;  // of gamma and column, the mean over the matrices that were read
  };
  std::vector<Fit> fits;  // all layouts times codes 0, 1, 2, the best first
  double share_of_3 = 0;  // of the code that is no ternary weight

  // Whether the best fits clearly better than all others; it does not with random weights.
  bool is_clear() const;
  // What speaks against reading the file as this engine does; empty if nothing does.
  std::string Warning() const;
};

// Reads the first, a middle and the last layer. nullopt for a file without I2_S matrices behind norms.
std::optional<I2sEvidence> ExamineI2s(const GgufFile& file);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_MODEL_I2_S_EVIDENCE_H_
