#include "base/commands/predict_options.h"

int main(int argc, char** argv) {
  ds::core::ToolSpec spec;
  spec.name = "ds-predict";
  spec.summary = "tell what a model sees in pictures";
  spec.description =
      "Runs a checkpoint on pictures (JPEG or PNG of any size) and prints one JSON line an input, in order and as soon as its batch is done: "
      "{\"input\":...,\"labels\":[...],\"scores\":[...]} with the likeliest labels and their softmax, or with --raw "
      "{\"input\":...,\"output\":[...]} with what the model puts out. The input - stands for stdin, of which each line is the path of a "
      "picture. A picture is resized (bilinear, with antialiasing) until it just covers the size that the checkpoint's preprocessing has, and "
      "its middle is taken; alpha, gamma, colour profiles and EXIF orientation are left aside. An input that cannot be read has a line "
      "{\"input\":...,\"error\":...}; the others are predicted, and the exit code is 3 at the end, "
      "with -o, too, whose file then has all lines. The record goes only to --record where stdout has the predictions.";
  spec.examples = {{"ds-predict model.h5 cat.jpg dog.png --top 3", "the three likeliest labels of two pictures"},
                   {"find photos -name '*.jpg' | ds-predict model.h5 - | jq -r '[.input, .labels[0]] | @tsv'", "in a pipe: a label a picture"},
                   {"ds-predict int8.h5 cat.jpg --raw -o scores.jsonl", "what an int8 model puts out, in a file"}};
  spec.see_also = {"ds-eval(1)", "ds-train(1)", "ds-checkpoint(5)"};
  spec.command = "predict";
  ds::commands::PredictCommand options;
  return ds::core::run_tool(spec, options, argc, argv);
}
