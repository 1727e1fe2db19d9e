// ds-convert between checkpoints and the folders of Hugging Face: config.json, weights, tokenizer (io/hf_folder.h, models/hf.h, text/tokenizer.h).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/commands/convert.h"
#include "base/models/hf.h"

namespace ds::commands {

/// Whether a path is meant as a folder: it ends in a slash, or a folder is there.
bool is_folder_name(const std::string& path);

/// Throws ds::Error(kUsage) where a folder is the input or the output and the other one is no checkpoint, for options that do not go with folders,
/// and for a --shard-size that is no number of bytes.
void check_folders(const ConvertCommand& options, bool from_checkpoint, bool to_checkpoint);

/// Makes a checkpoint of a folder: the architecture by config.json (a model_type of transformers, or timm's "architecture"), the head by its class,
/// weights, labels, tokenizer, preprocessing; encoders of sentence-transformers by modules.json. A folder that convert_to_folder wrote comes back as
/// the checkpoint that it was. Throws ds::Error or ds::ErrorList(kInput) for what does not fit, all of it at once.
void convert_from_folder(const ConvertCommand& options, core::Record& record);

/// The checkpoint of such a folder, with no step of ours in its provenance; files, and what was left out, are noted in the record. `step`, where given,
/// is the step to come: it gets the digests of files and parents.
io::Checkpoint read_folder(const std::string& folder, core::Record& record, io::Json* step);

/// Writes a folder that from_pretrained loads, with the documents of the checkpoint in ds.json. A net that no class of transformers or timm is (pruned,
/// quantized, an architecture of its own) is written too: its config.json says so, and this program alone loads it. record["loads_with"].
void convert_to_folder(const ConvertCommand& options, core::Record& record);

/// What becomes of a picture by timm's pretrained_cfg, or by transformers' preprocessor_config.json; null where they say nothing.
/// Throws ds::Error(kInput, where) for what io::fit_of could not do.
io::Json preprocessing_of_timm(const io::Json& config, const std::string& where);
io::Json preprocessing_of_transformers(const io::Json& config, const graph::Graph& graph, const std::string& where);
/// The other way round. `preprocessing` is that of pictures.
io::Json timm_of_preprocessing(const io::Json& preprocessing);
io::Json transformers_of_preprocessing(const io::Json& preprocessing);

/// A README.md with the front matter that model hubs read. `config`: of the folder, null for a net that only ds loads.
struct ModelCard {
  std::string name, task, library, class_name;
  const io::Checkpoint& checkpoint;
};
std::string model_card(const ModelCard& card);

}  // namespace ds::commands
