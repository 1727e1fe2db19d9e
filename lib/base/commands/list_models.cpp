// ds-train --list-models: what there is to choose from, without LibTorch. Every graph is built: no figure is written down anywhere.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/commands/train_options.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/models/models.h"
#include "base/report/table.h"

namespace ds::commands {
namespace listing {

constexpr const char* kOwn = "graph";  ///< the net that a user's file describes: it has no size by itself

bool wanted(const std::string& name, const std::vector<std::string>& patterns) {
  const auto fits = [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; };
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), fits);
}

/// One model with the input that it is made for: a batch of one.
core::Json describe(const std::string& family, const std::string& name) {
  const models::DataSizes data = models::usual_data(name);
  core::Choice choice("architecture", name, "arch");
  choice.select(name);
  const graph::Graph graph = models::build(choice, data);
  const bool images = data.kind == models::InputKind::kImages;
  const graph::Cost cost = graph::cost(graph);
  return {{"name", name},
          {"family", family},
          {"parameters", cost.parameters},
          {"macs", cost.macs},
          {"input", images ? fmt::format("{}x{}x{}", data.channels, data.height, data.width) : fmt::format("{} tokens", data.length)}};
}

std::string table_text(const core::Json& models) {
  report::Table table{{{"model", false}, {"family", false}, {"params"}, {"MACs"}, {"input"}}, {}};
  for (const core::Json& model : models)
    table.rows.push_back({model["name"], model["family"], report::count_text(model["parameters"].get<double>()),
                          report::count_text(model["macs"].get<double>()), model["input"]});
  return table.text();
}

[[noreturn]] void nothing(const std::vector<std::string>& patterns, const std::vector<std::string>& names) {
  const std::string near = core::nearest(patterns[0], names);
  throw Error(Exit::kUsage, "--list-models", fmt::format("no model matches '{}'", fmt::join(patterns, "', '")),
              near.empty() ? "--list-models alone shows all" : fmt::format("did you mean '{}'", near));
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const TrainCommand&>(base);
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> chosen;
  for (const auto& [family, members] : models::families()) {
    for (const std::string& name : members) {
      names.push_back(name);
      if (name != kOwn && wanted(name, o.patterns)) chosen.emplace_back(name, family);
    }
  }
  if (chosen.empty()) nothing(o.patterns, names);
  std::sort(chosen.begin(), chosen.end());
  core::Json& models = record["models"] = core::Json::array();
  for (const auto& [name, family] : chosen) models.push_back(describe(family, name));
  if (o.common.format == "auto" || o.common.format == "table") record.text = table_text(models);
  if (o.common.format == "csv") record.text = report::csv({"name", "family", "parameters", "macs", "input"}, models);
  core::info(fmt::format("next: ds-train --model {} --data SPEC -o model.h5  (options of the model: ds-train --model {} --help-all; a net of your own: "
                         "--model graph --model.file net.yaml)", chosen[0].first, chosen[0].first));
}

const core::BaseCommand command{"list-models", run};

}  // namespace listing
}  // namespace ds::commands
