#include "base/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <kainjow/mustache.hpp>
#include <set>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/report/charts.h"

namespace ds::report {

namespace {

using Data = kainjow::mustache::data;
using List = kainjow::mustache::list;

/// How much the page shows, for a page that would be too large otherwise.
struct Detail {
  std::size_t mistakes = 12, layers = 80, curves = 1000, cards = 1000, steps = 1000;
};

Data text(const std::string& value) { return Data(clean(value)); }
Data flag(bool value) { return Data(value ? Data::type::bool_true : Data::type::bool_false); }

const Model& reference(const Facts& facts) { return facts.models.front(); }

std::string percent(double share, int digits = 2) { return std::isfinite(share) ? fmt::format("{:.{}f}", 100 * share, digits) : "\u2013"; }

std::string ratio_text(double value, double first) {
  return std::isfinite(value) && std::isfinite(first) && first > 0 && value > 0 ? fmt::format("{:.2f}\u00d7", value / first) : "";
}

std::string counted(std::size_t n, const std::string& what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

std::string kind_text(const Model& m) {
  std::vector<std::string> parts;
  for (const std::string& part : {m.arch, m.dtype, m.digest.substr(0, 8)})
    if (!part.empty()) parts.push_back(part);
  if (!m.checkpoint) parts.push_back("from a record");
  for (const std::string& path : m.aliases) parts.push_back("also " + path);
  std::string line;
  for (const std::string& part : parts) line += (line.empty() ? "" : " \u00b7 ") + part;
  return line;
}

/// Files as people name them when there are few.
std::string title_of(const Facts& facts) {
  const Model& first = reference(facts);
  std::string title = facts.models.size() == 1 ? first.name : counted(facts.models.size(), "model");
  if (!first.arch.empty() && first.arch != title) title = facts.models.size() == 1 ? title + " (" + first.arch + ")" : first.arch + ": " + title;
  return facts.data.empty() ? title : title + " on " + facts.data;
}

// --- head and table ---------------------------------------------------------------------------------------------

/// The model that the report leads to: the last of those with the longest chain.
const Model* outcome(const Facts& facts) {
  const Model* best = nullptr;
  for (const Model& m : facts.models)
    if (&m != &reference(facts) && (!best || m.provenance.size() >= best->provenance.size())) best = &m;
  return best;
}

List tiles(const Facts& facts) {
  List list;
  const Model* last = outcome(facts);
  const Model& first = reference(facts);
  if (!last) return list;
  const auto add = [&](const std::string& value, const std::string& what) {
    Data tile;
    tile.set("value", text(value));
    tile.set("what", text(what));
    list.push_back(tile);
  };
  const std::string against = last->name + " against " + first.name;
  if (first.score && last->score && first.score->split == last->score->split) {
    const double points = 100 * (last->score->top1 - first.score->top1);
    add(std::abs(points) < 0.005 ? "\u00b10 points" : fmt::format("{}{:.2f} points", points > 0 ? "+" : "\u2212", std::abs(points)), fmt::format("{} accuracy, {}", first.score->split, against));
  }
  const auto times = [&](double before, double after, const char* less, const char* more) {
    if (!(before > 0 && after > 0)) return;
    const double x = before / after;
    add(fmt::format("{:.{}f}\u00d7 {}", x >= 1 ? x : 1 / x, (x >= 1 ? x : 1 / x) < 10 ? 1 : 0, x >= 1 ? less : more), "");
  };
  const std::size_t from = list.size();
  times(first.tensor_bytes, last->tensor_bytes, "smaller", "larger");
  if (list.size() > from) list.back().set("what", text(fmt::format("{} \u2192 {} of tensors", bytes_text(first.tensor_bytes), bytes_text(last->tensor_bytes))));
  const std::size_t timed = list.size();
  if (first.latency && last->latency && first.latency->batch == last->latency->batch) times(first.latency->p50, last->latency->p50, "faster", "slower");
  if (list.size() > timed)
    list.back().set("what", text(fmt::format("{} \u2192 {} a call, batch {}", seconds_text(first.latency->p50), seconds_text(last->latency->p50), first.latency->batch)));
  const std::size_t worked = list.size();
  if (first.macs != last->macs) times(first.macs, last->macs, "less work", "more work");
  if (list.size() > worked) list.back().set("what", text(fmt::format("{} \u2192 {} MACs", count_text(first.macs), count_text(last->macs))));
  return list;
}

Axis interval_axis(const Facts& facts) {
  Axis axis{1, 0, false, {}};
  for (const Model& m : facts.models)
    if (m.score) {
      axis.low = std::min(axis.low, std::isfinite(m.score->low) ? m.score->low : m.score->top1);
      axis.high = std::max(axis.high, std::isfinite(m.score->high) ? m.score->high : m.score->top1);
    }
  if (axis.high <= axis.low) axis = {axis.low - 0.01, axis.low + 0.01, false, {}};
  return axis;
}

bool any_timed(const Facts& facts) {
  return std::any_of(facts.models.begin(), facts.models.end(), [](const Model& m) { return m.latency.has_value(); });
}

List model_rows(const Facts& facts, bool intervals) {
  const Axis axis = interval_axis(facts);
  const Model& first = reference(facts);
  List rows;
  for (std::size_t i = 0; i < facts.models.size(); ++i) {
    const Model& m = facts.models[i];
    Data row;
    row.set("name", text(m.name));
    row.set("path", text(m.path));
    row.set("kind", text(kind_text(m)));
    row.set("mark", Data(mark(static_cast<int>(i), m.name)));
    row.set("dominated", flag(m.dominated));
    row.set("top1", text(m.score ? percent(m.score->top1) : "\u2013"));
    row.set("split", text(m.score ? m.score->split : ""));
    row.set("intervals", flag(intervals));
    row.set("interval", Data(m.score ? interval(*m.score, axis, static_cast<int>(i)) : ""));
    row.set("interval_text", text(m.score && std::isfinite(m.score->low) ? percent(m.score->low) + " to " + percent(m.score->high) : ""));
    List cells;
    const auto add = [&](double value, double base, const std::string& shown, const std::string& more = "") {
      Data cell;
      cell.set("value", text(std::isfinite(value) ? shown : "\u2013"));
      std::string ratio = &m == &first ? "" : ratio_text(value, base);
      if (!more.empty()) ratio += (ratio.empty() ? "" : " \u00b7 ") + more;
      cell.set("ratio", text(ratio));
      cells.push_back(cell);
    };
    add(m.parameters, first.parameters, count_text(m.parameters));
    add(m.macs, first.macs, count_text(m.macs));
    add(m.tensor_bytes, first.tensor_bytes, bytes_text(m.tensor_bytes));
    add(m.file_bytes, first.file_bytes, bytes_text(m.file_bytes));
    if (any_timed(facts)) {
      const double p50 = m.latency ? m.latency->p50 : NAN, p99 = m.latency ? m.latency->p99 : NAN;
      add(p50, first.latency ? first.latency->p50 : NAN, seconds_text(p50), std::isfinite(p99) ? "p99 " + seconds_text(p99) : "");
    }
    row.set("cells", cells);
    rows.push_back(row);
  }
  return rows;
}

std::string table_note(const Facts& facts) {
  std::string note;
  if (facts.models.size() > 1) note = fmt::format("\u00d7 is the ratio to {}. ", reference(facts).name);
  std::set<std::string> splits;
  for (const Model& m : facts.models)
    if (m.score) splits.insert(m.score->split);
  if (splits.size() > 1) note += "Models are judged on different splits, as no split was evaluated for all: give the output of ds-bench too. ";
  if (any_timed(facts)) {
    const Model& timed = *std::find_if(facts.models.begin(), facts.models.end(), [](const Model& m) { return m.latency.has_value(); });
    note += fmt::format("Latency at batch {}{}, {}. ", timed.latency->batch, timed.latency->threads > 0 ? ", " + counted(static_cast<std::size_t>(timed.latency->threads), "thread") : "",
                        facts.measured ? "measured by ds-bench in turns" : "as each tool saw it when it saved the model: a first impression, ds-bench measures with care");
  }
  if (!facts.isa.empty()) note += "Processor: " + facts.isa + ".";
  return note;
}

std::string scatter_note(const Facts& facts) {
  std::string grey;
  for (const Model& m : facts.models)
    if (m.dominated) grey += (grey.empty() ? "" : ", ") + m.name;
  return "Areas are the bytes of the tensors, whiskers the 95 % interval of the accuracy. " +
         (grey.empty() ? std::string("No model is dominated: each is best at something.") : "Grey: dominated, that is, another one is no worse in accuracy, latency and size and better in one: " + grey + ".");
}

// --- training ---------------------------------------------------------------------------------------------------

struct Run {
  int model;
  double offset, end;
  std::vector<const Json*> rows;
};

double step_at(const Json& row, std::size_t index) {
  const double step = number_at(row, "step"), epoch = number_at(row, "epoch");
  return std::isfinite(step) ? step : std::isfinite(epoch) ? epoch : static_cast<double>(index + 1);
}

/// One run a history: a tool that does not train hands its parent's on. A run goes on where its parent's ended.
std::vector<Run> runs_of(const Facts& facts) {
  std::vector<Run> runs;
  std::vector<double> ends(facts.models.size(), 0);
  for (std::size_t i = 0; i < facts.models.size(); ++i) {
    const Model& m = facts.models[i];
    if (m.parent >= 0) ends[i] = ends[static_cast<std::size_t>(m.parent)];
    if (m.history.empty()) continue;
    const auto same = std::find_if(runs.begin(), runs.end(), [&](const Run& run) { return facts.models[static_cast<std::size_t>(run.model)].history == m.history; });
    if (same != runs.end()) {
      ends[i] = same->end;
      continue;
    }
    Run run{static_cast<int>(i), ends[i], ends[i], {}};
    for (const Json& row : m.history) run.rows.push_back(&row);
    run.end += step_at(*run.rows.back(), run.rows.size() - 1);
    ends[i] = run.end;
    runs.push_back(std::move(run));
  }
  return runs;
}

std::vector<Series> series_of(const Facts& facts, const std::vector<Run>& runs, const std::vector<std::pair<const char*, const char*>>& keys) {
  std::vector<Series> all;
  for (const Run& run : runs)
    for (const auto& [key, name] : keys) {
      Series s{facts.models[static_cast<std::size_t>(run.model)].name + (*name ? ", " + std::string(name) : ""), run.model, std::string(name) == "training", {}};
      for (std::size_t i = 0; i < run.rows.size(); ++i)
        if (const double y = number_at(*run.rows[i], key); std::isfinite(y)) s.points.emplace_back(run.offset + step_at(*run.rows[i], i), y);
      if (!s.points.empty()) all.push_back(std::move(s));
    }
  return all;
}

void fill_curves(const Facts& facts, const Detail& detail, Data& page) {
  std::vector<Run> runs = runs_of(facts);
  if (runs.size() > detail.curves) runs.resize(detail.curves);
  const bool steps = std::any_of(runs.begin(), runs.end(), [](const Run& r) { return std::isfinite(number_at(*r.rows.back(), "step")); });
  List charts, legend;
  const auto add = [&](const char* name, const char* unit, const std::vector<std::pair<const char*, const char*>>& keys, LineChart chart) {
    chart.title = name;
    chart.x_label = steps ? "training step" : "epoch";
    const std::string svg = line_chart(series_of(facts, runs, keys), chart);
    if (svg.empty()) return;
    Data figure;
    figure.set("name", text(name));
    figure.set("unit", text(unit));
    figure.set("chart", Data(svg));
    charts.push_back(figure);
  };
  add("Loss", "validation solid, training dashed", {{"val_loss", "validation"}, {"train_loss", "training"}}, {});
  LineChart share;
  share.percent = true;
  add("Accuracy, %", "validation solid, training dashed", {{"val_top1", "validation"}, {"train_top1", "training"}}, share);
  LineChart small;
  small.height = 170;
  add("Learning rate", "at the end of each epoch", {{"lr", ""}}, small);
  for (const Run& run : runs) {
    const Model& m = facts.models[static_cast<std::size_t>(run.model)];
    Data entry;
    entry.set("name", text(m.name));
    entry.set("mark", Data(mark(run.model, m.name)));
    entry.set("what", text(fmt::format("{}, {}", counted(run.rows.size(), "epoch"), text_at(m.provenance.empty() ? Json() : m.provenance.back(), "tool"))));
    if (text_at(m.provenance.empty() ? Json() : m.provenance.back(), "tool").empty()) entry.set("what", text(counted(run.rows.size(), "epoch")));
    legend.push_back(entry);
  }
  page.set("has_curves", flag(!charts.empty()));
  page.set("curves", charts);
  page.set("runs", legend);
  page.set("curves_note", text("One point an epoch. Validation is measured without augmentation and dropout, training with them. A model that goes on from another one begins where that one's steps end."));
}

// --- classes ----------------------------------------------------------------------------------------------------

List wrong_pictures(const Model& m, std::size_t most) {
  const auto label = [&](std::int64_t c) { return c >= 0 && c < static_cast<std::int64_t>(m.labels.size()) ? m.labels[static_cast<std::size_t>(c)] : std::to_string(c); };
  List list;
  for (std::size_t i = 0; i < std::min(most, m.mistakes.size()); ++i) {
    const Mistake& w = m.mistakes[i];
    Data picture;
    picture.set("label", text(label(w.label)));
    picture.set("prediction", text(label(w.prediction)));
    picture.set("sure", text(percent(w.confidence, 1) + " %"));
    picture.set("id", text(std::to_string(w.id)));
    picture.set("alt", text(fmt::format("sample {}: {} taken for {}", w.id, label(w.label), label(w.prediction))));
    if (w.pixels.empty()) picture.set("uri", flag(false));
    else picture.set("uri", Data(png_uri(w.pixels, w.width, w.height, w.channels)));
    list.push_back(picture);
  }
  return list;
}

void fill_classes(const Facts& facts, const Detail& detail, Data& page) {
  List cards;
  for (const Model& m : facts.models) {
    if (cards.size() == detail.cards) break;
    if (!m.confusion && m.mistakes.empty()) continue;
    Data card;
    card.set("name", text(m.name));
    std::string what;
    card.set("matrix", flag(false));
    card.set("bars", flag(false));
    if (m.confusion) {
      std::int64_t all = 0, right = 0;
      for (std::size_t i = 0; i < m.confusion->counts.size(); ++i) {
        right += m.confusion->counts[i][i];
        for (const std::int64_t n : m.confusion->counts[i]) all += n;
      }
      what = fmt::format("{} wrong of {}{}", all - right, all, m.confusion->split.empty() ? "" : ", " + m.confusion->split + " split");
      card.set("matrix", Data(confusion_chart(*m.confusion, m.labels, m.name)));
      if (m.confusion->counts.size() > 30) card.set("bars", Data(class_bars(*m.confusion, m.labels, m.name)));
    }
    card.set("what", text(what));
    const List wrongs = wrong_pictures(m, detail.mistakes);
    card.set("has_wrongs", flag(!wrongs.empty()));
    card.set("wrong_split", text(m.mistakes_split.empty() ? "" : m.mistakes_split + " split"));
    card.set("wrongs", wrongs);
    cards.push_back(card);
  }
  page.set("has_classes", flag(!cards.empty()));
  page.set("classes", cards);
}

// --- layers -----------------------------------------------------------------------------------------------------

std::string shape_of(const Layer& layer) { return io::shape_text(layer.shape); }

const Layer* find_layer(const Model* model, const std::string& name) {
  if (!model) return nullptr;
  const auto found = std::find_if(model->layers.begin(), model->layers.end(), [&](const Layer& l) { return l.name == name; });
  return found == model->layers.end() ? nullptr : &*found;
}

bool layers_differ(const Model& m, const Model* parent) {
  return std::any_of(m.layers.begin(), m.layers.end(), [&](const Layer& layer) {
    const Layer* old = find_layer(parent, layer.name);
    return old ? old->shape != layer.shape || old->dtype != layer.dtype : parent != nullptr || layer.dtype == "int8";
  });
}

Data layer_table(const Model& m, const Model* parent, const Detail& detail, bool open) {
  double most = 1, bytes = 0, before = 0;
  bool noisy = false;
  for (const Layer& layer : m.layers) {
    const Layer* old = find_layer(parent, layer.name);
    most = std::max({most, static_cast<double>(layer.bytes), old ? static_cast<double>(old->bytes) : 0.0});
    bytes += static_cast<double>(layer.bytes);
    before += old ? static_cast<double>(old->bytes) : 0;
    noisy |= std::isfinite(layer.sqnr_db);
  }
  List rows;
  for (const Layer& layer : m.layers) {
    if (rows.size() == detail.layers) break;
    const Layer* old = find_layer(parent, layer.name);
    const auto change = [&](const std::string& from, const std::string& to) { return old && from != to ? from + " \u2192 " + to : to; };
    Data row;
    row.set("name", text(layer.name));
    row.set("op", text(layer.op));
    std::string weight = old && old->shape != layer.shape ? shape_of(*old) + " \u2192 " + shape_of(layer) : shape_of(layer);
    weight += " " + change(old ? old->dtype : "", layer.dtype);
    row.set("weight", text(weight));
    row.set("parameters", text(old ? change(count_text(static_cast<double>(old->parameters)), count_text(static_cast<double>(layer.parameters))) : count_text(static_cast<double>(layer.parameters))));
    row.set("bytes", text(old ? change(bytes_text(static_cast<double>(old->bytes)), bytes_text(static_cast<double>(layer.bytes))) : bytes_text(static_cast<double>(layer.bytes))));
    row.set("width", text(coordinate(std::max(1.0, 130 * static_cast<double>(layer.bytes) / most), 0)));
    row.set("noisy", flag(noisy));
    row.set("sqnr", text(std::isfinite(layer.sqnr_db) ? fmt::format("{:.1f}", layer.sqnr_db) : "\u2013"));
    rows.push_back(row);
  }
  Data table;
  table.set("name", text(m.name));
  std::string what = counted(m.layers.size(), "layer") + ", " + bytes_text(bytes);
  if (parent && before > 0) what += fmt::format(", {:.2f}\u00d7 of {}", bytes / before, parent->name);
  if (rows.size() < m.layers.size()) what += fmt::format("; the first {} are shown", rows.size());
  table.set("what", text(what));
  table.set("open", flag(open));
  table.set("noisy", flag(noisy));
  table.set("rows", rows);
  return table;
}

void fill_layers(const Facts& facts, const Detail& detail, Data& page) {
  std::vector<const Model*> shown;
  for (const Model& m : facts.models)
    if (layers_differ(m, m.parent >= 0 ? &facts.models[static_cast<std::size_t>(m.parent)] : nullptr)) shown.push_back(&m);
  std::size_t rows = 0;
  for (const Model* m : shown) rows += m->layers.size();
  List tables;
  for (const Model* m : shown)
    if (detail.layers > 0 && tables.size() < detail.cards)
      tables.push_back(layer_table(*m, m->parent >= 0 ? &facts.models[static_cast<std::size_t>(m->parent)] : nullptr, detail, rows <= 60));
  page.set("has_layers", flag(!tables.empty()));
  page.set("layers", tables);
}

// --- all of it --------------------------------------------------------------------------------------------------

std::string commands_text(const Facts& facts, const PageOptions& options) {
  std::string lines;
  std::set<std::string> seen;
  const auto add = [&](const std::vector<std::string>& argv) {
    const std::string line = command_line(argv);
    if (!line.empty() && seen.insert(line).second) lines += line + "\n";
  };
  for (const Step& step : facts.steps) add(step.argv);
  for (const auto& command : facts.commands) add(command);
  add(options.command);
  return lines;
}

std::string render(const Facts& facts, const PageOptions& options, const Detail& detail, bool whole) {
  Data page;
  const std::string title = options.title.empty() ? title_of(facts) : options.title;
  page.set("title", text(title));
  page.set("version", text(core::version()));
  page.set("style", Data(style()));
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(8, facts.models.size()); ++i) names += (i ? ", " : "") + facts.models[i].name;
  page.set("subtitle", text(names + (facts.models.size() > 8 ? ", \u2026" : "")));
  const List list = tiles(facts);
  page.set("has_tiles", flag(!list.empty()));
  page.set("tiles", list);
  const bool intervals = std::any_of(facts.models.begin(), facts.models.end(), [](const Model& m) { return m.score && std::isfinite(m.score->low); });
  page.set("intervals", flag(intervals));
  page.set("timed", flag(any_timed(facts)));
  page.set("models", model_rows(facts, intervals));
  page.set("table_note", text(table_note(facts)));
  const std::string points = scatter(facts.models), chain = facts.steps.size() <= detail.steps ? provenance_chart(facts) : "";
  page.set("scatter", points.empty() ? flag(false) : Data(points));
  page.set("scatter_note", text(scatter_note(facts)));
  fill_curves(facts, detail, page);
  fill_classes(facts, detail, page);
  fill_layers(facts, detail, page);
  page.set("chain", chain.empty() ? flag(false) : Data(chain));
  page.set("chain_note", text("Each box is a run of a tool, with the digest of what it made. Solid lines lead to what was changed, dashed ones to teachers."));
  const std::string commands = commands_text(facts, options);
  page.set("has_commands", flag(!commands.empty()));
  page.set("commands", text(commands));
  page.set("footer", text(fmt::format("ds-report {}. Everything here comes from the files named above; nothing was run or fetched.{}", core::version(),
                                      whole ? "" : " Some pictures are left out to keep the page small.")));
  List sections;
  const auto section = [&](const char* id, const char* name, bool there) {
    if (!there) return;
    Data entry;
    entry.set("id", text(id));
    entry.set("name", text(name));
    sections.push_back(entry);
  };
  section("models", "Models", true);
  section("trade", "Accuracy, speed and size", !points.empty());
  section("training", "Training", page.get("has_curves")->is_true());
  section("classes", "Classes and mistakes", page.get("has_classes")->is_true());
  section("layers", "Layers", page.get("has_layers")->is_true());
  section("provenance", "How they came to be", !chain.empty());
  section("commands", "Do it again", !commands.empty());
  page.set("sections", sections);
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

Table headline(const Facts& facts) {
  Table table{{{"model", false}, {"split", false}, {"top-1 %"}, {"95 %"}, {"params"}, {"x"}, {"MACs"}, {"x"}, {"tensors"}, {"x"}, {"file"}, {"x"}, {"p50"}, {"x"}}, {}};
  const Model& first = reference(facts);
  for (const Model& m : facts.models) {
    const auto number = [](double value, std::string (*show)(double)) { return std::isfinite(value) ? show(value) : std::string("-"); };
    const auto ratio = [](double value, double base) { return std::isfinite(value) && base > 0 ? fmt::format("{:.2f}", value / base) : std::string("-"); };
    const double p50 = m.latency ? m.latency->p50 : NAN, base = first.latency ? first.latency->p50 : NAN;
    table.rows.push_back({clean(m.name), m.score ? m.score->split : "-", m.score ? percent(m.score->top1) : "-",
                          m.score && std::isfinite(m.score->low) ? percent(m.score->low) + ".." + percent(m.score->high) : "-", number(m.parameters, count_text),
                          ratio(m.parameters, first.parameters), number(m.macs, count_text), ratio(m.macs, first.macs), number(m.tensor_bytes, bytes_text),
                          ratio(m.tensor_bytes, first.tensor_bytes), number(m.file_bytes, bytes_text), ratio(m.file_bytes, first.file_bytes), number(p50, seconds_text), ratio(p50, base)});
  }
  return table;
}

}  // namespace ds::report
