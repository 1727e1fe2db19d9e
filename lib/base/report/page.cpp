#include "base/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/report/sections.h"

namespace ds::report {

namespace {

/// Files as people name them when there are few.
std::string title_of(const Facts& facts) {
  const Model& first = reference(facts);
  std::string title = facts.models.size() == 1 ? first.name : counted(facts.models.size(), "model");
  if (!first.arch.empty() && first.arch != title) title = facts.models.size() == 1 ? title + " (" + first.arch + ")" : first.arch + ": " + title;
  return facts.data.empty() ? title : title + " on " + facts.data;
}

std::string subtitle(const Facts& facts) {
  constexpr std::size_t kMostNames = 8;
  std::string names;
  for (std::size_t i = 0; i < std::min(kMostNames, facts.models.size()); ++i) names += (i ? ", " : "") + facts.models[i].name;
  return names + (facts.models.size() > kMostNames ? ", \u2026" : "");
}

/// Every command line once, in order.
List commands(const Facts& facts) {
  List list;
  std::set<std::vector<std::string>> seen;
  const auto add = [&](const std::vector<std::string>& argv) {
    if (argv.empty() || !seen.insert(argv).second) return;
    Data line;
    set_words(line, argv);
    list.push_back(line);
  };
  for (const Step& step : facts.steps) add(step.argv);
  for (const auto& argv : facts.commands) add(argv);
  return list;
}

/// Links to what the page has.
List contents(const Data& page) {
  List list;
  const auto add = [&](const char* id, const char* name, const char* condition) {
    if (*condition && !page.get(condition)->is_true()) return;
    Data entry;
    entry.set("id", text(id));
    entry.set("name", text(name));
    list.push_back(entry);
  };
  add("models", "Models", "");
  add("speed", "Speed and memory", "has_speed");
  add("trade", "Accuracy, speed and size", "has_scatter");
  add("training", "Training", "has_curves");
  add("classes", "Classes and mistakes", "has_classes");
  add("layers", "Layers", "has_layers");
  add("provenance", "How they came to be", "has_steps");
  add("commands", "Do it again", "has_commands");
  return list;
}

std::string render(const Facts& facts, const PageOptions& options, const Detail& detail, bool whole) {
  Data page;
  page.set("title", text(options.title.empty() ? title_of(facts) : options.title));
  page.set("subtitle", text(subtitle(facts)));
  page.set("version", text(core::version()));
  page.set("style", Data(style()));
  fill_models(facts, page);
  fill_speed(facts, page);
  fill_scatter(facts, page);
  fill_curves(facts, detail, page);
  fill_classes(facts, detail, page);
  fill_layers(facts, detail, page);
  fill_provenance(facts, detail, page);
  const List lines = commands(facts);
  page.set("has_commands", flag(!lines.empty()));
  page.set("commands", lines);
  page.set("footer", text(fmt::format("ds-report {}. Everything here comes from the files named above; nothing was run or fetched.{}",
                                      core::version(), whole ? "" : " Some pictures are left out to keep the page small.")));
  page.set("sections", contents(page));
  kainjow::mustache::mustache engine{std::string(page_template())};
  engine.set_custom_escape([](const std::string& raw) { return escape(raw); });
  std::string out = engine.render(page);
  if (!engine.is_valid()) throw Error(Exit::kFailure, "report", engine.error_message());
  return out;
}

}  // namespace

std::string html(const Facts& facts, const PageOptions& options) {
  if (facts.models.empty()) throw Error(Exit::kInput, "report", "no model in what was given");
  const Detail levels[] = {{}, {6, 40, 1000, 1000, 1000}, {4, 30, 24, 12, 200}, {0, 0, 12, 4, 100}, {0, 0, 4, 0, 0}};
  std::string page;
  for (const Detail& detail : levels) {
    page = render(facts, options, detail, &detail == &levels[0]);
    if (page.size() <= kMostBytes) break;
  }
  return page;
}

}  // namespace ds::report
