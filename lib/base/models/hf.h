// How config.json files of Hugging Face stand for architectures here. A family says it in one table, both ways, in hf_<family>.cpp:
//   const HfRegistrar bert{{.model_type = "bert", .families = {"bert", "minilm"}, .keys = {{"hidden_size", "dim", 768}, ...}, ...}};
// Sources: the configuration classes of `transformers` (their defaults are what an absent key means) and timm's config.json ("architecture",
// "pretrained_cfg"), which timm.create_model("local-dir:...") and transformers' TimmWrapper classes read.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/core/registry.h"
#include "base/graph/graph.h"

namespace ds::models {

using graph::Json;

/// A key of config.json that is an option of the architecture.
struct HfKey {
  std::string theirs, ours;
  Json otherwise;  ///< what the class takes where the key is not there; null: it has to be there
};

/// A key that no option here changes: a config that says otherwise is refused, and `value` is what is written.
struct HfFixed {
  std::string key;
  Json value;      ///< what the net computes
  Json otherwise;  ///< what the class takes where the key is not there
};

/// A class of transformers that a net here is.
struct HfClass {
  std::string name;  ///< as in "architectures": "BertForSequenceClassification"
  Json options;      ///< what the class says of the net: {"head": "classification"}
  std::string task;  ///< pipeline_tag of a model card
};

/// A tensor that files have beside another one which holds the same numbers.
struct HfTie {
  std::string copy, of;
};

struct HfFamily {
  std::string model_type;             ///< "bert"
  std::vector<std::string> families;  ///< of architectures (models::families) whose options the keys set: {"bert", "minilm"}
  std::string prefix;                 ///< of the encoder's tensors in classes with a head; the class without one has none: "bert."
  std::vector<HfKey> keys;
  std::vector<HfFixed> fixed;
  std::vector<HfClass> classes;       ///< of those that mean the same, the first is written
  std::vector<std::string> ignored;  ///< ends of names of tensors that the class has and nothing here reads
  std::vector<HfTie> tied;
  /// What no table can say; any may be null. They see config and options after the tables. `read` throws ds::Error(kInput, where); `fit` sets
  /// options by the tensors that are there.
  void (*read)(const Json& config, Json& options, const std::string& where) = nullptr;
  void (*fit)(const std::map<std::string, io::Array>& tensors, Json& options) = nullptr;
  void (*write)(const Json& options, Json& config) = nullptr;
};

struct HfRegistrar {
  explicit HfRegistrar(HfFamily family);
};

/// An architecture whose tensors and sizes are those of a model of timm.
struct HfTimm {
  HfTimm(const char* arch, const char* timm);
};

/// nullptr for a type that nobody registered.
const HfFamily* hf_family(const std::string& model_type);
/// The one to whose families an architecture belongs, nullptr where there is none.
const HfFamily* hf_family_of(const std::string& arch);
/// All model types, sorted.
std::vector<std::string> hf_types();
/// The name in timm of an architecture here, and the other way round; "" where it has none.
std::string timm_name(const std::string& arch);
std::string arch_of_timm(const std::string& name);

/// A chosen architecture with these options: {"dim": 384}. Throws ds::Error(kInput, where) for an option that it does not have, or a value of
/// another type or out of range.
core::Choice choose(const std::string& arch, const Json& options, const std::string& where);

/// What a config.json describes.
struct HfNet {
  const HfFamily* family = nullptr;
  const HfClass* of = nullptr;
  std::string arch;  ///< of the families' architectures the one whose own sizes are the nearest
  Json options;      ///< of that
};

/// Reads a config of a registered model_type. The class is the one that "architectures" names, or the family's first where it names none. `more` are
/// options that are known from elsewhere; they win, and where they are what a class means, the net is of that class.
/// Throws ds::Error or ds::ErrorList(kInput, where): a type or class that is not known (with those that are), a missing key, a value that the net
/// does not compute.
HfNet read_hf_config(const Json& config, const Json& more, const std::string& where);

/// The net's graph. Throws ds::Error(kInput, where) where sizes do not go together.
graph::Graph build_hf(const HfNet& net, const std::string& where);

/// The config.json of a net with the graph's architecture and options, null where no class of a registered family is that net. `name`: the class's.
Json write_hf_config(const graph::Graph& graph, std::string& name, std::string& task);

/// Whether a fresh graph of the architecture and options that `graph.meta` names is this one: false for nets that were pruned, quantized or
/// changed by hand.
bool is_as_built(const graph::Graph& graph);

}  // namespace ds::models
