#include "base/commands/train_options.h"

#include <fmt/format.h>

#include "base/core/error.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void DataOptions::fields(core::Fields& f) {
  f.add({.name = "name", .doc = "data set: mnist5k, digits, idx:DIR, cifar10:DIR ... (--list dataset)", .alias = "data", .value_name = "SPEC"}, name);
  f.add({.name = "augment", .doc = "changes of training images: affine, crop, flip", .alias = "augment", .value_name = "NAME"}, augment);
  f.add({.name = "tokenizer", .doc = "tokenizer.json, vocab.txt or a folder with them, for texts; default: a byte is a token", .alias = "tokenizer",
         .value_name = "FILE", .path = true}, tokenizer);
}

TrainCommand::TrainCommand() {
  common.formats.insert(common.formats.begin(), "auto");
  common.format = "auto";
}

void TrainCommand::fields(core::Fields& f) {
  f.add({.name = "pattern", .doc = "names of models for --list-models, with * and ?", .value_name = "PATTERN", .flag_only = true, .positional = true},
        patterns);
  f.choice("model", "what is trained", model, "model");
  f.group("data", "what it is trained on", data);
  f.include(fit);
  f.add({.name = "init", .doc = "begin with graph and weights of this checkpoint; the group model is not read then", .value_name = "MODEL",
         .path = true}, init);
  f.add({.name = "dequantize", .doc = "an int8 checkpoint of --init becomes its float twin; else it is trained with int8's rounding and stays int8",
         .alias = "dequantize"}, dequantize);
  f.add({.name = "output", .doc = "checkpoint to write when the run is done, or -", .letter = 'o', .value_name = "FILE",
         .flag_only = true, .path = true}, output);
  f.add({.name = "run-dir", .doc = "folder of the run: args.yaml, metrics.csv, last.h5, best.h5", .value_name = "DIR",
         .flag_only = true, .path = true}, run_dir);
  f.add({.name = "resume", .doc = "auto: go on from the state in the run folder or <output>.partial, if there is one", .choices = {"no", "auto"},
         .flag_only = true}, resume);
  f.add({.name = "list-models", .doc = "show the models that there are, with parameters, work and the input that they are made for", .flag_only = true},
        list_models);
  common.fields(f);
}

void TrainCommand::check() const {
  if (list_models) return;
  if (!patterns.empty())
    throw Error(Exit::kUsage, "PATTERN", fmt::format("'{}' is of use with --list-models alone", patterns[0]), "a data set is named by --data");
  if (common.format == "table" || common.format == "csv")
    throw Error(Exit::kUsage, "--format", fmt::format("'{}' is a form of --list-models, training prints a record", common.format), "give auto, yaml or json");
}

void TrainCommand::check_files() const {
  if (!output.empty()) io::check_output(output, {init}, common.force);
  io::check_input(init);
  if (resume != "auto") return;
  if (!run_dir.empty()) io::check_state(run_dir + "/last.h5");
  if (!output.empty() && output != "-") io::check_state(output + ".partial");
}

}  // namespace ds::commands
