#include "base/report/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/core/error.h"
#include "base/core/interval.h"
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

std::vector<std::string> strings_at(const Json& json, const char* key) { return strings_of(member_at(json, key)); }

std::vector<std::string> strings_of(const Json& list) {
  std::vector<std::string> out;
  if (list.is_array())
    for (const Json& item : list) out.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return out;
}

const Model* Facts::find(const std::string& digest) const {
  const auto found = std::find_if(models.begin(), models.end(), [&](const Model& m) { return m.digest == digest; });
  return found == models.end() || digest.empty() ? nullptr : &*found;
}

namespace {

constexpr std::int64_t kMostCount = std::int64_t{1} << 40;  ///< of one cell: sums of a thousand stay exact
constexpr std::size_t kMostMistakes = 12, kMostClasses = 1000, kDigestSize = 64;

/// The value of a key where it is a finite number within [low, high], else NaN.
double number_within(const Json& json, const std::string& key, double low, double high) {
  const double value = number_at(json, key.c_str());
  return value >= low && value <= high ? value : NAN;
}

/// Takes a positive number for what is not known yet.
void fill(double& known, const Json& json, const char* key) {
  if (const double value = number_at(json, key); !std::isfinite(known) && value > 0 && std::isfinite(value)) known = value;
}

std::optional<Confusion> confusion_of(const Json& rows, const std::string& split) {
  if (!rows.is_array() || rows.empty() || rows.size() > kMostClasses) return std::nullopt;
  Confusion confusion{split, {}};
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != rows.size()) return std::nullopt;
    std::vector<std::int64_t>& counts = confusion.counts.emplace_back();
    for (const Json& count : row) {
      if (!count.is_number_integer() || count < 0 || count > kMostCount) return std::nullopt;
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
  const auto digit = [&](std::int64_t i) {
    return hex[static_cast<std::size_t>(i)] <= '9' ? hex[static_cast<std::size_t>(i)] - '0' : hex[static_cast<std::size_t>(i)] - 'a' + 10;
  };
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

/// -1 where there is none: an index that names nothing.
std::int64_t index_at(const Json& json, const char* key) {
  const Json& value = member_at(json, key);
  return value.is_number_integer() && value >= 0 && value <= kMostCount ? value.get<std::int64_t>() : -1;
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

}  // namespace

std::string made_by(const Model& model, std::size_t step) {
  if (step + 1 == model.provenance.size()) return model.digest;
  const std::vector<std::string> parents = strings_at(model.provenance[step + 1], "parents");
  return parents.empty() ? "" : parents[0];
}

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

void Collector::read_scores(const Json& metrics, const std::string& prefix, const std::string& digest, Scores& to) const {
  if (digest.empty()) return;
  for (const char* split : {"test", "val", "train"}) {
    const std::string key = prefix + split;
    const auto share = [&](const char* name) { return number_within(metrics, key + name, 0, 1); };
    Score score{split, share("_top1"), share("_top1_low"), share("_top1_high")};
    if (!std::isfinite(score.top1)) continue;
    if (!(score.low <= score.top1 && score.top1 <= score.high)) {
      score.low = score.high = NAN;
      if (const double n = number_at(metrics, (key + "_n").c_str()); n > 0) std::tie(score.low, score.high) = core::wilson(score.top1, n);
    }
    Score& known = to[digest][split];
    if (!std::isfinite(known.top1) || !std::isfinite(known.low)) known = score;
  }
}

void Collector::read_noise(const Json& layers, const std::string& digest) {
  if (!layers.is_array() || digest.empty()) return;
  for (const Json& layer : layers) sqnr_[digest][text_at(layer, "tensor")] = number_at(layer, "sqnr_db");
}

void Collector::read_evaluation(const Json& evaluation, Model& model) {
  const std::string split = text_at(evaluation, "split");
  model.confusion = confusion_of(member_at(evaluation, "confusion"), split);
  model.mistakes_split = split;
  read_scores({{split + "_top1", number_at(evaluation, "top1")}, {split + "_n", number_at(evaluation, "n")}}, "", model.digest, scores_);
  const Json& wrong = member_at(evaluation, "wrong");
  for (const Json& entry : wrong.is_array() ? wrong : Json::array()) {
    if (model.mistakes.size() == kMostMistakes) break;
    Mistake mistake;
    mistake.id = index_at(entry, "id");
    mistake.label = index_at(entry, "label");
    mistake.prediction = index_at(entry, "prediction");
    mistake.confidence = number_within(entry, "confidence", 0, 1);
    read_pixels(entry, mistake);
    model.mistakes.push_back(std::move(mistake));
  }
}

/// Scores that the steps of a chain tell of themselves and of their parents, and the noise that quantization made.
void Collector::read_chain(const Model& model) {
  for (std::size_t i = 0; i < model.provenance.size(); ++i) {
    const Json& step = model.provenance[i];
    const std::string digest = made_by(model, i);
    const Json& metrics = member_at(step, "metrics");
    read_scores(metrics, "", digest, scores_);
    const std::vector<std::string> parents = strings_at(step, "parents");
    if (!parents.empty()) read_scores(metrics, "before_", parents[0], scores_);
    if (parents.size() > 1) read_scores(metrics, "teacher_", parents[1], scores_);
    read_noise(member_at(step, "layers"), digest);
  }
}

void Collector::add(const io::Checkpoint& checkpoint, const std::string& given, std::int64_t bytes) {
  Model& m = model(checkpoint.digest, given);
  if (m.checkpoint) {
    if (m.path != given && std::find(m.aliases.begin(), m.aliases.end(), given) == m.aliases.end()) m.aliases.push_back(given);
    return;
  }
  m.checkpoint = true;
  m.path = given;
  if (bytes > 0) m.file_bytes = static_cast<double>(bytes);
  m.tensor_bytes = 0;
  for (const auto& [name, array] : checkpoint.tensors) m.tensor_bytes += static_cast<double>(array.bytes());
  if (!checkpoint.graph.is_null()) read_graph(checkpoint, given, m);
  m.labels = strings_of(checkpoint.labels);
  if (checkpoint.history.is_array()) m.history = checkpoint.history;
  if (checkpoint.provenance.is_array()) m.provenance = checkpoint.provenance;
  if (!m.provenance.empty()) {
    const Json& last = m.provenance.back();
    if (const double p50 = number_at(member_at(last, "metrics"), "latency_b1_p50_s"); p50 > 0)
      m.noted = Latency{p50, NAN, 1, std::max<std::int64_t>(0, index_at(last, "threads"))};
  }
  read_chain(m);
  read_evaluation(checkpoint.evaluation, m);
}

void Collector::add_bench(const Json& record, const std::string& given) {
  for (const Json& result : record["results"]) {
    const std::string digest = text_at(result, "digest");
    if (digest.empty()) throw Error(Exit::kInput, given, "a result without the digest of its model");
    Model& m = model(digest, text_at(result, "model"));
    fill(m.parameters, result, "parameters");
    fill(m.macs, result, "macs");
    fill(m.tensor_bytes, result, "tensor_bytes");
    fill(m.file_bytes, result, "file_bytes");
    if (m.dtype.empty() && text_at(result, "engine") == "int8") m.dtype = "int8";
    read_scores(result, "", digest, told_);
    const Json& timings = member_at(result, "timings");
    for (const Json& entry : timings.is_array() ? timings : Json::array()) {
      const std::int64_t batch = index_at(entry, "batch"), threads = std::max<std::int64_t>(0, index_at(entry, "threads"));
      Timing timing{{number_at(entry, "latency_p50_s"), number_at(entry, "latency_p99_s"), batch, threads}, NAN, NAN};
      fill(timing.throughput, entry, "throughput_per_s");
      fill(timing.peak_memory, entry, "peak_memory_bytes");
      if (batch > 0 && timing.latency.p50 > 0) timings_[digest].emplace(std::pair{threads, batch}, timing);
    }
  }
}

void Collector::add(const Json& record, const std::string& given) {
  const auto fail = [&](const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, given, what, hint); };
  if (text_at(record, "schema").rfind("ds-record/", 0) != 0) fail("is neither a checkpoint nor a record of a ds tool");
  if (const std::string status = text_at(record, "status"); !status.empty() && status != "done")
    fail("is a record with status '" + status + "', expected 'done'", "see what that tool said");
  std::vector<std::string> command = strings_at(record, "command");
  if (!command.empty()) command[0] = std::filesystem::path(command[0]).filename().string();
  if (member_at(record, "results").is_array()) {
    add_bench(record, given);
    if (!command.empty()) commands_.push_back(command);
    return;
  }
  // A record of one model: what the tool made, or else what it read.
  const Json& outputs = member_at(record, "outputs");
  const Json& inputs = member_at(record, "inputs");
  const bool made = outputs.is_array() && !outputs.empty() && text_at(outputs[0], "name") == "model";
  const Json place = made ? outputs[0] : inputs.is_array() && !inputs.empty() ? inputs[0] : Json();
  const std::string digest = text_at(place, "digest");
  if (digest.size() != kDigestSize) fail("is a record that names no model");
  Model& m = model(digest, text_at(place, "path"));
  const Json& metrics = member_at(record, "metrics");
  fill(m.parameters, metrics, "parameters");
  fill(m.macs, metrics, "macs");
  fill(m.tensor_bytes, metrics, "tensor_bytes");
  read_scores(metrics, "", digest, told_);
  if (auto confusion = confusion_of(member_at(record, "confusion"), text_at(member_at(record, "data"), "split"))) confusions_[digest] = *confusion;
  if (m.labels.empty()) m.labels = strings_at(record, "labels");
  read_noise(member_at(record, "layers"), digest);
  if (!made && !command.empty()) commands_.push_back(command);
}

}  // namespace ds::report
