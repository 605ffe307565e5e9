#include "parity_tests/harness/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

#include "parity_tests/harness/loaded_model.h"
#include "reference/capture/hash.h"

namespace parity {
namespace {

// Cases that stay on one shard.
struct Piece {
  std::vector<size_t> cases = {};
  uint64_t weight = 0;
};

// The cases of each group, cut where they weigh more than a fair share.
std::vector<Piece> Pieces(const std::vector<std::string>& groups, const std::vector<uint64_t>& weights, size_t shards) {
  const uint64_t total = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  const uint64_t share = std::max<uint64_t>(1, (total + shards - 1) / shards);
  std::vector<Piece> pieces;
  std::vector<std::string> seen;
  for (const std::string& group : groups) {
    if (std::find(seen.begin(), seen.end(), group) != seen.end()) continue;
    seen.push_back(group);
    pieces.emplace_back();
    for (size_t i = 0; i < groups.size(); ++i) {
      if (groups[i] != group) continue;
      if (!pieces.back().cases.empty() && pieces.back().weight + weights[i] > share) pieces.emplace_back();
      pieces.back().cases.push_back(i);
      pieces.back().weight += weights[i];
    }
  }
  return pieces;
}

// As many tokens as English has in so many bytes.
uint64_t BytesAsTokens(const std::string& text) { return text.size() / 4 + 1; }

// Prompt and generated tokens. An estimate where the vocabulary cannot be read.
uint64_t TokensOf(const Request& request) {
  const auto generated = static_cast<uint64_t>(request.max_tokens);
  if (request.token_ids) return request.token_ids->size() + generated;
  try {
    const std::shared_ptr<const bitnet::Tokenizer> tokenizer = LoadTokenizer(request);
    return generated +
           tokenizer->Encode(request.text, {.add_special = request.add_special, .parse_special = request.parse_special})
               .size();
  } catch (const std::exception&) {
    return generated + BytesAsTokens(request.text);
  }
}

}  // namespace

Shard ParseShard(const std::string& text, const std::string& what) {
  Shard shard = {0, 0};
  const char *begin = text.data(), *end = begin + text.size();
  const auto [slash, bad_index] = std::from_chars(begin, end, shard.index);
  bool good = bad_index == std::errc() && slash != end && *slash == '/';
  if (good) {
    const auto [rest, bad_count] = std::from_chars(slash + 1, end, shard.count);
    good = bad_count == std::errc() && rest == end;
  }
  if (!good || shard.index < 1 || shard.index > shard.count) {
    throw std::runtime_error(fmt::format("{}: found '{}', expected i/n with i from 1 to n, as 2/3", what, text));
  }
  return shard;
}

std::vector<size_t> ShareOf(const std::vector<std::string>& groups, const std::vector<uint64_t>& weights, Shard shard) {
  std::vector<Piece> pieces = Pieces(groups, weights, shard.count);
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.weight > b.weight; });
  std::vector<uint64_t> loads(shard.count, 0);
  std::vector<size_t> mine;
  for (const Piece& piece : pieces) {
    const auto least = std::min_element(loads.begin(), loads.end());
    *least += std::max<uint64_t>(1, piece.weight);
    if (static_cast<size_t>(least - loads.begin()) + 1 != shard.index) continue;
    mine.insert(mine.end(), piece.cases.begin(), piece.cases.end());
  }
  std::sort(mine.begin(), mine.end());
  return mine;
}

uint64_t WeightOf(const RunCase& c) {
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(c.request.model, error);
  return (error ? 1 : std::max<uint64_t>(1, bytes)) * TokensOf(c.request);
}

std::vector<RunCase> ShareOf(const std::vector<RunCase>& cases, Shard shard) {
  std::vector<std::string> groups;
  std::vector<uint64_t> weights;
  for (const RunCase& c : cases) {
    groups.push_back(c.planned.names.model);
    weights.push_back(WeightOf(c));
  }
  std::vector<RunCase> mine;
  for (const size_t i : ShareOf(groups, weights, shard)) mine.push_back(cases[i]);
  return mine;
}

void KeepShard(ParityMatrix& matrix, Shard shard) {
  std::vector<std::string> groups;
  std::vector<uint64_t> weights;
  for (const Case& c : matrix.cases) {
    const Prompt& prompt = matrix.prompts[c.prompt];
    groups.push_back(matrix.models[c.model].id);
    std::error_code error;
    const uint64_t bytes = std::filesystem::file_size(matrix.models[c.model].path, error);
    const int generated = matrix.max_tokens.value_or(prompt.max_tokens.value_or(kMaxTokens));
    weights.push_back((error ? 1 : bytes) * (BytesAsTokens(prompt.text) + static_cast<uint64_t>(generated)));
  }
  std::vector<Case> kept;
  for (const size_t i : ShareOf(groups, weights, shard)) kept.push_back(matrix.cases[i]);
  matrix.cases = std::move(kept);
}

void AddContent(RunCase& c, const std::function<std::string(const std::string&)>& hash) {
  nlohmann::json json = ToJson(c.request);
  c.planned.model_blake3 = hash(c.request.model);
  json["model"] = c.planned.model_blake3;
  json["tokenizer"] = c.request.tokenizer.empty() ? "" : hash(c.request.tokenizer);
  c.planned.content = HashText(json.dump());
}

}  // namespace parity
