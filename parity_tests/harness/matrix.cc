#include "parity_tests/harness/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "engine/tokenizer/prompt_template.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/judge/ladder.h"

namespace parity {
namespace {

using Json = nlohmann::json;

// One object of a fixtures file; knows where it is, for messages.
class Object {
 public:
  Object(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) Fail("", fmt::format("found {}, expected an object", json.type_name()));
  }

  template <typename T>
  T Get(const std::string& key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) Fail(key, "missing");
    try {
      return found->get<T>();
    } catch (const Json::exception&) {
      Fail(key, fmt::format("found {}, a value of the wrong type", found->dump()));
    }
  }
  template <typename T>
  T GetOr(const std::string& key, T otherwise) const {
    return json_.contains(key) ? Get<T>(key) : otherwise;
  }
  int GetCount(const std::string& key) const {
    const int value = Get<int>(key);
    if (value < 1) Fail(key, fmt::format("found {}, expected at least 1", value));
    return value;
  }
  std::vector<Object> GetObjects(const std::string& key) const {
    std::vector<Object> objects;
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_array() || found->empty())
      Fail(key, "expected a list with at least one entry");
    for (size_t i = 0; i < found->size(); ++i)
      objects.emplace_back((*found)[i], fmt::format("{}: {}[{}]", where_, key, i));
    return objects;
  }
  std::vector<Schedule> GetSchedules(const std::string& key) const {
    std::vector<Schedule> schedules;
    for (const std::string& name : Get<std::vector<std::string>>(key)) {
      if (name != "batch" && name != "token") Fail(key, fmt::format("found \"{}\", expected batch or token", name));
      schedules.push_back(name == "batch" ? Schedule::kBatch : Schedule::kTokenByToken);
    }
    return schedules;
  }
  // The key `id`, unique among `seen`.
  std::string GetId(std::set<std::string>& seen) const {
    const std::string id = Get<std::string>("id");
    if (id.empty() || !seen.insert(id).second)
      Fail("id", fmt::format("found \"{}\", expected a name not used before", id));
    return id;
  }
  // A key that nobody reads is a mistake: an option that seems to be set.
  void Expect(const std::set<std::string>& keys) const {
    for (const auto& [key, value] : json_.items()) {
      if (!keys.contains(key)) Fail(key, fmt::format("not a key of this object; it has {}", fmt::join(keys, ", ")));
    }
  }
  [[noreturn]] void Fail(const std::string& key, const std::string& problem) const {
    throw std::runtime_error(fmt::format("{}{}{}: {}", where_, key.empty() ? "" : ": ", key, problem));
  }

 private:
  const Json& json_;
  std::string where_;
};

Json ReadFile(const std::string& file, const std::string& schema) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(fmt::format("{}: cannot be opened; expected a file of schema {}", file, schema));
  Json json;
  try {
    json = Json::parse(in);
  } catch (const Json::exception& error) {
    throw std::runtime_error(fmt::format("{}: not valid JSON: {}", file, error.what()));
  }
  const Object object(json, file);
  if (object.Get<std::string>("schema") != schema) {
    object.Fail("schema", fmt::format("found {}, expected \"{}\"", json["schema"].dump(), schema));
  }
  return json;
}

std::string NameOf(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

}  // namespace

std::vector<Prompt> LoadPrompts(const std::string& file) {
  const Json json = ReadFile(file, "bitnet-parity/prompts/1");
  std::vector<Prompt> prompts;
  std::set<std::string> ids;
  for (const Object& object : Object(json, file).GetObjects("prompts")) {
    object.Expect({"id", "text", "template", "system", "parse_special", "comment"});
    Prompt prompt;
    prompt.id = object.GetId(ids);
    prompt.text = object.Get<std::string>("text");
    prompt.prompt_template = object.Get<std::string>("template");
    prompt.system = object.GetOr<std::string>("system", "");
    prompt.parse_special = object.GetOr("parse_special", true);
    try {
      if (bitnet::ParsePromptTemplate(prompt.prompt_template) == bitnet::PromptTemplate::kAuto) {
        object.Fail("template", "auto depends on the model; name one");
      }
    } catch (const std::runtime_error& error) {
      object.Fail("template", error.what());
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

ParityMatrix LoadMatrix(const std::string& matrix_file, const std::string& prompts_file,
                        const std::string& models_directory) {
  ParityMatrix matrix;
  matrix.prompts = LoadPrompts(prompts_file);
  std::vector<std::string> all_prompts;
  for (const Prompt& prompt : matrix.prompts) all_prompts.push_back(prompt.id);

  const Json json = ReadFile(matrix_file, "bitnet-parity/matrix/1");
  const Object root(json, matrix_file);
  root.Expect({"schema", "max_tokens", "n_ubatch", "threads", "schedules", "profile", "profile_elsewhere", "references",
               "models"});
  matrix.max_tokens = root.GetCount("max_tokens");
  matrix.n_ubatch = root.GetCount("n_ubatch");
  matrix.threads = root.GetCount("threads");
  matrix.profile = root.Get<std::string>("profile");
  matrix.profile_elsewhere = root.Get<std::string>("profile_elsewhere");
  const std::vector<Schedule> schedules = root.GetSchedules("schedules");
  const std::vector<std::string> references = root.Get<std::vector<std::string>>("references");
  matrix.recorded_directory = (std::filesystem::path(matrix_file).parent_path() / "recorded").string();
  std::set<std::string> ids;
  for (const Object& object : root.GetObjects("models")) {
    object.Expect({"id", "file", "format", "prompts", "schedules", "references", "recorded", "not_supported_by"});
    MatrixModel model;
    model.id = object.GetId(ids);
    model.path = models_directory + "/" + object.Get<std::string>("file");
    model.format = object.Get<std::string>("format");
    model.prompts = object.GetOr("prompts", all_prompts);
    for (const std::string& id : model.prompts) {
      if (std::find(all_prompts.begin(), all_prompts.end(), id) == all_prompts.end()) {
        object.Fail("prompts", fmt::format("\"{}\" is no prompt of {}", id, prompts_file));
      }
    }
    model.schedules = object.GetOr<Json>("schedules", nullptr).is_null() ? schedules : object.GetSchedules("schedules");
    model.references = object.GetOr("references", references);
    model.recorded = object.GetOr("recorded", std::vector<std::string>());
    for (const std::string& id : model.recorded) {
      if (std::find(model.prompts.begin(), model.prompts.end(), id) == model.prompts.end()) {
        object.Fail("recorded", fmt::format("\"{}\" is no prompt of this model", id));
      }
    }
    for (const std::string& reference : model.references) {
      if (std::find(references.begin(), references.end(), reference) == references.end()) {
        object.Fail("references", fmt::format("\"{}\" is none of the matrix's references", reference));
      }
    }
    model.not_supported_by = object.GetOr("not_supported_by", std::map<std::string, std::string>());
    matrix.models.push_back(std::move(model));
  }
  const auto holds = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto add = [&](const std::string& reference, size_t m, const std::vector<std::string>& prompts) {
    for (size_t p = 0; p < matrix.prompts.size(); ++p) {
      if (!holds(prompts, matrix.prompts[p].id)) continue;
      for (const Schedule schedule : matrix.models[m].schedules) matrix.cases.push_back({reference, m, p, schedule});
    }
  };
  for (const std::string& reference : references) {
    for (size_t m = 0; m < matrix.models.size(); ++m) {
      if (holds(matrix.models[m].references, reference)) add(reference, m, matrix.models[m].prompts);
    }
  }
  for (size_t m = 0; m < matrix.models.size(); ++m) add("recorded", m, matrix.models[m].recorded);
  return matrix;
}

void SetPrompt(const Prompt& prompt, Request& request) {
  bitnet::PromptTemplate chosen = bitnet::ParsePromptTemplate(prompt.prompt_template);
  if (chosen == bitnet::PromptTemplate::kAuto) chosen = bitnet::ResolveTemplate(chosen, *LoadTokenizer(request));
  const bitnet::FormattedPrompt formatted = bitnet::FormatPrompt(chosen, prompt.text, prompt.system);
  request.prompt = prompt.text;
  request.prompt_template = bitnet::PromptTemplateName(chosen);
  request.text = formatted.text;
  request.add_special = formatted.add_special;
  request.parse_special = prompt.parse_special;
}

Request MakeRequest(const ParityMatrix& matrix, const Case& c) {
  Request request;
  request.model = matrix.models[c.model].path;
  SetPrompt(matrix.prompts[c.prompt], request);
  request.max_tokens = matrix.max_tokens;
  request.schedule = c.schedule;
  request.n_ubatch = matrix.n_ubatch;
  request.threads = matrix.threads;
  return request;
}

std::string ReferenceSpec(const ParityMatrix& matrix, const std::string& reference) {
  return reference == "recorded" ? "recorded:" + matrix.recorded_directory : reference;
}

std::string ModelName(const ParityMatrix& matrix, const Case& c) {
  return fmt::format("{}.{}", NameOf(c.reference), NameOf(matrix.models[c.model].id));
}

std::string CaseName(const ParityMatrix& matrix, const Case& c) {
  return fmt::format("{}.{}.{}", ModelName(matrix, c), NameOf(matrix.prompts[c.prompt].id), ScheduleName(c.schedule));
}

}  // namespace parity
