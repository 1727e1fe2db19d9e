#include "base/report/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/core/error.h"
#include "base/graph/graph.h"

namespace ds::report {

double number_at(const Json& json, const char* key) {
  const Json& value = member_at(json, key);
  return value.is_number() ? value.get<double>() : NAN;
}

std::string text_at(const Json& json, const char* key) {
  const Json& value = member_at(json, key);
  return value.is_string() ? value.get<std::string>() : value.is_number() ? value.dump() : "";
}

const Json& member_at(const Json& json, const char* key) {
  static const Json none;
  if (!json.is_object()) return none;
  const auto found = json.find(key);
  return found == json.end() ? none : *found;
}

const Model* Facts::find(const std::string& digest) const {
  const auto found = std::find_if(models.begin(), models.end(), [&](const Model& m) { return m.digest == digest; });
  return found == models.end() || digest.empty() ? nullptr : &*found;
}

std::pair<double, double> wilson(double p, double n) {
  const double z = 1.959963984540054, scale = 1 / (1 + z * z / n), centre = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, scale * (centre - half)), std::min(1.0, scale * (centre + half))};
}

void mark_dominated(std::vector<Model>& models) {
  const auto figures = [](const Model& m) {
    return std::vector<double>{m.score ? -m.score->top1 : NAN, m.latency ? m.latency->p50 : 0, m.tensor_bytes};
  };
  for (Model& m : models) {
    const std::vector<double> mine = figures(m);
    m.dominated = std::any_of(models.begin(), models.end(), [&](const Model& other) {
      if (other.latency.has_value() != m.latency.has_value() || (other.score && m.score && other.score->split != m.score->split)) return false;
      const std::vector<double> its = figures(other);
      bool better = false;
      for (std::size_t i = 0; i < mine.size(); ++i) {
        if (!(its[i] <= mine[i])) return false;
        better |= its[i] < mine[i];
      }
      return better;
    });
  }
}

namespace {

std::vector<std::string> strings(const Json& list) {
  std::vector<std::string> out;
  if (list.is_array())
    for (const Json& item : list) out.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return out;
}

std::optional<Confusion> confusion_of(const Json& rows, const std::string& split) {
  if (!rows.is_array() || rows.empty() || rows.size() > 1000) return std::nullopt;
  Confusion confusion{split, {}};
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != rows.size()) return std::nullopt;
    std::vector<std::int64_t>& counts = confusion.counts.emplace_back();
    for (const Json& count : row) {
      if (!count.is_number_integer() || count.get<std::int64_t>() < 0) return std::nullopt;
      counts.push_back(count.get<std::int64_t>());
    }
  }
  return confusion;
}

/// Planes [C,H,W] in hex as interleaved pixels; what has neither one nor three channels is shown by its first. Dark pictures, such as
/// those of 4 bits, are stretched to the full range.
void read_pixels(const Json& entry, Mistake& mistake) {
  const Json& shape = member_at(entry, "shape");
  const std::string hex = text_at(entry, "pixels");
  if (!shape.is_array() || shape.size() != 3) return;
  std::int64_t dims[3];
  for (std::size_t i = 0; i < 3; ++i) {
    if (!shape[i].is_number_integer() || shape[i] < 1 || shape[i] > 1024) return;
    dims[i] = shape[i].get<std::int64_t>();
  }
  const std::int64_t plane = dims[1] * dims[2];
  if (hex.size() != static_cast<std::size_t>(2 * dims[0] * plane) || hex.find_first_not_of("0123456789abcdef") != std::string::npos) return;
  const auto digit = [&](std::int64_t i) { return hex[static_cast<std::size_t>(i)] <= '9' ? hex[static_cast<std::size_t>(i)] - '0' : hex[static_cast<std::size_t>(i)] - 'a' + 10; };
  mistake.channels = dims[0] == 3 ? 3 : 1;
  mistake.height = dims[1];
  mistake.width = dims[2];
  int most = 1;
  for (std::int64_t i = 0; i < plane; ++i)
    for (int c = 0; c < mistake.channels; ++c) {
      const std::int64_t at = 2 * (c * plane + i);
      mistake.pixels.push_back(static_cast<std::uint8_t>(digit(at) * 16 + digit(at + 1)));
      most = std::max<int>(most, mistake.pixels.back());
    }
  if (most < 64)
    for (std::uint8_t& value : mistake.pixels) value = static_cast<std::uint8_t>(value * 255 / most);
}

void read_evaluation(const Json& evaluation, Model& model) {
  const std::string split = text_at(evaluation, "split");
  model.confusion = confusion_of(member_at(evaluation, "confusion"), split);
  model.mistakes_split = split;
  const Json& wrong = member_at(evaluation, "wrong");
  for (const Json& entry : wrong.is_array() ? wrong : Json::array()) {
    if (model.mistakes.size() == 12) break;
    Mistake mistake;
    for (const auto& [key, to] : {std::pair<const char*, std::int64_t*>{"id", &mistake.id}, {"label", &mistake.label}, {"prediction", &mistake.prediction}})
      *to = member_at(entry, key).is_number_integer() ? member_at(entry, key).get<std::int64_t>() : -1;
    mistake.confidence = number_at(entry, "confidence");
    read_pixels(entry, mistake);
    model.mistakes.push_back(std::move(mistake));
  }
}

/// Layers and sizes. A graph that cannot be read is an error: the checkpoint would be of no use to any tool.
void read_graph(const io::Checkpoint& checkpoint, const std::string& given, Model& model) {
  const graph::Graph graph = graph::from_json(checkpoint.graph, given + ":/documents/graph");
  const graph::Cost cost = graph::cost(graph);
  model.parameters = static_cast<double>(cost.parameters);
  model.macs = static_cast<double>(cost.macs);
  model.arch = text_at(graph.meta, "arch");
  std::int64_t most = -1;
  for (const graph::Node& node : graph.nodes) {
    const auto weight = node.slots.find("weight");
    if (weight == node.slots.end() || checkpoint.tensors.count(weight->second.tensor) == 0) continue;
    const io::Array& array = checkpoint.tensors.at(weight->second.tensor);
    Layer layer{node.name, node.op, io::dtype_name(array.dtype), array.shape};
    std::set<std::string> tensors;
    for (const auto& [slot, target] : node.slots) tensors.insert(target.tensor);
    for (const std::string& name : tensors) {
      const auto found = checkpoint.tensors.find(name);
      if (found == checkpoint.tensors.end()) continue;
      layer.bytes += static_cast<std::int64_t>(found->second.bytes());
      const graph::TensorSpec* spec = graph.find_tensor(name);
      if (spec && spec->role == graph::Role::kParameter) layer.parameters += found->second.numel();
    }
    if (layer.bytes > most) most = layer.bytes, model.dtype = layer.dtype;
    model.layers.push_back(std::move(layer));
  }
}

std::string stem(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  for (const char* ending : {".h5", ".hdf5"})
    if (name.size() > std::string(ending).size() && name.compare(name.size() - std::string(ending).size(), std::string::npos, ending) == 0)
      name.resize(name.size() - std::string(ending).size());
  return name;
}

}  // namespace

// --- what is given ----------------------------------------------------------------------------------------------

Model& Collector::model(const std::string& digest, const std::string& path) {
  for (Model& known : models_)
    if (known.digest == digest) return known;
  Model fresh;
  fresh.digest = digest;
  fresh.path = path;
  models_.push_back(std::move(fresh));
  return models_.back();
}

void Collector::read_scores(const Json& metrics, const std::string& prefix, const std::string& digest) {
  if (digest.empty()) return;
  for (const char* split : {"test", "val", "train"}) {
    const std::string key = prefix + split;
    Score score{split, number_at(metrics, (key + "_top1").c_str()), number_at(metrics, (key + "_top1_low").c_str()),
                number_at(metrics, (key + "_top1_high").c_str())};
    if (!std::isfinite(score.top1)) continue;
    const double n = number_at(metrics, (key + "_n").c_str());
    if (!std::isfinite(score.low) && n > 0) std::tie(score.low, score.high) = wilson(score.top1, n);
    Score& known = scores_[digest][split];
    if (!std::isfinite(known.top1) || !std::isfinite(known.low)) known = score;
  }
}

/// Scores that the steps of a chain tell of themselves and of their parents, and the noise that quantization made.
void Collector::read_chain(const Model& model) {
  for (std::size_t i = 0; i < model.provenance.size(); ++i) {
    const Json& step = model.provenance[i];
    const std::vector<std::string> next = i + 1 < model.provenance.size() ? strings(member_at(model.provenance[i + 1], "parents")) : std::vector<std::string>{model.digest};
    const std::string digest = next.empty() ? "" : next[0];
    const Json& metrics = member_at(step, "metrics");
    read_scores(metrics, "", digest);
    const std::vector<std::string> parents = strings(member_at(step, "parents"));
    if (!parents.empty()) read_scores(metrics, "before_", parents[0]);
    if (parents.size() > 1) read_scores(metrics, "teacher_", parents[1]);
    if (const Json& layers = member_at(step, "layers"); layers.is_array() && !digest.empty())
      for (const Json& layer : layers) sqnr_[digest][text_at(layer, "tensor")] = number_at(layer, "sqnr_db");
  }
}

void Collector::add(const io::Checkpoint& checkpoint, const std::string& given, std::int64_t bytes) {
  Model& m = model(checkpoint.digest, given);
  if (m.checkpoint) {
    if (m.path != given) m.aliases.push_back(given);
    return;
  }
  m.checkpoint = true;
  m.path = given;
  if (bytes > 0) m.file_bytes = static_cast<double>(bytes);
  double total = 0;
  for (const auto& [name, array] : checkpoint.tensors) total += static_cast<double>(array.bytes());
  m.tensor_bytes = total;
  if (!checkpoint.graph.is_null()) read_graph(checkpoint, given, m);
  m.labels = strings(checkpoint.labels);
  if (checkpoint.history.is_array()) m.history = checkpoint.history;
  if (checkpoint.provenance.is_array()) m.provenance = checkpoint.provenance;
  read_evaluation(checkpoint.evaluation, m);
  if (!m.provenance.empty())
    if (const double p50 = number_at(member_at(m.provenance.back(), "metrics"), "latency_b1_p50_s"); p50 > 0)
      m.noted = Latency{p50, NAN, 1, member_at(m.provenance.back(), "threads").is_number_integer() ? m.provenance.back()["threads"].get<std::int64_t>() : 0};
  read_chain(m);
}

void Collector::add_bench(const Json& record, const std::string& given) {
  for (const Json& result : record["results"]) {
    const std::string digest = text_at(result, "digest");
    if (digest.empty()) throw Error(Exit::kInput, given, "a result without the digest of its model");
    Model& m = model(digest, text_at(result, "model"));
    for (const auto& [key, to] : {std::pair<const char*, double*>{"parameters", &m.parameters}, {"macs", &m.macs}, {"tensor_bytes", &m.tensor_bytes}, {"file_bytes", &m.file_bytes}})
      if (const double value = number_at(result, key); !std::isfinite(*to) && value > 0) *to = value;
    if (m.dtype.empty() && text_at(result, "engine") == "int8") m.dtype = "int8";
    scores_.swap(told_);
    read_scores(result, "", digest);
    scores_.swap(told_);
    const Json& timings = member_at(result, "timings");
    for (const Json& timing : timings.is_array() ? timings : Json::array()) {
      const double batch = number_at(timing, "batch"), p50 = number_at(timing, "latency_p50_s"), threads = number_at(timing, "threads");
      const auto known = measured_.find(digest);
      if (!(batch > 0 && p50 > 0) || (known != measured_.end() && static_cast<double>(known->second.batch) <= batch)) continue;
      measured_[digest] = {p50, number_at(timing, "latency_p99_s"), static_cast<std::int64_t>(batch), std::isfinite(threads) ? static_cast<std::int64_t>(threads) : 0};
    }
  }
}

void Collector::add(const Json& record, const std::string& given) {
  const auto fail = [&](const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, given, what, hint); };
  if (text_at(record, "schema").rfind("ds-record/", 0) != 0) fail("is neither a checkpoint nor a record of a ds tool");
  if (const std::string status = text_at(record, "status"); !status.empty() && status != "done") fail("is a record with status '" + status + "', expected 'done'");
  const std::vector<std::string> command = strings(member_at(record, "command"));
  if (member_at(record, "results").is_array()) {
    add_bench(record, given);
    if (!command.empty()) commands_.push_back(command);
    return;
  }
  // A record of one model: what the tool made, or else what it read.
  const Json& outputs = member_at(record, "outputs");
  const Json& inputs = member_at(record, "inputs");
  const bool made = outputs.is_array() && !outputs.empty() && text_at(outputs[0], "name") == "model";
  const Json& place = made ? outputs[0] : inputs.is_array() && !inputs.empty() ? inputs[0] : Json();
  const std::string digest = text_at(place, "digest");
  if (digest.size() != 64) fail("is a record that names no model");
  Model& m = model(digest, text_at(place, "path"));
  const Json& metrics = member_at(record, "metrics");
  for (const auto& [key, to] : {std::pair<const char*, double*>{"parameters", &m.parameters}, {"macs", &m.macs}, {"tensor_bytes", &m.tensor_bytes}})
    if (const double value = number_at(metrics, key); !std::isfinite(*to) && value > 0) *to = value;
  scores_.swap(told_);
  read_scores(metrics, "", digest);
  scores_.swap(told_);
  if (auto confusion = confusion_of(member_at(record, "confusion"), text_at(member_at(record, "data"), "split"))) confusions_[digest] = *confusion;
  if (m.labels.empty()) m.labels = strings(member_at(record, "labels"));
  if (const Json& layers = member_at(record, "layers"); layers.is_array())
    for (const Json& layer : layers) sqnr_[digest][text_at(layer, "tensor")] = number_at(layer, "sqnr_db");
  if (!made && !command.empty()) commands_.push_back(command);
}

// --- put together -----------------------------------------------------------------------------------------------

/// Orders models and steps and chooses which of several figures to show.
class Finisher {
 public:
  explicit Finisher(Collector& from) : from_(from) {}
  Facts run() {
    order();
    name();
    attach();
    choose();
    for (std::size_t i = 0; i < facts_.models.size(); ++i) chain(static_cast<int>(i));
    resolve();
    facts_.commands = from_.commands_;
    mark_dominated(facts_.models);
    return std::move(facts_);
  }

 private:
  static std::vector<std::string> ancestors(const Model& model) {
    std::vector<std::string> all;  // nearest first
    for (auto step = model.provenance.rbegin(); step != model.provenance.rend(); ++step)
      for (const std::string& parent : strings(member_at(*step, "parents"))) all.push_back(parent);
    return all;
  }

  void order() {
    std::vector<Model>& waiting = from_.models_;
    while (!waiting.empty()) {
      std::size_t take = 0;
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        const std::vector<std::string> needs = ancestors(waiting[i]);
        const bool ready = std::none_of(waiting.begin(), waiting.end(), [&](const Model& other) {
          return other.digest != waiting[i].digest && std::find(needs.begin(), needs.end(), other.digest) != needs.end();
        });
        if (ready) {
          take = i;
          break;
        }
      }
      facts_.models.push_back(std::move(waiting[take]));
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(take));
    }
  }

  void name() {
    std::map<std::string, int> seen;
    for (Model& m : facts_.models) m.name = stem(m.path).empty() ? m.digest.substr(0, 12) : stem(m.path);
    for (const Model& m : facts_.models) ++seen[m.name];
    for (Model& m : facts_.models)
      if (seen[m.name] > 1) m.name = stem(m.path.substr(0, m.path.rfind('/') + 1).empty() ? m.path : m.path.substr(0, m.path.rfind('/'))) + "/" + m.name;
    seen.clear();
    for (Model& m : facts_.models)
      if (const int n = ++seen[m.name]; n > 1) m.name += " (" + std::to_string(n) + ")";
  }

  void attach() {
    std::vector<Model>& models = facts_.models;
    for (Model& m : models) {
      m.scores = from_.scores_[m.digest];
      for (const auto& [split, score] : from_.told_[m.digest]) m.scores[split] = score;
      if (const auto found = from_.measured_.find(m.digest); found != from_.measured_.end()) m.measured = found->second;
      if (const auto found = from_.confusions_.find(m.digest); found != from_.confusions_.end()) m.confusion = found->second;
      for (const std::string& digest : ancestors(m)) {
        const Model* parent = facts_.find(digest);
        if (m.parent < 0 && parent && parent != &m) m.parent = static_cast<int>(parent - models.data());
      }
      const auto& noise = from_.sqnr_[m.digest];
      for (Layer& layer : m.layers)
        if (const auto found = noise.find(layer.name + ".weight"); found != noise.end()) layer.sqnr_db = found->second;
    }
  }

  /// One split and one source of latencies for all models where that is possible.
  void choose() {
    const auto all = [&](auto has) { return std::all_of(facts_.models.begin(), facts_.models.end(), has); };
    std::vector<std::string> splits = {"test", "val", "train"};
    for (const char* split : {"val", "test"})
      if (all([&](const Model& m) { return m.scores.count(split) > 0; })) {
        std::stable_partition(splits.begin(), splits.end(), [&](const std::string& s) { return s == split; });
      }
    const bool noted = all([](const Model& m) { return m.noted.has_value(); }), measured = all([](const Model& m) { return m.measured.has_value(); });
    for (Model& m : facts_.models) {
      for (const std::string& split : splits)
        if (!m.score && m.scores.count(split) > 0) m.score = m.scores.at(split);
      m.latency = measured || !noted ? (m.measured ? m.measured : m.noted) : m.noted;
      facts_.measured |= m.latency && m.measured && m.latency->p50 == m.measured->p50;
    }
  }

  void chain(int index) {
    const Model& m = facts_.models[static_cast<std::size_t>(index)];
    int before = -1;
    for (std::size_t i = 0; i < m.provenance.size(); ++i) {
      const Json& record = m.provenance[i];
      const std::vector<std::string> next = i + 1 < m.provenance.size() ? strings(member_at(m.provenance[i + 1], "parents")) : std::vector<std::string>{m.digest};
      Step step;
      step.tool = text_at(record, "tool").empty() ? "unknown tool" : text_at(record, "tool");
      step.version = text_at(record, "version");
      step.digest = next.empty() ? "" : next[0];
      const auto key = std::pair{step.tool + " " + (step.digest.empty() ? record.dump() : step.digest), before};
      if (const auto known = known_.find(key); known != known_.end()) {
        before = known->second;
      } else {
        step.argv = strings(member_at(record, "argv"));
        step.metrics = member_at(record, "metrics");
        step.record = record;
        step.unknown = strings(member_at(record, "parents"));
        if (before >= 0) step.parents.push_back(before);
        before = static_cast<int>(facts_.steps.size());
        facts_.steps.push_back(std::move(step));
        known_[key] = before;
      }
    }
    if (before >= 0) facts_.steps[static_cast<std::size_t>(before)].model = index;
  }

  /// Parents that are other steps, such as a teacher's, and the data and ISA that all steps share.
  void resolve() {
    std::set<std::string> data, isa;
    for (std::size_t i = 0; i < facts_.steps.size(); ++i) {
      Step& step = facts_.steps[i];
      std::vector<std::string> unknown;
      for (const std::string& digest : step.unknown) {
        const auto made = [&](int s) { return facts_.steps[static_cast<std::size_t>(s)].digest == digest; };
        if (!step.parents.empty() && made(step.parents[0])) continue;
        int found = -1;
        for (std::size_t s = 0; s < i && found < 0; ++s)
          if (made(static_cast<int>(s))) found = static_cast<int>(s);
        if (found < 0) unknown.push_back(digest);
        else if (std::find(step.parents.begin(), step.parents.end(), found) == step.parents.end()) step.parents.push_back(found);
      }
      step.unknown = unknown;
      if (const std::string name = text_at(member_at(step.record, "data"), "name"); !name.empty()) data.insert(name);
      if (const std::string name = text_at(step.record, "isa"); !name.empty()) isa.insert(name);
    }
    if (data.size() == 1) facts_.data = *data.begin();
    if (isa.size() == 1) facts_.isa = *isa.begin();
  }

  Collector& from_;
  Facts facts_;
  std::map<std::pair<std::string, int>, int> known_;
};

Facts Collector::finish() { return Finisher(*this).run(); }

}  // namespace ds::report
