#include "engine/commands/pretrained.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/commands/pretrained.h"
#include "base/core/error.h"
#include "base/core/log.h"
#include "base/graph/adapters.h"

namespace ds::commands {
namespace {

/// Pixels as the weights know them, where they have as many channels as the data; else as the data say. The size is the data's.
Json image_preprocessing(const Json& own, const data::Dataset& data) {
  Json result = data.preprocessing;
  const auto channels = [](const Json& json) {
    return json.is_object() && json.contains("mean") && json["mean"].is_array() ? json["mean"].size() : 0;
  };
  if (channels(own) == 0 || channels(own) != channels(result) || own.value("kind", "") != result.value("kind", "")) return result;
  for (const char* key : {"scale", "mean", "std", "interpolation"})
    if (own.contains(key)) result[key] = own[key];
  return result;
}

Json token_preprocessing(const Json& own, const data::Dataset& data, const graph::Graph& graph) {
  Json result = data.preprocessing;
  if (own.is_object() && own.contains("max_length")) result["max_length"] = own["max_length"];
  Json& inputs = result["inputs"] = Json::array();
  for (const graph::Input& input : graph.inputs) inputs.push_back(input.name);
  return result;
}

}  // namespace

models::DataSizes sizes_of(const data::Dataset& data) {
  models::DataSizes sizes{.num_classes = data.num_classes};
  if (data.has_tokens()) {
    sizes.kind = models::InputKind::kTokens;
    sizes.vocab_size = data.tokens().vocab_size;
    sizes.length = data.tokens().longest();
  } else {
    const at::Tensor& images = data.split("train").images;
    sizes.channels = images.size(1), sizes.height = images.size(2), sizes.width = images.size(3);
  }
  return sizes;
}

Beginning begin_pretrained(const TrainCommand& o, core::Record& record) {
  Beginning begin;
  Pretrained given = read_pretrained(o.pretrained, record);
  std::string spec = o.data.name;
  if (spec.empty() && given.checkpoint.config.is_object()) spec = given.checkpoint.config.value(Json::json_pointer("/data/name"), "");
  if (spec.empty()) throw Error(Exit::kUsage, "--data", "is required: the data set to train on", "such as --data digits");
  const Json tokenizer = o.data.tokenizer.empty() ? given.checkpoint.tokenizer : data::read_tokenizer(o.data.tokenizer);
  begin.data = &data::open_cached(spec, tokenizer);
  const data::Dataset& data = *begin.data;
  const models::DataSizes sizes = sizes_of(data);
  const bool own = !given.checkpoint.graph.is_null();
  const std::string target = data.has_tokens() ? data::target_name(data.tokens().target) : "classification";
  graph::Graph graph =
      own ? net_for(given.checkpoint, sizes, target, o.fit.regularize.dropout) : models::build(o.model, sizes, o.fit.regularize.dropout);
  const std::string where = own ? o.pretrained : "model." + o.model.key;
  graph::verify(graph, where);
  train::check_fit(graph, data, where);

  const FittedWeights fitted = fit_weights(graph, given.tensors, o.pretrained);
  begin.model = exec::make_model(std::move(graph), static_cast<std::uint64_t>(o.common.seed));
  for (const auto& [name, array] : fitted.tensors) begin.model.tensors[name] = exec::to_tensor(array);
  record["pretrained"] = fitted.to_json();
  core::info(fmt::format("{}: {}", o.pretrained, fitted.line()));
  if (const graph::Node* head = begin.model.graph.find_node(graph::head_of(begin.model.graph)))
    begin.new_head = head->slots.contains("weight") && !fitted.tensors.contains(head->slots.at("weight").tensor);

  const Json& documents = given.checkpoint.preprocessing;
  begin.checkpoint.preprocessing = data.has_tokens() ? token_preprocessing(documents, data, begin.model.graph) : image_preprocessing(documents, data);
  if (data.has_tokens()) begin.checkpoint.tokenizer = data.tokenizer;
  begin.checkpoint.provenance = given.checkpoint.provenance;
  begin.base = std::move(given.checkpoint);
  return begin;
}

std::vector<std::string> add_adapters(exec::Model& model, const TrainCommand& o, const io::Checkpoint& base, bool new_head, core::Record& record) {
  if (base.digest.empty())
    throw Error(Exit::kUsage, "--adapter", "its base must be a checkpoint, which the adapter names by its digest",
                "convert the weights first: ds-convert FILE -o base.h5");
  const Json nodes = base.graph.value("nodes", Json::array());  // the model may be its float twin, for training
  if (std::any_of(nodes.begin(), nodes.end(), [](const Json& node) { return node.value("op", "") == "qconv2d" || node.value("op", "") == "qlinear"; }))
    throw Error(Exit::kUsage, "--adapter", "its base is in int8, whose layers have no gradients",
                "train an adapter of the float net, merge it, and quantize that");
  const auto& options = static_cast<const graph::AdapterOptions&>(*o.adapter.options);
  graph::insert_adapters(model.graph, o.adapter.name, core::body<graph::InsertAdapters>("adapter", o.adapter.name), options);
  exec::Model drawn = exec::make_model(model.graph, static_cast<std::uint64_t>(o.common.seed));
  for (auto& [name, tensor] : drawn.tensors) model.tensors.emplace(name, std::move(tensor));  // those that are there stay
  const std::set<std::string> trained = graph::adapter_parameters(model.graph, options, new_head);
  std::vector<std::string> frozen;
  std::int64_t learning = 0;
  for (const std::string& name : model.parameters()) {
    if (!trained.contains(name))
      frozen.push_back(name);
    else
      learning += model.tensors.at(name).numel();
  }
  // What changes must not change the base, whose memory the model shares.
  const std::set<std::string> still(frozen.begin(), frozen.end());
  for (auto& [name, tensor] : model.tensors)
    if (!still.contains(name)) tensor = tensor.detach().clone();
  Json layers = Json::array();
  for (const Json& site : model.graph.meta.at("adapter").at("sites")) layers.push_back(site.at("base"));
  record["adapter"] = {{"kind", o.adapter.name}, {"layers", layers}, {"trained_parameters", learning}, {"base", base.digest}};
  return frozen;
}

std::int64_t training_macs(const exec::Model& model, const std::vector<optim::Parameter>& parameters) {
  std::set<std::string> trained;
  for (const optim::Parameter& parameter : parameters) trained.insert(parameter.name);
  return graph::training_cost(model.graph, trained).total();
}

}  // namespace ds::commands
