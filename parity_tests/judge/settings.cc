#include "parity_tests/judge/settings.h"

#include <fmt/format.h>

#include <stdexcept>

namespace parity {

std::string SettingsName(const std::string& file, const std::string& built_in) {
  return file.empty() ? "built-in " + built_in : file;
}

JsonFields ReadSettings(const std::string& file, const std::string& built_in, const std::string& schema) {
  if (!file.empty()) return JsonFields::ReadFile(file, schema);
  for (const BuiltInFile& settings : kBuiltInFiles) {
    if (settings.name != built_in) continue;
    JsonFields fields = JsonFields::Parse(settings.text, SettingsName(file, built_in));
    fields.Expect("schema", schema);
    return fields;
  }
  throw std::runtime_error(fmt::format("{}: no such file is part of this program", built_in));
}

}  // namespace parity
