#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/commands/convert_formats.h"
#include "base/commands/convert_hf.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/values.h"
#include "base/io/hf_folder.h"
#include "base/models/models.h"
#include "base/text/tokenizer.h"

namespace ds::commands {
namespace hf_write {

using io::Json;
using Texts = std::map<std::string, std::string>;  ///< files by their name in the folder

std::string pretty(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// What the folder says it is.
struct Target {
  Json config;
  std::string library, class_name, task;
  std::string why;  ///< only ds loads it, because ...
};

bool has_other_than_float(const graph::Graph& graph) {
  return std::any_of(graph.tensors.begin(), graph.tensors.end(), [](const graph::TensorSpec& t) { return !io::is_float(t.dtype); });
}

/// Why no config.json states this net.
std::string reason(const graph::Graph& graph) {
  const std::string arch = graph.meta.value("arch", "");
  if (has_other_than_float(graph)) return "it has quantized tensors";
  if (models::hf_family_of(arch) == nullptr && models::timm_name(arch).empty())
    return arch.empty() ? "it is a graph of its own" : fmt::format("'{}' has no class there", arch);
  if (!models::is_as_built(graph)) return fmt::format("it was changed since it was built as '{}', as pruning does", arch);
  return fmt::format("no class there is '{}' with this head", arch);
}

/// What the outputs are called.
void add_labels(Json& config, const Json& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    config["id2label"][std::to_string(i)] = labels[i];
    config["label2id"][labels[i].get<std::string>()] = i;
  }
}

Target target_of(const io::Checkpoint& checkpoint, const graph::Graph& graph) {
  Target target;
  const std::string arch = graph.meta.value("arch", ""), timm = models::timm_name(arch);
  const bool built = !has_other_than_float(graph) && models::is_as_built(graph);
  if (built) target.config = models::write_hf_config(graph, target.class_name, target.task);
  const Json options = graph.meta.value("options", Json::object());
  if (!target.config.is_null()) {
    // A plain encoder has its pooler; one of sentences is called so by its modules, which say how it makes one embedding.
    const bool plain = options.value("pooler", false) && !options.value("normalize", false);
    target.library = options.value("head", "") == "embedding" && !plain ? "sentence-transformers" : "transformers";
    if (target.library == "sentence-transformers") target.task = "sentence-similarity";
    if (checkpoint.labels.is_array()) add_labels(target.config, checkpoint.labels);
    else if (target.task.ends_with("classification")) target.config["num_labels"] = options.value("num_classes", std::int64_t{0});
  } else if (built && !timm.empty() && checkpoint.preprocessing.is_object()) {
    target.library = "timm";
    target.task = "image-classification";
    target.class_name = timm;
    Json cfg = timm_of_preprocessing(checkpoint.preprocessing);
    cfg["num_classes"] = options.value("num_classes", std::int64_t{0});
    target.config = {{"architecture", timm}, {"num_classes", cfg["num_classes"]}, {"pretrained_cfg", std::move(cfg)}};
    if (checkpoint.labels.is_array()) target.config["label_names"] = checkpoint.labels;
  } else {
    target.library = "ds";
    target.why = reason(graph);
    target.config = {{"model_type", "ds"}, {"architectures", Json::array()}, {"ds", {{"graph", "ds.json"}, {"reason", target.why}}}};
  }
  return target;
}

void add_tokenizer(const io::Checkpoint& checkpoint, const graph::Graph& graph, Target& target, Texts& files) {
  if (checkpoint.tokenizer.is_null()) return;
  const text::Tokenizer tokenizer(checkpoint.tokenizer, checkpoint.path + ":/documents/tokenizer");
  files["tokenizer.json"] = pretty(text::tokenizer_json(checkpoint.tokenizer));
  Json config = text::tokenizer_config(checkpoint.tokenizer), special = Json::object();
  Json inputs = Json::array();
  for (const graph::Input& input : graph.inputs) inputs.push_back(input.name);
  config["model_input_names"] = inputs;
  for (const char* key : {"pad_token", "unk_token", "bos_token", "eos_token", "cls_token", "sep_token", "mask_token"}) {
    const auto id = tokenizer.named(key);
    if (!id || !tokenizer.token(*id)) continue;
    special[key] = *tokenizer.token(*id);
    if (const std::string name = key; target.library != "ds" && (name == "pad_token" || name == "bos_token" || name == "eos_token"))
      target.config[name + "_id"] = *id;
  }
  files["tokenizer_config.json"] = pretty(config);
  files["special_tokens_map.json"] = pretty(special);
}

/// modules.json and its kin.
void add_modules(const io::Checkpoint& checkpoint, const graph::Graph& graph, Texts& files) {
  const Json& options = graph.meta.at("options");
  Json modules = {{{"idx", 0}, {"name", "0"}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
                  {{"idx", 1}, {"name", "1"}, {"path", "1_Pooling"}, {"type", "sentence_transformers.models.Pooling"}}};
  if (options.value("normalize", false))
    modules.push_back({{"idx", 2}, {"name", "2"}, {"path", "2_Normalize"}, {"type", "sentence_transformers.models.Normalize"}});
  files["modules.json"] = pretty(modules);
  files["1_Pooling/config.json"] = pretty({{"word_embedding_dimension", options.at("dim")},
                                           {"pooling_mode_cls_token", false},
                                           {"pooling_mode_mean_tokens", true},
                                           {"pooling_mode_max_tokens", false},
                                           {"pooling_mode_mean_sqrt_len_tokens", false}});
  const Json length = checkpoint.preprocessing.is_object() ? checkpoint.preprocessing.value("max_length", Json()) : Json();
  files["sentence_bert_config.json"] = pretty({{"max_seq_length", length}, {"do_lower_case", false}});
}

Texts texts_of(const io::Checkpoint& checkpoint, const graph::Graph& graph, Target& target, const std::string& name) {
  Texts files;
  add_tokenizer(checkpoint, graph, target, files);
  if (target.library == "sentence-transformers") add_modules(checkpoint, graph, files);
  if (checkpoint.preprocessing.is_object() && checkpoint.preprocessing.value("kind", "image") == "image")
    files["preprocessor_config.json"] = pretty(transformers_of_preprocessing(checkpoint.preprocessing));
  files["config.json"] = pretty(target.config);
  files["README.md"] = model_card({name, target.task, target.library, target.class_name, checkpoint});
  std::map<std::string, std::string> own = documents_of(checkpoint);
  own.erase("format");
  const std::string& config = files["config.json"];
  own["config.json"] = io::sha256(config.data(), config.size());
  files["ds.json"] = pretty(Json(own));
  return files;
}

}  // namespace hf_write

void convert_to_folder(const ConvertCommand& options, core::Record& record) {
  io::check_folder_output(options.output, options.common.force);
  const io::Checkpoint checkpoint = io::load_input(options.inputs[0], {.verify = options.verify});
  record.input("model", checkpoint.path, checkpoint.digest);
  const graph::Graph graph = graph::from_json(checkpoint.graph, checkpoint.path);
  graph::verify(graph, checkpoint.path);
  hf_write::Target target = hf_write::target_of(checkpoint, graph);
  std::string folder = io::absolute(options.output);
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  const hf_write::Texts files = hf_write::texts_of(checkpoint, graph, target, std::filesystem::path(folder).filename().string());
  record["loads_with"] = target.library;
  if (!target.why.empty()) {
    record["reason"] = target.why;
    core::warn(fmt::format("{}: only ds loads this folder: {}", options.output, target.why));
  }
  if (options.common.dry_run) return;
  double largest = 0;
  io::replace_folder(options.output, options.common.force, [&](const std::string& temporary) {
    for (const auto& [file, text] : files) {
      std::filesystem::create_directories(std::filesystem::path(temporary + "/" + file).parent_path());
      io::write_file(temporary + "/" + file, text);
    }
    io::write_folder_weights(temporary, checkpoint.tensors, *core::parse_bytes(options.shard_size));
    const std::string problem = compare_tensors(checkpoint.tensors, io::read_folder_weights(temporary, false).tensors, largest);
    if (!problem.empty()) throw Error(Exit::kFailure, options.output, "what was read back is not what was written: " + problem);
  });
  record.output("model", folder, checkpoint.digest);
  tell_verified(options, {.tensors = checkpoint.tensors.size(), .largest_difference = largest}, record);
}

}  // namespace ds::commands
