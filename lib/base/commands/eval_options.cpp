#include "base/commands/eval_options.h"

#include <fmt/format.h>

#include "base/commands/adapter_file.h"
#include "base/core/error.h"
#include "base/core/values.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void EvalCommand::fields(core::Fields& f) {
  f.add({.name = "input", .doc = "checkpoint to measure, or - for stdin", .value_name = "MODEL", .flag_only = true,
         .positional = true, .required = true, .path = true}, input);
  f.add({.name = "adapter", .doc = "file of adapters that ds-train made for the model", .alias = "adapter", .value_name = "FILE", .path = true}, adapter);
  f.add({.name = "data", .doc = "data set; default: the one that the model was trained on", .value_name = "SPEC"}, data);
  f.add({.name = "split", .doc = "which part of the data", .choices = {"train", "val", "test"}}, split);
  f.add({.name = "batch_size", .doc = "samples a batch", .min = 1, .max = 1e6, .unit = "samples",
         .alias = "batch-size", .letter = 'b'}, batch_size);
  f.add({.name = "min-metric", .doc = "exit 5 where a metric (top1, top1_low, f1_macro, auroc ...) is below this, may be repeated",
         .value_name = "NAME=VALUE"}, min_metric);
  f.add({.name = "max-metric", .doc = "exit 5 where a metric (loss, ece, rmse, latency_p99_s ...) is above this, may be repeated",
         .value_name = "NAME=VALUE"}, max_metric);
  f.add({.name = "predictions", .doc = "CSV to write: id, label, prediction, confidence of each sample", .value_name = "FILE",
         .flag_only = true, .path = true}, predictions);
  common.fields(f);
}

void EvalCommand::check() const {
  for (const std::string& text : min_metric) parse_gate("--min-metric", text);
  for (const std::string& text : max_metric) parse_gate("--max-metric", text);
  if (predictions == "-") throw Error(Exit::kUsage, "--predictions", "expected a file, got '-'", "stdout has the record");
}

void EvalCommand::check_files() const {
  if (!predictions.empty()) io::check_output(predictions, {input, adapter}, common.force);
  io::check_input(input);
  check_adapter(adapter);
}

Gate parse_gate(const std::string& flag, const std::string& text) {
  const std::size_t equal = text.find('=');
  const auto number = equal == std::string::npos ? std::nullopt : core::parse_number(text.substr(equal + 1));
  if (!number || equal == 0) throw Error(Exit::kUsage, flag, fmt::format("expected NAME=VALUE, got '{}'", text), "such as top1=0.97");
  return {text.substr(0, equal), *number};
}

}  // namespace ds::commands
