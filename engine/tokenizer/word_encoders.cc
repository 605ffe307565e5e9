#include "engine/tokenizer/word_encoders.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

#include "engine/tokenizer/json_pattern.h"
#include "engine/tokenizer/normalizers.h"
#include "engine/tokenizer/pair_merges.h"
#include "engine/tokenizer/token_prefixes.h"
#include "engine/tokenizer/unigram.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/wordpiece.h"

namespace bitnet {
namespace {

using IdOfText = std::unordered_map<std::string, int32_t>;

IdOfText IdsOf(const std::vector<ModelToken>& tokens) {
  IdOfText ids;
  ids.reserve(tokens.size());
  for (const ModelToken& token : tokens) ids.emplace(token.text, token.id);
  return ids;
}

std::optional<int32_t> FindId(const IdOfText& ids, const std::string& text) {
  const auto found = ids.find(text);
  if (found == ids.end()) return std::nullopt;
  return found->second;
}

TokenPrefixes PrefixesOf(const std::vector<ModelToken>& tokens) {
  std::vector<TokenPrefixes::Entry> entries;
  entries.reserve(tokens.size());
  for (const ModelToken& token : tokens) entries.push_back({token.text, token.id});
  return TokenPrefixes(std::move(entries));
}

std::string StringOr(const JsonNode& node, const char* key, std::string fallback) {
  const JsonNode value = node.Maybe(key);
  return value.IsNull() ? std::move(fallback) : value.String();
}

// The token for what is no token; it may be missing until it is needed.
class UnknownToken {
 public:
  UnknownToken(const JsonNode& field, std::optional<int32_t> id) : field_(field.Name()), id_(id) {}

  std::optional<int32_t> id() const { return id_; }
  int32_t Require(std::string_view text) const {
    if (id_.has_value()) return *id_;
    throw std::runtime_error(fmt::format("{}: found no token of model.vocab for text that is none ({:?}), expected one",
                                         field_, text.substr(0, 40)));
  }

 private:
  std::string field_;
  std::optional<int32_t> id_;
};

UnknownToken ReadUnknown(const JsonNode& model, const IdOfText& ids, const char* fallback) {
  const JsonNode field = model.Maybe("unk_token");
  if (field.IsNull()) return {field, fallback == nullptr ? std::nullopt : FindId(ids, fallback)};
  return {field, FindId(ids, field.String())};
}

// The tokens of single bytes; nothing unless all bytes of `text` have one.
class ByteTokens {
 public:
  explicit ByteTokens(const IdOfText& ids) {
    for (size_t byte = 0; byte < ids_.size(); ++byte) {
      ids_[byte] = FindId(ids, HexTextOfByte(static_cast<uint8_t>(byte))).value_or(-1);
    }
  }
  std::optional<std::vector<int32_t>> Of(std::string_view text) const {
    std::vector<int32_t> ids;
    for (const char c : text) {
      const int32_t id = ids_[static_cast<unsigned char>(c)];
      if (id < 0) return std::nullopt;
      ids.push_back(id);
    }
    return ids;
  }

 private:
  std::array<int32_t, 256> ids_;
};

struct BytePairOptions {
  std::string prefix, suffix;  // of a character that does not begin a word, and of one that ends it
  bool ignore_merges, byte_fallback, fuse_unknown, has_unknown;
};

// Source: BPE::merge_word in tokenizers 0.23.
std::vector<PairMerges::Symbol> StartSymbols(std::string_view word, const IdOfText& ids, const ByteTokens& bytes,
                                             const UnknownToken& unknown, const BytePairOptions& options) {
  std::vector<PairMerges::Symbol> symbols;
  const auto add = [&](int32_t id) {
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1});
  };
  bool unknown_is_due = false;
  const auto end_unknown = [&] {
    if (unknown_is_due) add(unknown.Require(word));
    unknown_is_due = false;
  };
  for (size_t position = 0; position < word.size();) {
    const size_t begin = position;
    NextCodePoint(word, &position);
    std::string text(word.substr(begin, position - begin));
    if (begin > 0) text.insert(0, options.prefix);
    if (position == word.size()) text += options.suffix;
    if (const auto id = FindId(ids, text)) {
      end_unknown();
      add(*id);
      continue;
    }
    if (options.byte_fallback) {
      // An unknown character before these comes after them, as it does there.
      if (const auto fallback = bytes.Of(text)) {
        for (const int32_t id : *fallback) add(id);
        continue;
      }
    }
    if (!options.has_unknown) continue;  // the character vanishes
    if (!options.fuse_unknown) end_unknown();
    unknown_is_due = true;
  }
  end_unknown();
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

PairMerges ReadMerges(const JsonNode& node, const IdOfText& ids, const std::string& prefix) {
  const std::vector<std::pair<std::string, std::string>> pairs = ReadMergePairs(node);
  PairMerges merges;
  merges.Reserve(pairs.size());
  for (size_t rank = pairs.size(); rank > 0; --rank) {  // of a pair that is there twice the last counts
    const auto& [left, right] = pairs[rank - 1];
    const auto id_of = [&](const std::string& text) {
      const auto id = FindId(ids, text);
      if (!id.has_value()) {
        node.At(rank - 1).Fail("tokens of model.vocab", fmt::format("the unknown token \"{}\"", text));
      }
      return *id;
    };
    const std::string behind_prefix = right.starts_with(prefix) ? right.substr(prefix.size()) : right;
    merges.Add(id_of(left), id_of(right), static_cast<int32_t>(rank - 1), id_of(left + behind_prefix));
  }
  return merges;
}

WordEncoder ReadBytePairsEncoder(const JsonNode& model) {
  const JsonNode dropout = model.Maybe("dropout");
  if (!dropout.IsNull() && dropout.json() != 0) dropout.Fail("null: tokenization must be deterministic");
  IdOfText ids = IdsOf(ReadModelTokens(model));
  BytePairOptions options;
  options.prefix = StringOr(model, "continuing_subword_prefix", "");
  options.suffix = StringOr(model, "end_of_word_suffix", "");
  options.ignore_merges = model.BoolOr("ignore_merges", false);
  options.byte_fallback = model.BoolOr("byte_fallback", false);
  options.fuse_unknown = model.BoolOr("fuse_unk", false);
  options.has_unknown = !model.Maybe("unk_token").IsNull();
  PairMerges merges = ReadMerges(model.At("merges"), ids, options.prefix);
  UnknownToken unknown = ReadUnknown(model, ids, nullptr);
  const ByteTokens bytes(ids);
  return [ids = std::move(ids), merges = std::move(merges), unknown = std::move(unknown), bytes, options](
             const std::string& word, std::vector<int32_t>* out) {
    if (options.ignore_merges) {
      if (const auto id = FindId(ids, word)) {
        out->push_back(*id);
        return;
      }
    }
    std::vector<PairMerges::Symbol> symbols = StartSymbols(word, ids, bytes, unknown, options);
    merges.Merge(&symbols);
    for (const PairMerges::Symbol& symbol : symbols) {
      if (symbol.id != PairMerges::kMerged) out->push_back(symbol.id);
    }
  };
}

WordEncoder ReadUnigramEncoder(const JsonNode& model) {
  constexpr double kUnknownPenalty = 10;
  const std::vector<ModelToken> tokens = ReadModelTokens(model);
  std::vector<double> scores;
  double lowest = std::numeric_limits<double>::max();
  for (const ModelToken& token : tokens) {
    scores.push_back(token.score);
    lowest = std::min(lowest, token.score);
  }
  IdOfText ids = IdsOf(tokens);
  const JsonNode unknown_node = model.Maybe("unk_id");
  std::optional<int32_t> unknown_id;
  if (!unknown_node.IsNull()) unknown_id = unknown_node.Id();
  if (unknown_id.has_value() && static_cast<size_t>(*unknown_id) >= tokens.size()) {
    unknown_node.Fail(fmt::format("one of the {} tokens", tokens.size()));
  }
  const bool byte_fallback = model.BoolOr("byte_fallback", false);
  return [lattice = UnigramLattice(PrefixesOf(tokens), std::move(scores), lowest - kUnknownPenalty),
          bytes = ByteTokens(ids), ids = std::move(ids), unknown = UnknownToken(unknown_node, unknown_id),
          byte_fallback](const std::string& word, std::vector<int32_t>* out) {
    const std::vector<UnigramLattice::Segment> segments = lattice.Split(word);
    const auto is_unknown = [&](size_t i) { return segments[i].id < 0 || segments[i].id == unknown.id(); };
    for (size_t i = 0; i < segments.size();) {
      if (!is_unknown(i)) {
        out->push_back(segments[i++].id);
        continue;
      }
      const size_t begin = segments[i].begin;
      while (i < segments.size() && is_unknown(i)) ++i;  // neighbours are one
      const std::string text = word.substr(begin, i < segments.size() ? segments[i].begin - begin : std::string::npos);
      const auto fallback = byte_fallback ? bytes.Of(text) : std::nullopt;
      if (const auto id = FindId(ids, text)) {
        out->push_back(*id);
      } else if (fallback.has_value()) {
        out->insert(out->end(), fallback->begin(), fallback->end());
      } else {
        out->push_back(unknown.Require(text));
      }
    }
  };
}

WordEncoder ReadWordPieceEncoder(const JsonNode& model) {
  const std::vector<ModelToken> tokens = ReadModelTokens(model);
  TokenPrefixes prefixes = PrefixesOf(tokens);
  // Where the tokens that continue a word begin; a place of nothing where there is none.
  TokenPrefixes::Place next = prefixes.Start();
  for (const char c : StringOr(model, "continuing_subword_prefix", "##")) {
    if (!prefixes.Advance(c, &next)) {
      next.end = next.begin;
      break;
    }
  }
  const JsonNode longest = model.Maybe("max_input_chars_per_word");
  const size_t n_longest = longest.IsNull() ? 100 : static_cast<size_t>(longest.Id());
  return [prefixes = std::move(prefixes), next, n_longest, unknown = ReadUnknown(model, IdsOf(tokens), "[UNK]")](
             const std::string& word, std::vector<int32_t>* out) {
    const auto n_characters =
        static_cast<size_t>(std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    const bool split = n_characters <= n_longest && SplitWord(prefixes, word, prefixes.Start(), next, out);
    if (!split) out->push_back(unknown.Require(word));
  };
}

WordEncoder ReadWordLevelEncoder(const JsonNode& model) {
  IdOfText ids = IdsOf(ReadModelTokens(model));
  UnknownToken unknown = ReadUnknown(model, ids, "<unk>");
  return [ids = std::move(ids), unknown = std::move(unknown)](const std::string& word, std::vector<int32_t>* out) {
    const auto id = FindId(ids, word);
    out->push_back(id.has_value() ? *id : unknown.Require(word));
  };
}

constexpr ReaderRow<WordEncoder> kWordEncoders[] = {{"BPE", ReadBytePairsEncoder},
                                                    {"Unigram", ReadUnigramEncoder},
                                                    {"WordLevel", ReadWordLevelEncoder},
                                                    {"WordPiece", ReadWordPieceEncoder}};

TokenDecoder ReadNothing(const JsonNode&) {
  return [](std::string text) { return text; };
}

TokenDecoder ReadByteLevelDecoder(const JsonNode&) {
  return [](std::string text) { return BytesOf(text).value_or(text); };
}

TokenDecoder ReadByteFallbackDecoder(const JsonNode&) {
  return [](std::string text) {
    const auto byte = ByteOfHexText(text);
    return byte.has_value() ? std::string(1, *byte) : text;
  };
}

TokenDecoder ReadMetaspaceDecoder(const JsonNode& node) {
  return [replacement = node.At("replacement").String()](const std::string& text) {
    std::string spaces;
    for (size_t begin = 0; begin < text.size();) {
      const bool found = !replacement.empty() && text.compare(begin, replacement.size(), replacement) == 0;
      spaces += found ? ' ' : text[begin];
      begin += found ? replacement.size() : 1;
    }
    return spaces;
  };
}

TokenDecoder ReadWordPieceDecoder(const JsonNode& node) {
  return [prefix = StringOr(node, "prefix", "##")](const std::string& text) {
    return text.starts_with(prefix) ? text.substr(prefix.size()) : " " + text;
  };
}

TokenDecoder ReadBytePairDecoder(const JsonNode& node) {
  return [suffix = StringOr(node, "suffix", "</w>")](const std::string& text) {
    return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) + " " : text;
  };
}

TokenDecoder ReadSequenceDecoder(const JsonNode& node) {
  std::vector<TokenDecoder> steps;
  for (const JsonNode& item : node.At("decoders").Items()) steps.push_back(ReadTokenDecoder(item));
  return [steps = std::move(steps)](std::string text) {
    for (const TokenDecoder& step : steps) text = step(std::move(text));
    return text;
  };
}

// What Fuse and Strip do concerns the whole text, of which a token knows nothing.
constexpr ReaderRow<TokenDecoder> kDecoders[] = {
    {"BPEDecoder", ReadBytePairDecoder}, {"ByteFallback", ReadByteFallbackDecoder},
    {"ByteLevel", ReadByteLevelDecoder}, {"Fuse", ReadNothing},
    {"Metaspace", ReadMetaspaceDecoder}, {"Replace", ReadNormalizer},
    {"Sequence", ReadSequenceDecoder},   {"Strip", ReadNothing},
    {"WordPiece", ReadWordPieceDecoder},
};

}  // namespace

std::vector<ModelToken> ReadModelTokens(const JsonNode& model) {
  const JsonNode vocab = model.At("vocab");
  std::vector<ModelToken> tokens;
  if (model.At("type").String() == "Unigram") {
    for (const JsonNode& item : vocab.Items()) {
      const std::vector<JsonNode> pair = item.Items();
      if (pair.size() != 2) item.Fail("a token and its score");
      tokens.push_back({pair[0].String(), static_cast<int32_t>(tokens.size()), pair[1].Number()});
    }
    return tokens;
  }
  vocab.RequireObject();
  for (const auto& [text, id] : vocab.json().items()) tokens.push_back({text, vocab.Item(text, id).Id()});
  return tokens;
}

std::vector<std::pair<std::string, std::string>> ReadMergePairs(const JsonNode& merges) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const JsonNode& item : merges.Items()) {
    if (item.json().is_string()) {
      const std::string& line = item.String();
      const size_t space = line.find(' ');
      if (space == std::string::npos) item.Fail("two tokens with a space between them");
      pairs.emplace_back(line.substr(0, space), line.substr(space + 1));
      continue;
    }
    const std::vector<JsonNode> pair = item.Items();
    if (pair.size() != 2) item.Fail("two tokens");
    pairs.emplace_back(pair[0].String(), pair[1].String());
  }
  return pairs;
}

WordEncoder ReadWordEncoder(const JsonNode& model) { return ReadByType<WordEncoder>(model, kWordEncoders); }

TokenDecoder ReadTokenDecoder(const JsonNode& node) {
  if (node.IsNull()) return ReadNothing(node);
  return ReadByType<TokenDecoder>(node, kDecoders);
}

}  // namespace bitnet
