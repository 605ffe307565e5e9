#include "parity_tests/cli/project_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "parity_tests/cli/app_names.h"
#include "parity_tests/cli/console.h"
#include "reference/capture/suggest.h"

namespace parity {
namespace {

bool Has(const CLI::App& app, const std::string& name) {
  return app.get_option_no_throw("--" + name) != nullptr || app.get_option_no_throw(name) != nullptr;
}

// What the file says for the command that was chosen, and for all of them. Every line is checked, whatever was chosen.
class ProjectFile : public CLI::ConfigTOML {
 public:
  explicit ProjectFile(CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    const std::string file = app_.get_config_ptr()->as<std::string>();
    // The options of the command line are not set yet, only counted.
    if (app_.get_option("--quiet")->count() == 0) Note(fmt::format("note: options from {}", file));
    std::vector<CLI::ConfigItem> wanted;
    for (CLI::ConfigItem& item : CLI::ConfigTOML::from_config(input)) {
      if (item.name == "++" || item.name == "--") continue;
      if (item.parents.empty()) {
        AddForAll(file, item, wanted);
      } else {
        AddForOne(file, item, wanted);
      }
    }
    return wanted;
  }

 private:
  const CLI::App* Chosen() const {
    const std::vector<CLI::App*> chosen = app_.get_subcommands();
    return chosen.empty() ? nullptr : chosen.front();
  }

  void AddForAll(const std::string& file, const CLI::ConfigItem& item, std::vector<CLI::ConfigItem>& wanted) const {
    if (Has(app_, item.name)) return wanted.push_back(item);
    std::vector<std::string> known;
    bool somebody_has = false;
    for (const CLI::App* command : CommandsOf(app_)) {
      somebody_has = somebody_has || Has(*command, item.name);
      const std::vector<std::string> names = OptionNames(*command);
      known.insert(known.end(), names.begin(), names.end());
    }
    if (!somebody_has) {
      throw CLI::ConfigError(
          fmt::format("{}: {}: no command has such an option{}", file, item.name, DidYouMean(item.name, known)));
    }
    if (Chosen() == nullptr || !Has(*Chosen(), item.name)) return;
    wanted.push_back(item);
    wanted.back().parents = {Chosen()->get_name()};
  }

  void AddForOne(const std::string& file, const CLI::ConfigItem& item, std::vector<CLI::ConfigItem>& wanted) const {
    const std::string& name = item.parents.front();
    const std::vector<const CLI::App*> commands = CommandsOf(app_);
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&name](const CLI::App* command) { return command->get_name() == name; });
    if (found == commands.end()) {
      throw CLI::ConfigError(
          fmt::format("{}: [{}]: no command has that name{}", file, name, DidYouMean(name, CommandNames(app_))));
    }
    const CLI::App* command = *found;
    if (item.parents.size() > 1 || !Has(*command, item.name)) {
      throw CLI::ConfigError(fmt::format("{}: [{}]: {}: no option of {}{}", file, name, item.name, name,
                                         DidYouMean(item.name, OptionNames(*command))));
    }
    if (command == Chosen()) wanted.push_back(item);
  }

  CLI::App& app_;
};

}  // namespace

void AddProjectFile(CLI::App& app) {
  app.set_config("--config", kProjectFile, "file of options, as `model = \"m.gguf\"` or of one command, `[ladder]`")
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ProjectFile>(app));
}

}  // namespace parity
