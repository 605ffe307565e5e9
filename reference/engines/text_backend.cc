#include "reference/engines/text_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "reference/capture/quote.h"
#include "reference/capture/temporary_directory.h"
#include "reference/engines/command_line.h"
#include "reference/engines/engine_process.h"
#include "reference/engines/expression.h"

namespace parity {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n\f\v";

// Nothing but white space and one token as "<s>" stands between the start of a line and `at`.
bool BeginsALine(std::string_view text, size_t at) {
  const size_t line = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  std::string_view before = text.substr(line, at - line);
  const auto skip_space = [&before] {
    before.remove_prefix(std::min(before.find_first_not_of(kWhiteSpace), before.size()));
  };
  skip_space();
  if (before.starts_with('<') && before.find('>') != std::string_view::npos) before.remove_prefix(before.find('>') + 1);
  skip_space();
  return before.empty();
}

std::optional<size_t> BehindEcho(std::string_view printed, std::string_view prompt) {
  if (prompt.empty()) return std::nullopt;
  for (size_t at = printed.find(prompt); at != std::string_view::npos; at = printed.find(prompt, at + 1)) {
    if (BeginsALine(printed, at)) return at + prompt.size();
  }
  return std::nullopt;
}

std::string_view WithoutSpaceBehind(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kWhiteSpace) + 1);  // npos + 1 is 0
}

// What is left of `text`, for messages.
std::string Start(std::string_view text) { return text.empty() ? "nothing" : Quote(text.substr(0, 200)); }

// The placeholders of a command and what they stand for.
using Values = std::vector<std::pair<std::string, std::string>>;

Values ValuesOf(const Request& request, const std::string& prompt_file) {
  const size_t most = request.text.size() + static_cast<size_t>(request.max_tokens) + 16;  // a token has a byte
  const size_t n_ctx = request.n_ctx > 0 ? static_cast<size_t>(request.n_ctx) : (most + 255) / 256 * 256;
  const auto absolute = [](const std::string& path) {
    return path.empty() ? path : std::filesystem::absolute(path).string();
  };
  return {{"model", absolute(request.model)},
          {"tokenizer", absolute(request.tokenizer)},
          {"prompt", request.text},
          {"prompt_file", prompt_file},
          {"max_tokens", std::to_string(request.max_tokens)},
          {"seed", std::to_string(request.seed)},
          {"threads", std::to_string(request.threads)},
          {"n_ctx", std::to_string(n_ctx)}};
}

class TextBackend : public Backend {
 public:
  TextBackend(std::string command, std::string begin, std::string end)
      : command_(std::move(command)), begin_(std::move(begin)), end_(std::move(end)) {
    // A wrong expression is said before anything runs.
    if (!begin_.empty()) Expression("--text-begin", begin_);
    if (!end_.empty()) Expression("--text-end", end_);
  }

  std::string name() const override { return "text:" + command_; }
  ProbeResult Probe() override { return ProbeCommand("text", command_); }
  std::string Identity(const FileHasher& hash) override {
    return fmt::format("text:{}\n{}\n{}", CommandIdentity(command_, hash), begin_, end_);
  }
  bool stops_at_end() const override { return true; }

  Capture Run(const Request& request) override {
    Refuse(request);
    Capture capture;
    capture.backend = {
        .name = "text:" + ShortName(), .version = "", .build = command_, .simd = "", .threads = request.threads};
    capture.model.path = request.model;
    capture.request = request;
    capture.shown = kNothingShown;
    capture.shown.text = true;
    if (!request.add_special) {
      capture.notes.push_back("the template writes BOS into the prompt: the command must not add another");
    }
    const ProcessResult result = RunCommand(request);
    try {
      capture.text = TextBetween(result.output, request.text, begin_, end_, &capture.notes);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(fmt::format("{}; it printed {}", error.what(), Start(result.output)));
    }
    return capture;
  }

 private:
  // The program, for reports.
  std::string ShortName() const {
    const std::string word = command_.substr(0, command_.find_first_of(" \t\n"));
    return std::filesystem::path(word).filename().string();
  }

  // What a command cannot be told.
  void Refuse(const Request& request) const {
    if (request.token_ids) {
      throw std::runtime_error("found a prompt of token ids, expected text: a program that prints takes --prompt");
    }
    if (!request.override_kv.empty() || !request.i2s_layout.empty()) {
      throw std::runtime_error(
          "--override-kv and --i2s-layout cannot be passed on: put the command's own flags for them into it");
    }
  }

  ProcessResult RunCommand(const Request& request) const {
    const TemporaryDirectory work;
    const std::string prompt_file = work.path() + "/prompt.txt";
    std::ofstream(prompt_file, std::ios::binary) << request.text;
    const Values values = ValuesOf(request, prompt_file);
    std::vector<std::string> names;
    for (const auto& [name, value] : values) names.push_back(name);
    std::vector<std::string> argv = {"/bin/sh", "-c", ShellCommand(command_, names), "sh"};
    const bool has_prompt = command_.find("{prompt}") != std::string::npos;
    for (const auto& [name, value] : values) {
      if (has_prompt && value.find('\0') != std::string::npos) {
        throw std::runtime_error("{prompt}: the prompt has a byte 0, which no argument can have; use {prompt_file}");
      }
      argv.push_back(value);
    }
    const bool by_input = !has_prompt && command_.find("{prompt_file}") == std::string::npos;
    ProcessResult result = RunProcess(argv, TimeLimit(), by_input ? prompt_file : "/dev/null");
    if (!result.ok()) throw std::runtime_error(DescribeFailure(name(), argv[2], result));
    return result;
  }

  std::string command_, begin_, end_;
};

}  // namespace

std::string TextBetween(std::string_view printed, std::string_view prompt, const std::string& begin,
                        const std::string& end, std::vector<std::string>* notes) {
  constexpr std::string_view kEndOfText = "[end of text]";  // of llama.cpp's programs
  size_t from = 0;
  std::string before;
  if (!begin.empty()) {
    const Expression expression("--text-begin", begin);
    const auto match = expression.Find(printed, 0);
    if (!match) expression.Fail("matches nothing that the program printed");
    from = match->second;
    before = "what --text-begin matches";
  } else if (const auto echo = BehindEcho(printed, prompt)) {
    from = *echo;
    before = "the prompt, which it repeats";
  }
  size_t to = printed.size();
  std::string behind = "white space";
  if (!end.empty()) {
    if (const auto match = Expression("--text-end", end).Find(printed, from)) {
      to = match->first;
      behind = "what --text-end matches";
    }
  }
  std::string_view text = WithoutSpaceBehind(printed.substr(from, to - from));
  if (end.empty() && text.ends_with(kEndOfText)) {
    text = WithoutSpaceBehind(text.substr(0, text.size() - kEndOfText.size()));
    behind = kEndOfText;
  }
  if (notes != nullptr) {
    const size_t rest = printed.size() - from - text.size();
    std::string note = fmt::format("printed: {} bytes, of which {} are the answer", printed.size(), text.size());
    if (from > 0) note += fmt::format("; cut in front: {} bytes, up to {}", from, before);
    if (rest > 0) note += fmt::format("; cut behind: {} bytes, {}", rest, behind);
    notes->push_back(std::move(note));
  }
  return std::string(text);
}

std::string ShellCommand(std::string_view command, const std::vector<std::string>& names) {
  enum { kPlain, kDouble, kSingle } quotes = kPlain;
  std::string out;
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    size_t parameter = 0;
    for (size_t n = 0; c == '{' && (i == 0 || command[i - 1] != '$') && n < names.size(); ++n) {
      if (command.substr(i).starts_with("{" + names[n] + "}")) parameter = n + 1;
    }
    if (parameter > 0) {
      constexpr std::string_view kOpen[] = {"\"", "", "'\""}, kClose[] = {"\"", "", "\"'"};
      out += fmt::format("{}${{{}}}{}", kOpen[quotes], parameter, kClose[quotes]);
      i += names[parameter - 1].size() + 1;
      continue;
    }
    out += c;
    if (c == '\\' && quotes != kSingle && i + 1 < command.size()) {
      out += command[++i];
    } else if (c == '"' && quotes != kSingle) {
      quotes = quotes == kDouble ? kPlain : kDouble;
    } else if (c == '\'' && quotes != kDouble) {
      quotes = quotes == kSingle ? kPlain : kSingle;
    }
  }
  return out;
}

std::unique_ptr<Backend> MakeTextBackend(const std::string& command, const std::string& begin, const std::string& end) {
  return std::make_unique<TextBackend>(command, begin, end);
}

}  // namespace parity
