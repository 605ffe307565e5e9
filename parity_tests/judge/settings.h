// The limits, the prompts and the matrix: fixtures/*.json are part of the program, and a flag puts a file in their
// place.
//
//   JsonFields top = ReadSettings(file, "thresholds.json", "bitnet-parity/thresholds/1");    // file "": the built-in
//   one
#ifndef BITNET_PARITY_PARITY_TESTS_JUDGE_SETTINGS_H_
#define BITNET_PARITY_PARITY_TESTS_JUDGE_SETTINGS_H_

#include <string>

#include "reference/capture/json_fields.h"

namespace parity {

struct BuiltInFile {
  const char* name;
  const char* text;
};

// thresholds.json, prompts.json, parity_matrix.json. Written by the build.
extern const BuiltInFile kBuiltInFiles[3];

// What messages call `file`: its path, or "built-in thresholds.json" if it is empty.
std::string SettingsName(const std::string& file, const std::string& built_in);

// `file`, or the built-in one of that name if it is empty. Throws as JsonFields::ReadFile does.
JsonFields ReadSettings(const std::string& file, const std::string& built_in, const std::string& schema);

}  // namespace parity

#endif  // BITNET_PARITY_PARITY_TESTS_JUDGE_SETTINGS_H_
