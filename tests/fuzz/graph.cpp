// Any bytes as a net, in the YAML that people write or, from a brace on, in the JSON of checkpoints: read, checked and written again as the
// same net, or refused.
#include "base/graph/graph.h"

#include <algorithm>

#include "base/graph/channels.h"
#include "base/io/checkpoint_format.h"
#include "fuzz.h"

namespace {

/// Channel classes take memory by channels; a checkpoint has a tensor's bytes for each, text has not.
bool is_small(const ds::graph::Graph& graph) {
  constexpr std::int64_t kMost = 1 << 14;
  const auto small = [](const std::vector<ds::graph::Dim>& dims) {
    return std::all_of(dims.begin(), dims.end(), [](const ds::graph::Dim& dim) { return !dim.is_known() || dim.value() <= kMost; });
  };
  const auto types = ds::graph::infer_types(graph);
  return std::all_of(types.begin(), types.end(), [&](const auto& value) { return small(value.second.dims); }) &&
         std::all_of(graph.tensors.begin(), graph.tensors.end(), [](const auto& tensor) {
           return std::all_of(tensor.shape.begin(), tensor.shape.end(), [](std::int64_t dim) { return dim <= kMost; });
         });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return ds_fuzz::refused_or_done(data, size, {ds::Exit::kInput, ds::Exit::kUsage}, [](const ds::io::Bytes& bytes) {
    using namespace ds;
    const std::string text(reinterpret_cast<const char*>(bytes.data), bytes.size);
    graph::Graph graph;
    if (text.starts_with("{")) {
      graph = graph::from_json(io::format::parse_document(text.data(), text.size(), "input"), "input");
      graph::verify(graph, "input");
    } else {
      graph = graph::from_yaml(text, "input");
    }
    const graph::Json json = graph::to_json(graph);
    if (graph::to_json(graph::from_json(json, "again")) != json) std::abort();
    if (graph::to_json(graph::from_yaml(graph::to_yaml(graph), "again")) != json) std::abort();
    try {
      if (graph::node_costs(graph).size() != graph.nodes.size()) std::abort();
    } catch (const Error& error) {  // a size that is open beside the batch's is not bound
      if (error.code() != Exit::kFailure && error.code() != Exit::kInput) std::abort();
    }
    if (is_small(graph)) (void)graph::channel_classes(graph);
  });
}
