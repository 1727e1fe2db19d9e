#include "base/commands/tune_options.h"

int main(int argc, char** argv) {
  ds::core::ToolSpec spec;
  spec.name = "ds-tune";
  spec.summary = "search for good options of any command";
  spec.description =
      "Runs a command with configurations of a search space and looks for the one with the best metric. A trial is told its configuration by "
      "a YAML file, {config}, that has the space's base, fixed keys and parameters; its metric is read from the record on its stdout. The "
      "study is a folder of files, each written once: it can be looked at while it grows, stopped at any time and gone on with by the same "
      "command, by several processes too. A suggestion depends on the study's seed, the trial's number and the results it was made from and "
      "on nothing else; replay makes all of them again. A trial that ends with exit code 1 or a metric that is not finite is a bad "
      "configuration; one that a signal ends is run again, at most twice; exit codes 2, 3 and 4 stop the study, since every trial would fail. "
      "With --format auto, status prints a table, best a config file, and the others their record as YAML.";
  spec.examples = {{"ds-tune run --space space.yaml --trials 50 -o study/ -- ds-train -c {config}", "50 trials of training, one after another"},
                   {"ds-tune run --space space.yaml -o study/ --parallel 4 -- ./objective.sh {config} {seed}", "four at once, of any program"},
                   {"ds-tune best study/ > best.yaml", "the best parameters as a config file"},
                   {"ds-tune status study/", "a table of trials"},
                   {"ds-tune init --space space.yaml -o study/ && ds-tune ask study/", "a trial to run by hand"},
                   {"ds-tune tell study/ --trial 1 --value 0.93", "and its result"}};
  spec.see_also = {"ds-train(1)"};
  spec.command = "tune";
  spec.formats = {"table", "csv"};
  ds::commands::TuneCommand options;
  return ds::core::run_tool(spec, options, argc, argv);
}
