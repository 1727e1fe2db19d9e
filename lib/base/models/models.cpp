#include "base/models/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"

namespace ds::models {
namespace details {

/// A copy of the options that shares nothing with the original: fresh ones of the entry, with the same values.
std::shared_ptr<ArchOptions> copy(const core::Choice& choice) {
  core::Choice fresh = choice;
  fresh.select(choice.name);
  if (choice.options) {
    const core::Fields from = core::walk(*choice.options), to = core::walk(*fresh.options);
    for (std::size_t i = 0; i < from.entries().size(); ++i) {
      std::visit([&](auto* target) { *target = *std::get<std::decay_t<decltype(target)>>(from.entries()[i].target); }, to.entries()[i].target);
    }
  }
  return std::static_pointer_cast<ArchOptions>(fresh.options);
}

void fill(std::int64_t& option, std::int64_t data, const std::string& name) {
  if (option != 0 && data != 0 && option != data)
    throw Error(Exit::kUsage, "model." + name, fmt::format("is {}, but the data have {}", option, data), fmt::format("leave model.{} out", name));
  if (option == 0) option = data;
  if (option <= 0)
    throw Error(Exit::kUsage, "model." + name, fmt::format("is {}, expected a number above 0", option), fmt::format("set model.{} or --data", name));
}

/// Registrars fill it while the library is loaded.
std::map<std::string, std::vector<std::string>>& family_table() {
  static std::map<std::string, std::vector<std::string>> table;
  return table;
}

graph::Json options_json(core::Options& options) {
  graph::Json json = graph::Json::object();
  const core::Fields fields = core::walk(options);
  for (const core::Entry& entry : fields.entries()) std::visit([&](auto* value) { json[entry.path] = *value; }, entry.target);
  return json;
}

}  // namespace details

void ArchOptions::fields(core::Fields& f) {
  f.add({.name = "num_classes", .doc = "outputs of the net; 0 = as the data say", .min = 0, .max = 1e6}, num_classes);
  f.add({.name = "in_channels", .doc = "channels of an image; 0 = as the data say", .min = 0, .max = 4096}, in_channels);
  f.add({.name = "height", .doc = "height of an image; 0 = as the data say", .min = 0, .max = 16384, .unit = "pixels"}, height);
  f.add({.name = "width_px", .doc = "width of an image; 0 = as the data say", .min = 0, .max = 16384, .unit = "pixels"}, width_px);
}

void Architecture::add_to_family(const char* name, const char* file) {
  std::vector<std::string>& members = details::family_table()[std::filesystem::path(file).stem().string()];
  members.insert(std::upper_bound(members.begin(), members.end(), name), name);
}

const std::map<std::string, std::vector<std::string>>& families() { return details::family_table(); }

graph::Graph build(const core::Choice& choice, std::int64_t num_classes, std::int64_t channels, std::int64_t height, std::int64_t width,
                   double dropout) {
  Build* make = core::body<Build>("architecture", core::card("architecture", choice.name, "model." + choice.key).name);
  const std::shared_ptr<ArchOptions> options = details::copy(choice);
  details::fill(options->num_classes, num_classes, "num_classes");
  details::fill(options->in_channels, channels, "in_channels");
  details::fill(options->height, height, "height");
  details::fill(options->width_px, width, "width_px");
  options->dropout = dropout;
  options->check();
  try {
    graph::Graph graph = make(*options);
    if (!graph.meta.empty()) return graph;  // a file's own
    graph.meta = {{"arch", choice.name}, {"options", details::options_json(*options)}};
    if (dropout >= 0) graph.meta["options"]["dropout"] = dropout;
    return graph;
  } catch (const Error& e) {
    if (e.code() != Exit::kInput || !e.where().starts_with("node ")) throw;  // a node that does not fit: the sizes are the user's
    throw Error(Exit::kUsage, "model." + choice.key,
                fmt::format("'{}' does not fit images of {}x{}x{}: {}: {}", choice.name, options->in_channels, options->height, options->width_px,
                            e.where(), e.message()),
                "use larger images or a smaller model");
  }
}

}  // namespace ds::models
