#include "reference/capture/request.h"
#include "reference/capture/error_for_test.h"
#include "reference/capture/quote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "reference/capture/json_fields.h"
#include "reference/capture/kv_override.h"

namespace parity {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string ErrorOfDocument(const json& document) {
  return ErrorOf([&] { RequestFromJson(document, "request.json"); });
}

Request FullRequest() {
  Request request;
  request.model = "model.gguf";
  request.tokenizer = "tokenizer.json";
  request.prompt = "What is 2+2?";
  request.prompt_template = "instruct";
  request.text = "Q: What is 2+2?\nA:";
  request.add_special = false;
  request.parse_special = false;
  request.token_ids = std::vector<int32_t>{1, 2, 3};
  request.positions = 4;
  request.max_tokens = 5;
  request.ignore_eos = false;
  request.schedule = Schedule::kTokenByToken;
  request.n_ctx = 512;
  request.n_ubatch = 64;
  request.threads = 3;
  request.seed = ~uint64_t{0};
  request.trace = "core";
  request.raw_tensors = true;
  request.cpu_variant = "haswell";
  request.i2s_layout = "arm/0+-";
  request.override_kv = {"bitnet.rope.freq_base=float:5e5", "general.name=str:a=b:c", "x=int:-3", "y=bool:true"};
  request.extra = json{{"note", "kept"}};
  return request;
}

TEST(RequestTest, EveryFieldSurvives) {
  const Request request = FullRequest();
  // Through text, as it goes to another process.
  const json document = json::parse(ToJson(request).dump());
  const Request read = RequestFromJson(document, "request.json");
  EXPECT_EQ(ToJson(read), ToJson(request));
  EXPECT_EQ(read.seed, request.seed);
  EXPECT_EQ(read.token_ids, request.token_ids);
  EXPECT_EQ(read.schedule, Schedule::kTokenByToken);
  EXPECT_EQ(read.extra, request.extra);
  std::vector<std::string> keys;
  for (const auto& item : document.items()) keys.push_back(item.key());
  EXPECT_THAT(keys,
              testing::UnorderedElementsAre("schema", "model", "tokenizer", "prompt", "prompt_template", "text",
                                            "add_special", "parse_special", "token_ids", "positions", "max_tokens",
                                            "ignore_eos", "schedule", "n_ctx", "n_ubatch", "threads", "seed", "trace",
                                            "raw_tensors", "cpu_variant", "i2s_layout", "override_kv", "note"));
  // No two fields share a key, and each is read: a change of the document changes the request.
  for (const auto& [key, value] : document.items()) {
    if (key == "schema") continue;
    json other = document;
    other.erase(key);
    if (key == "model") {
      EXPECT_THAT(ErrorOfDocument(other),
                  AllOf(HasSubstr("request.json"), HasSubstr("model"), HasSubstr("missing key")));
    } else {
      EXPECT_NE(ToJson(RequestFromJson(other, "")), document) << key;
    }
  }
}

TEST(RequestTest, OverridesAreAbsentUnlessGiven) {
  Request request = FullRequest();
  request.override_kv.clear();
  request.i2s_layout.clear();
  EXPECT_FALSE(ToJson(request).contains("i2s_layout"));
  EXPECT_FALSE(ToJson(request).contains("override_kv"));
  EXPECT_EQ(std::get<double>(ParseKvOverride("k=float:5e5").value), 5e5);
  EXPECT_EQ(std::get<int64_t>(ParseKvOverride("k=int:-3").value), -3);
  EXPECT_EQ(std::get<std::string>(ParseKvOverride("k=str:a=b:c").value), "a=b:c");
  EXPECT_EQ(ParseKvOverride("general.name=str:").key, "general.name");
}

TEST(RequestTest, BytesThatAreNotUtf8Survive) {
  Request request;
  request.model = "m";
  request.text = std::string("half \xf0\x9f a \0 nul", 13);
  const json document = json::parse(ToJson(request).dump());
  EXPECT_TRUE(document["text"].is_object());
  EXPECT_EQ(RequestFromJson(document, "").text, request.text);
}

TEST(RequestTest, WrongTypesAndValuesAreNamed) {
  const struct {
    const char* key;
    json value;
    const char* says;
  } cases[] = {
      {"schema", "bitnet-parity/request/2", "expected 'bitnet-parity/request/1'"},
      {"model", 7, "expected a string"},
      {"text", {{"bytes_hex", "abc"}}, "odd number"},
      {"text", {{"bytes_hex", "zz"}}, "not a hex digit"},
      {"add_special", "yes", "expected true or false"},
      {"token_ids", {1, -1}, "token_ids[1]"},
      {"token_ids", {1.5}, "token_ids[0]"},
      {"token_ids", "1,2", "expected an array"},
      {"positions", -1, "expected at least 0"},
      {"max_tokens", 4294967296, "expected an integer of 32 bits"},
      {"n_ctx", -5, "expected at least 0"},
      {"n_ubatch", 0, "expected at least 1"},
      {"threads", 0, "expected at least 1"},
      {"seed", -1, "not negative"},
      {"schedule", "sometimes", "expected batch or token-by-token"},
      {"override_kv", {"x"}, "found 'x', expected KEY=TYPE:VALUE"},
      {"override_kv", {"=int:1"}, "expected KEY=TYPE:VALUE"},
      {"override_kv", {"x=int:1.5"}, "a whole number"},
      {"override_kv", {"x=float:many"}, "a number behind float:"},
      {"override_kv", {"x=bool:1"}, "true or false"},
      {"override_kv", {"x=u32:1"}, "one of the types"},
      {"override_kv", {"x=str:" + std::string(128, 'a')}, "at most 127"},
      {"prompt_template", "auto", "expected the template that made the text"},
  };
  for (const auto& c : cases) {
    json document = ToJson(FullRequest());
    document[c.key] = c.value;
    EXPECT_THAT(ErrorOfDocument(document), AllOf(HasSubstr("request.json"), HasSubstr(c.key), HasSubstr(c.says)));
  }
  EXPECT_THAT(ErrorOfDocument(json::array()), HasSubstr("expected an object"));
}

TEST(RequestTest, ARequestNeedsTextOrIds) {
  json document = {{"schema", "bitnet-parity/request/1"}, {"model", "m"}};
  EXPECT_THAT(ErrorOfDocument(document), HasSubstr("text: missing key"));
  document["token_ids"] = json::array();
  EXPECT_EQ(RequestFromJson(document, "").token_ids, std::vector<int32_t>{});
}

TEST(Utf8Test, TellsTextFromBytes) {
  for (const char* good :
       {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsValidUtf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xff", "a\xc2z"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
  // What is called text here must be text for the JSON library too.
  for (unsigned lead = 0x80; lead < 0x100; ++lead) {
    for (unsigned second = 0; second < 0x100; ++second) {
      const std::string text = {static_cast<char>(lead), static_cast<char>(second), '\x80', '\x80'};
      for (size_t n = 1; n <= 4; ++n) {
        const std::string part = text.substr(0, n);
        EXPECT_NO_THROW(TextToJson(part).dump());
        const std::string kept = json(part).dump(-1, ' ', false, json::error_handler_t::ignore);
        EXPECT_EQ(kept == '"' + part + '"', IsValidUtf8(part)) << lead << " " << second << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace parity
