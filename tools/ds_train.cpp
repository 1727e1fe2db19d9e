#include "base/commands/train_options.h"

int main(int argc, char** argv) {
  ds::core::ToolSpec spec;
  spec.name = "ds-train";
  spec.summary = "train a network";
  spec.description =
      "Trains an architecture on a data set and writes a checkpoint that holds all that later tools need: graph, weights, preprocessing, "
      "labels, configuration, history and provenance. Options come from YAML files, the environment and flags. With neither -o nor "
      "--run-dir it trains, prints its record and keeps nothing. The weights written are those of the last epoch; --keep best takes "
      "those of the best epoch on the validation split. The test split is read once, after training. A signal saves the state and "
      "ends with exit code 75; --resume auto goes on to the same weights as an uninterrupted run. --list-models prints a table of the "
      "architectures, and with --format auto everything else prints its record as YAML.";
  spec.examples = {{"ds-train -c configs/mnist5k.yaml -o model.h5", "train the default recipe"},
                   {"ds-train --data digits --epochs 5 --lr 0.005 --format json", "try something, keep nothing"},
                   {"ds-train -c configs/mnist5k.yaml --run-dir runs/a --resume auto", "a run that goes on where it was stopped"},
                   {"ds-train --init model.h5 --data idx:DIR --epochs 3 -o tuned.h5", "begin with the weights of a checkpoint"},
                   {"ds-train --list-models 'resnet*'", "what there is to choose from, with parameters and work"}};
  spec.see_also = {"ds-eval(1)", "ds-tune(1)", "ds-prune(1)", "ds-quantize(1)", "ds-checkpoint(5)", "ds-graph(5)"};
  spec.command = "train";
  spec.formats = {"table", "csv"};
  ds::commands::TrainCommand options;
  return ds::core::run_tool(spec, options, argc, argv);
}
