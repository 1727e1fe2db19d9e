#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "base/commands/train_options.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/graph/passes.h"
#include "base/io/files.h"
#include "base/models/models.h"
#include "engine/commands/frozen_features.h"
#include "engine/commands/pretrained.h"
#include "engine/commands/session.h"
#include "engine/compress/quantizer.h"
#include "engine/data/health.h"
#include "engine/exec/memory.h"
#include "engine/optim/groups.h"
#include "engine/train/find_lr.h"
#include "engine/train/probe.h"

namespace ds::commands {
namespace {

/// What is trained: a fresh net, or the one of --init. `before`: validation metrics of the latter's weights.
struct Job {
  io::Checkpoint checkpoint;
  exec::Model model;
  exec::Model int8;  ///< what it was made from and becomes again, of an int8 checkpoint; else empty
  const data::Dataset* data = nullptr;
  std::vector<std::string> parents;
  io::Checkpoint base;              ///< with --pretrained, or with --adapter what --init read
  bool new_head = false;            ///< of --pretrained: its last layer was drawn anew
  std::int64_t train_macs = 0;      ///< of a step, for one sample
  FrozenFeatures cached;            ///< of --cache-frozen
  std::vector<std::string> frozen;  ///< parameters that --adapter leaves as they are
  Json before = Json::object();
};

/// Data that ask for vectors take a net whose head gives them.
void check_head(const core::Choice& model, const data::Dataset& data) {
  if (!data::of_vectors(data.tokens().target)) return;
  const core::Fields fields = core::walk(*model.options);
  for (const core::Entry& entry : fields.entries())
    if (entry.path == "head" && **std::get_if<std::string*>(&entry.target) == "embedding") return;
  throw Error(Exit::kUsage, "model.head", fmt::format("data '{}' ask for a vector of each text", data.spec),
              "set model.head to embedding, with a net that has it");
}

void begin_fresh(Job& job, const TrainCommand& o) {
  if (o.data.name.empty()) throw Error(Exit::kUsage, "--data", "is required: the data set to train on", "such as --data digits");
  job.data = &data::open_cached(o.data.name, o.data.tokenizer.empty() ? Json() : data::read_tokenizer(o.data.tokenizer));
  check_head(o.model, *job.data);
  graph::Graph graph = models::build(o.model, sizes_of(*job.data), o.fit.regularize.dropout);
  graph::initialize(graph, o.initialize.init);
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
  if (!o.adapter.name.empty()) job.base = opened.checkpoint;
  job.checkpoint = std::move(opened.checkpoint);
  if (job.checkpoint.preprocessing.is_null()) job.checkpoint.preprocessing = job.data->preprocessing;
  const bool quantized = opened.model.is_quantized();
  if (quantized && !o.dequantize) job.int8 = opened.model;
  job.model = !quantized ? std::move(opened.model) : o.dequantize ? compress::to_float(opened.model) : compress::to_fake_quantized(opened.model);
  graph::set_dropout(job.model.graph, o.fit.regularize.dropout);
}

void begin_with(Job& job, const TrainCommand& o, core::Record& record) {
  Beginning found = begin_pretrained(o, record);
  job.checkpoint = std::move(found.checkpoint);
  job.model = std::move(found.model);
  job.data = found.data;
  job.base = std::move(found.base);
  job.new_head = found.new_head;
  if (!job.base.digest.empty()) job.parents.push_back(job.base.digest);
}

Job begin(const TrainCommand& o, core::Record& record) {
  Job job;
  if (!o.pretrained.empty())
    begin_with(job, o, record);
  else if (o.init.empty())
    begin_fresh(job, o);
  else
    begin_from(job, o, record);
  if (!o.adapter.name.empty()) job.frozen = add_adapters(job.model, o, job.base, job.new_head, record);
  job.checkpoint.labels = job.data->labels.empty() ? Json() : Json(job.data->labels);
  // A regression goes on with the units that it began with.
  Json& preprocessing = job.checkpoint.preprocessing;
  if (!preprocessing.is_null() && job.data->values.empty()) preprocessing.erase("targets");
  else if (!preprocessing.is_null() && !preprocessing.contains("targets")) preprocessing["targets"] = job.data->preprocessing.at("targets");
  job.checkpoint.config = core::invocation().config;
  job.checkpoint.config["data"]["name"] = o.common.reproducible ? job.data->spec : data::absolute_spec(job.data->spec);
  job.checkpoint.history = Json::array();
  job.checkpoint.evaluation = nullptr;
  job.checkpoint.state = nullptr;
  job.checkpoint.state_tensors.clear();
  const data::Dataset& data = *job.data;
  record["data"] = {{"name", data.spec},        {"fingerprint", data.fingerprint}, {"classes", data.num_classes},
                    {"train", data.train.size()}, {"val", data.val.size()},           {"test", data.test.size()}};
  const data::Health health = data::check_health(data);
  record["data"]["health"] = health.report;
  for (const std::string& warning : health.warnings) core::warn(warning);
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
  options.sampler = o.data.sampler;
  options.run_dir = o.run_dir;
  options.partial = o.output.empty() || o.output == "-" ? "" : o.output + ".partial";
  options.resume = o.resume == "auto";
  options.overwrite = o.common.force;
  options.reproducible = o.common.reproducible;
  if (!job.base.digest.empty()) options.run["inputs"]["base"] = job.base.digest;
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
    const std::string score = std::string("val_") + train::primary_metric(*job.data);
    for (const std::string& key : {std::string("epoch"), std::string("train_loss"), std::string("train_top1"), std::string("val_loss"), score})
      if (row.contains(key)) metrics[key] = row[key];
    if (!trainer.best().is_null()) metrics["best_" + score] = trainer.best()[score];
    if (trainer.history().back().contains("samples_per_sec")) metrics["samples_per_sec"] = trainer.history().back()["samples_per_sec"];
  }
  metrics["steps"] = trainer.step();
  metrics["train_macs"] = job.train_macs;
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

/// With --cache-frozen training runs what is behind the frozen front, on what that says of the samples; `fit` then freezes names of that part alone.
void cache_front(Job& job, FitOptions& fit, core::Record& record) {
  if (job.int8.is_quantized())
    throw Error(Exit::kUsage, "--cache-frozen", "contradicts int8, whose rounding is trained in every layer", "leave it out, or --dequantize");
  job.model.require_grad(true);
  std::set<std::string> trained;
  for (const optim::Parameter& parameter : optim::parameters_of(job.model, {.freeze = fit.loop.freeze})) trained.insert(parameter.name);
  job.cached = frozen_features(job.model, trained, *job.data, job.checkpoint.preprocessing);
  record["cached"] = {{"value", job.cached.value}, {"front_macs", job.cached.macs}};
  fit.loop.freeze.clear();
  for (const std::string& name : job.cached.back.parameters())
    if (!trained.contains(name)) fit.loop.freeze.push_back(name);
}

void run_find_lr(const TrainCommand& o, const Job& job, const FitOptions& fit, core::Record& record) {
  const train::LrCurve curve = train::find_lr(job.model, *job.data, fit, trainer_options(o, job), job.checkpoint);
  record["find_lr"] = curve.to_json();
  core::info(fmt::format("the loss falls most steeply at a learning rate of {:.3g}{}", curve.suggested,
                         curve.diverged ? fmt::format(", and has grown {} times at {:.3g}", 4, curve.lr.back()) : ""));
  if (o.output.empty() && o.run_dir.empty()) return;
  if (o.output.empty()) std::filesystem::create_directories(o.run_dir);
  const std::string path = o.output.empty() ? o.run_dir + "/find_lr.svg" : o.output, picture = curve.svg();
  io::write_file(path, picture);
  record.output("curve", path, core::sha256_hex(picture));
}

void run_probe(const TrainCommand& o, const Job& job, const FitOptions& fit, core::Record& record) {
  const Json& preprocessing = job.checkpoint.preprocessing.is_null() ? job.data->preprocessing : job.checkpoint.preprocessing;
  const train::Probe probe = train::probe(job.model, *job.data, fit, static_cast<std::uint64_t>(o.common.seed), preprocessing);
  record["probe"] = probe.to_json(o.common.reproducible);
  for (const train::ProbeWarning& warning : probe.warnings) core::warn(fmt::format("{}; try {}", warning.text, fmt::join(warning.remedies, ", or ")));
  if (o.common.format == "table") record.text = probe.table().text();
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const TrainCommand&>(base);
  Job job = begin(o, record);
  if (o.common.dry_run) return;

  exec::Model& given = job.int8.is_quantized() ? job.int8 : job.model;
  if (!o.init.empty()) job.before = evaluate_split(given, *job.data, job.checkpoint.preprocessing, "val", o.fit.loop.eval_batch_size);
  FitOptions fit = o.fit;
  fit.loop.freeze.insert(fit.loop.freeze.end(), job.frozen.begin(), job.frozen.end());
  if (o.probe) return run_probe(o, job, fit, record);
  if (o.find_lr) return run_find_lr(o, job, fit, record);
  if (o.cache_frozen) cache_front(job, fit, record);
  io::Checkpoint features = job.checkpoint;
  features.preprocessing = job.cached.preprocessing;
  exec::Model& model = o.cache_frozen ? job.cached.back : job.model;
  train::Trainer trainer(model, o.cache_frozen ? job.cached.data : *job.data, fit, trainer_options(o, job), o.cache_frozen ? features : job.checkpoint);
  job.train_macs = training_macs(model, trainer.parameters());
  if (trainer.run() == train::Outcome::kStopped) stopped(trainer);

  for (const auto& [name, tensor] : job.cached.back.tensors) job.model.tensors[name] = tensor;
  if (job.int8.is_quantized()) job.model = compress::from_fake_quantized(job.model, job.int8);
  const Json metrics = final_metrics(o, job, job.model, trainer);
  record["metrics"] = metrics;
  job.checkpoint.history = trainer.history();
  if (!o.output.empty()) {
    save_model(job.checkpoint, job.model, o.output, o.common, provenance(o, job, metrics), record, o.adapter.name.empty() ? nullptr : &job.base);
    drop_partial(o.output);
  }
  if (!o.run_dir.empty()) note_run_folder(o.run_dir, record);
}

const core::Body<core::Command> body{"command", "train", run};

}  // namespace
}  // namespace ds::commands
