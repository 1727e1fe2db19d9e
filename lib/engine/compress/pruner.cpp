#include "engine/compress/pruner.h"

#include <ATen/ops/from_blob.h>

#include <cmath>

#include "base/core/error.h"

namespace ds::compress {

namespace {

/// Classes of attention heads: those that the attention nodes' outputs consist of.
std::set<int> head_classes(const graph::Graph& g, const graph::ChannelClasses& classes) {
  std::set<int> heads;
  for (const graph::Node& node : g.nodes) {
    if (node.op != "attention") continue;
    for (int axis = 0; axis < 3; ++axis) {
      const auto found = classes.values.find({node.output(), axis});
      if (found != classes.values.end()) heads.insert(found->second.begin(), found->second.end());
    }
  }
  heads.erase(-1);
  return heads;
}

/// What may be removed, by group, lowest score first.
struct Candidates {
  std::vector<std::vector<int>> groups;  ///< per channel group its removable classes
  std::vector<double> scores;
  std::size_t total = 0;
};

Candidates candidates(const exec::Model& model, const graph::ChannelClasses& classes, const commands::PruneSettings& settings, std::uint64_t seed) {
  Candidates c;
  const auto score = core::body<ScoreClasses>("criterion", settings.criterion.name);
  c.scores = score({model, classes, seed}, *settings.criterion.options);
  const std::set<int> heads = head_classes(model.graph, classes);
  for (const auto& group : classes.groups) {
    std::vector<int> list;
    for (const int k : group.classes) {
      const auto& cls = classes.classes[std::size_t(k)];
      if (cls.frozen || (cls.coupled && !settings.coupled)) continue;
      if (settings.target == "heads" && !heads.count(k)) continue;
      list.push_back(k);
    }
    // Equal scores go by place, so that the choice does not depend on the sort.
    std::stable_sort(list.begin(), list.end(), [&](int a, int b) { return c.scores[std::size_t(a)] < c.scores[std::size_t(b)]; });
    c.total += list.size();
    c.groups.push_back(std::move(list));
  }
  return c;
}

/// How many of `n` removable classes a group of `size` may lose at most.
std::size_t most(std::size_t n, std::size_t size, const commands::PruneSettings& settings) {
  const std::size_t keep = std::size_t(settings.min_channels);
  return size <= keep ? 0 : std::min(n, size - keep);
}

/// Rounds a group's removals down so that a multiple of round_to is kept, where the group had one.
std::size_t rounded(std::size_t remove, std::size_t size, const commands::PruneSettings& settings) {
  const std::size_t unit = std::size_t(settings.round_to);
  return unit > 1 && size % unit == 0 ? remove / unit * unit : remove;
}

std::set<int> choose(const graph::ChannelClasses& classes, const Candidates& c, const commands::PruneSettings& settings, double ratio) {
  std::vector<std::size_t> remove(c.groups.size(), 0);
  if (settings.scope == "local") {
    for (std::size_t g = 0; g < c.groups.size(); ++g) remove[g] = std::size_t(std::floor(ratio * double(c.groups[g].size()) + 1e-9));
  } else {
    std::vector<std::pair<double, std::size_t>> ranked;  // score, group; within a group in its own order
    for (std::size_t g = 0; g < c.groups.size(); ++g) {
      const std::size_t limit = most(c.groups[g].size(), classes.groups[g].classes.size(), settings);
      for (std::size_t i = 0; i < limit; ++i) ranked.push_back({c.scores[std::size_t(c.groups[g][i])], g});
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    const std::size_t wanted = std::min(ranked.size(), std::size_t(std::floor(ratio * double(c.total) + 1e-9)));
    for (std::size_t i = 0; i < wanted; ++i) ++remove[ranked[i].second];
  }
  std::set<int> removed;
  for (std::size_t g = 0; g < c.groups.size(); ++g) {
    const std::size_t size = classes.groups[g].classes.size();
    const std::size_t n = rounded(std::min(remove[g], most(c.groups[g].size(), size, settings)), size, settings);
    removed.insert(c.groups[g].begin(), c.groups[g].begin() + std::ptrdiff_t(n));
  }
  return removed;
}

std::int64_t macs_without(const graph::Graph& g, const graph::ChannelClasses& classes, const std::set<int>& removed) {
  return graph::cost(removed.empty() ? g : graph::slice_graph(g, graph::keep_without(g, classes, removed))).macs;
}

/// The smallest ratio of channels that saves the wanted share of multiply-accumulates, by bisection.
std::set<int> choose_by_macs(const graph::Graph& g, const graph::ChannelClasses& classes, const Candidates& c, const commands::PruneSettings& settings) {
  const double wanted = double(graph::cost(g).macs) * (1 - settings.ratio);
  double low = 0, high = 1;
  std::set<int> best = choose(classes, c, settings, high);
  if (double(macs_without(g, classes, best)) > wanted) return best;
  for (int i = 0; i < 14; ++i) {
    const double middle = (low + high) / 2;
    const std::set<int> removed = choose(classes, c, settings, middle);
    if (double(macs_without(g, classes, removed)) <= wanted) {
      high = middle;
      best = removed;
    } else {
      low = middle;
    }
  }
  return best;
}

Json describe(const graph::ChannelClasses& classes, const std::set<int>& removed) {
  Json layers = Json::array(), frozen = Json::array();
  for (const auto& group : classes.groups) {
    std::size_t kept = 0;
    std::string reason;
    for (const int k : group.classes) {
      kept += removed.count(k) == 0;
      if (reason.empty()) reason = classes.classes[std::size_t(k)].reason;
    }
    if (group.frozen) frozen.push_back({{"name", group.name}, {"channels", group.classes.size()}, {"reason", reason}});
    else layers.push_back({{"name", group.name}, {"channels", group.classes.size()}, {"kept", kept}});
  }
  return {{"layers", layers}, {"frozen", frozen}, {"notes", classes.notes}};
}

}  // namespace

at::Tensor weight_values(const exec::Model& model, const std::string& tensor) {
  const graph::TensorSpec& spec = model.graph.tensor(tensor);
  const at::Tensor& value = model.tensors.at(tensor);
  if (io::is_float(spec.dtype)) {
    if (spec.role != graph::Role::kParameter) return {};
    const bool scale = tensor.size() > 6 && tensor.ends_with("_scale");
    return scale ? at::Tensor() : value.detach().to(at::kDouble);
  }
  if (spec.dtype != io::DType::kI8) return {};
  for (const graph::Node& node : model.graph.nodes) {
    const auto weight = node.slots.find("weight"), scale = node.slots.find("weight_scale");
    if (weight == node.slots.end() || scale == node.slots.end() || weight->second.tensor != tensor) continue;
    std::vector<std::int64_t> shape(std::size_t(value.dim()), 1);
    shape[0] = -1;
    return value.to(at::kDouble).mul(model.tensors.at(scale->second.tensor).to(at::kDouble).reshape(shape));
  }
  return {};
}

PrunePlan plan_pruning(const exec::Model& model, const commands::PruneSettings& settings, std::uint64_t seed) {
  const graph::ChannelClasses classes = graph::channel_classes(model.graph);
  const Candidates c = candidates(model, classes, settings, seed);
  if (c.total == 0) {
    std::string why = settings.target == "heads" ? "no attention heads that may go" : "no channels that may go";
    for (const auto& group : classes.groups)
      if (!group.classes.empty() && !classes.classes[std::size_t(group.classes[0])].reason.empty())
        why += "; " + group.name + ": " + classes.classes[std::size_t(group.classes[0])].reason;
    throw Error(Exit::kUsage, "--target " + settings.target, why, settings.coupled ? "" : "--coupled also removes what norms average over");
  }
  PrunePlan plan;
  plan.removed = settings.target == "macs" ? choose_by_macs(model.graph, classes, c, settings) : choose(classes, c, settings, settings.ratio);
  plan.keep = graph::keep_without(model.graph, classes, plan.removed);
  plan.report = describe(classes, plan.removed);
  return plan;
}

exec::Model slice(const exec::Model& model, const graph::Keep& keep) {
  exec::Model out;
  out.graph = graph::slice_graph(model.graph, keep);
  for (const auto& spec : out.graph.tensors)
    out.tensors[spec.name] = exec::to_tensor(graph::slice_array(exec::to_array(model.tensors.at(spec.name)), spec.name, keep));
  return out;
}

exec::Model mask(const exec::Model& model, const graph::Keep& keep) {
  exec::Model out = model.clone();
  for (const auto& [place, kept] : keep) {
    if (model.graph.tensor(place.first).role != graph::Role::kParameter) continue;  // a scale or variance of 0 means nothing
    at::Tensor& t = out.tensors.at(place.first);
    std::set<std::int64_t> stays(kept.begin(), kept.end());
    for (std::int64_t i = 0; i < t.size(place.second); ++i)
      if (!stays.count(i)) t.select(place.second, i).zero_();
  }
  return out;
}

}  // namespace ds::compress
