#include "base/models/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"

namespace ds::models {
namespace details {

const char* name_of(InputKind kind) { return kind == InputKind::kImages ? "images" : "texts"; }

/// Registrars fill these while the library is loaded.
std::map<std::string, Usual>& usual_table() {
  static std::map<std::string, Usual> table;
  return table;
}
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

void fill(std::int64_t& option, std::int64_t data, const std::string& name) {
  if (option != 0 && data != 0 && option != data)
    throw Error(Exit::kUsage, "model." + name, fmt::format("is {}, but the data have {}", option, data), fmt::format("leave model.{} out", name));
  if (option == 0) option = data;
  if (option <= 0)
    throw Error(Exit::kUsage, "model." + name, fmt::format("is {}, expected a number above 0", option), fmt::format("set model.{} or --data", name));
}

void NetOptions::fields(core::Fields& f) {
  f.add({.name = "num_classes", .doc = "outputs of the net; 0 = as the data say", .min = 0, .max = 1e6}, num_classes);
}

void ArchOptions::fields(core::Fields& f) {
  NetOptions::fields(f);
  f.add({.name = "in_channels", .doc = "channels of an image; 0 = as the data say", .min = 0, .max = 4096}, in_channels);
  f.add({.name = "height", .doc = "height of an image; 0 = as the data say", .min = 0, .max = 16384, .unit = "pixels"}, height);
  f.add({.name = "width_px", .doc = "width of an image; 0 = as the data say", .min = 0, .max = 16384, .unit = "pixels"}, width_px);
}

void ArchOptions::fit(const DataSizes& data) {
  fill(num_classes, data.num_classes, "num_classes");
  fill(in_channels, data.channels, "in_channels");
  fill(height, data.height, "height");
  fill(width_px, data.width, "width_px");
}

std::string ArchOptions::fitted_to() const { return fmt::format("images of {}x{}x{}", in_channels, height, width_px); }

void Architecture::add_to_family(const char* name, const char* file, Usual usual) {
  details::usual_table()[name] = usual;
  std::vector<std::string>& members = details::family_table()[std::filesystem::path(file).stem().string()];
  members.insert(std::upper_bound(members.begin(), members.end(), name), name);
}

const std::map<std::string, std::vector<std::string>>& families() { return details::family_table(); }

const Usual& usual(const std::string& arch) { return details::usual_table().at(core::card("architecture", arch).name); }

DataSizes usual_data(const std::string& arch) {
  const Usual& usual = models::usual(arch);
  if (takes(arch, InputKind::kTokens)) return {.kind = InputKind::kTokens, .num_classes = 2, .length = graph::kUsualLength};
  return {.num_classes = usual.classes, .channels = usual.channels, .height = usual.side, .width = usual.side};
}

core::Choice copy(const core::Choice& choice) {
  core::Choice fresh = choice;
  fresh.select(choice.name);
  if (!choice.options) return fresh;
  const core::Fields from = core::walk(*choice.options), to = core::walk(*fresh.options);
  for (std::size_t i = 0; i < from.entries().size(); ++i)
    std::visit([&](auto* target) { *target = *std::get<std::decay_t<decltype(target)>>(from.entries()[i].target); }, to.entries()[i].target);
  return fresh;
}

bool takes(const std::string& arch, InputKind kind) {
  return static_cast<const NetOptions&>(*core::card("architecture", arch).make_options()).takes(kind);
}

graph::Graph build(const core::Choice& choice, std::int64_t num_classes, std::int64_t channels, std::int64_t height, std::int64_t width,
                   double dropout) {
  return build(choice, {.num_classes = num_classes, .channels = channels, .height = height, .width = width}, dropout);
}

graph::Graph build(const core::Choice& choice, const DataSizes& data, double dropout) {
  Build* make = core::body<Build>("architecture", core::card("architecture", choice.name, "model." + choice.key).name);
  const auto options = std::static_pointer_cast<NetOptions>(copy(choice).options);
  if (!options->takes(data.kind)) {
    const InputKind other = data.kind == InputKind::kImages ? InputKind::kTokens : InputKind::kImages;
    throw Error(Exit::kUsage, "model." + choice.key,
                fmt::format("'{}' takes {}, the data are {}", choice.name, details::name_of(other), details::name_of(data.kind)),
                data.kind == InputKind::kImages ? "choose another, such as resnet18" : "choose another, such as bert_tiny");
  }
  options->fit(data);
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
                fmt::format("'{}' does not fit {}: {}: {}", choice.name, options->fitted_to(), e.where(), e.message()),
                data.kind == InputKind::kImages ? "use larger images or a smaller model" : "choose other sizes of the model");
  }
}

}  // namespace ds::models
