#include "base/commands/eval_options.h"

#include <fmt/format.h>

#include "base/core/error.h"
#include "base/core/values.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void EvalCommand::fields(core::Fields& f) {
  f.add({.name = "input", .doc = "checkpoint to measure, or - for stdin", .value_name = "MODEL", .flag_only = true,
         .positional = true, .required = true, .path = true}, input);
  f.add({.name = "data", .doc = "data set; default: the one that the model was trained on", .value_name = "SPEC"}, data);
  f.add({.name = "split", .doc = "which part of the data", .choices = {"train", "val", "test"}}, split);
  f.add({.name = "batch_size", .doc = "samples a batch", .min = 1, .max = 1e6, .unit = "samples",
         .alias = "batch-size", .letter = 'b'}, batch_size);
  f.add({.name = "min-metric", .doc = "exit 5 where a metric (top1, top5, top1_low ...) is below this, may be repeated",
         .value_name = "NAME=VALUE"}, min_metric);
  f.add({.name = "predictions", .doc = "CSV to write: id, label, prediction, confidence of each sample", .value_name = "FILE",
         .flag_only = true, .path = true}, predictions);
  common.fields(f);
}

void EvalCommand::check() const {
  for (const std::string& text : min_metric) parse_gate(text);
  if (predictions == "-") throw Error(Exit::kUsage, "--predictions", "expected a file, got '-'", "stdout has the record");
}

void EvalCommand::check_files() const {
  if (!predictions.empty()) io::check_output(predictions, {input}, common.force);
  io::check_input(input);
}

Gate parse_gate(const std::string& text) {
  const std::size_t equal = text.find('=');
  const auto number = equal == std::string::npos ? std::nullopt : core::parse_number(text.substr(equal + 1));
  if (!number || equal == 0) throw Error(Exit::kUsage, "--min-metric", fmt::format("expected NAME=VALUE, got '{}'", text), "such as top1=0.97");
  return {text.substr(0, equal), *number};
}

}  // namespace ds::commands
