#include "base/report/run_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/report/charts.h"
#include "base/report/page.h"
#include "base/report/sections.h"
#include "base/report/table.h"
#include "base/report/watched.h"

namespace ds::report {
namespace {

constexpr std::size_t kMostRows = 200;

const char* run_template() {
  return R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="generator" content="ds-train {{version}}"/>
<title>{{title}}</title>
<style>{{{style}}}</style>
</head>
<body>
<main>
<header>
<h1>{{title}}</h1>
<p class="sub">{{subtitle}}</p>
<div class="tiles">{{#tiles}}<div class="tile"><b>{{value}}</b><span>{{what}}</span></div>{{/tiles}}</div>
</header>
{{#has_alarms}}<section id="alarms">
<h2>Alarms</h2>
<div class="scroll"><table><thead><tr><th class="l">kind</th><th>step</th><th class="l">what</th></tr></thead>
<tbody>{{#alarms}}<tr><td class="l"><b>{{kind}}</b></td><td>{{step}}</td><td class="l">{{text}}</td></tr>
{{/alarms}}</tbody></table></div>
</section>{{/has_alarms}}
{{#has_curves}}<section id="curves">
<h2>Curves</h2>
<p class="sub">{{curves_note}}</p>
<div class="curves">{{#curves}}<figure><figcaption>{{name}} <small>{{unit}}</small></figcaption>{{{chart}}}</figure>{{/curves}}</div>
</section>{{/has_curves}}
{{#has_epochs}}<section id="epochs">
<h2>Epochs</h2>
<div class="scroll"><table><thead><tr>{{#keys}}<th>{{key}}</th>{{/keys}}</tr></thead>
<tbody>{{#epochs}}<tr>{{#cells}}<td>{{value}}</td>{{/cells}}</tr>
{{/epochs}}</tbody></table></div>
<p class="note">{{epochs_note}}</p>
</section>{{/has_epochs}}
{{#has_config}}<section id="config">
<h2>Configuration</h2>
<details><summary>args.yaml</summary><pre><code>{{config}}</code></pre></details>
</section>{{/has_config}}
<footer>{{footer}}</footer>
</main>
</body>
</html>
)html";
}

using Points = std::vector<std::pair<double, double>>;

Points of_epochs(const RunHistory& history, const std::string& key) {
  Points points;
  for (const Json& row : history.epochs())
    if (const double y = number_at(row, key.c_str()); std::isfinite(y)) points.emplace_back(number_at(row, "step"), y);
  return points;
}

Points of_steps(const RunHistory& history, const std::string& key) {
  const auto found = history.steps().find(key);
  return found == history.steps().end() ? Points{} : found->second.points;
}

/// Keys of all epochs, those that come first in a row first.
std::vector<std::string> epoch_keys(const RunHistory& history) {
  static const std::vector<std::string> first = {"epoch", "step", "train_loss", "val_loss", "train_top1", "val_top1"};
  std::set<std::string> all;
  for (const Json& row : history.epochs())
    for (const auto& [key, value] : row.items())
      if (value.is_number()) all.insert(key);
  std::vector<std::string> keys;
  for (const std::string& key : first)
    if (all.erase(key) > 0) keys.push_back(key);
  keys.insert(keys.end(), all.begin(), all.end());
  return keys;
}

struct Charts {
  List list;
  void add(const std::string& name, const std::string& unit, std::vector<Series> series, LineChart chart = {}) {
    std::erase_if(series, [](const Series& s) { return s.points.empty(); });
    chart.title = name;
    chart.x_label = "training step";
    const std::string svg = line_chart(series, chart);
    if (svg.empty()) return;
    Data figure;
    figure.set("name", text(name));
    figure.set("unit", text(unit));
    figure.set("chart", Data(svg));
    list.push_back(figure);
  }
};

/// Loss first, then what else an epoch tells with its training twin, then what steps tell.
List curves(const RunHistory& history) {
  Charts charts;
  charts.add("Loss", "validation solid, a step's dashed",
             {{"validation", 0, false, of_epochs(history, "val_loss")}, {"a step", 0, true, of_steps(history, "loss")}});
  std::set<std::string> shown = {"epoch", "step", "train_loss", "val_loss", "lr", "elapsed_s", "samples_per_sec", "peak_mem_bytes"};
  for (const std::string& key : epoch_keys(history)) {
    if (!shown.insert(key).second) continue;
    const bool split = key.starts_with("val_") || key.starts_with("train_");
    const std::string name = split ? key.substr(key.find('_') + 1) : key;
    if (!split) {
      charts.add(name, "", {{name, 0, false, of_epochs(history, key)}});
      continue;
    }
    shown.insert({"val_" + name, "train_" + name});
    charts.add(name, "validation solid, training dashed",
               {{"validation", 0, false, of_epochs(history, "val_" + name)}, {"training", 0, true, of_epochs(history, "train_" + name)}});
  }
  for (const Watched& metric : watched())
    if (*metric.key && std::string(metric.key) != "loss")
      charts.add(metric.panel == std::string("Memory") ? metric.help : metric.panel, metric.unit,
                 {{metric.panel, 0, false, of_steps(history, metric.key)}});
  return charts.list;
}

std::string number(const Json& value) {
  if (!value.is_number()) return "\u2013";
  return value.is_number_integer() ? value.dump() : fmt::format("{:.5g}", value.get<double>());
}

List tiles(const RunFacts& facts, const RunHistory& history) {
  List list;
  const auto add = [&](const std::string& value, const std::string& what) {
    Data tile;
    tile.set("value", text(value));
    tile.set("what", text(what));
    list.push_back(tile);
  };
  add(fmt::format("{} / {}", facts.epoch, facts.epochs), "epochs, " + facts.state);
  add(fmt::format("{} / {}", facts.step, facts.steps), "steps");
  if (history.epochs().empty()) return list;
  const Json& row = history.epochs().back();
  for (const auto& [key, what] : {std::pair{"val_loss", "validation loss"}, std::pair{"val_top1", "validation top-1"},
                                 std::pair{"train_loss", "training loss"}})
    if (row.contains(key)) add(number(row[key]), what);
  if (row.contains("samples_per_sec")) add(number(row["samples_per_sec"]), "samples a second");
  if (row.contains("peak_mem_bytes")) add(bytes_text(number_at(row, "peak_mem_bytes")), "peak memory of tensors");
  return list;
}

void fill_epochs(const RunHistory& history, Data& page) {
  const std::vector<std::string> keys = epoch_keys(history);
  List heads, rows;
  for (const std::string& key : keys) {
    Data head;
    head.set("key", text(key));
    heads.push_back(head);
  }
  const std::size_t all = history.epochs().size(), from = all > kMostRows ? all - kMostRows : 0;
  for (std::size_t i = from; i < all; ++i) {
    List cells;
    for (const std::string& key : keys) {
      Data cell;
      cell.set("value", text(number(member_at(history.epochs()[i], key.c_str()))));
      cells.push_back(cell);
    }
    Data row;
    row.set("cells", cells);
    rows.push_back(row);
  }
  page.set("has_epochs", flag(all > 0));
  page.set("keys", heads);
  page.set("epochs", rows);
  page.set("epochs_note", text(from > 0 ? fmt::format("The last {} of {}.", kMostRows, all) : ""));
}

void fill_alarms(const RunHistory& history, Data& page) {
  List list;
  for (const Json& alarm : history.alarms()) {
    Data row;
    row.set("kind", text(text_at(alarm, "alarm")));
    row.set("step", text(number(member_at(alarm, "step"))));
    row.set("text", text(text_at(alarm, "text")));
    list.push_back(row);
  }
  page.set("has_alarms", flag(!list.empty()));
  page.set("alarms", list);
}

}  // namespace

std::string run_page(const RunFacts& facts, const RunHistory& history) {
  Data page;
  page.set("title", text(facts.name));
  page.set("subtitle", text(facts.data.empty() ? facts.model : facts.model + " on " + facts.data));
  page.set("version", text(core::version()));
  page.set("style", Data(style()));
  page.set("tiles", tiles(facts, history));
  const List charts = curves(history);
  page.set("has_curves", flag(!charts.empty()));
  page.set("curves", charts);
  page.set("curves_note", text("Over training steps, from metrics.jsonl. Long curves are thinned."));
  fill_alarms(history, page);
  fill_epochs(history, page);
  page.set("has_config", flag(!facts.config.empty()));
  page.set("config", text(facts.config));
  page.set("footer", text(fmt::format("ds-train {}. Written anew after each epoch.", core::version())));
  kainjow::mustache::mustache engine{std::string(run_template())};
  engine.set_custom_escape([](const std::string& raw) { return escape(raw); });
  std::string out = engine.render(page);
  if (!engine.is_valid()) throw Error(Exit::kFailure, "report.html", engine.error_message());
  return out;
}

}  // namespace ds::report
