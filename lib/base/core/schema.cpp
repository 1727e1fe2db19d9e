// JSON Schema 2020-12: a map of known keys only. The options of a choice's member are allowed together with its name, by oneOf;
// unevaluatedProperties refuses what no branch names.
#include <cmath>

#include "base/core/generate.h"
#include "base/core/values.h"

namespace ds::core {
namespace {

Json number_schema(const Field& field, const char* type) {
  Json schema{{"type", type}};
  if (std::isfinite(field.min)) schema[field.above_min ? "exclusiveMinimum" : "minimum"] = field.min;
  if (std::isfinite(field.max)) schema[field.below_max ? "exclusiveMaximum" : "maximum"] = field.max;
  return schema;
}

Json text_schema(const Field& field) {
  if (field.choices.empty()) return Json{{"type", "string"}};
  return Json{{"enum", field.choices}};
}

Json type_schema(const Entry& entry) {
  switch (entry.target.index()) {
    case 0:
      return Json{{"type", "boolean"}};
    case 1:
      return number_schema(entry.field, "integer");
    case 2:
      return number_schema(entry.field, "number");
    case 3:
      return text_schema(entry.field);
    case 4:
      return Json{{"type", "array"}, {"items", number_schema(entry.field, "integer")}};
    case 5:
      return Json{{"type", "array"}, {"items", number_schema(entry.field, "number")}};
    default:
      return Json{{"type", "array"}, {"items", text_schema(entry.field)}};
  }
}

/// The schema of an option; null is allowed everywhere, as it takes back what an earlier file said.
Json entry_schema(const Entry& entry) {
  Json schema = type_schema(entry);
  if (entry.field.or_auto) schema = {{"anyOf", Json::array({schema, {{"const", "auto"}}, {{"type", "null"}}})}};
  if (schema.contains("type")) schema["type"] = Json::array({schema["type"], "null"});
  if (is_pairs(entry)) schema["type"].push_back("object");
  if (schema.contains("enum")) schema["enum"].push_back(nullptr);
  schema["description"] = entry.field.doc + (entry.field.unit.empty() ? "" : ", in " + entry.field.unit);
  schema["default"] = entry_json(entry);
  return schema;
}

Json map_schema() { return Json{{"type", Json::array({"object", "null"})}, {"properties", Json::object()}, {"unevaluatedProperties", false}}; }

/// The map at a dotted path below `root`, made where it is missing.
Json& map_at(Json& root, const std::string& path) {
  Json* map = &root;
  for (std::size_t start = 0; start < path.size();) {
    const std::size_t dot = std::min(path.find('.', start), path.size());
    Json& child = (*map)["properties"][path.substr(start, dot - start)];
    if (child.is_null()) child = map_schema();
    map = &child;
    start = dot + 1;
  }
  return *map;
}

void add_entries(Json& root, const Fields& fields, const std::string& prefix, const std::string& member);

Json branch(const Entry& choice, const Card& card, const std::string& name, bool is_default) {
  Json schema{{"properties", {{choice.field.name, {{"const", name}, {"description", card.summary}}}}}};
  if (!is_default) schema["required"] = Json::array({choice.field.name});
  return schema;
}

/// All members of a choice, as alternatives at the choice's own level.
void add_choice(Json& map, const Entry& entry) {
  Json alternatives = Json::array();
  for (const Card& card : cards(entry.choice->kind)) {
    const bool is_default = card.name == entry.choice->name;
    Json schema = branch(entry, card, card.name, is_default);
    const auto options = is_default ? entry.choice->options : card.make_options();
    if (options) add_entries(schema, walk_member(entry, card, *options), entry.group, card.name);
    alternatives.push_back(std::move(schema));
  }
  if (entry.choice->allow_none) {
    Json none{{"properties", {{entry.field.name, {{"enum", Json::array({"none", "", nullptr})}}}}}};
    if (!entry.choice->name.empty()) none["required"] = Json::array({entry.field.name});
    alternatives.push_back(std::move(none));
  }
  if (!map.contains("allOf")) map["allOf"] = Json::array();
  map["allOf"].push_back({{"oneOf", std::move(alternatives)}, {"description", entry.field.doc}});
}

void add_entries(Json& root, const Fields& fields, const std::string& prefix, const std::string& member) {
  for (const Entry& entry : fields.entries()) {
    if (entry.field.flag_only || entry.member != member) continue;  // members' own options come with their branch
    const std::size_t skip = prefix.empty() ? 0 : prefix.size() + 1;
    const std::string path = entry.path.substr(skip);
    const std::size_t dot = path.rfind('.');
    Json& map = map_at(root, dot == std::string::npos ? "" : path.substr(0, dot));
    if (entry.choice != nullptr) {
      add_choice(map, entry);
    } else {
      map["properties"][path.substr(dot == std::string::npos ? 0 : dot + 1)] = entry_schema(entry);
    }
  }
}

}  // namespace

Json json_schema(const ToolSpec& spec, CommandOptions& options) {
  Json schema = map_schema();
  schema["type"] = Json::array({"object", "null"});
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "config of " + spec.name;
  schema["description"] = spec.summary;
  const Fields fields = walk(options);
  add_entries(schema, fields, "", "");
  for (const auto& [path, doc] : fields.groups())
    if (Json* map = &schema; !doc.empty()) {
      for (std::size_t start = 0; map != nullptr && start < path.size();) {
        const std::size_t dot = std::min(path.find('.', start), path.size());
        const auto child = (*map)["properties"].find(path.substr(start, dot - start));
        map = child == (*map)["properties"].end() ? nullptr : &*child;
        start = dot + 1;
      }
      if (map != nullptr) (*map)["description"] = doc;
    }
  return schema;
}

}  // namespace ds::core
