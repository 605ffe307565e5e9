#include "parity_tests/harness/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "engine/tokenizer/prompt_template.h"
#include "parity_tests/harness/loaded_model.h"
#include "parity_tests/judge/ladder.h"
#include "parity_tests/judge/settings.h"
#include "reference/capture/quote.h"
#include "reference/engines/program_files.h"

namespace parity {
namespace {

int ReadCount(JsonFields& fields, const std::string& key) {
  int value = 0;
  fields.Read(key, &value);
  if (value < 1) fields.Fail(key, fmt::format("found {}, expected at least 1", value));
  return value;
}

// The key `id`, which no object before has.
// An id is part of the names of tests and directories.
bool IsName(const std::string& id) {
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; };
  return !id.empty() && id.size() <= 100 && std::isalnum(static_cast<unsigned char>(id.front())) != 0 &&
         std::all_of(id.begin(), id.end(), fits);
}

std::string ReadId(JsonFields& fields, std::set<std::string>& seen) {
  std::string id;
  fields.Read("id", &id);
  if (!IsName(id)) {
    fields.Fail(
        "id", fmt::format("found {}, expected letters, digits, '_', '-' and '.', a letter or digit first", Quote(id)));
  }
  if (!seen.insert(id).second) {
    fields.Fail("id", fmt::format("found \"{}\", expected a name not used before", id));
  }
  return id;
}

std::vector<JsonFields> ReadObjects(JsonFields& fields, const std::string& key) {
  std::vector<JsonFields> objects = fields.Objects(key);
  if (objects.empty()) fields.Fail(key, "expected a list with at least one entry");
  return objects;
}

// Leaves `schedules` as they are if there is no such key.
void ReadSchedules(JsonFields& fields, std::vector<Schedule>* schedules) {
  std::vector<std::string> names;
  if (!fields.ReadIfPresent("schedules", &names)) return;
  schedules->clear();
  for (const std::string& name : names) {
    if (name != "batch" && name != "token") {
      fields.Fail("schedules", fmt::format("found \"{}\", expected batch or token", name));
    }
    schedules->push_back(name == "batch" ? Schedule::kBatch : Schedule::kTokenByToken);
  }
}

bool Holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string NameOf(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

// What `matrix` says of a model already holds for those that do not say otherwise. `other_prompts`: than those that the
// file knows, so each model gets them all, and of none is there a recorded capture.
MatrixModel ReadModel(JsonFields& fields, const ParityMatrix& matrix, const std::vector<Schedule>& schedules,
                      const std::vector<std::string>& references, bool other_prompts) {
  std::vector<std::string> all_prompts;
  for (const Prompt& prompt : matrix.prompts) all_prompts.push_back(prompt.id);
  MatrixModel model;
  model.prompts = all_prompts;
  model.schedules = schedules;
  model.references = references;
  fields.Read("file", &model.path);
  fields.Read("format", &model.format);
  fields.ReadIfPresent("prompts", &model.prompts);
  ReadSchedules(fields, &model.schedules);
  fields.ReadIfPresent("references", &model.references);
  fields.ReadIfPresent("recorded", &model.recorded);
  if (other_prompts) {
    model.prompts = all_prompts;
    model.recorded.clear();
  }
  if (fields.Has("not_supported_by")) {
    JsonFields reasons = fields.Object("not_supported_by");
    for (const std::string& reference : reasons.Keys()) reasons.Read(reference, &model.not_supported_by[reference]);
  }
  fields.RejectUnknown();
  for (const std::string& id : model.prompts) {
    if (!Holds(all_prompts, id)) fields.Fail("prompts", fmt::format("\"{}\" is not one of the prompts", id));
  }
  for (const std::string& id : model.recorded) {
    if (!Holds(model.prompts, id)) fields.Fail("recorded", fmt::format("\"{}\" is no prompt of this model", id));
  }
  for (const std::string& reference : model.references) {
    if (!Holds(references, reference)) {
      fields.Fail("references", fmt::format("\"{}\" is none of the matrix's references", reference));
    }
  }
  return model;
}

// Reference by reference, then model by model; recorded captures last.
std::vector<Case> ListCases(const ParityMatrix& matrix, const std::vector<std::string>& references) {
  std::vector<Case> cases;
  const auto add = [&](const std::string& reference, size_t m, const std::vector<std::string>& prompts) {
    for (size_t p = 0; p < matrix.prompts.size(); ++p) {
      if (!Holds(prompts, matrix.prompts[p].id)) continue;
      for (const Schedule schedule : matrix.models[m].schedules) cases.push_back({reference, m, p, schedule});
    }
  };
  for (const std::string& reference : references) {
    for (size_t m = 0; m < matrix.models.size(); ++m) {
      if (Holds(matrix.models[m].references, reference)) add(reference, m, matrix.models[m].prompts);
    }
  }
  for (size_t m = 0; m < matrix.models.size(); ++m) add("recorded", m, matrix.models[m].recorded);
  return cases;
}

// What the model, or the user's own file, asks for. Two engines can be compared without the model's: where it cannot be
// read they get the text as it is.
bitnet::ChatPrompt AutoPrompt(const Prompt& prompt, const Request& request, std::string* note) {
  OpenModel(SourceOf(request));  // a file that cannot be read at all is another matter, and throws
  if (!prompt.chat_template_file.empty()) {
    return bitnet::FormatChat(bitnet::ReadChatTemplate(prompt.chat_template_file), *LoadTokenizer(request), prompt.text,
                              prompt.system);
  }
  try {
    return bitnet::FormatAuto(*LoadTokenizer(request), prompt.text, prompt.system);
  } catch (const std::exception& error) {
    if (note == nullptr) throw;
    *note = fmt::format("the prompt is taken raw, since its template is not known: {}", error.what());
    return {bitnet::FormatPrompt(bitnet::PromptTemplate::kRaw, prompt.text, prompt.system), "raw"};
  }
}

}  // namespace

std::vector<Prompt> LoadPrompts(const std::string& file) {
  JsonFields root = ReadSettings(file, "prompts.json", "bitnet-parity/prompts/1");
  std::vector<Prompt> prompts;
  std::set<std::string> ids;
  for (JsonFields& fields : ReadObjects(root, "prompts")) {
    Prompt prompt;
    std::string comment;
    prompt.id = ReadId(fields, ids);
    fields.Read("text", &prompt.text);
    fields.Read("template", &prompt.prompt_template);
    fields.ReadIfPresent("system", &prompt.system);
    fields.ReadIfPresent("parse_special", &prompt.parse_special);
    fields.ReadIfPresent("comment", &comment);
    if (fields.Has("max_tokens")) prompt.max_tokens = ReadCount(fields, "max_tokens");
    fields.RejectUnknown();
    try {
      if (bitnet::ParsePromptTemplate(prompt.prompt_template) == bitnet::PromptTemplate::kAuto) {
        throw std::runtime_error("auto depends on the model; name one");
      }
    } catch (const std::runtime_error& error) {
      fields.Fail("template", error.what());
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

ParityMatrix LoadMatrix(const std::string& matrix_file, const std::string& prompts_file,
                        const std::string& models_directory) {
  ParityMatrix matrix;
  matrix.prompts = LoadPrompts(prompts_file);
  JsonFields root = ReadSettings(matrix_file, "parity_matrix.json", "bitnet-parity/matrix/1");
  if (root.Has("max_tokens")) matrix.max_tokens = ReadCount(root, "max_tokens");
  matrix.n_ubatch = ReadCount(root, "n_ubatch");
  matrix.threads = ReadCount(root, "threads");
  root.Read("profile", &matrix.profile);
  root.Read("profile_elsewhere", &matrix.profile_elsewhere);
  std::vector<Schedule> schedules;
  ReadSchedules(root, &schedules);
  std::vector<std::string> references;
  root.Read("references", &references);
  matrix.recorded_directory = matrix_file.empty()
                                  ? DataDirectory("recorded")
                                  : (std::filesystem::path(matrix_file).parent_path() / "recorded").string();
  std::set<std::string> ids;
  for (JsonFields& fields : ReadObjects(root, "models")) {
    const std::string id = ReadId(fields, ids);
    MatrixModel model = ReadModel(fields, matrix, schedules, references, matrix_file.empty() && !prompts_file.empty());
    model.id = id;
    model.path = (models_directory.empty() ? DataDirectory("models") : models_directory) + "/" + model.path;
    matrix.models.push_back(std::move(model));
  }
  root.RejectUnknown();
  matrix.cases = ListCases(matrix, references);
  return matrix;
}

void AddModel(ParityMatrix& matrix, const std::string& id, const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw std::runtime_error(fmt::format("{}: no such file, expected a GGUF file", path));
  }
  MatrixModel model;
  model.id = id;
  model.path = path;
  model.format = "own";
  model.schedules = {Schedule::kBatch, Schedule::kTokenByToken};
  for (const Prompt& prompt : matrix.prompts) model.prompts.push_back(prompt.id);
  for (const MatrixModel& other : matrix.models) {
    for (const std::string& reference : other.references) {
      if (!Holds(model.references, reference)) model.references.push_back(reference);
    }
  }
  matrix.models.push_back(model);
  for (const std::string& reference : model.references) {
    for (size_t p = 0; p < matrix.prompts.size(); ++p) {
      for (const Schedule schedule : model.schedules) {
        matrix.cases.push_back({reference, matrix.models.size() - 1, p, schedule});
      }
    }
  }
}

void SetPrompt(const Prompt& prompt, Request& request, std::string* note) {
  const bitnet::PromptTemplate chosen = bitnet::ParsePromptTemplate(prompt.prompt_template);
  const auto [formatted, name] =
      chosen == bitnet::PromptTemplate::kAuto
          ? AutoPrompt(prompt, request, note)
          : bitnet::ChatPrompt{bitnet::FormatPrompt(chosen, prompt.text, prompt.system), prompt.prompt_template};
  request.prompt = prompt.text;
  request.prompt_template = name;
  request.text = formatted.text;
  request.add_special = formatted.add_special;
  request.parse_special = prompt.parse_special;
}

Request MakeRequest(const ParityMatrix& matrix, const Case& c) {
  Request request;
  request.model = matrix.models[c.model].path;
  SetPrompt(matrix.prompts[c.prompt], request);
  request.max_tokens = matrix.max_tokens.value_or(matrix.prompts[c.prompt].max_tokens.value_or(kMaxTokens));
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
