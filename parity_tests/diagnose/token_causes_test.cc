// Ids that an engine with another tokenizer gives, and what is said of them. The mistakes are made here by other means
// than the table's: on the text, or piece by piece.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "parity_tests/diagnose/causes.h"

namespace parity {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

using Ids = std::vector<int32_t>;

class TokenCausesTest : public testing::Test {
 protected:
  static const bitnet::Model& model() {
    static const bitnet::Model model = bitnet::Model::Load(PARITY_BINARY_DIR "/fixtures/models/kjv-bitnet.tq2_0.gguf");
    return model;
  }
  static const bitnet::Tokenizer& tokenizer() {
    static const bitnet::Tokenizer tokenizer = bitnet::Tokenizer::FromGguf(model().file);
    return tokenizer;
  }
  static Ids Encode(const std::string& text) { return tokenizer().Encode(text, {}); }

  // The causes of an engine that gives `found` for `text`, the most certain first: the same on either side.
  std::vector<std::string> Named(const std::string& text, const Ids& found) {
    Captures captures;
    captures.reference.request.prompt = captures.reference.request.text = text;
    captures.reference.tokens = Encode(text);
    captures.candidate.tokens = found;
    EXPECT_NE(found, captures.reference.tokens) << text;
    Causes causes;
    const OwnModel own = {.model = &model(), .order = nullptr, .problem = {}};
    EXPECT_EQ(TokenCauses(captures, own, causes), AtFault::kCandidate);
    std::swap(captures.reference.tokens, captures.candidate.tokens);
    parity::Causes of_reference;
    EXPECT_EQ(TokenCauses(captures, own, of_reference), AtFault::kReference);
    EXPECT_EQ(of_reference.Sorted().size(), causes.Sorted().size());
    std::vector<std::string> ids;
    for (const Cause& c : causes.Sorted()) ids.push_back(c.id);
    evidence_ = causes.Sorted().empty() ? "" : causes.Sorted().front().evidence;
    return ids;
  }
  std::string evidence_;
};

TEST_F(TokenCausesTest, ATextThatWasChanged) {
  EXPECT_THAT(Named("the  two  spaces", Encode("the two spaces")), ElementsAre("text_changed"));
  EXPECT_THAT(evidence_, HasSubstr("runs of spaces as one"));
  EXPECT_THAT(Named("ends with a space ", Encode("ends with a space")), Contains("text_changed"));
  EXPECT_THAT(Named("e\u0301t\u0065\u0301", Encode("\u00e9t\u00e9")), ElementsAre("text_changed"));
  EXPECT_THAT(evidence_, HasSubstr("normal form C"));
  EXPECT_THAT(Named("And GOD said", Encode("and god said")), ElementsAre("text_changed"));
  EXPECT_THAT(Named("\u00e9", Encode("\u00c3\u00a9")), ElementsAre("text_changed"));
  EXPECT_THAT(evidence_, HasSubstr("Latin-1"));
  EXPECT_THAT(Named("a\\nb", Encode("a\nb")), ElementsAre("text_changed"));
  EXPECT_THAT(Named("\u201cLet there be light\u201d", Encode("\"Let there be light\"")), ElementsAre("text_changed"));
}

TEST_F(TokenCausesTest, PartOfThePrompt) {
  const std::string text = "In the beginning God created the heaven and the earth.";
  Ids ids = Encode(text);
  ids.resize(6);
  EXPECT_THAT(Named(text, ids), ElementsAre("prompt_cut"));
  EXPECT_THAT(evidence_, HasSubstr("the first 6 of"));
  ids = Encode(text);
  ids.erase(ids.begin() + 1, ids.begin() + 4);
  EXPECT_THAT(Named(text, ids), ElementsAre("prompt_cut"));
  EXPECT_THAT(evidence_, HasSubstr("BOS and the last"));
}

TEST_F(TokenCausesTest, SpecialTokens) {
  const std::string text = "the LORD";
  Ids ids = Encode(text);
  ids.push_back(*tokenizer().eos());
  EXPECT_THAT(Named(text, ids), Contains("token_appended"));
  ids = Encode(text);
  ids.front() = 1234;
  EXPECT_THAT(Named(text, ids), ElementsAre("bos_other"));
  const std::string eos = tokenizer().Piece(*tokenizer().eos());
  EXPECT_THAT(
      Named("a" + eos + "b", tokenizer().Encode("a" + eos + "b", {.add_special = true, .parse_special = false})),
      ElementsAre("special_tokens"));
}

// Every piece by itself, then joined as an engine without ranks does.
Ids Pieces(const bitnet::Tokenizer& tokenizer, const std::string& text) {
  Ids ids = {*tokenizer.bos()};
  for (const char c : text) ids.push_back(*tokenizer.Find(std::string(1, c)));
  return ids;
}

TEST_F(TokenCausesTest, OrderOfMerges) {
  const std::string text = "Nebuchadnezzar whithersoever abominations unrighteousness";
  const Ids pieces = Pieces(tokenizer(), text);
  EXPECT_THAT(Named(text, pieces), ElementsAre("merge_order"));
  EXPECT_THAT(evidence_, HasSubstr("no pieces merged"));

  Ids longest = {pieces.front()};
  for (size_t at = 0; at < text.size();) {
    size_t n = std::min<size_t>(text.size() - at, 32);
    while (n > 1 && !tokenizer().Find(text.substr(at, n))) --n;
    longest.push_back(*tokenizer().Find(text.substr(at, n)));
    at += n;
  }
  EXPECT_THAT(Named(text, longest), ElementsAre("merge_order"));

  Ids left = pieces;
  for (size_t i = 0; i + 1 < left.size();) {
    const auto whole = tokenizer().Find(tokenizer().Piece(left[i]) + tokenizer().Piece(left[i + 1]));
    if (whole) {
      left[i] = *whole;
      left.erase(left.begin() + static_cast<ptrdiff_t>(i) + 1);
      i = 0;
    } else {
      ++i;
    }
  }
  EXPECT_THAT(Named(text, left), ElementsAre("merge_order"));
  EXPECT_THAT(evidence_, HasSubstr("leftmost first"));
}

TEST_F(TokenCausesTest, WordsOfAnotherExpression) {
  // GPT-2 takes a space in front of punctuation and of a word; three spaces are two and one.
  const std::string text = "And he\nsaid unto them,\n\n  Go";
  Ids found = {*tokenizer().bos()};
  for (const std::string word : {"And", " he", "\n", "said", " unto", " them", ",", "\n", "\n ", " Go"}) {
    const Ids some = tokenizer().Encode(word, {.add_special = false, .parse_special = false});
    found.insert(found.end(), some.begin(), some.end());
  }
  EXPECT_THAT(Named(text, found), Contains("pre_tokenizer")) << evidence_;
}

// What no row describes is spelled out.
TEST_F(TokenCausesTest, WhatTheIdsSpell) {
  const std::string text = "And the LORD God said";
  Ids ids = Encode(text);
  const std::string piece = tokenizer().Piece(ids[2]);
  ASSERT_EQ(piece, " the");
  ids[2] = *tokenizer().Find(" t");
  ids.insert(ids.begin() + 3, *tokenizer().Find("he"));
  EXPECT_THAT(Named(text, ids), ElementsAre("same_text_split"));
  EXPECT_THAT(evidence_, HasSubstr("from position 2 on"));
  ids = Encode(text);
  ids[2] = ids[3];
  EXPECT_THAT(Named(text, ids), ElementsAre("other_text"));
  ids[2] = 1 << 20;
  EXPECT_THAT(Named(text, ids), ElementsAre("other_text"));
  EXPECT_THAT(evidence_, HasSubstr("outside the vocabulary"));
}

}  // namespace
}  // namespace parity
