#include "base/commands/predict_options.h"

int main(int argc, char** argv) {
  ds::core::ToolSpec spec;
  spec.name = "ds-predict";
  spec.summary = "tell what a model says of pictures, texts or rows of a table";
  spec.description =
      "Runs a checkpoint on inputs of the kind that its preprocessing has, and prints one JSON line an input, in order and as soon as its batch "
      "is done: {\"input\":...,\"labels\":[...],\"scores\":[...]} with the likeliest labels and their softmax, or with --raw "
      "{\"input\":...,\"output\":[...]} with what the model puts out. An input that cannot be read has a line {\"input\":...,\"error\":...}; the "
      "others are predicted, and the exit code is 3 at the end, with -o, too, whose file then has all lines. The record goes only to --record "
      "where stdout has the predictions.\n\n"
      "Pictures: an INPUT is a JPEG or PNG of any size; in the place of - come the lines of stdin, each the path of a picture. A picture is "
      "resized (bilinear, with antialiasing) until it just covers the size that the preprocessing has, and its middle is taken; alpha, gamma, "
      "colour profiles and EXIF orientation are left aside.\n\n"
      "Texts: an INPUT is a file with a text a line (UTF-8), and - is stdin with the same; in a file whose name ends in .jsonl, or with --jsonl, a "
      "line is {\"text\":...} or {\"text\":...,\"pair\":...}. The tokenizer is the checkpoint's; what is longer than the model takes is cut. A "
      "classifier gives labels and scores, a model that labels tokens {\"tokens\":[...],\"labels\":[...],\"scores\":[...]}, one that fills masks "
      "{\"filled\":...,\"masks\":[{\"tokens\":[...],\"scores\":[...]}]}, one that goes on with a text {\"next\":{\"tokens\":[...],\"scores\":[...]}}, an "
      "encoder of sentences {\"embedding\":[...]}.\n\n"
      "Rows: an INPUT is a CSV file whose first line names its columns, and - is stdin with the same. Those that the model was trained on must "
      "be there, in any order; others, the target among them, are not looked at. A row's name is FILE:LINE.";
  spec.examples = {{"ds-predict model.h5 cat.jpg dog.png --top 3", "the three likeliest labels of two pictures"},
                   {"find photos -name '*.jpg' | ds-predict model.h5 - | jq -r '[.input, .labels[0]] | @tsv'", "in a pipe: a label a picture"},
                   {"ds-predict int8.h5 cat.jpg --raw -o scores.jsonl", "what an int8 model puts out, in a file"},
                   {"echo 'the capital of France is [MASK].' | ds-predict bert.h5 -", "the likeliest words for a mask"},
                   {"ds-predict minilm.h5 sentences.txt --raw -o embeddings.jsonl", "an embedding a sentence"},
                   {"ds-predict table.h5 rows.csv", "a class for each row of a table"}};
  spec.see_also = {"ds-eval(1)", "ds-train(1)", "ds-checkpoint(5)"};
  spec.command = "predict";
  ds::commands::PredictCommand options;
  return ds::core::run_tool(spec, options, argc, argv);
}
