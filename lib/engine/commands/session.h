// What commands that read a model do alike: open it and its data, tell figures, save with provenance.
#pragma once
#include <string>
#include <vector>

#include "base/core/tool.h"
#include "base/io/checkpoint.h"
#include "engine/data/dataset.h"
#include "engine/exec/model.h"
#include "engine/train/trainer.h"

namespace ds::commands {

using core::Json;

/// A checkpoint and its model. `given` is what the user wrote: "-" or a path.
struct Opened {
  io::Checkpoint checkpoint;
  exec::Model model;
  std::string given;
};

/// Loads, verifies and notes the input in the record as `name`; with the file of adapters beside it where one is given.
Opened open_model(const std::string& name, const std::string& given, core::Record& record, const std::string& adapter = "");

/// The data set `spec`, or where it is empty the one that the checkpoint was trained on; checked against the model.
/// Throws ds::Error(kUsage) where neither says one. A model that gives embeddings fits data that its inputs fit, where `embeddings`; else it is refused.
const data::Dataset& open_data(const Opened& opened, const std::string& spec, bool embeddings = false);
/// {"auto"} as the checkpoint's config says, else the list itself; {"none"} is empty.
std::vector<std::string> augmentation(const io::Checkpoint& checkpoint, const std::vector<std::string>& wanted);

/// {"parameters", "macs", "tensor_bytes"} of a model, for one sample.
Json figures(const graph::Graph& graph);

/// Figures of a split, by name, as metrics "<split>_top1" ... (with a `document` all that train::evaluate knows); {} where
/// the split is empty. int8 models run their int8 kernels.
/// `document`, where given, becomes what the checkpoint keeps of it (Checkpoint::evaluation), null for an empty split. `stoppable`: throws
/// ds::Error(kInterrupted) as soon as a stop is requested, for where nothing is lost by it.
Json evaluate_split(exec::Model& model, const data::Dataset& data, const Json& preprocessing, const std::string& split, std::int64_t batch_size = 250,
                    Json* document = nullptr, bool stoppable = false);

/// How far the embeddings [N, D] of a model point where those of its parent do, as metrics "<split>_cosine" (mean) and "<split>_cosine_least";
/// {} where the split is empty. Throws ds::Error(kInterrupted) as soon as a stop is requested.
Json compare_embeddings(exec::Model& model, exec::Model& parent, const data::Dataset& data, const Json& preprocessing, const std::string& split);

/// exec::sample_inputs of `batch` samples, with all tokens to be looked at. Sizes that the graph leaves
/// open are those of the preprocessing, and `length` tokens (0: at most 128). Empty where a size is not known.
std::vector<at::Tensor> sample_inputs(const graph::Graph& graph, const Json& preprocessing, std::int64_t batch, std::int64_t length = 0);

/// Median seconds of a call with one sample, of some 40 after warm-up, in at most 0.15 s or so; 0 where the input's shape is not known.
/// A first impression for the provenance: ds-bench measures with care.
double quick_latency(exec::Model& model, const Json& preprocessing);

/// What every step says of itself in the provenance: seed, data, device, threads, parents and metrics.
Json provenance_step(const core::CommonOptions& common, const std::vector<const io::Checkpoint*>& parents, const data::Dataset* data, const Json& metrics);

/// Puts the model in the checkpoint, appends the step, with its latency unless --reproducible, and writes it; notes output, metrics and
/// figures in the record. `base`: the model has adapters beside it, and their file alone is written (base/commands/adapter_file.h).
void save_model(io::Checkpoint& checkpoint, exec::Model& model, const std::string& output, const core::CommonOptions& common, Json step,
                core::Record& record, const io::Checkpoint* base = nullptr);

/// Removes `<output>.partial`, the state of a run that is done: only when its output is safe on disk.
void drop_partial(const std::string& output);

/// Fine-tunes or distils in place with these callbacks. Stopped by a signal: the state is in `<output>.partial`, and this throws
/// ds::Error(kStopped). `resume`: goes on from there, if options and inputs are the same. An int8 model is trained with fake-quantization of
/// its float masters. `teachers`: digests of what else shapes the result, by name.
/// @return metrics of the last epoch
Json fit_model(exec::Model& model, const data::Dataset& data, const FitOptions& fit, io::Checkpoint& checkpoint, const std::string& output,
               const core::CommonOptions& common, bool resume, const std::vector<std::string>& augment,
               std::vector<std::shared_ptr<train::Callback>> callbacks, const std::string& phase, const Json& teachers = Json::object());

}  // namespace ds::commands
