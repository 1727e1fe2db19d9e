#include "base/report/dashboard.h"

#include <fmt/format.h>

namespace ds::report {
namespace {

using Json = nlohmann::json;

constexpr const char* kSelector = R"(job=~"$job",model=~"$model",run=~"$run")";
constexpr int kColumns = 3, kWidth = 24 / kColumns, kHeight = 8;  // Grafana's grid has 24 columns

Json data_source() { return {{"type", "prometheus"}, {"uid", "${datasource}"}}; }

/// Grafana's name of the unit.
std::string unit_of(const Watched& metric) {
  const std::string unit = metric.unit;
  if (unit == "bytes") return "bytes";
  if (unit == "ratio") return "percentunit";
  if (unit == "seconds") return metric.shown == Shown::kRate ? "percentunit" : "s";  // seconds a second are a share of the time
  return "short";
}

Json variable(const std::string& name) {
  return {{"name", name},
          {"label", name},
          {"type", "query"},
          {"datasource", data_source()},
          {"query", {{"query", fmt::format("label_values(ds_train_steps_total, {})", name)}, {"refId", name}}},
          {"definition", fmt::format("label_values(ds_train_steps_total, {})", name)},
          {"refresh", 2},
          {"sort", 1},
          {"multi", true},
          {"includeAll", true},
          {"allValue", ".*"},
          {"current", {{"selected", true}, {"text", {"All"}}, {"value", {"$__all"}}}}};
}

Json variables() {
  Json list = Json::array({{{"name", "datasource"}, {"label", "data source"}, {"type", "datasource"}, {"query", "prometheus"}, {"refresh", 1}}});
  for (const char* name : {"job", "model", "run"}) list.push_back(variable(name));
  return list;
}

Json panel(const Watched& first, int index) {
  return {{"id", index + 1},
          {"title", first.panel},
          {"description", ""},
          {"type", "timeseries"},
          {"datasource", data_source()},
          {"gridPos", {{"h", kHeight}, {"w", kWidth}, {"x", index % kColumns * kWidth}, {"y", index / kColumns * kHeight}}},
          {"fieldConfig",
           {{"defaults", {{"unit", unit_of(first)}, {"custom", {{"lineWidth", 2}, {"fillOpacity", 0}, {"showPoints", "auto"}, {"spanNulls", true}}}}},
            {"overrides", Json::array()}}},
          {"options",
           {{"legend", {{"displayMode", "list"}, {"placement", "bottom"}, {"showLegend", true}}}, {"tooltip", {{"mode", "multi"}, {"sort", "none"}}}}},
          {"targets", Json::array()}};
}

void add(Json& panel, const Watched& metric) {
  std::string& description = panel["description"].get_ref<std::string&>();
  description += (description.empty() ? "" : "; ") + std::string(metric.name) + ": " + metric.help;
  for (const auto& [query, legend] : queries(metric)) {
    Json& targets = panel["targets"];
    const std::string id(1, static_cast<char>('A' + targets.size()));
    targets.push_back({{"refId", id}, {"datasource", data_source()}, {"expr", query}, {"legendFormat", legend}, {"range", true}, {"editorMode", "code"}});
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> queries(const Watched& metric) {
  const std::string series = fmt::format("{}{{{}}}", metric.name, kSelector);
  const std::string what = *metric.label ? fmt::format("{{{{{}}}}} {{{{run}}}}", metric.label) : std::string("{{run}}");
  switch (metric.shown) {
    case Shown::kValue: return {{series, std::string(metric.panel) == "Memory" ? fmt::format("{} {{{{run}}}}", metric.name + 3) : what}};
    case Shown::kRate: return {{fmt::format("rate({}[$__rate_interval])", series), what}};
    case Shown::kAge: return {{fmt::format("time() - {}", series), what}};
    case Shown::kQuantiles: break;
  }
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& [quantile, legend] : {std::pair{"0.5", "p50"}, std::pair{"0.99", "p99"}})
    list.emplace_back(fmt::format("histogram_quantile({}, sum by (le, job, model, run) (rate({}_bucket{{{}}}[$__rate_interval])))", quantile, metric.name,
                                  kSelector),
                      fmt::format("{} {{{{run}}}}", legend));
  return list;
}

nlohmann::json dashboard() {
  Json panels = Json::array();
  for (const Watched& metric : watched()) {
    Json* place = nullptr;
    for (Json& there : panels)
      if (there["title"] == metric.panel) place = &there;
    if (!place) {
      panels.push_back(panel(metric, static_cast<int>(panels.size())));
      place = &panels.back();
    }
    add(*place, metric);
  }
  return {{"title", "ds: training runs"},
          {"uid", "ds-train"},
          {"tags", {"ds"}},
          {"description", "Made by ds-report --dashboard from the table of metrics in ds-watch(5)."},
          {"schemaVersion", 38},
          {"version", 1},
          {"editable", true},
          {"graphTooltip", 1},
          {"refresh", "10s"},
          {"time", {{"from", "now-1h"}, {"to", "now"}}},
          {"templating", {{"list", variables()}}},
          {"annotations", {{"list", Json::array()}}},
          {"links", Json::array()},
          {"panels", panels}};
}

}  // namespace ds::report
