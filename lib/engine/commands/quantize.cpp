#include "base/commands/quantize_options.h"
#include "base/core/error.h"
#include "engine/commands/session.h"
#include "engine/compress/quantizer.h"

namespace ds::commands {

namespace {

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& o = static_cast<const QuantizeCommand&>(base);
  Opened opened = open_model("model", o.input, record);
  if (opened.model.is_quantized())
    throw Error(Exit::kInput, o.input, "is int8 already", "train it on with ds-distill " + o.input + " --teacher FLOAT.h5, or quantize its float parent");
  const data::Dataset& data = open_data(opened, o.data);
  const compress::CalibrationOptions calibration{o.samples, o.batch_size, o.observer, o.skip};
  const Json& preprocessing = opened.checkpoint.preprocessing;
  Json report;
  const exec::Model float_model = opened.model;
  exec::Model int8 = compress::quantize_static(float_model, data, preprocessing, calibration, report);
  record["layers"] = report;
  record["before"] = figures(float_model.graph);
  if (o.common.dry_run) {
    record["metrics"] = figures(int8.graph);
    return;
  }
  Json evaluation;
  Json metrics = evaluate_split(int8, data, preprocessing, "val", 250, &evaluation);
  const Json before = evaluate_split(opened.model, data, preprocessing, "val");
  for (const auto& [key, value] : before.items()) metrics["before_" + key] = value;
  const double drop = before.value("val_top1", 0.0) - metrics.value("val_top1", 0.0);
  record["metrics"] = metrics;
  if (o.max_drop > 0 && drop > o.max_drop)
    throw Error(Exit::kGate, "--max-drop", "validation top-1 falls by " + std::to_string(drop) + ", at most " + std::to_string(o.max_drop) + " was asked for",
                "distil the float model first, or keep its worst layers float with --skip");
  const io::Checkpoint parent = opened.checkpoint;
  opened.checkpoint.evaluation = std::move(evaluation);
  Json step = provenance_step(o.common, {&parent}, &data, metrics);
  step["layers"] = report;
  save_model(opened.checkpoint, int8, o.output, o.common, std::move(step), record);
}

const core::Body<core::Command> body{"command", "quantize", run};

}  // namespace
}  // namespace ds::commands
