// Adapters: small layers beside the ones of a net that is not trained itself. A pass inserts them; what they learn is kept beside the net's own
// tensors, and merged into them where the algebra allows. meta["adapter"] = {"kind", "sites": [{"base", "from", "branch", "add"}], "base"}.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/core/fields.h"
#include "base/graph/graph.h"

namespace ds::graph {

/// What every kind of adapter is asked; the card of each derives from it.
struct AdapterOptions : core::Options {
  std::vector<std::string> targets;  ///< patterns of layers; {} = as the kind says
  std::int64_t last = 0;             ///< only the last so many of them; 0 = all
  std::string head = "auto";         ///< "yes", "no"; "auto": where its classes are the task's own
  bool norms = false;                ///< norms learn too
  void fields(core::Fields& f) override;
};

/// A chain of layers from one value to a sum with the base layer's output.
struct AdapterSite {
  std::string base;                 ///< the layer that is adapted
  bool from_output = false;         ///< the chain reads the layer's output, else its input
  std::vector<std::string> branch;  ///< nodes of the chain
  std::string add;                  ///< base + chain: what the users of the base read
};

/// The place of one adapter while it is inserted.
class AdapterPlace {
 public:
  AdapterPlace(Graph& graph, std::string base, bool from_output);
  const Node& base() const;
  /// A node of the chain, named `<base>.<name>`, on the one before. Tensors are drawn as the op says, those in `zero` begin at 0.
  void chain(const std::string& op, const std::string& name, Json attrs, bool bias, bool zero = false);
  /// Adds the chain to the layer's output. @return what was inserted
  AdapterSite close(const std::string& name);

 private:
  void insert(Node node, bool bias, bool zero);
  Graph& graph_;
  AdapterSite site_;
  std::string value_;
  std::size_t at_ = 0;  ///< where the next node goes
};

/// Kind "adapter": inserts into all the layers that the options ask for, and says where.
using InsertAdapters = std::vector<AdapterSite>(Graph& graph, const core::Options& options);

/// Layers (names of nodes, in order) of these ops with weights, or parts of a tensor, that no other layer reads, that the options' patterns name, or without
/// patterns `usual` of them, and of these the last ones. The head is none of them unless it is named.
/// Throws ds::Error(kUsage, "adapter.targets") where a pattern fits none, and where there is no layer at all, which `kind` is told with.
std::vector<std::string> adapter_targets(const Graph& graph, const AdapterOptions& options, const std::vector<std::string>& ops,
                                         const std::function<bool(const Node&)>& usual, const std::string& kind);

/// The layer that makes the first output: the last linear or conv2d before it with nothing but pooling, reshaping and the like between; "" if there
/// is none.
std::string head_of(const Graph& graph);

/// The graph with adapters, verified; meta["adapter"] is filled but for the base. The tensors that were there keep their names.
void insert_adapters(Graph& graph, const std::string& kind, InsertAdapters* insert, const core::Options& options);

/// What is trained: tensors of the adapters, of the head as the options say, and of norms where they ask for them.
std::set<std::string> adapter_parameters(const Graph& graph, const AdapterOptions& options, bool new_head);

/// The root digest of the base that a graph (graph::to_json) of an adapter file belongs to, and the name that the file had; "" for any other graph.
struct AdapterBase {
  std::string digest, file;
};
AdapterBase adapter_base(const Json& graph);
/// Throws ds::Error(kInput, path) for the graph of an adapter file: no model without its base.
void refuse_adapter(const Json& graph, const std::string& path);

/// Adds what adapters compute to the layers beside them, where both are linear, and takes their nodes out: W += s B A for a chain of two linear
/// layers A, B with a factor s (Hu et al. 2021, arXiv:2106.09685, section 4.1), the middle tap of a convolution's kernel for a chain of 1x1
/// convolutions (Rebuffi et al. 2018, arXiv:1803.10082, section 3.1). Arithmetic is float64. Others stay as they are: layers like any. meta["adapter"] is gone
/// where none stays. @return names of the layers that were changed
std::vector<std::string> merge_adapters(Graph& graph, std::map<std::string, io::Array>& tensors);

/// Multiply-accumulates of training with these parameters alone, for one sample: forward through all, backward from the output to the first layer
/// that has one of them, gradients of weights for those. A product's two gradients cost as much as itself each.
struct TrainingCost {
  std::int64_t forward = 0, backward_values = 0, backward_weights = 0;
  std::int64_t frozen_forward = 0;  ///< the part of `forward` in front of all that is trained
  std::int64_t total() const { return forward + backward_values + backward_weights; }
};
TrainingCost training_cost(const Graph& graph, const std::set<std::string>& trained, const Bindings& bindings = {});

/// Nodes that depend on the graph's inputs and on tensors outside `trained` alone.
std::set<std::string> frozen_prefix(const Graph& graph, const std::set<std::string>& trained);

}  // namespace ds::graph
