#include "parity_tests/suites/live_tokenizer_for_test.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/vocabulary.h"
#include "parity_tests/suites/random_text_for_test.h"
#include "reference/capture/json_fields.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/backend.h"

namespace parity {
namespace {

using Json = nlohmann::json;

std::vector<Question> RandomQuestions(uint32_t seed, bool broken_bytes, size_t usual_number) {
  RandomText text(seed, broken_bytes);
  const char* number = std::getenv("PARITY_RANDOM_TEXTS");
  std::vector<Question> questions(number == nullptr ? usual_number : std::stoul(number));
  for (Question& question : questions) question = {text.Next(), text.Coin(), text.Coin() || text.Coin()};
  return questions;
}

// A space in more bytes than one: llama.cpp aborts on it where spaces are written as U+2581.
bool HasOverlongSpace(const std::string& text) {
  const std::string escaped = bitnet::EscapeSpaces(text);
  for (size_t position = 0; position < escaped.size();) {
    if (bitnet::NextCodePoint(escaped, &position) == ' ') return true;
  }
  return false;
}

}  // namespace

std::string Escaped(const std::string& text) { return TextToJson(text).dump(-1, ' ', true); }

std::pair<std::string, std::string> FindRunner(const std::string& engine) {
  const ProbeResult probe = MakeEngine(engine)->Probe();
  if (!probe.available) return {"", fmt::format("{}: {}; {}", engine, probe.problem, probe.remedy)};
  return {probe.found.at(0), ""};
}

ProcessResult RunTokenize(const std::string& runner, const std::string& model, const std::string& in,
                          const std::string& out) {
  return RunProcess({"sh", "-c", R"(exec "$0" tokenize --model "$1" < "$2" > "$3")", runner, model, in, out},
                    TimeLimit());
}

std::vector<Answer> AskReference(const std::string& runner, const std::string& model,
                                 const std::vector<Question>& questions) {
  const TemporaryDirectory directory;
  const std::string in = directory.path() + "/questions", out = directory.path() + "/answers";
  std::ofstream lines(in);
  for (const Question& question : questions) {
    Json line = {{"add_special", question.add_special}, {"parse_special", question.parse_special}};
    const Json text = TextToJson(question.text);
    line.update(text.is_object() ? text : Json{{"text", text}});
    lines << line.dump() << '\n';
  }
  lines.close();
  const ProcessResult result = RunTokenize(runner, model, in, out);
  if (!result.ok()) {
    throw std::runtime_error(fmt::format("{} tokenize --model {}: {}. Its last words:\n{}", runner, model,
                                         result.Describe(), result.last_words));
  }
  std::vector<Answer> answers;
  std::ifstream replies(out);
  for (std::string line; std::getline(replies, line);) {
    const Json reply = Json::parse(line);
    Answer answer{reply.at("ids").get<std::vector<int32_t>>(), {}};
    JsonFields(reply, out).Read("pieces", &answer.pieces);
    answers.push_back(std::move(answer));
  }
  if (answers.size() != questions.size()) {
    throw std::runtime_error(
        fmt::format("{}: found {} answers, expected {}", runner, answers.size(), questions.size()));
  }
  return answers;
}
void ExpectSameIds(const bitnet::Tokenizer& tokenizer, const std::vector<Question>& questions,
                   const std::vector<Answer>& answers) {
  constexpr int kShown = 5;
  int different = 0;
  size_t n_ids = 0;
  for (size_t i = 0; i < questions.size(); ++i) {
    const auto& [text, add_special, parse_special] = questions[i];
    const std::vector<int32_t> ids =
        tokenizer.Encode(text, {.add_special = add_special, .parse_special = parse_special});
    std::vector<std::string> pieces;
    pieces.reserve(ids.size());
    for (const int32_t id : ids) pieces.push_back(tokenizer.Piece(id));
    n_ids += ids.size();
    if (ids == answers[i].ids && pieces == answers[i].pieces) continue;
    if (++different > kShown) continue;
    const auto at = std::mismatch(ids.begin(), ids.end(), answers[i].ids.begin(), answers[i].ids.end()).first;
    ADD_FAILURE() << fmt::format("text {}: {} (add_special {}, parse_special {})\nours      {}\nreference {}\n{}", i,
                                 Escaped(text), add_special, parse_special, fmt::join(ids, " "),
                                 fmt::join(answers[i].ids, " "),
                                 ids == answers[i].ids ? "the ids agree, their texts do not"
                                                       : fmt::format("they part at token {}", at - ids.begin()));
  }
  EXPECT_EQ(different, 0) << "of " << questions.size() << " texts";
  std::cout << fmt::format("{} texts, {} ids, {} different\n", questions.size(), n_ids, different);
}

void CompareOnRandomTexts(const bitnet::Tokenizer& tokenizer, const std::string& model, uint32_t seed,
                          const std::string& engine, size_t usual_number) {
  const auto [runner, reason] = FindRunner(engine);
  SKIP_UNLESS(engine, !runner.empty(), reason);
  std::vector<Question> questions = RandomQuestions(seed, /*broken_bytes=*/engine == "llama.cpp", usual_number);
  if (tokenizer.pre() == "gemma4") {
    std::erase_if(questions, [](const Question& question) { return HasOverlongSpace(question.text); });
  }
  ExpectSameIds(tokenizer, questions, AskReference(runner, model, questions));
}

}  // namespace parity
