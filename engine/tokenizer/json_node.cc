#include "engine/tokenizer/json_node.h"

#include <fstream>

namespace bitnet {

nlohmann::json ParseTokenizerJson(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw std::runtime_error(fmt::format("{}: cannot be opened; expected a Hugging Face tokenizer.json", path));
  }
  using Json = nlohmann::json;
  // Deeper than any tokenizer.json, and shallow enough to be printed by recursion.
  constexpr int kMaxDepth = 64;
  const auto check_depth = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxDepth) {
      throw std::runtime_error(
          fmt::format("{}: found JSON nested deeper than {}, expected a Hugging Face tokenizer.json", path, kMaxDepth));
    }
    return true;
  };
  try {
    return Json::parse(in, check_depth);
  } catch (const Json::exception& e) {
    throw std::runtime_error(fmt::format(
        "{}: found no valid JSON ({}), expected a Hugging Face tokenizer.json; is the file complete?", path, e.what()));
  }
}

}  // namespace bitnet
