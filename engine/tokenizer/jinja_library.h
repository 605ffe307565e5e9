// What a Jinja template can call by name: filters, tests, methods of strings and collections.
#ifndef BITNET_PARITY_ENGINE_TOKENIZER_JINJA_LIBRARY_H_
#define BITNET_PARITY_ENGINE_TOKENIZER_JINJA_LIBRARY_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "engine/tokenizer/jinja_value.h"

namespace bitnet {

// No text or list of a template may become larger than this.
inline constexpr size_t kLargestJinjaValue = size_t{1} << 24;
void CheckJinjaSize(size_t size);

// The first of `arguments` is the value itself. Throws JinjaError for a name that is not known.
JinjaValue CallJinjaFilter(const std::string& name, const JinjaArguments& arguments);
bool CallJinjaTest(const std::string& name, const JinjaArguments& arguments);
// The same for a method; nothing where such a value has none of this name.
std::optional<JinjaValue> CallJinjaMethod(std::string_view name, const JinjaArguments& arguments);
bool HasJinjaMethod(const JinjaValue& value, std::string_view name);

// value.name and value[index]; undefined where there is no such thing.
JinjaValue GetJinjaAttribute(const JinjaValue& value, const std::string& name);
JinjaValue GetJinjaItem(const JinjaValue& value, const JinjaValue& index);

// An argument that is missing or None is the fallback.
int64_t IntegerOf(const JinjaValue* argument, int64_t fallback, std::string_view what);
// printf's way: "%s %d".
std::string FormatByPercent(const std::string& format, const std::vector<JinjaValue>& values);

}  // namespace bitnet

#endif  // BITNET_PARITY_ENGINE_TOKENIZER_JINJA_LIBRARY_H_
