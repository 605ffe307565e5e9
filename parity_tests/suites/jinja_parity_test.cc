// Our Jinja against Python's jinja2, as transformers sets it up: the chat templates that llama.cpp ships, those of the
// models that bitnet.cpp runs, and small templates for each construct. Without python3 and its jinja2 the tests are
// skipped with the reason.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/tokenizer/jinja.h"
#include "engine/tokenizer/jinja_for_test.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/process.h"

namespace parity {
namespace {

using Json = nlohmann::ordered_json;

struct Source {
  std::string name, jinja;
};

std::string Missing() {
  static const std::string reason = [] {
    const ProcessResult python = RunProcess({"python3", "-c", "import jinja2"}, std::chrono::seconds(30));
    return python.ok() ? ""
                       : fmt::format("python3 with jinja2: not there; apt-get install python3-jinja2 ({})",
                                     python.start_error.empty() ? python.Describe() : python.start_error);
  }();
  return reason;
}

Json Turn(const char* role, const char* content) { return {{"role", role}, {"content", content}}; }

std::vector<Json> Contexts() {
  const Json call = {{"id", "call12345"},
                     {"type", "function"},
                     {"function", {{"name", "weather"}, {"arguments", {{"city", "Zürich"}, {"n", 3}}}}}};
  const Json tool = {{"type", "function"},
                     {"function",
                      {{"name", "weather"},
                       {"description", "The <weather> \"today\""},
                       {"parameters",
                        {{"type", "object"},
                         {"properties", {{"city", {{"type", "string"}, {"enum", {"a", "b"}}}}}},
                         {"required", {"city"}}}}}}};
  Json calling = {{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({call})}};
  Json answer = {{"role", "tool"}, {"content", "{\"t\": 3}"}, {"tool_call_id", "call12345"}, {"name", "weather"}};
  const std::vector<Json> conversations = {
      Json::array({Turn("user", "What is 2+2?")}),
      Json::array({Turn("system", " Be \"kind\" & brief.\n"), Turn("user", " naïve 👍🏽\n two lines \n")}),
      Json::array({Turn("user", "A"), Turn("assistant", "<think>x</think> B"), Turn("user", "")}),
      Json::array({Turn("user", "weather?"), calling, answer, Turn("user", "thanks")})};
  std::vector<Json> contexts;
  for (const Json& messages : conversations) {
    for (const bool with_tools : {false, true}) {
      Json context = {
          {"messages", messages}, {"add_generation_prompt", !with_tools}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
      if (with_tools) context["tools"] = Json::array({tool});
      contexts.push_back(context);
    }
  }
  return contexts;
}

struct Counts {
  int same = 0, refused = 0, raised = 0;
};

// Every text is the same, but for templates that we refuse or that jinja2 does not run either.
Counts Compare(const std::vector<Source>& sources, const std::vector<Json>& contexts) {
  const TemporaryDirectory directory;
  const std::string in = directory.path() + "/in", out = directory.path() + "/out";
  std::ofstream lines(in);
  for (const Source& source : sources) lines << Json{{"template", source.jinja}, {"contexts", contexts}}.dump() << '\n';
  lines.close();
  const ProcessResult result = RunProcess({"sh", "-c", R"(exec python3 "$0" < "$1" > "$2")",
                                           PARITY_SOURCE_DIR "/parity_tests/suites/jinja_render.py", in, out},
                                          TimeLimit());
  EXPECT_TRUE(result.ok()) << result.Describe() << "\n" << result.last_words;
  Counts counts;
  std::ifstream answers(out);
  for (const Source& source : sources) {
    std::string line;
    if (!std::getline(answers, line)) {
      ADD_FAILURE() << "no answer for " << source.name;
      return counts;
    }
    const Json texts = Json::parse(line);
    std::string refusal;
    for (size_t i = 0; i < contexts.size(); ++i) {
      try {
        const std::string ours = bitnet::ChatTemplate(source.jinja).Render(contexts[i]);
        if (texts[i].is_null()) {
          ++counts.raised;
          std::cout << fmt::format("{}, context {}: an error in jinja2, here {:?}\n", source.name, i,
                                   ours.substr(0, 200));
          continue;
        }
        EXPECT_EQ(ours, texts[i].get<std::string>()) << source.name << ", context " << i;
        ++counts.same;
      } catch (const std::runtime_error& error) {
        counts.raised += texts[i].is_null() ? 1 : 0;
        counts.refused += texts[i].is_null() ? 0 : 1;
        if (!texts[i].is_null()) refusal = error.what();
      }
    }
    if (!refusal.empty()) std::cout << fmt::format("{}: refused: {}\n", source.name, refusal);
  }
  return counts;
}

TEST(JinjaParity, TemplatesOfLlamaCpp) {
  if (!Missing().empty()) GTEST_SKIP() << Missing();
  const std::string folder = PARITY_LLAMA_CPP_SOURCE "/models/templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << ": not there; it comes with llama.cpp";
  std::vector<Source> sources;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    sources.push_back({entry.path().filename(), {std::istreambuf_iterator<char>(in), {}}});
  }
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) { return a.name < b.name; });
  const Counts counts = Compare(sources, Contexts());
  std::cout << fmt::format("{} templates: {} texts the same, {} refused here alone, {} errors in jinja2\n",
                           sources.size(), counts.same, counts.refused, counts.raised);
  EXPECT_GT(counts.same, 380);
  EXPECT_LE(counts.refused, 8);  // one template has integers for keys
}

TEST(JinjaParity, TemplatesOfBitnetModels) {
  if (!Missing().empty()) GTEST_SKIP() << Missing();
  std::vector<Source> sources;
  for (const auto& [word, jinja] : bitnet::kJinja) sources.push_back({std::string(word), std::string(jinja)});
  const Counts counts = Compare(sources, Contexts());
  EXPECT_EQ(counts.refused, 0);
  EXPECT_GT(counts.same, 40);
}

TEST(JinjaParity, Constructs) {
  if (!Missing().empty()) GTEST_SKIP() << Missing();
  std::vector<Source> sources;
  std::ifstream in(PARITY_SOURCE_DIR "/parity_tests/suites/jinja_cases_for_test.json");
  for (const Json& jinja : Json::parse(in)) sources.push_back({jinja, jinja});
  const Json context = {{"n", 7},
                        {"f", 2.5},
                        {"s", "Grüße, Welt"},
                        {"e", ""},
                        {"none_value", nullptr},
                        {"yes", true},
                        {"list", {3, 1, 2}},
                        {"words", {"b", "A", "c", "a"}},
                        {"dict", {{"b", 1}, {"a", "x"}, {"c", {1, "two", nullptr, true, 1.5}}}},
                        {"rows", {{{"k", "x"}, {"v", 1}}, {{"k", "y"}, {"v", 2}}, {{"k", "x"}}}}};
  const Counts counts = Compare(sources, {context});
  EXPECT_EQ(counts.refused, 0);
  EXPECT_EQ(counts.raised, 0);
  EXPECT_EQ(counts.same, static_cast<int>(sources.size()));
}

}  // namespace
}  // namespace parity
