#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unordered_map>

#include "engine/tokenizer/vocabulary.h"

namespace bitnet {
namespace {

using Json = nlohmann::json;

// The expressions in published tokenizer.json files that the two supported pre-tokenizers stand for.
constexpr std::string_view kLlama3Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// A value with its place in the file, so that every complaint can name it.
class Node {
 public:
  Node(const std::string& file, std::string field, const Json& value)
      : file_(&file), field_(std::move(field)), value_(&value) {}

  [[noreturn]] void Fail(std::string_view expected) const { Fail(expected, Shown()); }
  [[noreturn]] void Fail(std::string_view expected, std::string_view found) const {
    throw std::runtime_error(fmt::format("{}: {}: found {}, expected {}", *file_, field_, found, expected));
  }

  const Json& json() const { return *value_; }
  bool IsNull() const { return value_->is_null(); }

  bool Has(const char* key) const { return value_->is_object() && value_->contains(key); }
  Node At(const char* key) const {
    RequireObject();
    const auto found = value_->find(key);
    const std::string name = field_.empty() ? key : fmt::format("{}.{}", field_, key);
    if (found == value_->end()) {
      throw std::runtime_error(
          fmt::format("{}: {}: missing; is this a Hugging Face tokenizer.json of a byte-level BPE?", *file_, name));
    }
    return Node(*file_, name, *found);
  }
  // A missing key reads as null.
  Node Maybe(const char* key) const {
    static const Json null;
    if (Has(key)) return At(key);
    return Node(*file_, field_.empty() ? key : fmt::format("{}.{}", field_, key), null);
  }
  // A member that was found by iteration.
  Node Item(std::string_view key, const Json& value) const {
    return Node(*file_, fmt::format("{}[\"{}\"]", field_, key), value);
  }
  std::vector<Node> Items() const {
    if (!value_->is_array()) Fail("an array");
    std::vector<Node> items;
    items.reserve(value_->size());
    for (size_t i = 0; i < value_->size(); ++i) {
      items.emplace_back(*file_, fmt::format("{}[{}]", field_, i), (*value_)[i]);
    }
    return items;
  }
  void RequireObject() const {
    if (!value_->is_object()) Fail("an object");
  }
  const std::string& String() const {
    if (!value_->is_string()) Fail("a string");
    return value_->get_ref<const std::string&>();
  }
  bool Bool() const {
    if (!value_->is_boolean()) Fail("true or false");
    return value_->get<bool>();
  }
  bool BoolOr(const char* key, bool fallback) const { return Maybe(key).IsNull() ? fallback : At(key).Bool(); }
  int32_t Id() const {
    const bool fits = value_->is_number_integer() && *value_ >= 0 && *value_ <= std::numeric_limits<int32_t>::max();
    if (!fits) Fail("a token id, 0..2147483647");
    return value_->get<int32_t>();
  }

 private:
  std::string Shown() const {
    constexpr size_t kLongest = 80;
    std::string text = value_->dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
    return text;
  }

  const std::string* file_;
  std::string field_;
  const Json* value_;
};

Json Parse(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw std::runtime_error(fmt::format("{}: cannot be opened; expected a Hugging Face tokenizer.json", path));
  }
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

std::string ReadPreTokenizer(const Node& node) {
  constexpr std::string_view kExpected =
      "ByteLevel with its expression (gpt-2), or Split by the expression of gpt-2 or llama-bpe and then ByteLevel "
      "without one";
  const bool sequence = node.Has("type") && node.At("type").String() == "Sequence";
  const std::vector<Node> parts = sequence ? node.At("pretokenizers").Items() : std::vector<Node>{node};
  if (parts.empty() || parts.size() > 2) node.Fail(kExpected);

  const Node& bytes = parts.back();
  if (bytes.At("type").String() != "ByteLevel") bytes.Fail(kExpected);
  if (bytes.At("add_prefix_space").Bool()) bytes.At("add_prefix_space").Fail("false, the only value supported");
  const bool own_expression = bytes.BoolOr("use_regex", true);
  if (parts.size() == 1) {
    if (!own_expression) node.Fail(kExpected);
    return "gpt-2";
  }

  const Node& split = parts.front();
  if (split.At("type").String() != "Split" || own_expression) node.Fail(kExpected);
  if (split.At("behavior").String() != "Isolated") split.At("behavior").Fail("\"Isolated\", the only value supported");
  if (split.BoolOr("invert", false)) split.At("invert").Fail("false, the only value supported");
  const Node expression = split.At("pattern").At("Regex");
  if (expression.String() == kLlama3Expression) return "llama-bpe";
  if (expression.String() == kGpt2Expression) return "gpt-2";
  expression.Fail("the expression of gpt-2 or llama-bpe");
}

// Added tokens that llama.cpp's converter makes control tokens though the file does not call them special, by their
// looks.
bool LooksSpecial(std::string_view text) {
  const auto between = [&](std::string_view first, std::string_view last) {
    return text.size() >= first.size() + last.size() && text.starts_with(first) && text.ends_with(last);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" || between("<|", "|>") ||
         between("<｜", "｜>") || between("<unused", ">");
}

// Collects tokens by id; each id and each text once.
class TokenTable {
 public:
  void Add(const Node& where, int32_t id, Token token) {
    const auto [by_text, new_text] = id_of_text_.emplace(token.text, id);
    if (!new_text && by_text->second != id) {
      where.Fail("each text with one id",
                 fmt::format("\"{}\" with the ids {} and {}", token.text, by_text->second, id));
    }
    const auto [by_id, new_id] = tokens_.try_emplace(id, token);
    if (new_id) return;
    if (by_id->second.text != token.text) {
      where.Fail("each id once", fmt::format("id {} for \"{}\" and \"{}\"", id, by_id->second.text, token.text));
    }
    by_id->second = std::move(token);
  }
  std::optional<int32_t> Find(const std::string& text) const {
    const auto found = id_of_text_.find(text);
    if (found == id_of_text_.end()) return std::nullopt;
    return found->second;
  }
  std::vector<Token> Take(const Node& where) {
    std::vector<Token> tokens(tokens_.size());
    for (auto& [id, token] : tokens_) {
      if (static_cast<size_t>(id) >= tokens.size()) {
        where.Fail("ids without a gap, with those of added_tokens",
                   fmt::format("{} tokens and among them the id {}", tokens.size(), id));
      }
      tokens[static_cast<size_t>(id)] = std::move(token);
    }
    if (tokens.empty()) where.Fail("at least one token", "none");
    return tokens;
  }

 private:
  std::unordered_map<int32_t, Token> tokens_;
  std::unordered_map<std::string, int32_t> id_of_text_;
};

void ReadModelTokens(const Node& vocab, TokenTable* table) {
  vocab.RequireObject();
  for (const auto& [text, id] : vocab.json().items()) {
    if (text.empty()) vocab.Fail("texts of at least one byte", "a token without text");
    table->Add(vocab, vocab.Item(text, id).Id(), Token{.text = text});
  }
}

void ReadAddedTokens(const Node& added, TokenTable* table) {
  if (added.IsNull()) return;
  for (const Node& item : added.Items()) {
    Token token{.text = item.At("content").String()};
    if (token.text.empty()) item.At("content").Fail("at least one byte");
    const bool control = item.BoolOr("special", false) || LooksSpecial(token.text);
    token.type = control ? TokenType::kControl : TokenType::kUserDefined;
    token.strip_left = item.BoolOr("lstrip", false);
    token.strip_right = item.BoolOr("rstrip", false);
    if (item.BoolOr("single_word", false)) item.At("single_word").Fail("false, the only value supported");
    table->Add(item, item.At("id").Id(), std::move(token));
  }
}

std::vector<std::pair<std::string, std::string>> ReadMerges(const Node& node, const TokenTable& table) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const Node& item : node.Items()) {
    std::string left, right;
    if (item.json().is_string()) {
      const std::string& line = item.String();
      const size_t space = line.find(' ');
      if (space == std::string::npos) item.Fail("two tokens with a space between them");
      left = line.substr(0, space);
      right = line.substr(space + 1);
    } else {
      const std::vector<Node> pair = item.Items();
      if (pair.size() != 2) item.Fail("two tokens");
      left = pair[0].String();
      right = pair[1].String();
    }
    for (const std::string& text : {left, right, left + right}) {
      if (!table.Find(text).has_value())
        item.Fail("tokens of model.vocab", fmt::format("the unknown token \"{}\"", text));
    }
    merges.emplace_back(std::move(left), std::move(right));
  }
  return merges;
}

void RequireModelOptions(const Node& model) {
  if (model.At("type").String() != "BPE") model.At("type").Fail("\"BPE\", the only model supported");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Node affix = model.Maybe(key);
    if (!affix.IsNull() && !affix.String().empty()) affix.Fail("null: byte-level BPE has none");
  }
  const Node dropout = model.Maybe("dropout");
  if (!dropout.IsNull() && dropout.json() != 0) dropout.Fail("null: tokenization must be deterministic");
  if (model.BoolOr("byte_fallback", false)) model.At("byte_fallback").Fail("false: byte-level BPE has no such tokens");
}

// BOS and EOS from a TemplateProcessing, alone or in a Sequence; ByteLevel changes no ids.
void ReadPostProcessor(const Node& node, const TokenTable& table, Vocabulary* vocabulary) {
  if (node.IsNull()) return;
  const Node type_node = node.At("type");
  const std::string& type = type_node.String();
  if (type == "ByteLevel") return;
  if (type == "Sequence") {
    for (const Node& part : node.At("processors").Items()) ReadPostProcessor(part, table, vocabulary);
    return;
  }
  if (type != "TemplateProcessing") type_node.Fail("\"TemplateProcessing\", \"ByteLevel\" or a \"Sequence\" of these");

  bool text_seen = false;
  for (const Node& item : node.At("single").Items()) {
    if (item.Has("Sequence")) {
      if (text_seen) item.Fail("the text once");
      text_seen = true;
      continue;
    }
    const Node name = item.At("SpecialToken").At("id");
    const std::optional<int32_t> id = table.Find(name.String());
    if (!id.has_value()) name.Fail("a token of model.vocab or added_tokens");
    bool& add = text_seen ? vocabulary->add_eos : vocabulary->add_bos;
    if (add) item.Fail("at most one special token before the text and one after it");
    add = true;
    (text_seen ? vocabulary->eos : vocabulary->bos) = id;
  }
  if (!text_seen) node.At("single").Fail("a template with the text (\"Sequence\") in it");
}

// The file itself does not say which tokens these are unless they are added.
void FindByText(const TokenTable& table, std::initializer_list<const char*> texts, std::optional<int32_t>* id) {
  for (const char* text : texts) {
    if (!id->has_value()) *id = table.Find(text);
  }
}

}  // namespace

Vocabulary ReadTokenizerJson(const std::string& path) {
  const Json json = Parse(path);
  const Node root(path, "", json);
  if (!json.is_object()) {
    throw std::runtime_error(fmt::format("{}: found no JSON object, expected a Hugging Face tokenizer.json", path));
  }
  const Node model = root.At("model");
  RequireModelOptions(model);
  const Node normalizer = root.Maybe("normalizer");
  if (!normalizer.IsNull()) normalizer.Fail("null: a byte-level BPE that changes the text is not supported");
  const Node decoder = root.Maybe("decoder");
  if (!decoder.IsNull() && decoder.At("type").String() != "ByteLevel")
    decoder.Fail("ByteLevel, the only one supported");

  Vocabulary vocabulary;
  vocabulary.source = path;
  vocabulary.pre = ReadPreTokenizer(root.At("pre_tokenizer"));
  vocabulary.ignore_merges = model.BoolOr("ignore_merges", false);
  TokenTable table;
  ReadModelTokens(model.At("vocab"), &table);
  vocabulary.merges = ReadMerges(model.At("merges"), table);
  ReadAddedTokens(root.Maybe("added_tokens"), &table);
  ReadPostProcessor(root.Maybe("post_processor"), table, &vocabulary);
  FindByText(table, {"<|begin_of_text|>", "<s>", "<bos>", "<|endoftext|>"}, &vocabulary.bos);
  FindByText(table, {"<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>"}, &vocabulary.eos);
  vocabulary.tokens = table.Take(model.At("vocab"));
  AssignRolesByText(&vocabulary);
  return vocabulary;
}

}  // namespace bitnet
