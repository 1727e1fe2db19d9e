#include "engine/commands/session.h"

#include <cstdio>

#include "base/core/error.h"
#include "base/core/host.h"
#include "base/core/log.h"
#include "engine/compress/quantizer.h"
#include "engine/device.h"
#include "engine/exec/simd/simd.h"

namespace ds::commands {

Opened open_model(const std::string& name, const std::string& given, core::Record& record) {
  Opened opened;
  opened.given = given;
  opened.checkpoint = io::load_input(given);
  record.input(name, opened.checkpoint.path, opened.checkpoint.digest);
  opened.model = exec::model_from(opened.checkpoint);
  return opened;
}

const data::Dataset& open_data(const Opened& opened, const std::string& spec) {
  std::string wanted = spec;
  if (wanted.empty()) wanted = opened.checkpoint.config.value(Json::json_pointer("/data/name"), "");
  if (wanted.empty()) throw Error(Exit::kUsage, "--data", "the checkpoint does not say which data it was trained on", "name a data set");
  const data::Dataset& data = data::open_cached(wanted);
  train::check_fit(opened.model.graph, data, opened.given == "-" ? "stdin" : opened.given);
  return data;
}

std::vector<std::string> augmentation(const io::Checkpoint& checkpoint, const std::vector<std::string>& wanted) {
  if (wanted == std::vector<std::string>{"none"}) return {};
  if (wanted != std::vector<std::string>{"auto"}) return wanted;
  const Json::json_pointer at("/data/augment");
  return checkpoint.config.is_object() && checkpoint.config.contains(at) ? checkpoint.config.at(at).get<std::vector<std::string>>() : std::vector<std::string>{};
}

Json figures(const graph::Graph& graph) {
  const graph::Cost cost = graph::cost(graph);
  return {{"parameters", cost.parameters}, {"macs", cost.macs}, {"tensor_bytes", cost.tensor_bytes}};
}

Json evaluate_split(exec::Model& model, const data::Dataset& data, const Json& preprocessing, const std::string& split, std::int64_t batch_size) {
  const data::Split& part = split == "train" ? data.train : split == "val" ? data.val : data.test;
  if (part.size() == 0) return Json::object();
  exec::Executor executor(model);
  return train::evaluate(executor, part, preprocessing, data.num_classes, batch_size).metrics(split);
}

void check_paths(const std::string& output, const std::vector<std::string>& inputs, const core::CommonOptions& common) {
  io::check_output(output, inputs, common.force);
}

Json provenance_step(const core::CommonOptions& common, const std::vector<const io::Checkpoint*>& parents, const data::Dataset* data, const Json& metrics) {
  Json step = {{"seed", common.seed}, {"device", engine::device()}, {"isa", exec::simd::isa_name()}, {"threads", core::thread_count(common.threads)}};
  step["parents"] = Json::array();
  for (const io::Checkpoint* parent : parents) step["parents"].push_back(parent->digest);
  if (data) step["data"] = {{"name", data->spec}, {"fingerprint", data->fingerprint}};
  step["metrics"] = metrics;
  return step;
}

void save_model(io::Checkpoint& checkpoint, const exec::Model& model, const std::string& output, const core::CommonOptions& common, Json step,
                core::Record& record) {
  exec::store(model, checkpoint);
  checkpoint.state = nullptr;
  checkpoint.state_tensors.clear();
  step["metrics"].update(figures(model.graph));
  record["metrics"] = step["metrics"];
  io::add_provenance(checkpoint, std::move(step), common.reproducible);
  io::save(checkpoint, output, {.overwrite = common.force, .reproducible = common.reproducible});
  record.output("model", checkpoint.path, checkpoint.digest);
}

Json fit_model(exec::Model& model, const data::Dataset& data, const FitOptions& fit, io::Checkpoint& checkpoint, const std::string& output,
               const core::CommonOptions& common, bool resume, const std::vector<std::string>& augment,
               std::vector<std::shared_ptr<train::Callback>> callbacks, const std::string& phase) {
  const bool quantized = model.is_quantized();
  const exec::Model int8_model = model;
  if (quantized) model = compress::to_fake_quantized(int8_model);
  train::TrainerOptions options;
  options.seed = std::uint64_t(common.seed);
  options.augment = augment;
  options.partial = output == "-" ? "" : output + ".partial";
  options.resume = resume;
  options.phase = phase;
  options.reproducible = common.reproducible;
  train::Trainer trainer(model, data, fit, options, checkpoint);
  for (auto& callback : callbacks) trainer.add(std::move(callback));
  if (trainer.run() == train::Outcome::kStopped) {
    const std::string& saved = trainer.saved_state();
    if (saved.empty()) throw Error(Exit::kInterrupted, "", "stopped by a signal, with no place to save the state");
    throw Error(Exit::kStopped, saved, "stopped by a signal, state saved", "go on with the same command and --resume auto");
  }
  checkpoint.history = trainer.history();
  if (quantized) model = compress::from_fake_quantized(model, int8_model);
  if (!options.partial.empty()) std::remove(options.partial.c_str());
  return trainer.history().empty() ? Json::object() : trainer.history().back();
}

}  // namespace ds::commands
