#include "base/commands/bench_options.h"

#include <algorithm>

#include "base/core/error.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

void BenchCommand::fields(core::Fields& f) {
  f.add({.name = "models",
         .doc = "checkpoints to measure; ratios are to the first",
         .value_name = "MODEL",
         .flag_only = true,
         .positional = true,
         .required = true,
         .path = true},
        inputs);
  f.add({.name = "output",
         .doc = "write the result as JSON, with the raw times, to this file",
         .letter = 'o',
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        output);
  f.add({.name = "data",
         .doc = "data set for accuracy (its test split) and for the samples that are timed; default: the first checkpoint's own, or random tokens",
         .alias = "data",
         .value_name = "SPEC"},
        data);
  f.add({.name = "batch", .doc = "batch sizes to measure", .min = 1, .max = 65536, .alias = "batch"}, batch);
  f.add({.name = "length", .doc = "tokens a sequence to measure, of random ids; default: texts of the data", .min = 1, .max = 1 << 20, .alias = "length"},
        length);
  f.add({.name = "bench_threads", .doc = "numbers of threads to measure; default: as --threads", .min = 1, .max = 1024, .alias = "bench-threads"},
        bench_threads);
  f.add({.name = "engine", .doc = "auto: eager for float models, int8 for int8 ones", .choices = {"auto", "eager", "int8"}, .alias = "engine"}, engine);
  f.add({.name = "rounds", .doc = "rounds; in each, every model runs in turn", .min = 5, .max = 100000, .alias = "rounds"}, rounds);
  f.add({.name = "warmup", .doc = "rounds before the measured ones", .min = 0, .max = 10000, .alias = "warmup"}, warmup);
  f.add({.name = "min_time", .doc = "a model's turn in a round takes at least so long", .min = 0, .max = 60, .unit = "s", .alias = "min-time"}, min_time);
  f.add({.name = "accuracy", .doc = "also measure accuracy on the test split", .alias = "accuracy"}, accuracy);
  common.fields(f);
}

void BenchCommand::check() const {
  if (std::count(inputs.begin(), inputs.end(), "-") > 1) throw Error(Exit::kUsage, "MODEL", "two inputs are -, at most one can be stdin");
  if (engine.size() != 1 && engine.size() != inputs.size()) throw Error(Exit::kUsage, "--engine", "give one for all models, or one for each");
  if (output == "-") throw Error(Exit::kUsage, "--output", "expected a file, got '-'", "--format json gives the record on stdout");
}

void BenchCommand::check_files() const {
  if (!output.empty()) io::check_output(output, inputs, common.force);
  for (const std::string& model : inputs) io::check_input(model);
}

}  // namespace ds::commands
