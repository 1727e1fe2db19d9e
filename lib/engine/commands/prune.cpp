#include "base/commands/prune_options.h"
#include "base/core/log.h"
#include "engine/commands/session.h"
#include "engine/compress/pruner.h"
#include "engine/train/statistics.h"

namespace ds::commands {

namespace {

std::string summary(const Json& report) {
  std::int64_t before = 0, after = 0;
  for (const Json& layer : report["layers"]) {
    before += layer["channels"].get<std::int64_t>();
    after += layer["kept"].get<std::int64_t>();
  }
  return "pruned: " + std::to_string(after) + " of " + std::to_string(before) + " channels stay";
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const PruneCommand&>(base);
  Opened opened = open_model("model", o.input, record);
  const std::string parent = opened.checkpoint.digest;
  const bool embeds = train::gives_embeddings(opened.model.graph);
  const data::Dataset& data = open_data(opened, o.data, /*embeddings=*/o.fit.loop.epochs == 0);
  const auto plan = compress::plan_pruning(opened.model, o.prune, std::uint64_t(o.common.seed));
  record["pruning"] = plan.report;
  record["before"] = figures(opened.model.graph);
  if (o.common.dry_run) {
    record["metrics"] = figures(graph::slice_graph(opened.model.graph, plan.keep));
    return;
  }
  const Json& preprocessing = opened.checkpoint.preprocessing;
  const bool stoppable = o.fit.loop.epochs == 0;  // else fine-tuning is stopped, with its state saved
  const Json before = embeds ? Json::object() : evaluate_split(opened.model, data, preprocessing, "val", 250, nullptr, stoppable);
  const io::Checkpoint parent_checkpoint = opened.checkpoint;
  exec::Model pruned = compress::slice(opened.model, plan.keep);
  train::reestimate_statistics(pruned, data, preprocessing, o.statistics_batches, o.fit.loop.batch_size, std::uint64_t(o.common.seed), stoppable);
  Json metrics = Json::object();
  const std::string score = std::string("val_") + train::primary_metric(data);
  if (!embeds) metrics["cut_" + score] = evaluate_split(pruned, data, preprocessing, "val", 250, nullptr, stoppable).value(score, 0.0);
  core::info(summary(plan.report));
  io::Checkpoint& checkpoint = opened.checkpoint;
  if (o.fit.loop.epochs > 0)
    fit_model(pruned, data, o.fit, checkpoint, o.output, o.common, o.resume == "auto", augmentation(checkpoint, o.augment), {}, "fine-tune");
  metrics.update(embeds ? compare_embeddings(pruned, opened.model, data, preprocessing, "val")
                        : evaluate_split(pruned, data, preprocessing, "val", 250, &checkpoint.evaluation, stoppable));
  for (const auto& [key, value] : before.items()) metrics["before_" + key] = value;
  save_model(checkpoint, pruned, o.output, o.common, provenance_step(o.common, {&parent_checkpoint}, &data, metrics), record);
  if (o.fit.loop.epochs > 0) drop_partial(o.output);
}

const core::Body<core::Command> body{"command", "prune", run};

}  // namespace
}  // namespace ds::commands
