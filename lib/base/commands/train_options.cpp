#include "base/commands/train_options.h"

#include <fmt/format.h>

#include "base/commands/pretrained.h"
#include "base/core/error.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void DataOptions::fields(core::Fields& f) {
  f.add({.name = "name", .doc = "data set: mnist5k, digits, idx:DIR, cifar10:DIR ... (--list dataset)", .alias = "data", .value_name = "SPEC"}, name);
  f.add({.name = "augment", .doc = "changes of training images: affine, crop, flip, rand-augment; options behind colons, as rand-augment:ops=2:magnitude=9",
         .alias = "augment", .value_name = "NAME"}, augment);
  f.add({.name = "sampler", .doc = "shuffle: each sample once an epoch; weighted: draws with each class as often as the others; length: texts of like length "
                                    "share a batch",
         .choices = {"shuffle", "weighted", "length"}, .alias = "sampler"}, sampler);
  f.add({.name = "tokenizer", .doc = "tokenizer.json, vocab.txt or a folder with them, for texts; default: a byte is a token", .alias = "tokenizer",
         .value_name = "FILE", .path = true}, tokenizer);
}

void InitializeOptions::fields(core::Fields& f) {
  f.add({.name = "weights", .doc = "how weights of linear and convolutional layers of a fresh net are drawn; default: as its architecture has it",
         .choices = graph::kWeightInits, .alias = "init-weights"}, init.kind);
  f.add({.name = "gain", .doc = "factor of their deviation, of truncated-normal the deviation; 0: sqrt(2) of kaiming, 0.02 of truncated-normal, else 1",
         .min = 0}, init.gain);
  f.add({.name = "fan", .doc = "kaiming: keeps the scale of values (in) or of gradients (out)", .choices = {"in", "out"}}, init.fan);
  f.add({.name = "zero_last_norm", .doc = "the norm at the end of each residual branch begins as 0", .alias = "zero-init-last"}, init.zero_last_norm);
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
  f.group("initialize", "how a fresh net starts", initialize);
  f.add({.name = "init", .doc = "begin with graph and weights of this checkpoint; the group model is not read then", .value_name = "MODEL",
         .path = true}, init);
  f.add({.name = "pretrained", .doc = "begin with weights of a checkpoint, a folder of Hugging Face (their net, with a last layer for the data), or a file of "
         "weights (for the net of the group model): what fits by name and shape is loaded, and told what does not", .alias = "pretrained", .value_name = "FILE",
         .path = true}, pretrained);
  f.choice("adapter", "small layers that are trained beside a net that stays as it is; -o then writes these alone", adapter, "adapter");
  f.add({.name = "cache_frozen", .doc = "run the layers in front of all that is trained (adapter.last, train.freeze) once a sample, and train on what they say",
         .alias = "cache-frozen"}, cache_frozen);
  f.add({.name = "dequantize", .doc = "an int8 checkpoint of --init becomes its float twin; else it is trained with int8's rounding and stays int8",
         .alias = "dequantize"}, dequantize);
  f.add({.name = "output", .doc = "checkpoint to write when the run is done, or -", .letter = 'o', .value_name = "FILE",
         .flag_only = true, .path = true}, output);
  f.add({.name = "run-dir", .doc = "folder of the run: args.yaml, metrics.csv, last.h5, best.h5", .value_name = "DIR",
         .flag_only = true, .path = true}, run_dir);
  f.add({.name = "resume", .doc = "auto: go on from the state in the run folder or <output>.partial, if there is one", .choices = {"no", "auto"},
         .flag_only = true}, resume);
  f.add({.name = "find-lr",
         .doc = "instead of training, let the rate rise from 1e-7 to 10 over 100 steps and tell where the loss falls most steeply; the curve "
                                   "is drawn to -o FILE.svg, or to find_lr.svg in the run folder", .flag_only = true}, find_lr);
  f.add({.name = "probe",
         .doc = "instead of training, run one batch and tell the scale of values and gradients, time and memory of each layer, and what speaks "
                                 "against the run; nothing is written", .flag_only = true}, probe);
  f.add({.name = "list-models", .doc = "show the models that there are, with parameters, work and the input that they are made for", .flag_only = true},
        list_models);
  common.fields(f);
}

void TrainCommand::check() const {
  if (list_models) return;
  fit.check();
  if ((initialize.init.kind != "default" || initialize.init.zero_last_norm) && !(init.empty() && pretrained.empty()))
    throw Error(Exit::kUsage, "initialize", fmt::format("is for a fresh net, and contradicts {}", init.empty() ? "--pretrained" : "--init"),
                "leave one of them out");
  if (find_lr && !output.empty() && !output.ends_with(".svg"))
    throw Error(Exit::kUsage, "--find-lr", fmt::format("draws a curve, and no model to write to '{}'", output), "name a file that ends in .svg");
  if (probe && find_lr) throw Error(Exit::kUsage, "--probe", "contradicts --find-lr", "give one of them");
  if (probe && (!output.empty() || !run_dir.empty()))
    throw Error(Exit::kUsage, "--probe", fmt::format("trains nothing and writes nothing, '{}' was asked for", output.empty() ? run_dir : output),
                "leave -o and --run-dir out");
  if (!init.empty() && !pretrained.empty())
    throw Error(Exit::kUsage, "--pretrained", "contradicts --init", "give one of them: --init goes on with a net as it is");
  if (cache_frozen && !data.augment.empty())
    throw Error(Exit::kUsage, "--cache-frozen", fmt::format("contradicts data.augment ({}): a sample would be another one each time", data.augment[0]),
                "leave one of them out");
  if (cache_frozen && !run_dir.empty())
    throw Error(Exit::kUsage, "--cache-frozen", "contradicts --run-dir, whose checkpoints are of whole nets", "name the output with -o alone");
  if (!adapter.name.empty()) {
    if (init.empty() && pretrained.empty())
      throw Error(Exit::kUsage, "--adapter", fmt::format("'{}' has no base to stand beside", adapter.name), "name a checkpoint with --init or --pretrained");
    if (!init.empty() && dequantize)
      throw Error(Exit::kUsage, "--dequantize", "contradicts --adapter: the base is the checkpoint as it is", "train an adapter of the float net");
    adapter.options->check();
  }
  if (!patterns.empty())
    throw Error(Exit::kUsage, "PATTERN", fmt::format("'{}' is of use with --list-models alone", patterns[0]), "a data set is named by --data");
  if ((common.format == "table" && !probe) || common.format == "csv")
    throw Error(Exit::kUsage, "--format", fmt::format("'{}' is no form of what training prints, a record", common.format), "give auto, yaml or json");
}

void TrainCommand::check_files() const {
  if (!output.empty()) io::check_output(output, {init}, common.force);
  io::check_input(init);
  check_pretrained(pretrained);
  if (resume != "auto") return;
  if (!run_dir.empty()) io::check_state(run_dir + "/last.h5");
  if (!output.empty() && output != "-") io::check_state(output + ".partial");
}

}  // namespace ds::commands
