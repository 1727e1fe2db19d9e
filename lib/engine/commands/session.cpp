#include "engine/commands/session.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/commands/adapter_file.h"
#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/graph/passes.h"
#include "base/graph/schema.h"
#include "engine/compress/quantizer.h"
#include "engine/device.h"
#include "engine/exec/torchscript.h"

namespace ds::commands {

namespace {

/// What later defaults are taken from: a config of another form is not to be guessed at.
void check_config(const io::Checkpoint& checkpoint) {
  const Json& config = checkpoint.config;
  const auto data = config.is_object() ? config.find("data") : config.end();
  if (data == config.end()) return;
  const auto fail = [&](const char* what) { throw Error(Exit::kInput, checkpoint.path + ":/documents/config", what); };
  if (!data->is_object()) fail("'data' is not an object");
  if (data->contains("name") && !data->at("name").is_string()) fail("'data.name' is not a text");
  if (!data->contains("augment")) return;
  const Json& augment = data->at("augment");
  if (!augment.is_array() || !std::all_of(augment.begin(), augment.end(), [](const Json& entry) { return entry.is_string(); }))
    fail("'data.augment' is not a list of texts");
}

}  // namespace

Opened open_model(const std::string& name, const std::string& given, core::Record& record, const std::string& adapter) {
  Opened opened;
  opened.given = given;
  opened.checkpoint = io::load_input(given);
  record.input(name, opened.checkpoint.path, opened.checkpoint.digest);
  if (!adapter.empty()) opened.checkpoint = with_adapter(opened.checkpoint, adapter, false, record);
  check_config(opened.checkpoint);
  opened.model = exec::model_from(opened.checkpoint);
  const auto& inputs = opened.model.graph.inputs;
  if (opened.checkpoint.preprocessing.is_null() && !inputs.empty() && inputs[0].type.dtype == graph::DType::kI64) {
    Json& preprocessing = opened.checkpoint.preprocessing = {{"kind", "text"}, {"inputs", Json::array()}};
    for (const graph::Input& input : inputs) preprocessing["inputs"].push_back(input.name);
  }
  return opened;
}

const data::Dataset& open_data(const Opened& opened, const std::string& spec, bool embeddings) {
  std::string wanted = spec;
  if (wanted.empty() && opened.checkpoint.config.is_object()) wanted = opened.checkpoint.config.value(Json::json_pointer("/data/name"), "");
  if (wanted.empty()) throw Error(Exit::kUsage, "--data", "the checkpoint does not say which data it was trained on", "name a data set");
  const data::Dataset& data = data::open_cached(wanted, opened.checkpoint.tokenizer);
  const std::string where = opened.given == "-" ? "stdin" : opened.given;
  if (embeddings && train::gives_embeddings(opened.model.graph)) train::check_inputs(opened.model.graph, data, where);
  else train::check_fit(opened.model.graph, data, where);
  const Json::json_pointer columns("/columns");  // of a table: equal in number is not enough
  const Json& own = opened.checkpoint.preprocessing;
  if (own.is_object() && own.contains(columns) && data.preprocessing.contains(columns) && own.at(columns) != data.preprocessing.at(columns))
    throw Error(Exit::kInput, where, fmt::format("the model takes columns {}, data '{}' has {}", own.at(columns).dump(), data.spec,
                                                 data.preprocessing.at(columns).dump()));
  return data;
}

std::vector<std::string> augmentation(const io::Checkpoint& checkpoint, const std::vector<std::string>& wanted) {
  if (wanted == std::vector<std::string>{"none"}) return {};
  if (wanted != std::vector<std::string>{"auto"}) return wanted;
  const Json::json_pointer at("/data/augment");
  if (!checkpoint.config.is_object() || !checkpoint.config.contains(at)) return {};
  return checkpoint.config.at(at).get<std::vector<std::string>>();
}

Json figures(const graph::Graph& graph) {
  const graph::Cost cost = graph::cost(graph);
  return {{"parameters", cost.parameters}, {"macs", cost.macs}, {"tensor_bytes", cost.tensor_bytes}};
}

namespace {

constexpr std::size_t kMostWrong = 12;        ///< pictures in a checkpoint
constexpr std::int64_t kMostSide = 64;        ///< pixels; larger ones are thinned
constexpr std::size_t kMostText = 160;        ///< bytes of a text

/// One image [C,H,W] for people: at most 64 pixels a side, a byte a value; floats are stretched over their range.
void add_picture(Json& entry, at::Tensor image) {
  const std::int64_t step = (std::max(image.size(1), image.size(2)) + kMostSide - 1) / kMostSide;
  image = image.slice(1, 0, image.size(1), step).slice(2, 0, image.size(2), step);
  if (image.scalar_type() != at::kByte) {
    image = image.to(at::kFloat);
    const float low = image.min().item<float>(), high = image.max().item<float>();
    image = image.sub(low).mul(high > low ? 255.f / (high - low) : 0.f).round().to(at::kByte);
  }
  image = image.contiguous();
  std::string pixels;
  for (std::int64_t i = 0; i < image.numel(); ++i)
    for (const int shift : {4, 0}) pixels += "0123456789abcdef"[image.const_data_ptr<std::uint8_t>()[i] >> shift & 15];
  entry["shape"] = image.sizes().vec();
  entry["pixels"] = pixels;
}

/// The beginning of a text, in whole characters.
std::string beginning(const std::string& text) {
  std::size_t end = std::min(text.size(), kMostText);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  std::string shown = text.substr(0, end);
  std::replace(shown.begin(), shown.end(), '\0', ' ');  // between the texts of a pair
  return shown + (end < text.size() ? " ..." : "");
}

Json evaluation_document(const train::Evaluation& evaluation, const data::Split& part, const std::string& split) {
  if (evaluation.classes == 0) return nullptr;
  Json document = {{"split", split}, {"n", evaluation.n}, {"top1", evaluation.top1}, {"wrong", Json::array()}};
  if (!evaluation.confusion.empty()) document["confusion"] = evaluation.confusion;
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < evaluation.predictions.size(); ++i)
    if (evaluation.predictions[i] != evaluation.labels[i]) wrong.push_back(i);
  std::stable_sort(wrong.begin(), wrong.end(), [&](std::size_t a, std::size_t b) { return evaluation.confidences[a] > evaluation.confidences[b]; });
  wrong.resize(std::min(wrong.size(), kMostWrong));
  for (const std::size_t i : wrong) {
    const std::int64_t id = evaluation.ids[i], row = id - part.first_id;
    Json entry = {{"id", id}, {"label", evaluation.labels[i]}, {"prediction", evaluation.predictions[i]},
                  {"confidence", std::round(1e4 * double(evaluation.confidences[i])) / 1e4}};
    const at::Tensor image = part.images.defined() ? part.images[row] : at::Tensor();
    if (image.defined() && image.dim() == 3 && image.size(1) * image.size(2) > 1) add_picture(entry, image);
    if (!part.texts.empty() && part.labels.defined()) entry["text"] = beginning(part.texts[std::size_t(row)]);
    document["wrong"].push_back(std::move(entry));
  }
  return document;
}

/// The length of a usual text: no longer than texts are cut to, nor than the net has positions for.
std::int64_t usual_length(const graph::Graph& graph, const Json& preprocessing) {
  std::int64_t length = graph::kUsualLength;
  if (preprocessing.is_object()) length = std::min(length, preprocessing.value("max_length", length));
  for (const graph::Node& node : graph.nodes) {
    if (node.op != "position_ids") continue;
    const Json attrs = graph::full_attributes(node);
    const std::int64_t limit = attrs.at("limit").get<std::int64_t>(), first = attrs.at("padding_idx").get<std::int64_t>() + 1;
    if (limit > 0) length = std::min(length, limit - first);
  }
  return length;
}

}  // namespace

Json evaluate_split(exec::Model& model, const data::Dataset& data, const Json& preprocessing, const std::string& split, std::int64_t batch_size,
                    Json* document, bool stoppable) {
  const data::Split& part = split == "train" ? data.train : split == "val" ? data.val : data.test;
  if (document) *document = nullptr;
  if (part.size() == 0) return Json::object();
  exec::Executor executor(model);
  const train::Evaluation evaluation = train::evaluate(executor, part, preprocessing, data.num_classes, batch_size, stoppable,
                                                       /*detailed=*/document != nullptr);
  if (document) *document = evaluation_document(evaluation, part, split);
  return evaluation.metrics(split);
}

Json compare_embeddings(exec::Model& model, exec::Model& parent, const data::Dataset& data, const Json& preprocessing, const std::string& split) {
  constexpr std::int64_t kRows = 64;
  const data::Split& part = split == "train" ? data.train : split == "val" ? data.val : data.test;
  if (part.size() == 0) return Json::object();
  const c10::InferenceMode off;
  exec::Executor now(model), before(parent);
  double sum = 0, least = 1;
  for (std::int64_t first = 0; first < part.size(); first += kRows) {
    core::stop_if_requested();
    const data::Batch batch = data::batch_of(part, preprocessing, first, std::min(kRows, part.size() - first));
    const at::Tensor a = now.run(batch.inputs, {}).at(0).to(at::kDouble), b = before.run(batch.inputs, {}).at(0).to(at::kDouble);
    const at::Tensor cosine = a.mul(b).sum(-1).div(a.square().sum(-1).mul(b.square().sum(-1)).sqrt().clamp_min(1e-30));
    sum += cosine.sum().item<double>();
    least = std::min(least, cosine.min().item<double>());
  }
  return {{split + "_n", part.size()}, {split + "_cosine", sum / static_cast<double>(part.size())}, {split + "_cosine_least", least}};
}

std::vector<at::Tensor> sample_inputs(const graph::Graph& graph, const Json& preprocessing, std::int64_t batch, std::int64_t length) {
  const Json shape = preprocessing.is_object() ? preprocessing.value("shape", Json::array()) : Json::array();
  if (length == 0) length = usual_length(graph, preprocessing);
  graph::Bindings sizes;
  for (const graph::Input& input : graph.inputs) {
    const bool tokens = input.type.dtype == graph::DType::kI64;
    if (!tokens && !io::is_float(input.type.dtype)) return {};
    for (std::size_t i = 0; i < input.type.dims.size(); ++i) {
      for (const std::string& name : input.type.dims[i].symbols()) {
        if (i > 0 && !tokens && i > shape.size()) return {};
        sizes.emplace(name, i == 0 ? batch : tokens ? length : shape[i - 1].get<std::int64_t>());
      }
    }
  }
  std::vector<at::Tensor> inputs = exec::sample_inputs(graph, sizes);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (graph.inputs[i].name == "attention_mask") inputs[i].fill_(1);
    if (inputs[i].dim() == 4) inputs[i] = inputs[i].contiguous(at::MemoryFormat::ChannelsLast);
  }
  return inputs;
}

double quick_latency(exec::Model& model, const Json& preprocessing) {
  using Clock = std::chrono::steady_clock;
  const c10::InferenceMode inference;
  const std::vector<at::Tensor> inputs = sample_inputs(model.graph, preprocessing, 1);
  if (inputs.empty()) return 0;
  exec::Executor executor(model);
  std::vector<double> seconds;
  double total = 0;
  for (int call = -5; call < 40 && (call < 3 || total < 0.12); ++call) {
    const auto begin = Clock::now();
    executor.run(inputs, exec::RunContext{});
    const double took = std::chrono::duration<double>(Clock::now() - begin).count();
    total += took;
    if (call >= 0) seconds.push_back(took);
  }
  std::nth_element(seconds.begin(), seconds.begin() + std::ptrdiff_t(seconds.size() / 2), seconds.end());
  return seconds[seconds.size() / 2];
}

Json provenance_step(const core::CommonOptions& common, const std::vector<const io::Checkpoint*>& parents, const data::Dataset* data, const Json& metrics) {
  Json step = {{"seed", common.seed}, {"device", engine::device()}, {"isa", core::cpu_isa()}, {"threads", core::thread_count(common.threads)}};
  step["parents"] = Json::array();
  for (const io::Checkpoint* parent : parents) step["parents"].push_back(parent->digest);
  if (data) step["data"] = {{"name", data->spec}, {"fingerprint", data->fingerprint}};
  step["metrics"] = metrics;
  return step;
}

void save_model(io::Checkpoint& checkpoint, exec::Model& model, const std::string& output, const core::CommonOptions& common, Json step,
                core::Record& record, const io::Checkpoint* base) {
  exec::store(model, checkpoint);
  if (base) to_adapter(checkpoint, *base);
  checkpoint.state = nullptr;
  checkpoint.state_tensors.clear();
  step["metrics"].update(figures(model.graph));
  if (!common.reproducible)
    if (const double seconds = quick_latency(model, checkpoint.preprocessing); seconds > 0) step["metrics"]["latency_b1_p50_s"] = seconds;
  record["metrics"] = step["metrics"];
  io::add_provenance(checkpoint, std::move(step), common.reproducible);
  io::save(checkpoint, output, {.overwrite = common.force, .reproducible = common.reproducible});
  record.output(base ? "adapter" : "model", checkpoint.path, checkpoint.digest);
}

void drop_partial(const std::string& output) {
  if (!output.empty() && output != "-") std::remove((output + ".partial").c_str());
}

Json fit_model(exec::Model& model, const data::Dataset& data, const FitOptions& fit, io::Checkpoint& checkpoint, const std::string& output,
               const core::CommonOptions& common, bool resume, const std::vector<std::string>& augment,
               std::vector<std::shared_ptr<train::Callback>> callbacks, const std::string& phase, const Json& teachers) {
  checkpoint.evaluation = nullptr;  // of other weights
  const bool quantized = model.is_quantized();
  const exec::Model int8_model = model;
  if (quantized) model = compress::to_fake_quantized(int8_model);
  graph::set_dropout(model.graph, fit.regularize.dropout);
  train::TrainerOptions options;
  options.seed = std::uint64_t(common.seed);
  options.augment = augment;
  options.partial = output == "-" ? "" : output + ".partial";
  options.resume = resume;
  options.phase = phase;
  options.reproducible = common.reproducible;
  options.run = core::invocation().config;
  options.run["inputs"] = teachers;
  options.run["inputs"]["model"] = checkpoint.digest;
  options.run["augmentation"]["names"] = augment;
  train::Trainer trainer(model, data, fit, options, checkpoint);
  for (auto& callback : callbacks) trainer.add(std::move(callback));
  if (trainer.run() == train::Outcome::kStopped) {
    const std::string& saved = trainer.saved_state();
    if (saved.empty()) throw Error(Exit::kInterrupted, "", "stopped by a signal, with no place to save the state");
    throw Error(Exit::kStopped, saved, "stopped by a signal, state saved", "go on with the same command and --resume auto");
  }
  checkpoint.history = trainer.history();
  if (quantized) model = compress::from_fake_quantized(model, int8_model);
  return trainer.history().empty() ? Json::object() : trainer.history().back();
}

}  // namespace ds::commands
