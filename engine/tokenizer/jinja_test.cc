#include "engine/tokenizer/jinja.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/tokenizer/jinja_for_test.h"
#include "engine/tokenizer/jinja_value.h"

namespace bitnet {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const nlohmann::ordered_json kContext = {
    {"messages", {{{"role", "system"}, {"content", " S\n"}}, {{"role", "user"}, {"content", "Grüße"}}}},
    {"add_generation_prompt", true},
    {"bos_token", "<s>"}};

std::string Render(std::string_view source) { return ChatTemplate(source).Render(kContext); }

std::string ErrorOf(std::string_view source) {
  try {
    Render(source);
  } catch (const JinjaError& error) {
    return error.what();
  }
  return "";
}

// jinja_parity_test has every construct, beside Python's jinja2; these run without it.
TEST(JinjaTest, Renders) {
  EXPECT_EQ(Render("{{ bos_token }}{% for m in messages %}[{{ m.role }}:{{ m['content'] | trim }}]{% endfor %}"),
            "<s>[system:S][user:Grüße]");
  EXPECT_EQ(
      Render("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}"),
      "2");
  EXPECT_EQ(Render("{% macro m(a, b='x') %}{{ a ~ b }}{% endmacro %}{{ m(1) }}{{ m(2, b=3) }}"), "1x23");
  EXPECT_EQ(Render("a\n  {% if add_generation_prompt %}\nb\n  {% endif %}\nc\n"), "a\nb\nc");
  EXPECT_EQ(Render("a  {{- 'b' -}}  c"), "abc");
  EXPECT_EQ(Render("{{ messages[1].content | tojson }} {{ messages[0] }}"),
            "\"Grüße\" {'role': 'system', 'content': ' S\\n'}");
  EXPECT_EQ(Render("{{ messages[1].content[1:3] | length }}{{ nothing }}{{ nothing is defined }}"), "2False");
  EXPECT_EQ(Render(""), "");
}

TEST(JinjaTest, ErrorsNameTheLineAndTheThing) {
  EXPECT_THAT(ErrorOf("a\n{% if %}"), HasSubstr("line 2: found the end of the tag, expected a value"));
  EXPECT_THAT(ErrorOf("{% if 1 %}"), HasSubstr("expected {% endif %}"));
  EXPECT_THAT(ErrorOf("{{ 'a }}"), HasSubstr("a string without its end"));
  EXPECT_THAT(ErrorOf("{{ (1] }}"), HasSubstr("unexpected ']'"));
  EXPECT_THAT(ErrorOf("{# a"), HasSubstr("a comment without its end"));
  EXPECT_THAT(ErrorOf("\n\n{{ 1 | wordwrap }}"), StartsWith("line 3: the filter \"wordwrap\" is not supported"));
  EXPECT_THAT(ErrorOf("{{ 1 is sameas 2 }}"), HasSubstr("the test \"sameas\""));
  EXPECT_THAT(ErrorOf("{% import 'x' as y %}"), HasSubstr("the block \"import\" is not supported"));
  EXPECT_THAT(ErrorOf("{{ nothing.more }}"), HasSubstr("'nothing' is undefined"));
  EXPECT_THAT(ErrorOf("{{ strftime_now('%Y') }}"), HasSubstr("'strftime_now' is undefined"));
  EXPECT_THAT(ErrorOf("{{ messages.append(1) }}"), HasSubstr("'append' of a list is undefined"));
  EXPECT_THAT(ErrorOf("{{ 1 + 'a' }}"), HasSubstr("+ of a int and a str"));
  EXPECT_THAT(ErrorOf("{{ 1 // 0 }}"), HasSubstr("division by zero"));
  EXPECT_THAT(ErrorOf("{{ raise_exception('no') }}"), HasSubstr("the template says: no"));
  EXPECT_THAT(ErrorOf("{% set messages.x = 1 %}"), HasSubstr("no namespace"));
}

// Nothing that a template asks for is without a limit.
TEST(JinjaTest, Limits) {
  EXPECT_THAT(ErrorOf("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
              HasSubstr("does not come to an end"));
  EXPECT_THAT(ErrorOf("{{ range(1000000000) }}"), HasSubstr("more than 100000"));
  EXPECT_THAT(ErrorOf("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("too deep in each other"));
  EXPECT_THAT(ErrorOf("{{ 'a' * 100000000000 }}"), HasSubstr("more than 16777216 bytes"));
  EXPECT_THAT(ErrorOf("{{ 9223372036854775 * 9223372036854775 }}"), HasSubstr("too large"));
  EXPECT_THAT(
      ErrorOf("{% set ns = namespace(a='xx') %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}"),
      HasSubstr("does not come to an end"));
  EXPECT_THAT(
      ErrorOf("{% set ns = namespace(a=[1]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}"),
      HasSubstr("too large"));
  EXPECT_THAT(ErrorOf("{% set ns = namespace() %}{% set ns.a = [ns] %}"), HasSubstr("a namespace inside a namespace"));
  std::string deep = "{{ ", chain = "{{ 1";
  for (int i = 0; i < 100000; ++i) {
    deep += "(";
    chain += " + 1";
  }
  EXPECT_THAT(ErrorOf(deep + std::string(100000, ')') + " }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf(chain + " }}"), HasSubstr("more than"));
  std::string blocks;
  for (int i = 0; i < 100000; ++i) blocks += "{% if 1 %}";
  EXPECT_THAT(ErrorOf(blocks), HasSubstr("nested deeper"));
}

constexpr const char* kTemplatePieces[] = {"{% for m in messages %}",
                                           "{% endfor %}",
                                           "{% if ",
                                           "{% endif %}",
                                           "{% else %}",
                                           "{{ ",
                                           " }}",
                                           " %}",
                                           "{%- ",
                                           " -%}",
                                           "{# ",
                                           " #}",
                                           "{% set x = ",
                                           "{% set ns.x = ",
                                           "{% macro f(a, b=1) %}",
                                           "{% endmacro %}",
                                           "messages",
                                           "m.content",
                                           "ns",
                                           "x",
                                           "namespace(a=1)",
                                           "range(5)",
                                           "loop.index",
                                           " | length",
                                           " | tojson",
                                           " | join(', ')",
                                           " | map(attribute='role') | list",
                                           " | selectattr('role', 'equalto', 'user')",
                                           " | replace('a', 'bb')",
                                           " | indent(4)",
                                           " | sort",
                                           " | dictsort",
                                           " + ",
                                           " ~ ",
                                           " * ",
                                           " ** ",
                                           " // ",
                                           " % ",
                                           " - ",
                                           "-",
                                           " and ",
                                           " not in ",
                                           " in ",
                                           " is defined",
                                           " is divisibleby 3",
                                           " == ",
                                           " < ",
                                           "[0]",
                                           "[-1:]",
                                           "[::2]",
                                           "[",
                                           "]",
                                           "(",
                                           ")",
                                           "{'a': 1, 'b': [1, 2]}",
                                           "'text'",
                                           "\"é\"",
                                           "1",
                                           "2.5",
                                           "99999999999",
                                           "none",
                                           "true",
                                           ".split(' ')",
                                           ".items()",
                                           ".get('a')",
                                           "f(1)",
                                           "f",
                                           "\n",
                                           "  ",
                                           "{% raw %}",
                                           "{% endraw %}",
                                           "{% break %}",
                                           "{% generation %}",
                                           "{% endgeneration %}",
                                           "{% filter upper %}",
                                           "{% endfilter %}",
                                           "\\",
                                           "\xFF",
                                           "=",
                                           ",",
                                           ":",
                                           "."};

// Pieces of templates, in any order and broken: a text or an error.
TEST(JinjaTest, FuzzedTemplatesNeverCrash) {
  const std::vector<std::string> pieces(std::begin(kTemplatePieces), std::end(kTemplatePieces));
  std::mt19937 random(1);
  const char* rounds = std::getenv("PARITY_FUZZ_ROUNDS");
  int rendered = 0, refused = 0;
  for (long i = rounds == nullptr ? 3000 : std::atol(rounds); i > 0; --i) {
    std::string source;
    if (random() % 3 == 0) source = kJinja[random() % std::size(kJinja)].second;
    for (size_t n = random() % 12; n > 0; --n) {
      const std::string& piece = pieces[random() % pieces.size()];
      const size_t at = source.empty() || random() % 2 == 0 ? source.size() : random() % source.size();
      if (random() % 5 == 0) {
        source.erase(at, random() % 6);
      } else {
        source.insert(at, random() % 2 == 0 ? "{{ " + piece + " }}" : piece);
      }
    }
    try {
      Render(source);
      ++rendered;
    } catch (const JinjaError&) {
      ++refused;
    }
  }
  EXPECT_GT(rendered, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace bitnet
