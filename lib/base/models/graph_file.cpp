// A net that a user wrote as a file: the YAML form of graphs, without compiling.
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/core/yaml.h"
#include "base/graph/template.h"
#include "base/io/files.h"
#include "base/models/models.h"

namespace ds::models::graph_file {

constexpr std::int64_t kMostBytes = 16 << 20;

struct Options : ArchOptions {
  std::string file;
  std::vector<std::string> parameters;
  bool tokens = false;           ///< the data are, not images
  std::int64_t vocab_size = 0;   ///< of those
  bool takes(InputKind) const override { return true; }
  void fit(const DataSizes& data) override {
    tokens = data.kind == InputKind::kTokens;
    vocab_size = data.vocab_size;
    if (tokens) fill(num_classes, data.num_classes, "num_classes");
    else ArchOptions::fit(data);
  }
  std::string fitted_to() const override { return tokens ? fmt::format("a vocabulary of {}", vocab_size) : ArchOptions::fitted_to(); }
  void fields(core::Fields& f) override {
    ArchOptions::fields(f);
    f.add({.name = "file", .doc = "YAML file with inputs, nodes and outputs (ds-convert net.h5 -o net.yaml writes one)", .value_name = "FILE", .path = true},
          file);
    f.add({.name = "parameters", .doc = "values in place of those that the file's `parameters` state, NAME=VALUE", .value_name = "NAME=VALUE"},
          parameters);
  }
};

/// What the file can use in $(...): its own parameters, as the options say, and the sizes of the data.
graph::Parameters parameters_of(const Options& o) {
  graph::Parameters all;
  all.fixed = {{"num_classes", o.num_classes}, {"in_channels", o.in_channels}, {"height", o.height}, {"width_px", o.width_px}};
  if (o.tokens) all.fixed = {{"num_classes", o.num_classes}, {"vocab_size", o.vocab_size}};
  for (const std::string& text : o.parameters) {
    const std::size_t equal = text.find('=');
    if (equal == std::string::npos || equal == 0)
      throw Error(Exit::kUsage, "model.parameters", fmt::format("has '{}', expected NAME=VALUE", text), "such as --model.parameters width=64");
    all.given[text.substr(0, equal)] = core::json_from_yaml(text.substr(equal + 1), "model.parameters." + text.substr(0, equal));
  }
  return all;
}

/// Scores of a text or of each token, a score for each of the data's classes. (What the inputs are, training checks as for every net.)
void fit_tokens(const graph::Graph& graph, const Options& o) {
  const auto fail = [&](const std::string& what) { throw Error(Exit::kInput, o.file, what, "change the file, or choose other data"); };
  if (graph.outputs.empty()) fail("no outputs, expected the scores of the classes");
  const graph::ValueType scores = graph::infer_types(graph).at(graph.outputs[0].value);
  if (scores.dims.size() < 2 || !(scores.dims.back() == graph::Dim(o.num_classes)))
    fail(fmt::format("output '{}' is {}, expected {} scores on the last axis: one for each of the data's classes", graph.outputs[0].name,
                     graph::type_text(scores), o.num_classes));
}

/// The data's images and classes must fit what the file states. Sizes that it leaves open become those of the data, as in every other net.
void fit(graph::Graph& graph, const Options& o) {
  const auto fail = [&](const std::string& what) { throw Error(Exit::kInput, o.file, what, "change the file, or choose other data"); };
  if (graph.inputs.size() != 1) fail(fmt::format("{} inputs, expected one: an image", graph.inputs.size()));
  graph::ValueType& image = graph.inputs[0].type;
  const std::int64_t sizes[] = {o.in_channels, o.height, o.width_px};
  bool fits = image.dtype == graph::DType::kF32 && image.dims.size() == 4 && !image.dims[0].is_known();
  for (std::size_t i = 0; fits && i < 3; ++i) fits = !image.dims[i + 1].is_known() || image.dims[i + 1].value() == sizes[i];
  if (!fits) {
    fail(fmt::format("input '{}' is {}, the data have float32[N, {}, {}, {}]", graph.inputs[0].name, graph::type_text(image), o.in_channels, o.height,
                     o.width_px));
  }
  for (std::size_t i = 0; i < 3; ++i) image.dims[i + 1] = sizes[i];
  graph::verify(graph, "");
  if (graph.outputs.empty()) fail("no outputs, expected the scores of the classes");
  const graph::ValueType scores = graph::infer_types(graph).at(graph.outputs[0].value);
  if (scores.dims.size() != 2 || !(scores.dims[1] == graph::Dim(o.num_classes)))
    fail(fmt::format("output '{}' is {}, expected [N, {}]: a score for each of the data's classes", graph.outputs[0].name, graph::type_text(scores),
                     o.num_classes));
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  if (o.file.empty()) throw Error(Exit::kUsage, "model.file", "is required: the YAML file with the graph");
  graph::Graph graph = graph::from_yaml(io::read_file(o.file, kMostBytes), o.file, parameters_of(o));
  if (o.tokens) fit_tokens(graph, o);
  else fit(graph, o);
  if (o.dropout >= 0)
    for (graph::Node& node : graph.nodes)
      if (node.op == "dropout") node.attrs["p"] = o.dropout;
  if (graph.meta.empty()) graph.meta = {{"arch", "graph"}};  // not the path: the same net has the same digest wherever it lies
  return graph;
}

const Architecture entry = Architecture::make<Options>("graph", "the net that a YAML file describes: --model.file net.yaml", "", build);

}  // namespace ds::models::graph_file
