// What the page says of models as wholes: the figures at its top, the tables, accuracy against speed and size.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/report/charts.h"
#include "base/report/page.h"
#include "base/report/sections.h"

namespace ds::report {

std::string percent(double share, int digits) { return std::isfinite(share) ? fmt::format("{:.{}f}", 100 * share, digits) : "\u2013"; }

std::string counted(std::size_t n, const std::string& what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

namespace {

std::string ratio_text(double value, double first) {
  return std::isfinite(value) && std::isfinite(first) && first > 0 && value > 0 ? fmt::format("{:.2f}\u00d7", value / first) : "";
}

std::string kind_text(const Model& m) {
  std::string line;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) line += (line.empty() ? "" : " \u00b7 ") + part;
  };
  add(m.arch);
  add(m.dtype);
  add(m.digest.substr(0, 8));
  if (!m.checkpoint) add("from a record");
  for (const std::string& path : m.aliases) add("also " + path);
  return line;
}

/// The model that the report leads to: the last of those with the longest chain.
const Model* outcome(const Facts& facts) {
  const Model* best = nullptr;
  for (const Model& m : facts.models)
    if (&m != &reference(facts) && (!best || m.provenance.size() >= best->provenance.size())) best = &m;
  return best;
}

/// "3.9× smaller"; "" where one is not known or both are the same to the digits that are shown.
std::string times_text(double before, double after, const char* less, const char* more) {
  if (!(before > 0 && after > 0)) return "";
  const double x = before > after ? before / after : after / before;
  const std::string number = fmt::format("{:.{}f}", x, x < 9.95 ? 1 : 0);
  return number == "1.0" ? "" : number + "\u00d7 " + (before > after ? less : more);
}

List tiles(const Facts& facts) {
  List list;
  const Model* last = outcome(facts);
  const Model& first = reference(facts);
  if (!last) return list;
  const auto add = [&](const std::string& value, const std::string& what) {
    if (value.empty()) return;
    Data tile;
    tile.set("value", text(value));
    tile.set("what", text(what));
    list.push_back(tile);
  };
  if (first.score && last->score && first.score->split == last->score->split) {
    const double points = 100 * (last->score->top1 - first.score->top1);
    add(std::abs(points) < 0.005 ? "\u00b10 points" : fmt::format("{}{:.2f} points", points > 0 ? "+" : "\u2212", std::abs(points)),
        fmt::format("{} accuracy, {} against {}", first.score->split, last->name, first.name));
  }
  add(times_text(first.tensor_bytes, last->tensor_bytes, "smaller", "larger"),
      fmt::format("{} \u2192 {} of tensors", bytes_text(first.tensor_bytes), bytes_text(last->tensor_bytes)));
  if (first.latency && last->latency)
    add(times_text(first.latency->p50, last->latency->p50, "faster", "slower"),
        fmt::format("{} \u2192 {}, batch {}", time_text(first.latency->p50), time_text(last->latency->p50), first.latency->batch));
  add(times_text(first.macs, last->macs, "less work", "more work"), fmt::format("{} \u2192 {} MACs", count_text(first.macs), count_text(last->macs)));
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

/// A number over its ratio to the first model's, and what else there is to say.
Data cell(const std::string& shown, double value, double base, bool first, const std::string& more = "") {
  Data data;
  data.set("value", text(std::isfinite(value) ? shown : "\u2013"));
  std::string ratio = first ? "" : ratio_text(value, base);
  if (!more.empty()) ratio += (ratio.empty() ? "" : " \u00b7 ") + more;
  data.set("ratio", text(ratio));
  return data;
}

Data model_row(const Facts& facts, std::size_t index, const Axis& axis) {
  const Model &m = facts.models[index], &first = reference(facts);
  const bool is_first = index == 0;
  Data row;
  row.set("name", text(m.name));
  row.set("path", text(m.path));
  row.set("kind", text(kind_text(m)));
  row.set("mark", Data(mark(static_cast<int>(index))));
  row.set("top1", text(m.score ? percent(m.score->top1) : "\u2013"));
  row.set("split", text(m.score ? m.score->split : ""));
  row.set("interval", Data(m.score ? interval(*m.score, axis, static_cast<int>(index)) : ""));
  row.set("interval_text", text(m.score && std::isfinite(m.score->low) ? percent(m.score->low) + " to " + percent(m.score->high) : ""));
  List cells;
  cells.push_back(cell(count_text(m.parameters), m.parameters, first.parameters, is_first));
  cells.push_back(cell(count_text(m.macs), m.macs, first.macs, is_first));
  cells.push_back(cell(bytes_text(m.tensor_bytes), m.tensor_bytes, first.tensor_bytes, is_first));
  cells.push_back(cell(bytes_text(m.file_bytes), m.file_bytes, first.file_bytes, is_first));
  if (any_timed(facts)) {
    const double p50 = m.latency ? m.latency->p50 : NAN, p99 = m.latency ? m.latency->p99 : NAN;
    cells.push_back(cell(time_text(p50), p50, first.latency ? first.latency->p50 : NAN, is_first, std::isfinite(p99) ? "p99 " + time_text(p99) : ""));
  }
  row.set("cells", cells);
  return row;
}

/// ", 2 threads" where all latencies were taken with as many.
std::string threads_text(const Facts& facts) {
  std::set<std::int64_t> threads;
  for (const Model& m : facts.models)
    if (m.latency) threads.insert(m.latency->threads);
  return threads.size() == 1 && *threads.begin() > 0 ? ", " + counted(static_cast<std::size_t>(*threads.begin()), "thread") : "";
}

std::string table_note(const Facts& facts) {
  std::string note;
  if (facts.models.size() > 1) note = fmt::format("\u00d7 is the ratio to {}. ", reference(facts).name);
  std::set<std::string> splits;
  for (const Model& m : facts.models)
    if (m.score) splits.insert(m.score->split);
  if (splits.size() > 1) note += "Models are judged on different splits, as no split was evaluated for all: give the record of ds-bench -o too. ";
  if (any_timed(facts)) {
    const auto timed = std::find_if(facts.models.begin(), facts.models.end(), [](const Model& m) { return m.latency.has_value(); });
    note += fmt::format("Latency at batch {}{}, {}. ", timed->latency->batch, threads_text(facts),
                        facts.measured ? "measured by ds-bench in turns"
                                       : "as each tool saw it when it saved the model: a first impression, ds-bench measures with care");
  }
  if (!facts.isa.empty()) note += "Processor: " + facts.isa + ".";
  return note;
}

/// What a model did at the same batch size and number of threads, or nullptr.
const Timing* same_timing(const Model& model, const Timing& as) {
  for (const Timing& t : model.timings)
    if (t.latency.batch == as.latency.batch && t.latency.threads == as.latency.threads) return &t;
  return nullptr;
}

std::string or_dash(double value, std::string (*show)(double)) { return std::isfinite(value) ? show(value) : std::string("-"); }

}  // namespace

void fill_models(const Facts& facts, Data& page) {
  const Axis axis = interval_axis(facts);
  const List list = tiles(facts);
  page.set("has_tiles", flag(!list.empty()));
  page.set("tiles", list);
  page.set("intervals",
           flag(std::any_of(facts.models.begin(), facts.models.end(), [](const Model& m) { return m.score && std::isfinite(m.score->low); })));
  page.set("timed", flag(any_timed(facts)));
  List rows;
  for (std::size_t i = 0; i < facts.models.size(); ++i) rows.push_back(model_row(facts, i, axis));
  page.set("models", rows);
  page.set("table_note", text(table_note(facts)));
}

void fill_speed(const Facts& facts, Data& page) {
  List rows;
  const Model* base = nullptr;  // the first that was measured
  for (std::size_t i = 0; i < facts.models.size(); ++i) {
    const Model& m = facts.models[i];
    if (!base && !m.timings.empty()) base = &m;
    for (const Timing& t : m.timings) {
      const Timing* first = same_timing(*base, t);
      const bool is_first = &m == base;
      Data row;
      row.set("name", text(m.name));
      row.set("mark", Data(mark(static_cast<int>(i))));
      row.set("batch", text(std::to_string(t.latency.batch)));
      row.set("threads", text(t.latency.threads > 0 ? std::to_string(t.latency.threads) : "\u2013"));
      row.set("p99", text(std::isfinite(t.latency.p99) ? time_text(t.latency.p99) : "\u2013"));
      row.set("p50", cell(time_text(t.latency.p50), t.latency.p50, first ? first->latency.p50 : NAN, is_first));
      row.set("throughput", cell(count_text(t.throughput), t.throughput, first ? first->throughput : NAN, is_first));
      row.set("memory", cell(bytes_text(t.peak_memory), t.peak_memory, first ? first->peak_memory : NAN, is_first));
      rows.push_back(row);
    }
  }
  page.set("has_speed", flag(!rows.empty()));
  page.set("speed", rows);
  if (base)
    page.set("speed_note",
             text(fmt::format("Measured by ds-bench, models in turns. Memory is tensors and, at most, activations. \u00d7 is the ratio to {}.",
                              base->name)));
}

void fill_scatter(const Facts& facts, Data& page) {
  const std::string wide = scatter(facts.models, false);
  page.set("has_scatter", flag(!wide.empty()));
  if (wide.empty()) return;
  page.set("scatter", Data(wide));
  page.set("scatter_small", Data(scatter(facts.models, true)));
  std::string dominated;
  for (const Model& m : facts.models)
    if (m.dominated) dominated += (dominated.empty() ? "" : ", ") + m.name;
  page.set("scatter_note",
           text("Areas are the bytes of the tensors, whiskers the 95 % interval of the accuracy. " +
                (dominated.empty()
                     ? "No model is dominated: each is best at something."
                     : "Dashed: dominated, that is, another one is no worse in accuracy, latency and size and better in one: " + dominated + ".")));
}

Json figures(const Model& m) {
  Json row = {{"name", m.name}, {"digest", m.digest}, {"dominated", m.dominated}};
  const auto add = [&](const char* key, double value) {
    if (std::isfinite(value)) row[key] = value;
  };
  const auto count = [&](const char* key, double value) {
    if (std::isfinite(value)) row[key] = static_cast<std::int64_t>(value);
  };
  if (m.score) {
    row["split"] = m.score->split;
    add("top1", m.score->top1);
    add("top1_low", m.score->low);
    add("top1_high", m.score->high);
  }
  count("parameters", m.parameters);
  count("macs", m.macs);
  count("tensor_bytes", m.tensor_bytes);
  count("file_bytes", m.file_bytes);
  if (m.latency) {
    row["batch"] = m.latency->batch;
    add("latency_p50_s", m.latency->p50);
    add("latency_p99_s", m.latency->p99);
  }
  return row;
}

const std::vector<std::string>& figure_keys() {
  static const std::vector<std::string> keys = {"name", "digest",       "split",      "top1",  "top1_low",      "top1_high",     "parameters",
                                                "macs", "tensor_bytes", "file_bytes", "batch", "latency_p50_s", "latency_p99_s", "dominated"};
  return keys;
}

Table headline(const Facts& facts) {
  Table table{{{"model", false},
               {"split", false},
               {"top-1 %"},
               {"95 %"},
               {"params"},
               {"x"},
               {"MACs"},
               {"x"},
               {"tensors"},
               {"x"},
               {"file"},
               {"x"},
               {"p50"},
               {"x"}},
              {}};
  const Model& first = reference(facts);
  for (const Model& m : facts.models) {
    const auto ratio = [](double value, double base) {
      return std::isfinite(value) && base > 0 ? fmt::format("{:.2f}", value / base) : std::string("-");
    };
    const double p50 = m.latency ? m.latency->p50 : NAN, base = first.latency ? first.latency->p50 : NAN;
    std::vector<std::string> row = {clean(m.name), m.score ? m.score->split : "-", m.score ? percent(m.score->top1) : "-",
                                    m.score && std::isfinite(m.score->low) ? percent(m.score->low) + ".." + percent(m.score->high) : "-"};
    const auto add = [&](double value, double of_first, std::string (*show)(double)) {
      row.push_back(or_dash(value, show));
      row.push_back(ratio(value, of_first));
    };
    add(m.parameters, first.parameters, count_text);
    add(m.macs, first.macs, count_text);
    add(m.tensor_bytes, first.tensor_bytes, bytes_text);
    add(m.file_bytes, first.file_bytes, bytes_text);
    add(p50, base, seconds_text);
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace ds::report
