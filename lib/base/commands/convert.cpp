#include "base/commands/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/commands/adapter_file.h"
#include "base/commands/convert_formats.h"
#include "base/commands/convert_hf.h"
#include "base/commands/convert_looks.h"
#include "base/commands/convert_onnx.h"
#include "base/commands/onnx_module.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/graph/adapters.h"
#include "base/graph/graph.h"
#include "base/io/files.h"

namespace ds::commands {
namespace convert {

bool is_checkpoint_name(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  return path == "-" || extension == ".h5" || extension == ".hdf5" || extension == ".partial";
}

bool is_graph_name(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  return extension == ".yaml" || extension == ".yml";
}

bool is_tensor_name(const std::string& path) { return io::tensor_format(path) != io::TensorFormat::kNone; }

/// The graph alone, in the form that people write and ds-train --model graph reads.
void write_graph(const ConvertCommand& options, core::Record& record) {
  const std::string& input = options.inputs[0];
  io::check_output(options.output, {input}, options.common.force);
  const io::Checkpoint checkpoint = io::load_input(input, {.verify = options.verify, .tensors = false});
  record.input("model", checkpoint.path, checkpoint.digest);
  const graph::Graph graph = graph::from_json(checkpoint.graph, checkpoint.path);
  graph::verify(graph, checkpoint.path);
  if (options.common.dry_run) return;
  const std::string text = graph::to_yaml(graph);
  io::write_file(options.output, text);
  record.output("graph", io::absolute(options.output), core::sha256_hex(text));
  if (graph::to_json(graph::from_yaml(text, options.output)) != graph::to_json(graph)) {
    std::filesystem::remove(options.output);
    throw Error(Exit::kFailure, options.output, "what was read back is not the graph that was written");
  }
}

void verify(const ConvertCommand& options, core::Record& record) {
  for (const std::string& input : options.inputs) {
    std::string digest;
    if (is_weights_name(input)) {
      digest = verify_weights(input);
    } else if (input == "-") {
      const io::Checkpoint checkpoint = io::load_input(input);
      digest = io::root_digest(checkpoint);
      if (digest != checkpoint.digest)
        throw Error(Exit::kInput, input, fmt::format("root digest is {}, the file says {}", digest, checkpoint.digest));
    } else {
      digest = io::verify_file(input);
    }
    record.input("model", input, digest);
  }
  record["verified"] = true;
}

void rewrite(const ConvertCommand& options, core::Record& record) {
  const std::string& input = options.inputs[0];
  io::check_output(options.output, {input}, options.common.force);
  io::Checkpoint checkpoint = io::load_input(input, {.verify = options.verify});
  record.input("model", checkpoint.path, checkpoint.digest);
  if (options.common.dry_run) return;
  if (options.drop_history) checkpoint.history = nullptr;
  if (options.drop_state) {
    checkpoint.state = nullptr;
    checkpoint.state_tensors.clear();
  }
  io::add_provenance(checkpoint, {{"parents", {checkpoint.digest}}}, options.common.reproducible);
  io::save(checkpoint, options.output, {.overwrite = options.common.force, .reproducible = options.common.reproducible});
  record.output("model", checkpoint.path, checkpoint.digest);
  if (options.output != "-") verify_written(options, checkpoint.tensors, record);
}

void run(const core::CommandOptions& base, core::Record& record) {
  const auto& options = static_cast<const ConvertCommand&>(base);
  // Whatever an adapter were to become: it holds only a part of a model.
  if (!options.output.empty() && options.inputs[0] != "-" && is_checkpoint_name(options.inputs[0]) && options.adapter.empty())
    graph::refuse_adapter(io::load(options.inputs[0], {.tensors = false}).graph, options.inputs[0]);
  if (!options.adapter.empty()) convert_adapter(options, record);
  else if (options.inspect) inspect(options, record);
  else if (options.diff) diff(options, record);
  else if (options.output.empty()) verify(options, record);
  else if (is_onnx_name(options.inputs[0]) || is_onnx_name(options.output)) convert_onnx(options, record);
  else if (is_folder_name(options.output)) convert_to_folder(options, record);
  else if (is_folder_name(options.inputs[0])) convert_from_folder(options, record);
  else if (is_tensor_name(options.inputs[0]) || is_tensor_name(options.output)) convert_formats(options, record);
  else if (is_graph_name(options.output)) write_graph(options, record);
  else rewrite(options, record);
}

const core::BaseCommand command{"convert", run};

}  // namespace convert

void tell_verified(const ConvertCommand& options, const Verified& found, core::Record& record) {
  record["verified"] = {{"tensors", found.tensors}, {"largest_difference", found.largest_difference}};
  if (found.outputs >= 0 || std::isnan(found.outputs)) record["verified"]["outputs"] = found.outputs;
  if (!found.not_run.empty()) record["verified"]["outputs_not_run"] = found.not_run;
  if (options.atol < 0) return;
  const auto fail = [&](const std::string& what) {
    if (options.output != "-") std::filesystem::remove_all(options.output);
    throw Error(Exit::kGate, options.output, what + "; no output is left");
  };
  for (const auto& [what, apart] : {std::pair{"tensors", found.largest_difference}, std::pair{"outputs", found.outputs}}) {
    if (!(apart <= options.atol)) fail(fmt::format("{} differ by {:g}, --atol asks for at most {:g}", what, apart, options.atol));
  }
  if (!found.not_run.empty()) fail("outputs could not be compared, which --atol asks for: " + found.not_run);
}

/// What weights that come without a graph do not say.
static void picture_fields(ConvertCommand& o, core::Fields& f) {
  f.add({.name = "labels", .doc = "names of the classes, one a line, for weights that come without a graph", .value_name = "FILE", .path = true}, o.labels);
  f.add({.name = "size", .doc = "side of an image, or height and width; left out: what fits the tensors", .min = 1, .max = 16384, .unit = "pixels",
         .alias = "size"}, o.size);
  f.add({.name = "mean", .doc = "mean of each channel of 0..1; left out: ImageNet's for 3 channels, else 0", .alias = "mean"}, o.mean);
  f.add({.name = "std", .doc = "deviation of each channel; left out: ImageNet's for 3 channels, else 1", .min = 0, .above_min = true, .alias = "std"}, o.std);
  f.add({.name = "resize", .doc = "length of a picture's shorter side before its middle is taken, or height and width; left out: as small as covers the size",
         .min = 1, .max = 16384, .unit = "pixels", .alias = "resize"}, o.resize);
  f.add({.name = "interpolation", .doc = "how pictures are resized", .choices = {"bilinear", "bicubic"}, .alias = "interpolation"},
        o.interpolation);
}

void ConvertCommand::fields(core::Fields& f) {
  f.add({.name = "input",
         .doc = "checkpoint to read, or - for stdin; two with --diff, any number with --verify; with -o also a folder of Hugging Face, or "
                "weights: " + io::tensor_extensions(),
         .value_name = "FILE",
         .flag_only = true,
         .positional = true,
         .required = true,
         .path = true},
        inputs);
  f.add({.name = "output",
         .doc = "checkpoint to write, or -; .onnx; a folder (DIR/) as Hugging Face's; .yaml gets the graph alone; for other programs: " +
                io::tensor_extensions() + " (.pth and .pt are state dicts, .ts is TorchScript)",
         .letter = 'o',
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        output);
  f.add({.name = "inspect", .doc = "show what a checkpoint, or a file or folder of weights, holds", .flag_only = true}, inspect);
  f.add({.name = "diff", .doc = "compare two of them; exit 0 if the models, or of weights alone the tensors, are equal, 5 if not", .flag_only = true}, diff);
  f.add({.name = "verify", .doc = "check what is read; with nothing else to do, compute every digest anew, SHA-256 too", .flag_only = true}, verify);
  f.add({.name = "drop_history", .doc = "leave out the metrics of each epoch", .alias = "drop-history"}, drop_history);
  f.add({.name = "drop_state",
         .doc = "leave out the optimizer's state and the best weights so far, which only going on with a run needs",
         .alias = "drop-state"},
        drop_state);
  f.add({.name = "own_graph",
         .doc = "ONNX: a graph of ours that travels in the file is taken where its nodes were not changed; --no-own-graph makes one from the nodes",
         .alias = "own-graph"},
        own_graph);
  f.add({.name = "external_data",
         .doc = "ONNX: put the tensors in a file beside the model, as is done above 2 GB anyway",
         .alias = "external-data"},
        external_data);
  f.add({.name = "run",
         .doc = "ONNX: run both sides on the same inputs, the file's nodes one by one, and tell how far their outputs are apart; --no-run leaves that, "
                "and LibTorch is not loaded",
         .alias = "run",
         .flag_only = true},
        run_both);
  f.add({.name = "adapter",
         .doc = "file of adapters that ds-train made for the input: what they learned is put into its weights; those that are not linear stay as layers",
         .value_name = "FILE",
         .flag_only = true,
         .path = true},
        adapter);
  f.choice("model", "architecture of weights that come without a graph; sizes that are not set are taken from the tensors", model, "arch");
  picture_fields(*this, f);
  f.add({.name = "shard_size", .doc = "folders: the most bytes of a file of weights; more go to several", .alias = "shard-size", .value_name = "BYTES"},
        shard_size);
  f.add({.name = "atol",
         .doc = "the largest difference between what was written and what it was made of that passes, of tensors and of outputs; beyond it exit 5, and "
                "no output is left; -1: it is told only",
         .min = -1,
         .flag_only = true},
        atol);
  common.fields(f);
}

std::string ConvertCommand::base_command() const { return io::tensor_format(output) == io::TensorFormat::kScript ? "" : "convert"; }

void ConvertCommand::check() const {
  const auto fail = [](const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kUsage, where, what, hint); };
  const bool looks = inspect || diff;
  if (inspect && diff) fail("--inspect, --diff", "only one of them at a time");
  if (looks && !output.empty()) fail("--output", "nothing is written with --inspect or --diff");
  if (!looks && !verify && output.empty()) fail("--no-verify", "leaves nothing to do", "name a file to write with -o, or ask for --inspect or --diff");
  if (diff && inputs.size() != 2) fail("--diff", fmt::format("{} inputs, expected 2", inputs.size()));
  if ((inspect || !output.empty()) && inputs.size() != 1) fail("FILE", fmt::format("{} inputs, expected 1", inputs.size()));
  if (std::count(inputs.begin(), inputs.end(), "-") > 1) fail("FILE", "two inputs are -, at most one can be stdin");
  if (output.empty() && (drop_history || drop_state)) fail("--drop-history, --drop-state", "they change what is written, and nothing is");
  if (diff && !verify) fail("--no-verify", "contradicts --diff");
  if (!output.empty() && !is_folder_name(output) && !convert::is_checkpoint_name(output) && !convert::is_graph_name(output) &&
      !convert::is_tensor_name(output) && !is_onnx_name(output))
    fail(output, fmt::format("unknown format '{}', expected a name that ends in .h5, .onnx, / for a folder, .yaml for the graph, or one of {}",
                             std::filesystem::path(output).extension().string(), io::tensor_extensions()));
  if (inputs.empty()) return;  // --print-config needs none
  if (!adapter.empty() && (output.empty() || !convert::is_checkpoint_name(inputs[0]) || !convert::is_checkpoint_name(output)))
    fail("--adapter", "is merged into a checkpoint, as another checkpoint", "name it with -o merged.h5, and convert that");
  if (!adapter.empty() && (drop_history || drop_state)) fail("--drop-history, --drop-state", "have no effect with --adapter");
  if (!output.empty()) check_folders(*this, convert::is_checkpoint_name(inputs[0]), convert::is_checkpoint_name(output));
  if (!output.empty() && convert::is_tensor_name(inputs[0]) && convert::is_graph_name(output))
    fail(output, "a graph of weights", "convert them to a checkpoint first");
  const bool weights = !output.empty() && convert::is_tensor_name(inputs[0]) && convert::is_checkpoint_name(output);
  if (!weights && !model.name.empty()) fail("--arch", "is for weights that become a checkpoint: an input of " + io::tensor_extensions() + " and -o");
  const bool from_onnx = is_onnx_name(inputs[0]);
  if (from_onnx && (output.empty() || !convert::is_checkpoint_name(output))) fail(inputs[0], "an ONNX model becomes a checkpoint", "name one with -o");
  if (!own_graph && !from_onnx) fail("--no-own-graph", "is for an input that ends in .onnx");
  if (model.name.empty() && !from_onnx && (!labels.empty() || !size.empty() || !mean.empty() || !std.empty() || !resize.empty() || interpolation != "bilinear"))
    fail("--labels, --size, --mean, --std, --resize, --interpolation", "describe weights that come without a graph", "name their architecture with --arch");
  if (!run_both && !from_onnx && !is_onnx_name(output)) fail("--no-run", "is for an input or an output that ends in .onnx");
  if (!run_both && atol >= 0) fail("--no-run", "contradicts --atol, which holds the outputs against each other");
  if (external_data && !is_onnx_name(output)) fail("--external-data", "is for an output that ends in .onnx");
  if (is_onnx_name(output) && !convert::is_checkpoint_name(inputs[0])) fail(output, "is made of checkpoints", "convert the input to a checkpoint first");
  if (io::tensor_format(output) == io::TensorFormat::kScript && !convert::is_checkpoint_name(inputs[0]))
    fail(output, "is made of checkpoints", "convert the input to a checkpoint first");
  if (atol >= 0 && output.empty()) fail("--atol", "holds what is written against what it was made of, and nothing is written");
  if (resize.size() > 2) fail("--resize", fmt::format("{} numbers, expected the shorter side, or height and width", resize.size()));
  if (size.size() > 2) fail("--size", fmt::format("{} numbers, expected one side, or height and width", size.size()));
  if ((drop_history || drop_state) && !output.empty() && (convert::is_tensor_name(inputs[0]) || convert::is_tensor_name(output)))
    fail("--drop-history, --drop-state", "only checkpoints have them");
}

}  // namespace ds::commands
