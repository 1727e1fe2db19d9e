// What the page says of how models were trained, where they fail, of their layers, and how they came to be.
#include <fmt/format.h>

#include <algorithm>

#include "base/report/charts.h"
#include "base/report/lineage.h"
#include "base/report/sections.h"
#include "base/report/table.h"

namespace ds::report {

namespace {

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
    const auto same = std::find_if(runs.begin(), runs.end(),
                                   [&](const Run& run) { return facts.models[static_cast<std::size_t>(run.model)].history == m.history; });
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
      Series s{facts.models[static_cast<std::size_t>(run.model)].name + (*name ? ", " + std::string(name) : ""),
               run.model,
               std::string(name) == "training",
               {}};
      for (std::size_t i = 0; i < run.rows.size(); ++i)
        if (const double y = number_at(*run.rows[i], key); std::isfinite(y)) s.points.emplace_back(run.offset + step_at(*run.rows[i], i), y);
      if (!s.points.empty()) all.push_back(std::move(s));
    }
  return all;
}

/// "4 epochs, ds-prune".
std::string run_text(const Facts& facts, const Run& run) {
  const Json& provenance = facts.models[static_cast<std::size_t>(run.model)].provenance;
  const std::string tool = provenance.empty() ? "" : text_at(provenance.back(), "tool");
  return counted(run.rows.size(), "epoch") + (tool.empty() ? "" : ", " + tool);
}

}  // namespace

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
  LineChart share;
  share.percent = true;
  add("Loss", "validation solid, training dashed", {{"val_loss", "validation"}, {"train_loss", "training"}}, {});
  add("Accuracy, %", "validation solid, training dashed", {{"val_top1", "validation"}, {"train_top1", "training"}}, share);
  add("Learning rate", "at the end of each epoch", {{"lr", ""}}, {});
  for (const Run& run : runs) {
    const std::string& name = facts.models[static_cast<std::size_t>(run.model)].name;
    Data entry;
    entry.set("name", text(name));
    entry.set("mark", Data(mark(run.model)));
    entry.set("what", text(run_text(facts, run)));
    legend.push_back(entry);
  }
  page.set("has_curves", flag(!charts.empty()));
  page.set("curves", charts);
  page.set("runs", legend);
  page.set("curves_note",
           text("One point an epoch. Validation is measured without augmentation and dropout, training with them. A model that goes on "
                "from another one begins where that one's steps end."));
}

namespace {

// --- classes ----------------------------------------------------------------------------------------------------

List wrong_pictures(const Model& m, std::size_t most) {
  const auto label = [&](std::int64_t c) {
    return c >= 0 && c < static_cast<std::int64_t>(m.labels.size()) ? m.labels[static_cast<std::size_t>(c)] : std::to_string(c);
  };
  List list;
  for (std::size_t i = 0; i < std::min(most, m.mistakes.size()); ++i) {
    const Mistake& w = m.mistakes[i];
    Data picture;
    picture.set("label", text(label(w.label)));
    picture.set("prediction", text(label(w.prediction)));
    picture.set("sure", text(percent(w.confidence, 1) + " %"));
    picture.set("id", text(std::to_string(w.id)));
    picture.set("alt", text(fmt::format("sample {}: {} taken for {}", w.id, label(w.label), label(w.prediction))));
    if (w.pixels.empty())
      picture.set("uri", flag(false));
    else
      picture.set("uri", Data(png_uri(w.pixels, w.width, w.height, w.channels)));
    list.push_back(picture);
  }
  return list;
}

/// "12 wrong of 1000, test split".
std::string mistakes_text(const Confusion& confusion) {
  std::int64_t all = 0, right = 0;
  for (std::size_t i = 0; i < confusion.counts.size(); ++i) {
    right += confusion.counts[i][i];
    for (const std::int64_t n : confusion.counts[i]) all += n;
  }
  return fmt::format("{} wrong of {}{}", all - right, all, confusion.split.empty() ? "" : ", " + confusion.split + " split");
}

}  // namespace

void fill_classes(const Facts& facts, const Detail& detail, Data& page) {
  List cards;
  for (const Model& m : facts.models) {
    if (cards.size() == detail.cards) break;
    if (!m.confusion && m.mistakes.empty()) continue;
    Data card;
    card.set("name", text(m.name));
    card.set("what", text(m.confusion ? mistakes_text(*m.confusion) : ""));
    card.set("has_matrix", flag(m.confusion.has_value()));
    if (m.confusion) {
      card.set("matrix", Data(confusion_chart(*m.confusion, m.labels, m.name)));
      card.set("bars", Data(class_bars(*m.confusion, m.labels, m.name)));
    }
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

namespace {

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

std::string arrow(const std::string& from, const std::string& to) { return from == to ? to : from + " \u2192 " + to; }

/// `old`: the same layer in the parent, or nullptr.
Data layer_row(const Layer& layer, const Layer* old, double most, bool noisy) {
  const auto change = [&](const auto& show) { return old ? arrow(show(*old), show(layer)) : show(layer); };
  Data row;
  row.set("name", text(layer.name));
  row.set("op", text(layer.op));
  row.set("weight", text(change([](const Layer& l) { return io::shape_text(l.shape); }) + " " + change([](const Layer& l) { return l.dtype; })));
  row.set("parameters", text(change([](const Layer& l) { return count_text(static_cast<double>(l.parameters)); })));
  row.set("bytes", text(change([](const Layer& l) { return bytes_text(static_cast<double>(l.bytes)); })));
  row.set("width", text(coordinate(std::max(1.0, 130 * static_cast<double>(layer.bytes) / most), 0)));
  row.set("noisy", flag(noisy));
  row.set("sqnr", text(std::isfinite(layer.sqnr_db) ? fmt::format("{:.1f}", layer.sqnr_db) : "\u2013"));
  return row;
}

Data layer_table(const Model& m, const Model* parent, const Detail& detail, bool open) {
  double most = 1, bytes = 0, before = 0;
  bool noisy = false;
  for (const Layer& layer : m.layers) {
    const Layer* old = find_layer(parent, layer.name);
    most = std::max(most, static_cast<double>(layer.bytes));
    bytes += static_cast<double>(layer.bytes);
    before += old ? static_cast<double>(old->bytes) : 0;
    noisy |= std::isfinite(layer.sqnr_db);
  }
  List rows;
  for (const Layer& layer : m.layers)
    if (rows.size() < detail.layers) rows.push_back(layer_row(layer, find_layer(parent, layer.name), most, noisy));
  std::string what = counted(m.layers.size(), "layer") + ", " + bytes_text(bytes);
  if (parent && before > 0) what += fmt::format(", {:.2f}\u00d7 of {}", bytes / before, parent->name);
  if (rows.size() < m.layers.size()) what += fmt::format("; the first {} are shown", rows.size());
  Data table;
  table.set("name", text(m.name));
  table.set("what", text(what));
  table.set("open", flag(open));
  table.set("noisy", flag(noisy));
  table.set("rows", rows);
  return table;
}

}  // namespace

void fill_layers(const Facts& facts, const Detail& detail, Data& page) {
  const auto parent = [&](const Model& m) { return m.parent >= 0 ? &facts.models[static_cast<std::size_t>(m.parent)] : nullptr; };
  std::vector<const Model*> shown;
  for (const Model& m : facts.models)
    if (layers_differ(m, parent(m))) shown.push_back(&m);
  std::size_t rows = 0;
  for (const Model* m : shown) rows += m->layers.size();
  List tables;
  for (const Model* m : shown)
    if (detail.layers > 0 && tables.size() < detail.cards) tables.push_back(layer_table(*m, parent(*m), detail, rows <= 60));
  page.set("has_layers", flag(!tables.empty()));
  page.set("layers", tables);
}

// --- provenance -------------------------------------------------------------------------------------------------

void set_words(Data& to, const std::vector<std::string>& argv) {
  constexpr std::size_t kMostWords = 80, kMostCharacters = 300;
  List words;
  const auto add = [&](const std::string& shown) {
    Data word;
    word.set("word", text(shown));
    words.push_back(word);
  };
  for (std::size_t i = 0; i < std::min(kMostWords, argv.size()); ++i) add(shortened(shell_word(argv[i]), kMostCharacters));
  if (argv.size() > kMostWords) add("\u2026");
  to.set("words", words);
}

namespace {

Data step_row(const Facts& facts, const Lanes& lanes, int index) {
  const Step& step = facts.steps[static_cast<std::size_t>(index)];
  const std::string mark_class = step.model >= 0 ? "dot " + colour(step.model) : "dot grey";
  Data row;
  row.set("width", text(coordinate(lanes_width(lanes))));
  row.set("picture", Data(lanes_picture(lanes, index, mark_class, std::max(0, step.model))));
  List down;  // what goes on below the row's picture, however high the text makes the row
  for (const Edge& e : lanes.edges) {
    if (e.from > index || index >= e.to) continue;
    Data line;
    line.set("x", text(coordinate(lane_x(lanes, e.lane))));
    line.set("kind", text(e.first ? "" : "other"));
    down.push_back(line);
  }
  row.set("down", down);
  row.set("tool", text(step.tool));
  row.set("version", optional(step.version));
  row.set("digest", text(step.digest.empty() ? "digest not known" : step.digest.substr(0, 12)));
  row.set("has_model", flag(step.model >= 0));
  if (step.model >= 0) {
    const std::string& name = facts.models[static_cast<std::size_t>(step.model)].name;
    row.set("model", text(name));
    row.set("mark", Data(mark(step.model)));
    row.set("colour", text(colour(step.model)));
  }
  row.set("has_words", flag(!step.argv.empty()));
  set_words(row, step.argv);
  row.set("change", optional(change_text(step, step.parents.empty() ? nullptr : &facts.steps[static_cast<std::size_t>(step.parents[0])])));
  row.set("circumstances", text(circumstances(step)));
  List unknown;
  for (const std::string& digest : step.unknown) {
    Data parent;
    parent.set("digest", text(digest.substr(0, 12)));
    unknown.push_back(parent);
  }
  row.set("unknown", unknown);
  return row;
}

}  // namespace

void fill_provenance(const Facts& facts, const Detail& detail, Data& page) {
  List rows;
  if (facts.steps.size() <= detail.steps) {
    const Lanes lanes = lay_out(facts.steps);
    for (int i = 0; i < static_cast<int>(facts.steps.size()); ++i) rows.push_back(step_row(facts, lanes, i));
  }
  page.set("has_steps", flag(!rows.empty()));
  page.set("steps", rows);
}

}  // namespace ds::report
