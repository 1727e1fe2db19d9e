// ds-convert: looks at checkpoints, compares and checks them, and writes them anew.
#pragma once
#include <string>
#include <vector>

#include "base/core/tool.h"
#include "base/io/checkpoint.h"

namespace ds::commands {

struct ConvertCommand : core::CommandOptions {
  std::vector<std::string> inputs;
  std::string output;
  bool inspect = false, diff = false;
  bool verify = true;  ///< with nothing else to do, every digest is computed anew; with -o, --no-verify trusts the tensors' bytes
  bool drop_history = false, drop_state = false;
  bool own_graph = true;       ///< ONNX: the graph that travels along is believed
  bool external_data = false;  ///< ONNX: tensors beside the model, however small
  bool run_both = true;        ///< ONNX: afterwards both sides are run on the same inputs
  std::string adapter;         ///< of the input, merged into it
  core::Choice model{"architecture", "", "arch", true};  ///< of weights that come without a graph
  std::string labels;                                    ///< file, one a line
  std::vector<std::int64_t> size;                        ///< {side} or {height, width}; {} = what fits the tensors
  std::vector<double> mean, std;                         ///< a channel; {} = ImageNet's for three, else 0 and 1
  std::vector<std::int64_t> resize;                      ///< shorter side, or height and width, before the crop; {} = as small as covers the net's size
  std::string interpolation = "bilinear";                ///< or bicubic
  std::string shard_size = "5GB";                        ///< of a file of weights in a folder
  double atol = -1;                                      ///< largest difference that passes; < 0: told, and no gate
  void fields(core::Fields& f) override;
  void check() const override;
  std::string base_command() const override;  ///< all but the writing of TorchScript
};

/// Fills the record with what the checkpoint holds: format, digest, architecture, sizes, tensors, labels, preprocessing, history, provenance.
/// Reads no tensor's bytes. With --format table sets the record's text.
void inspect(const ConvertCommand& options, core::Record& record);

/// Compares two checkpoints by what the root digest covers: graph, preprocessing, labels, tokenizer and tensors. The rest (config, history,
/// provenance, state) is listed apart. Throws ds::Error(kGate) where they differ, after the record is filled.
void diff(const ConvertCommand& options, core::Record& record);

/// How far what was written is from what it was made of.
struct Verified {
  std::size_t tensors = 0;        ///< how many were compared
  double largest_difference = 0;  ///< of their elements, absolute; NaN where only one side is a number
  double outputs = -1;            ///< the same of the outputs of both sides on one input; < 0: not both of them could run
  std::string not_run = "";       ///< why not, where that is worth a word
};

/// Puts it in the record: "verified": {"tensors", "largest_difference", "outputs" where both ran, else "outputs_not_run"}. Where one of the differences is
/// beyond --atol, or the outputs should have been compared and could not be, removes options.output and throws ds::Error(kGate).
void tell_verified(const ConvertCommand& options, const Verified& found, core::Record& record);

/// A provenance record in one line: "2026-01-31T10:00:00Z ds-train 0.1.0: -c a.yaml -o b.h5 (parents 0123456789ab)".
std::string provenance_line(const io::Json& step);

}  // namespace ds::commands
