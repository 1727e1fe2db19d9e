#include "base/commands/quantize_options.h"

#include "base/core/registry.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void QuantizeCommand::fields(core::Fields& f) {
  f.add({.name = "input",
         .doc = "checkpoint to quantize, or - for stdin; an int8 one is quantized anew",
         .value_name = "MODEL",
         .flag_only = true,
         .positional = true,
         .required = true,
         .path = true},
        input);
  f.add({.name = "output", .doc = "checkpoint to write, or -", .letter = 'o', .value_name = "FILE", .flag_only = true, .required = true, .path = true}, output);
  f.add({.name = "data", .doc = "data set to calibrate on (its training split); default: the checkpoint's own", .alias = "data", .value_name = "SPEC"}, data);
  f.add({.name = "method",
         .doc = "static: int8 weights a channel and int8 activations with ranges from calibration",
         .choices = {"static"},
         .alias = "method"},
        method);
  f.add({.name = "bits", .doc = "width of weights and activations", .min = 8, .max = 8, .alias = "bits"}, bits);
  f.choice("observer", "how a range is chosen from what calibration saw", observer, "observer");
  f.add({.name = "samples", .doc = "training samples to calibrate on", .min = 1, .alias = "samples"}, samples);
  f.add({.name = "batch_size", .doc = "samples a batch of calibration", .min = 1, .alias = "batch-size"}, batch_size);
  f.add({.name = "skip", .doc = "layers that stay float, by name, may be repeated", .alias = "skip", .value_name = "NODE"}, skip);
  f.add({.name = "max_drop",
         .doc = "gate: exit 5 without output where validation top-1, or the cosine to the float embeddings, falls by more (0.005 = half a point); 1 = no gate",
         .min = 0,
         .max = 1,
         .alias = "max-drop"},
        max_drop);
  f.add({.name = "keep-best", .doc = "write the output even where the gate is not met; the exit code stays 5", .flag_only = true}, keep_best);
  common.fields(f);
}

void QuantizeCommand::check_files() const {
  io::check_output(output, {input}, common.force);
  io::check_input(input);
}

}  // namespace ds::commands
