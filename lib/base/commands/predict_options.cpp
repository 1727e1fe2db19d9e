#include "base/commands/predict_options.h"

#include <algorithm>

#include "base/commands/adapter_file.h"
#include "base/core/error.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void PredictCommand::fields(core::Fields& f) {
  f.add({.name = "model", .doc = "checkpoint that predicts, or - for stdin", .value_name = "MODEL", .flag_only = true, .positional = true,
         .required = true, .path = true}, model);
  f.add({.name = "inputs", .doc = "pictures, JPEG or PNG; for a model of texts or tables files with one a line; - for stdin",
         .value_name = "INPUT", .flag_only = true, .positional = true, .required = true, .path = true}, inputs);
  f.add({.name = "adapter", .doc = "file of adapters that ds-train made for the model", .alias = "adapter", .value_name = "FILE", .path = true}, adapter);
  f.add({.name = "output", .doc = "file for the lines, written when all are there; - is stdout, line by line", .letter = 'o', .value_name = "FILE",
         .flag_only = true, .path = true}, output);
  f.add({.name = "batch_size", .doc = "most inputs a batch; one that waits for stdin is predicted as it is", .min = 1, .max = 65536,
         .unit = "inputs", .alias = "batch-size", .letter = 'b'}, batch_size);
  f.add({.name = "top", .doc = "labels an input, the likeliest first", .min = 1, .max = 1e6}, top);
  f.add({.name = "raw", .doc = "print the model's output instead of labels and scores"}, raw);
  f.add({.name = "jsonl", .doc = "lines of texts are JSON objects with \"text\" and perhaps \"pair\", as in files whose name ends so"}, jsonl);
  common.fields(f);
}

void PredictCommand::check() const {
  const auto dashes = std::count(inputs.begin(), inputs.end(), "-") + (model == "-");
  if (dashes > 1) throw Error(Exit::kUsage, "-", "is given more than once", "stdin can be read once: as the model or as the list of inputs");
}

void PredictCommand::check_files() const {
  if (output != "-") {
    std::vector<std::string> read = inputs;
    read.push_back(model);
    io::check_output(output, read, common.force);
  }
  io::check_input(model);
  check_adapter(adapter);
}

}  // namespace ds::commands
