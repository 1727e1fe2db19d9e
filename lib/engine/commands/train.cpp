#include <fmt/format.h>

#include "base/commands/train_options.h"
#include "base/core/error.h"
#include "base/graph/passes.h"
#include "base/io/files.h"
#include "base/models/models.h"
#include "engine/commands/session.h"
#include "engine/compress/quantizer.h"
#include "engine/exec/memory.h"

namespace ds::commands {
namespace {

/// What is trained: a fresh net, or the one of --init. `before`: validation metrics of the latter's weights.
struct Job {
  io::Checkpoint checkpoint;
  exec::Model model;
  exec::Model int8;  ///< what it was made from and becomes again, of an int8 checkpoint; else empty
  const data::Dataset* data = nullptr;
  std::vector<std::string> parents;
  Json before = Json::object();
};

void begin_fresh(Job& job, const TrainCommand& o) {
  if (o.data.name.empty()) throw Error(Exit::kUsage, "--data", "is required: the data set to train on", "such as --data digits");
  job.data = &data::open_cached(o.data.name, o.data.tokenizer.empty() ? Json() : data::read_tokenizer(o.data.tokenizer));
  const at::Tensor& images = job.data->split("train").images;
  models::DataSizes sizes{.num_classes = job.data->num_classes};
  if (job.data->has_tokens()) {
    sizes.kind = models::InputKind::kTokens;
    sizes.vocab_size = job.data->tokens().vocab_size;
    sizes.length = job.data->tokens().longest();
  } else {
    sizes.channels = images.size(1), sizes.height = images.size(2), sizes.width = images.size(3);
  }
  graph::Graph graph = models::build(o.model, sizes, o.fit.regularize.dropout);
  graph::verify(graph, "model." + o.model.key);
  train::check_fit(graph, *job.data, "model." + o.model.key);
  job.model = exec::make_model(std::move(graph), static_cast<std::uint64_t>(o.common.seed));
  job.checkpoint.preprocessing = job.data->preprocessing;
  if (!job.data->has_tokens()) return;
  Json& inputs = job.checkpoint.preprocessing["inputs"] = Json::array();
  for (const graph::Input& input : job.model.graph.inputs) inputs.push_back(input.name);
  job.checkpoint.tokenizer = job.data->tokenizer;
}

void begin_from(Job& job, const TrainCommand& o, core::Record& record) {
  Opened opened = open_model("init", o.init, record);
  job.data = &open_data(opened, o.data.name);
  job.parents.push_back(opened.checkpoint.digest);
  job.checkpoint = std::move(opened.checkpoint);
  const bool quantized = opened.model.is_quantized();
  if (quantized && !o.dequantize) job.int8 = opened.model;
  job.model = !quantized ? std::move(opened.model) : o.dequantize ? compress::to_float(opened.model) : compress::to_fake_quantized(opened.model);
  graph::set_dropout(job.model.graph, o.fit.regularize.dropout);
}

Job begin(const TrainCommand& o, core::Record& record) {
  Job job;
  if (o.init.empty())
    begin_fresh(job, o);
  else
    begin_from(job, o, record);
  job.checkpoint.labels = job.data->labels.empty() ? Json() : Json(job.data->labels);
  job.checkpoint.config = core::invocation().config;
  job.checkpoint.config["data"]["name"] = o.common.reproducible ? job.data->spec : data::absolute_spec(job.data->spec);
  job.checkpoint.history = Json::array();
  job.checkpoint.evaluation = nullptr;
  job.checkpoint.state = nullptr;
  job.checkpoint.state_tensors.clear();
  const data::Dataset& data = *job.data;
  record["data"] = {{"name", data.spec},        {"fingerprint", data.fingerprint}, {"classes", data.num_classes},
                    {"train", data.train.size()}, {"val", data.val.size()},           {"test", data.test.size()}};
  record["model"] = job.model.graph.meta.value("arch", "graph");
  record["metrics"] = figures(job.model.graph);
  return job;
}

Json provenance(const TrainCommand& o, const Job& job, const Json& metrics) {
  Json step = provenance_step(o.common, {}, job.data, metrics);
  step["parents"] = job.parents;
  return step;
}

train::TrainerOptions trainer_options(const TrainCommand& o, const Job& job) {
  train::TrainerOptions options;
  options.seed = static_cast<std::uint64_t>(o.common.seed);
  options.augment = o.data.augment;
  options.run_dir = o.run_dir;
  options.partial = o.output.empty() || o.output == "-" ? "" : o.output + ".partial";
  options.resume = o.resume == "auto";
  options.overwrite = o.common.force;
  options.reproducible = o.common.reproducible;
  options.provenance = provenance(o, job, Json::object());
  if (job.int8.is_quantized()) options.deploy = [int8 = job.int8](const exec::Model& trained) { return compress::from_fake_quantized(trained, int8); };
  return options;
}

/// Metrics of the weights that the run ended with, and of the test split, which nothing read before.
Json final_metrics(const TrainCommand& o, Job& job, exec::Model& model, const train::Trainer& trainer) {
  Json metrics = Json::object();
  if (!trainer.history().empty()) {
    const bool best = o.fit.loop.keep == "best" && !trainer.best().is_null();
    const Json& row = best ? trainer.best() : trainer.history().back();
    for (const char* key : {"epoch", "train_loss", "train_top1", "val_loss", "val_top1"})
      if (row.contains(key)) metrics[key] = row[key];
    if (!trainer.best().is_null()) metrics["best_val_top1"] = trainer.best()["val_top1"];
    if (trainer.history().back().contains("samples_per_sec")) metrics["samples_per_sec"] = trainer.history().back()["samples_per_sec"];
  }
  metrics["steps"] = trainer.step();
  if (!o.common.reproducible) metrics["peak_mem_bytes"] = exec::memory_use().peak;
  metrics.update(figures(model.graph));
  for (const auto& [key, value] : job.before.items()) metrics["before_" + key] = value;
  metrics.update(evaluate_split(model, *job.data, job.checkpoint.preprocessing, "test", o.fit.loop.eval_batch_size, &job.checkpoint.evaluation));
  return metrics;
}

[[noreturn]] void stopped(const train::Trainer& trainer) {
  const std::string& saved = trainer.saved_state();
  if (saved.empty())
    throw Error(Exit::kInterrupted, "", fmt::format("stopped by a signal at step {} of {}, nothing saved", trainer.step(), trainer.total_steps()),
                "with -o or --run-dir the state is saved");
  throw Error(Exit::kStopped, saved, fmt::format("stopped by a signal at step {} of {}, state saved", trainer.step(), trainer.total_steps()),
              "go on with the same command and --resume auto");
}

void note_run_folder(const std::string& folder, core::Record& record) {
  for (const char* name : {"last", "best"}) {
    const std::string path = folder + "/" + name + ".h5";
    if (io::exists(path)) record.output(name, path, io::load(path, {.tensors = false}).digest);
  }
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const TrainCommand&>(base);
  Job job = begin(o, record);
  if (o.common.dry_run) return;

  exec::Model& given = job.int8.is_quantized() ? job.int8 : job.model;
  if (!o.init.empty()) job.before = evaluate_split(given, *job.data, job.checkpoint.preprocessing, "val", o.fit.loop.eval_batch_size);
  train::Trainer trainer(job.model, *job.data, o.fit, trainer_options(o, job), job.checkpoint);
  if (trainer.run() == train::Outcome::kStopped) stopped(trainer);

  if (job.int8.is_quantized()) job.model = compress::from_fake_quantized(job.model, job.int8);
  const Json metrics = final_metrics(o, job, job.model, trainer);
  record["metrics"] = metrics;
  job.checkpoint.history = trainer.history();
  if (!o.output.empty()) {
    save_model(job.checkpoint, job.model, o.output, o.common, provenance(o, job, metrics), record);
    drop_partial(o.output);
  }
  if (!o.run_dir.empty()) note_run_folder(o.run_dir, record);
}

const core::Body<core::Command> body{"command", "train", run};

}  // namespace
}  // namespace ds::commands
