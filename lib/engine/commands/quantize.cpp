#include <fmt/format.h>

#include "base/commands/quantize_options.h"
#include "base/core/error.h"
#include "engine/commands/session.h"
#include "engine/compress/quantizer.h"

namespace ds::commands {

namespace {

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const QuantizeCommand&>(base);
  Opened opened = open_model("model", o.input, record);
  const bool embeds = train::gives_embeddings(opened.model.graph);
  const data::Dataset& data = open_data(opened, o.data, /*embeddings=*/true);
  const compress::CalibrationOptions calibration{o.samples, o.batch_size, o.observer, o.skip};
  const Json& preprocessing = opened.checkpoint.preprocessing;
  Json report;
  exec::Model int8 = compress::quantize_static(opened.model, data, preprocessing, calibration, report);
  record["layers"] = report;
  record["before"] = figures(opened.model.graph);
  if (o.common.dry_run) {
    record["metrics"] = figures(int8.graph);
    return;
  }
  Json evaluation;
  Json metrics = embeds ? compare_embeddings(int8, opened.model, data, preprocessing, "val")
                        : evaluate_split(int8, data, preprocessing, "val", 250, &evaluation, true);
  const Json before = embeds ? Json::object() : evaluate_split(opened.model, data, preprocessing, "val", 250, nullptr, true);
  for (const auto& [key, value] : before.items()) metrics["before_" + key] = value;
  record["metrics"] = metrics;
  const bool gated = o.max_drop < 1;
  const std::string score = std::string("val_") + train::primary_metric(data);
  if (gated && metrics.empty()) throw Error(Exit::kUsage, "--max-drop", fmt::format("data '{}' has no validation split to judge by", data.spec));
  const double drop = embeds ? 1 - metrics.value("val_cosine", 1.0) : before.value(score, 0.0) - metrics.value(score, 0.0);
  const bool missed = gated && drop > o.max_drop;
  const Error gate(Exit::kGate, "--max-drop",
                   fmt::format("validation {} falls by {:.4f}, at most {} was asked for",
                               embeds                ? "cosine"
                               : score == "val_top1" ? "top-1"
                                                     : train::primary_metric(data),
                               drop, o.max_drop),
                   "distil the float model first, or keep its worst layers float with --skip");
  if (missed && !o.keep_best) throw gate;
  const io::Checkpoint parent = opened.checkpoint;
  opened.checkpoint.evaluation = std::move(evaluation);
  Json step = provenance_step(o.common, {&parent}, &data, metrics);
  step["layers"] = report;
  save_model(opened.checkpoint, int8, o.output, o.common, std::move(step), record);
  if (missed) throw gate;
}

const core::Body<core::Command> body{"command", "quantize", run};

}  // namespace
}  // namespace ds::commands
