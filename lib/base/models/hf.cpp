#include "base/models/hf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/core/error.h"
#include "base/core/values.h"
#include "base/models/models.h"

namespace ds::models {
namespace hf {

/// Registrars fill them while the library is loaded.
std::map<std::string, HfFamily>& table() {
  static std::map<std::string, HfFamily> families;
  return families;
}
std::vector<std::pair<std::string, std::string>>& timm_table() {
  static std::vector<std::pair<std::string, std::string>> names;
  return names;
}

[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, where, what, hint); }

/// Numbers are equal as numbers: 1 and 1.0, and 1e-12 however it is written.
bool same(const Json& a, const Json& b) { return a.is_number() && b.is_number() ? a.get<double>() == b.get<double>() : a == b; }

bool contains(const Json& options, const Json& part) {
  return std::all_of(part.items().begin(), part.items().end(),
                     [&](const auto& item) { return options.contains(item.key()) && same(options.at(item.key()), item.value()); });
}

/// What transformers says of quantized weights, adapters and code of its own: nothing that is read here.
void refuse_foreign(const Json& config, const std::string& where, std::vector<Error>& errors) {
  if (config.contains("quantization_config"))
    errors.emplace_back(Exit::kInput, where, "'quantization_config': the weights are quantized by another program", "convert a float model, then ds-quantize");
}

const HfClass& class_of(const HfFamily& family, const Json& config, const Json& more, const std::string& where) {
  for (const HfClass& c : family.classes)
    if (more.contains("head") && contains(more, c.options)) return c;
  const Json named = config.value("architectures", Json());
  if (named.is_null() || (named.is_array() && named.empty())) return family.classes.front();
  if (!named.is_array() || !named[0].is_string()) fail(where, fmt::format("'architectures' is {}, expected a list of class names", named.dump()));
  std::vector<std::string> known;
  for (const HfClass& c : family.classes) {
    if (c.name == named[0]) return c;
    known.push_back(c.name);
  }
  fail(where, fmt::format("class '{}' of 'architectures' is none that is read: {}", named[0].get<std::string>(), fmt::join(known, ", ")));
}

/// As many outputs as there are labels, or as `num_labels` says; the configuration class means two where neither is there.
void read_classes(const Json& config, Json& options, const std::string& where) {
  const auto head = options.find("head");
  if (head == options.end() || (*head != "classification" && *head != "token")) return;
  const Json labels = config.value("id2label", Json()), count = config.value("num_labels", Json());
  if (!labels.is_null() && !labels.is_object()) fail(where, fmt::format("'id2label' is {}, expected an object", labels.type_name()));
  options["num_classes"] = labels.is_object() && !labels.empty() ? Json(labels.size()) : count.is_null() ? Json(2) : count;
}

/// The architecture of the families whose own options are the most like these.
std::string nearest(const HfFamily& family, const Json& options) {
  std::string best;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const std::string& name : family.families) {
    const auto found = families().find(name);
    if (found == families().end()) continue;
    for (const std::string& arch : found->second) {
      const auto own = core::card("architecture", arch).make_options();
      const core::Fields fields = core::walk(*own);
      std::size_t count = 0;
      for (const core::Entry& entry : fields.entries())
        count += options.contains(entry.path) && !same(options.at(entry.path), core::entry_json(entry));
      if (count < least) least = count, best = arch;
    }
  }
  return best;
}

core::Value value_of(const Json& json) {
  core::Value value;
  if (json.is_array()) {
    value.kind = core::Value::Kind::kList;
    for (const Json& item : json) value.items.push_back(value_of(item));
  } else if (!json.is_null()) {
    value.kind = core::Value::Kind::kScalar;
    value.text = json.is_string() ? json.get<std::string>() : json.dump();
    value.plain = !json.is_string();
  }
  return value;
}

}  // namespace hf

HfRegistrar::HfRegistrar(HfFamily family) {
  const std::string type = family.model_type;
  if (!hf::table().emplace(type, std::move(family)).second) throw Error(Exit::kFailure, type, "is registered twice");
}

HfTimm::HfTimm(const char* arch, const char* timm) { hf::timm_table().emplace_back(arch, timm); }

const HfFamily* hf_family(const std::string& model_type) {
  const auto found = hf::table().find(model_type);
  return found == hf::table().end() ? nullptr : &found->second;
}

const HfFamily* hf_family_of(const std::string& arch) {
  for (const auto& [type, family] : hf::table())
    for (const std::string& name : family.families)
      if (const auto members = families().find(name);
          members != families().end() && std::find(members->second.begin(), members->second.end(), arch) != members->second.end())
        return &family;
  return nullptr;
}

std::vector<std::string> hf_types() {
  std::vector<std::string> types;
  for (const auto& [type, family] : hf::table()) types.push_back(type);
  return types;
}

std::string timm_name(const std::string& arch) {
  for (const auto& [ours, theirs] : hf::timm_table())
    if (ours == arch) return theirs;
  return "";
}

std::string arch_of_timm(const std::string& name) {
  for (const auto& [ours, theirs] : hf::timm_table())
    if (theirs == name) return ours;
  return "";
}

core::Choice choose(const std::string& arch, const Json& options, const std::string& where) {
  core::Choice choice("architecture", "", "arch", true);
  choice.select(arch);
  const core::Fields fields = core::walk(*choice.options);
  for (const auto& [key, json] : options.items()) {
    const auto entry = std::find_if(fields.entries().begin(), fields.entries().end(), [&](const core::Entry& e) { return e.path == key; });
    if (entry == fields.entries().end()) hf::fail(where, fmt::format("'{}' has no option '{}'", arch, key));
    const core::Value value = hf::value_of(json);
    if (const auto problem = core::assign(*entry, value)) hf::fail(where, fmt::format("{}: {}", key, problem->what));
  }
  return choice;
}

HfNet read_hf_config(const Json& config, const Json& more, const std::string& where) {
  if (!config.is_object()) hf::fail(where, fmt::format("is {}, expected an object", config.type_name()));
  const Json type = config.value("model_type", Json());
  if (!type.is_string()) hf::fail(where, "has no 'model_type'");
  HfNet net;
  net.family = hf_family(type);
  if (!net.family) hf::fail(where, fmt::format("model_type '{}' is none that is read: {}", type.get<std::string>(), fmt::join(hf_types(), ", ")));
  net.of = &hf::class_of(*net.family, config, more, where);
  net.options = net.of->options;
  std::vector<Error> errors;
  hf::refuse_foreign(config, where, errors);
  for (const HfKey& key : net.family->keys) {
    const auto found = config.find(key.theirs);
    if (found != config.end() && !found->is_null()) net.options[key.ours] = *found;
    else if (!key.otherwise.is_null()) net.options[key.ours] = key.otherwise;
    else errors.emplace_back(Exit::kInput, where, fmt::format("'{}' is not there", key.theirs));
  }
  for (const HfFixed& fixed : net.family->fixed)
    if (const Json value = config.value(fixed.key, fixed.otherwise); !hf::same(value, fixed.value))
      errors.emplace_back(Exit::kInput, where, fmt::format("'{}' is {}, the net computes {}", fixed.key, value.dump(), fixed.value.dump()));
  throw_errors(errors);
  hf::read_classes(config, net.options, where);
  if (net.family->read) net.family->read(config, net.options, where);
  net.options.update(more);
  net.arch = hf::nearest(*net.family, net.options);
  return net;
}

graph::Graph build_hf(const HfNet& net, const std::string& where) {
  try {
    return build(choose(net.arch, net.options, where), {.kind = takes(net.arch, InputKind::kTokens) ? InputKind::kTokens : InputKind::kImages});
  } catch (const Error& e) {
    if (e.code() != Exit::kUsage) throw;  // what would be the user's fault is the file's here
    throw Error(Exit::kInput, where, e.where() + ": " + e.message());
  }
}

Json write_hf_config(const graph::Graph& graph, std::string& name, std::string& task) {
  const Json& options = graph.meta.value("options", Json::object());
  const HfFamily* family = hf_family_of(graph.meta.value("arch", ""));
  if (!family) return nullptr;
  const auto found = std::find_if(family->classes.begin(), family->classes.end(), [&](const HfClass& c) { return hf::contains(options, c.options); });
  if (found == family->classes.end()) return nullptr;
  name = found->name;
  task = found->task;
  Json config = {{"architectures", {name}}, {"model_type", family->model_type}, {"torch_dtype", "float32"}};
  for (const HfKey& key : family->keys)
    if (options.contains(key.ours)) config[key.theirs] = options.at(key.ours);
  for (const HfFixed& fixed : family->fixed) config[fixed.key] = fixed.value;
  if (family->write) family->write(options, config);
  return config;
}

bool is_as_built(const graph::Graph& graph) {
  const std::string arch = graph.meta.value("arch", "");
  const auto known = core::cards("architecture");
  if (std::none_of(known.begin(), known.end(), [&](const core::Card& card) { return card.name == arch; })) return false;
  try {
    const Json options = graph.meta.value("options", Json::object());
    Json own = options;
    own.erase("dropout");
    const InputKind kind = takes(arch, InputKind::kTokens) ? InputKind::kTokens : InputKind::kImages;
    graph::Graph fresh = build(choose(arch, own, arch), {.kind = kind}, options.value("dropout", -1.0));
    fresh.meta = graph.meta;
    return graph::to_json(fresh) == graph::to_json(graph);
  } catch (const Error&) {
    return false;  // made by a version whose options were others
  }
}

}  // namespace ds::models
