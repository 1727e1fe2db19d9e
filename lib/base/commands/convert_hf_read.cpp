#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/commands/convert_formats.h"
#include "base/commands/convert_hf.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/values.h"
#include "base/io/hf_folder.h"
#include "base/models/text.h"
#include "base/text/tokenizer.h"

namespace ds::commands {
namespace hf_read {

using io::Json;
using Tensors = std::map<std::string, io::Array>;

/// What the files of a folder say before the weights are looked at.
struct Source {
  std::string root;           ///< as it was given, without a slash at the end
  std::string folder;         ///< where config.json, weights and tokenizer are: the root, or a module's folder below it
  Json config;
  Json more = Json::object(); ///< options that modules say
  std::int64_t length = 0;    ///< the most tokens that modules say, 0 = nothing
  bool sentences = false;     ///< an encoder of sentence-transformers
};

[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, where, what, hint); }

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

/// Which tokens' features are averaged: the mean over all is what the net computes.
void read_pooling(const std::string& path) {
  const Json config = io::read_json(path);
  if (!config.is_object()) fail(path, config.is_null() ? "no such file, which says how tokens become one embedding" : "is no JSON object");
  std::vector<std::string> modes;
  for (const auto& [key, value] : config.items())
    if (key.starts_with("pooling_mode_") && value == true) modes.push_back(key.substr(std::strlen("pooling_mode_")));
  if (const Json mode = config.value("pooling_mode", Json()); mode.is_string()) modes.push_back(mode);
  if (modes.size() != 1 || (modes[0] != "mean_tokens" && modes[0] != "mean"))
    fail(path, fmt::format("pooling by {}, the net computes the mean of the tokens", modes.empty() ? "nothing" : fmt::format("{}", fmt::join(modes, " and "))));
}

/// modules.json of sentence-transformers: a Transformer, a Pooling and perhaps a Normalize.
void read_modules(Source& source) {
  const std::string path = source.root + "/modules.json";
  const Json modules = io::read_json(path);
  if (modules.is_null()) return;
  if (!modules.is_array()) fail(path, "is no list of modules");
  source.sentences = true;
  source.more = {{"head", "embedding"}, {"normalize", false}};
  std::vector<std::string> kinds;
  for (const Json& module : modules) {
    const auto text = [&](const char* key) {
      return module.is_object() && module.contains(key) && module[key].is_string() ? module[key].get<std::string>() : "";
    };
    const std::string type = text("type"), kind = type.substr(type.rfind('.') + 1), place = text("path");
    if (place.find('/') != std::string::npos || place == "." || place == "..")
      fail(path, fmt::format("module '{}' lies in '{}', expected a folder of this one", kind, place));
    const std::string folder = source.root + (place.empty() ? "" : "/" + place);
    if (kind == "Transformer") source.folder = folder;
    else if (kind == "Pooling") read_pooling(folder + "/config.json");
    else if (kind == "Normalize") source.more["normalize"] = true;
    else fail(path, fmt::format("module '{}' is none of Transformer, Pooling and Normalize, which are read", type));
    kinds.push_back(kind);
  }
  const std::vector<std::string> with = {"Transformer", "Pooling", "Normalize"}, without = {"Transformer", "Pooling"};
  if (kinds != with && kinds != without) fail(path, fmt::format("the modules are {}, expected {}", fmt::join(kinds, ", "), fmt::join(with, ", ")));
  const std::string own = source.folder + "/sentence_bert_config.json";
  const Json config = io::read_json(own);
  if (!config.is_object()) return;
  const Json length = config.value("max_seq_length", Json());
  if (!length.is_null() && (!length.is_number_integer() || length < 1))
    fail(own, fmt::format("'max_seq_length' is {}, expected a number of tokens", length.dump()));
  if (!length.is_null()) source.length = length;
}

Source open(const std::string& given) {
  Source source;
  source.root = source.folder = without_slash(given);
  if (!std::filesystem::is_directory(source.root)) fail(given, io::exists(source.root) ? "is no folder" : "no such folder");
  read_modules(source);
  const std::string path = source.folder + "/config.json";
  source.config = io::read_json(path);
  if (source.config.is_null()) fail(given, "is a folder without config.json", "name a folder as Hugging Face's save_pretrained writes it, or a file");
  if (!source.config.is_object()) fail(path, "is no JSON object");
  return source;
}

/// Names as the net's classes have them: not those of before 2019, and with the encoder's prefix as it is there and not as it was where the weights
/// come from, which may have another head or none. @return the names of what is in front of an encoder that the net has without a head
std::set<std::string> rename(Tensors& tensors, const std::string& prefix, bool headless, const graph::Graph& graph) {
  const auto begins = [&](const auto& entry) { return entry.first.starts_with(prefix); };
  const bool has = !prefix.empty() && std::any_of(tensors.begin(), tensors.end(), begins);
  Tensors renamed;
  std::set<std::string> heads;
  for (auto& [name, array] : tensors) {
    std::string to = name;
    if (to.ends_with("LayerNorm.gamma")) to.replace(to.size() - 5, 5, "weight");
    if (to.ends_with("LayerNorm.beta")) to.replace(to.size() - 4, 4, "bias");
    if (has && headless && to.starts_with(prefix)) to = to.substr(prefix.size());
    else if (has && headless) heads.insert(to);
    if (!has && !headless && graph.find_tensor(prefix + to)) to = prefix + to;
    renamed.emplace(to, std::move(array));
  }
  tensors = std::move(renamed);
  return heads;
}

bool equal(const io::Array& a, const io::Array& b) {
  return a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.data, b.data, a.bytes()) == 0;
}

/// Takes out what the class has and the net has not: copies of tied tensors, indices, heads of another task in front of an encoder.
void drop_unread(const Source& source, const models::HfNet& net, const graph::Graph& graph, const std::set<std::string>& heads, Tensors& tensors,
                 core::Record& record) {
  std::vector<Error> errors;
  Json ignored = record.fields.value("ignored", Json::array());
  const auto drop = [&](const std::string& name) {
    ignored.push_back(name);
    tensors.erase(name);
  };
  const bool ties = source.config.value("tie_word_embeddings", Json(true)) != false;
  for (const models::HfTie& tie : net.family->tied) {
    if (ties && graph.find_tensor(tie.copy) && !tensors.count(tie.copy) && tensors.count(tie.of)) tensors[tie.copy] = tensors[tie.of];
    if (!tensors.count(tie.copy) || graph.find_tensor(tie.copy) || !graph.find_tensor(tie.of)) continue;
    if (!tensors.count(tie.of)) {
      tensors[tie.of] = tensors[tie.copy];
      tensors.erase(tie.copy);
    } else if (equal(tensors[tie.copy], tensors[tie.of])) {
      drop(tie.copy);
    } else {
      errors.emplace_back(Exit::kInput, source.folder, fmt::format("tensor '{}' is not '{}', to which the net ties it", tie.copy, tie.of));
    }
  }
  throw_errors(errors);
  std::vector<std::string> names;
  for (const auto& [name, array] : tensors) {
    const auto ends = [&, &tensor = name](const std::string& end) { return tensor.ends_with(end); };
    const bool known = std::any_of(net.family->ignored.begin(), net.family->ignored.end(), ends);
    if (!graph.find_tensor(name) && (known || heads.count(name))) names.push_back(name);
  }
  for (const std::string& name : names) drop(name);
  if (!ignored.empty()) record["ignored"] = ignored;
}

/// id2label as a list in the order of the classes; null for a net without, or where the labels are only numbers.
Json labels_of(const Json& config, const Json& options, const std::string& where) {
  const Json map = config.value("id2label", Json());
  const std::string head = options.value("head", "");
  if (!map.is_object() || map.empty() || (head != "classification" && head != "token")) return nullptr;
  Json labels = Json::array();
  for (std::size_t i = 0; i < map.size(); ++i) {
    const auto found = map.find(std::to_string(i));
    if (found == map.end() || !found->is_string()) fail(where, fmt::format("'id2label' has {} labels and none, or no text, for class {}", map.size(), i));
    labels.push_back(*found);
  }
  return labels;
}

/// The tokenizer's document, and how long a text may be: as modules say, else the tokenizer, and never longer than the net.
void add_tokenizer(const Source& source, const graph::Graph& graph, const models::HfNet& net, io::Checkpoint& checkpoint, core::Record& record) {
  Json document = text::read_folder(source.folder);
  if (document.is_null()) {
    core::warn(source.folder + ": has no tokenizer: the model takes tokens, not texts");
    return;
  }
  const core::Choice choice = models::choose(net.arch, net.options, source.folder);
  const auto* options = dynamic_cast<const models::TextOptions*>(choice.options.get());
  std::int64_t length = source.length > 0 ? source.length : document.contains("ds") ? document["ds"].value("max_length", std::int64_t{0}) : 0;
  const std::int64_t longest = options ? options->longest() : 0;
  if (longest > 0) length = length > 0 ? std::min(length, longest) : longest;
  document["ds"]["max_length"] = length;
  const text::Tokenizer tokenizer(document, source.folder);
  const std::int64_t rows = net.options.value("vocab_size", std::int64_t{0});
  if (tokenizer.size() > rows)
    fail(source.folder, fmt::format("the tokenizer has {} tokens, the embedding {} rows", tokenizer.size(), rows), "the vocabulary is another model's");
  Json inputs = Json::array();
  for (const graph::Input& input : graph.inputs) inputs.push_back(input.name);
  checkpoint.tokenizer = std::move(document);
  checkpoint.preprocessing = {{"kind", "text"}, {"inputs", inputs}, {"max_length", length}};
  record["tokenizer"] = {{"tokens", tokenizer.size()}, {"max_length", length}};
}

io::Checkpoint from_transformers(const Source& source, Tensors tensors, core::Record& record) {
  const std::string where = source.folder + "/config.json";
  models::HfNet net = models::read_hf_config(source.config, source.more, where);
  const bool headless = net.options.value("head", "") == "embedding";
  const bool texts = models::takes(net.arch, models::InputKind::kTokens);
  graph::Graph graph = models::build_hf(net, where);
  const std::set<std::string> heads = rename(tensors, net.family->prefix, headless, graph);
  if (net.family->fit) net.family->fit(tensors, net.options);
  if (source.sentences && net.options.contains("pooler")) net.options["pooler"] = false;  // the embedding is the mean; nobody reads it
  graph = models::build_hf(net, where);
  drop_unread(source, net, graph, heads, tensors, record);
  fit_dtypes(graph, tensors, record);
  check_tensors(graph, tensors, source.folder);
  check_finite(tensors, source.folder);
  io::Checkpoint checkpoint;
  checkpoint.graph = graph::to_json(graph);
  checkpoint.tensors = std::move(tensors);
  checkpoint.labels = labels_of(source.config, net.options, where);
  const std::string images = source.folder + "/preprocessor_config.json";
  if (texts) add_tokenizer(source, graph, net, checkpoint, record);
  else checkpoint.preprocessing = preprocessing_of_transformers(io::read_json(images), graph, images);
  record["class"] = net.of->name;
  record["model"] = graph.meta;
  return checkpoint;
}

/// timm's config.json: {"architecture", "num_classes", "pretrained_cfg": {"input_size", "mean", ...}, "label_names"}.
io::Checkpoint from_timm(const Source& source, Tensors tensors, core::Record& record) {
  const std::string where = source.folder + "/config.json";
  const Json name = source.config["architecture"];
  const std::string arch = name.is_string() ? models::arch_of_timm(name) : "";
  if (arch.empty()) fail(where, fmt::format("'architecture' of timm is {}, which none here is", name.dump()), "weights alone: --arch with model.safetensors");
  const Json& cfg = source.config.contains("pretrained_cfg") ? source.config["pretrained_cfg"] : source.config;
  Json options = Json::object();
  const Json size = cfg.value("input_size", Json()), classes = source.config.value("num_classes", cfg.value("num_classes", Json(1000)));
  if (!size.is_array() || size.size() != 3) fail(where, fmt::format("'input_size' is {}, expected [channels, height, width]", size.dump()));
  options = {{"num_classes", classes}, {"in_channels", size[0]}, {"height", size[1]}, {"width_px", size[2]}};
  const graph::Graph graph = models::build(models::choose(arch, options, where), models::DataSizes{});
  fit_dtypes(graph, tensors, record);
  check_tensors(graph, tensors, source.folder);
  check_finite(tensors, source.folder);
  io::Checkpoint checkpoint;
  checkpoint.graph = graph::to_json(graph);
  checkpoint.tensors = std::move(tensors);
  checkpoint.preprocessing = preprocessing_of_timm(cfg, where);
  const Json labels = source.config.value("label_names", Json());
  if (labels.is_array() && !labels.empty()) {
    if (labels.size() != classes || !std::all_of(labels.begin(), labels.end(), [](const Json& l) { return l.is_string(); }))
      fail(where, fmt::format("'label_names' has {} entries, expected {} texts", labels.size(), classes.dump()));
    checkpoint.labels = labels;
  }
  record["class"] = name;
  record["model"] = graph.meta;
  return checkpoint;
}

/// ds.json: what convert_to_folder knows of the checkpoint and Hugging Face's files do not say. Nothing where config.json is another than then.
std::map<std::string, std::string> own_texts(const Source& source, core::Record& record) {
  const std::string path = source.root + "/ds.json";
  const Json json = io::read_json(path);
  std::map<std::string, std::string> texts;
  if (json.is_null()) return texts;
  if (!json.is_object()) fail(path, "is no JSON object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) fail(path, fmt::format("'{}' is no text", key));
    texts[key] = value;
  }
  const std::string config = io::read_file(source.root + "/config.json");
  if (texts["config.json"] == io::sha256(config.data(), config.size())) return texts;
  core::warn(path + ": belongs to another config.json and is not read");
  record["ds.json"] = "of another config.json, not read";
  return {};
}

}  // namespace hf_read

bool is_folder_name(const std::string& path) {
  std::error_code error;
  return path.ends_with('/') || std::filesystem::is_directory(path, error);
}

void check_folders(const ConvertCommand& options, bool from_checkpoint, bool to_checkpoint) {
  const auto fail = [](const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kUsage, where, what, hint); };
  const bool from = is_folder_name(options.inputs[0]), to = is_folder_name(options.output);
  if (to && !from_checkpoint) fail(options.output, "is made of checkpoints", "convert the input to a checkpoint first");
  if (from && !to_checkpoint) fail(options.output, "is not made of folders", "convert the folder to a checkpoint first");
  if ((from || to) && (options.drop_history || options.drop_state)) fail("--drop-history, --drop-state", "only checkpoints have them");
  const auto bytes = core::parse_bytes(options.shard_size);
  if (!bytes || *bytes < 1) fail("--shard-size", fmt::format("'{}' is no number of bytes", options.shard_size), "such as 5GB");
}

io::Checkpoint read_folder(const std::string& folder, core::Record& record, io::Json* step) {
  const hf_read::Source source = hf_read::open(folder);
  io::TensorFile own{{}, hf_read::own_texts(source, record)};
  io::FolderWeights weights = io::read_folder_weights(source.folder);
  for (const io::WeightFile& file : weights.files) {
    record.input("weights", io::absolute(source.folder + "/" + file.name), file.sha256);
    if (step) (*step)["weights"].push_back({{"file", file.name}, {"sha256", file.sha256}});
  }
  io::Checkpoint checkpoint;
  if (is_own(own)) {
    own.tensors = std::move(weights.tensors);
    bool same = false;
    checkpoint = from_own(own, source.root + "/ds.json", same);
    check_finite(checkpoint.tensors, source.root);
    record["same_model"] = same;  // false: a file was changed since it was written
    if (same && step) (*step)["parents"].push_back(own.metadata.at("ds.digest"));
  } else {
    clean_tensors(weights.tensors, record);
    checkpoint = source.config.contains("architecture") ? hf_read::from_timm(source, std::move(weights.tensors), record)
                                                        : hf_read::from_transformers(source, std::move(weights.tensors), record);
  }
  record["preprocessing"] = checkpoint.preprocessing;
  return checkpoint;
}

void convert_from_folder(const ConvertCommand& options, core::Record& record) {
  io::check_output(options.output, {}, options.common.force);
  io::Json step = {{"parents", io::Json::array()}, {"weights", io::Json::array()}};
  io::Checkpoint checkpoint = read_folder(options.inputs[0], record, &step);
  if (!options.common.dry_run) write_checkpoint(options, checkpoint, std::move(step), record);
}

}  // namespace ds::commands
