#include "engine/commands/session.h"

#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/log.h"
#include "base/graph/passes.h"
#include "engine/compress/quantizer.h"
#include "engine/device.h"

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

Opened open_model(const std::string& name, const std::string& given, core::Record& record) {
  Opened opened;
  opened.given = given;
  opened.checkpoint = io::load_input(given);
  record.input(name, opened.checkpoint.path, opened.checkpoint.digest);
  check_config(opened.checkpoint);
  opened.model = exec::model_from(opened.checkpoint);
  return opened;
}

const data::Dataset& open_data(const Opened& opened, const std::string& spec) {
  std::string wanted = spec;
  if (wanted.empty() && opened.checkpoint.config.is_object()) wanted = opened.checkpoint.config.value(Json::json_pointer("/data/name"), "");
  if (wanted.empty()) throw Error(Exit::kUsage, "--data", "the checkpoint does not say which data it was trained on", "name a data set");
  const data::Dataset& data = data::open_cached(wanted);
  const std::string where = opened.given == "-" ? "stdin" : opened.given;
  train::check_fit(opened.model.graph, data, where);
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
constexpr std::int64_t kMostConfusion = 1000; ///< classes

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

Json evaluation_document(const train::Evaluation& evaluation, const data::Split& part, const std::string& split) {
  Json document = {{"split", split}, {"n", evaluation.n}, {"top1", evaluation.top1}, {"wrong", Json::array()}};
  if (evaluation.classes <= kMostConfusion) document["confusion"] = evaluation.confusion;
  const at::Tensor labels = part.labels.contiguous();
  const std::int64_t* truth = labels.const_data_ptr<std::int64_t>();
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < evaluation.predictions.size(); ++i)
    if (evaluation.predictions[i] != truth[i]) wrong.push_back(i);
  std::stable_sort(wrong.begin(), wrong.end(), [&](std::size_t a, std::size_t b) { return evaluation.confidences[a] > evaluation.confidences[b]; });
  wrong.resize(std::min(wrong.size(), kMostWrong));
  for (const std::size_t i : wrong) {
    Json entry = {{"id", part.first_id + std::int64_t(i)}, {"label", truth[i]}, {"prediction", evaluation.predictions[i]},
                  {"confidence", std::round(1e4 * double(evaluation.confidences[i])) / 1e4}};
    const at::Tensor image = part.images[std::int64_t(i)];
    if (image.dim() == 3 && image.size(1) * image.size(2) > 1) add_picture(entry, image);
    document["wrong"].push_back(std::move(entry));
  }
  return document;
}

/// Zeros of the graph's input for one sample; undefined where a dim is known neither to the graph nor to the preprocessing.
at::Tensor one_sample(const graph::Graph& graph, const Json& preprocessing) {
  if (graph.inputs.size() != 1 || graph.inputs[0].type.dtype != graph::DType::kF32) return {};
  const auto& dims = graph.inputs[0].type.dims;
  const Json shape = preprocessing.is_object() ? preprocessing.value("shape", Json::array()) : Json::array();
  std::vector<std::int64_t> sizes = {1};
  for (std::size_t i = 1; i < dims.size(); ++i) {
    if (!dims[i].is_known() && i > shape.size()) return {};
    sizes.push_back(dims[i].is_known() ? dims[i].value() : shape[i - 1].get<std::int64_t>());
  }
  const at::Tensor zeros = at::zeros(sizes);
  return zeros.dim() == 4 ? zeros.contiguous(at::MemoryFormat::ChannelsLast) : zeros;
}

}  // namespace

Json evaluate_split(exec::Model& model, const data::Dataset& data, const Json& preprocessing, const std::string& split, std::int64_t batch_size,
                    Json* document, bool stoppable) {
  const data::Split& part = split == "train" ? data.train : split == "val" ? data.val : data.test;
  if (document) *document = nullptr;
  if (part.size() == 0) return Json::object();
  exec::Executor executor(model);
  const train::Evaluation evaluation = train::evaluate(executor, part, preprocessing, data.num_classes, batch_size, stoppable);
  if (document) *document = evaluation_document(evaluation, part, split);
  return evaluation.metrics(split);
}

double quick_latency(exec::Model& model, const Json& preprocessing) {
  using Clock = std::chrono::steady_clock;
  const c10::InferenceMode inference;
  const at::Tensor input = one_sample(model.graph, preprocessing);
  if (!input.defined()) return 0;
  exec::Executor executor(model);
  std::vector<double> seconds;
  double total = 0;
  for (int call = -5; call < 40 && (call < 3 || total < 0.12); ++call) {
    const auto begin = Clock::now();
    executor.run({input}, exec::RunContext{});
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
                core::Record& record) {
  exec::store(model, checkpoint);
  checkpoint.state = nullptr;
  checkpoint.state_tensors.clear();
  step["metrics"].update(figures(model.graph));
  if (!common.reproducible)
    if (const double seconds = quick_latency(model, checkpoint.preprocessing); seconds > 0) step["metrics"]["latency_b1_p50_s"] = seconds;
  record["metrics"] = step["metrics"];
  io::add_provenance(checkpoint, std::move(step), common.reproducible);
  io::save(checkpoint, output, {.overwrite = common.force, .reproducible = common.reproducible});
  record.output("model", checkpoint.path, checkpoint.digest);
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
