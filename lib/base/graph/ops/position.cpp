// Where a token is: rotary turns, learned biases by distance, the last token of a sequence.
#include "base/graph/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::position {

/// Features i and i + d/2 of each head are turned as a point of the plane by the position times a frequency of i (Su et al. 2021,
/// arXiv:2104.09864, eq. 34, with the halves in the order of Hugging Face's Llama).
class Rope : public Op {
 public:
  Rope() {
    name = "rope";
    summary = "turns pairs of features of each head of [N, S, heads * d] by angles that grow with the position";
    attrs = {{"heads", AttrType::kInt, nullptr, 1, 65536},
             {"base", AttrType::kFloat, 10000.0, 1, 1e12},
             {.name = "scaling", .type = AttrType::kString, .default_value = "none", .choices = {"none", "llama3"}},
             {"factor", AttrType::kFloat, 1.0, 1e-3, 1e6},
             {"low_freq_factor", AttrType::kFloat, 1.0, 1e-3, 1e6},
             {"high_freq_factor", AttrType::kFloat, 4.0, 1e-3, 1e6},
             {"original_positions", AttrType::kInt, 8192, 1, kMaxSize}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    head_dim(view);
    if (view.s("scaling") == "llama3" && view.f("low_freq_factor") >= view.f("high_freq_factor"))
      view.fail(fmt::format("low_freq_factor is {}, expected less than high_freq_factor ({})", view.f("low_freq_factor"), view.f("high_freq_factor")));
    return {view.input()};
  }

  Dim macs(const NodeView& view) const override { return product(view.input().dims, 0, 3) * Dim(2); }

  /// A pair's frequency depends on its place in the head: heads go as a whole.
  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "is an axis of positions", 2);
    const Atoms atoms = rule.input(0, 2);
    if (atoms.empty()) return;
    const std::size_t d = static_cast<std::size_t>(head_dim(rule.view()));
    for (std::size_t i = 0; i < atoms.size(); ++i) rule.unify(atoms[i / d * d], atoms[i]);
    rule.output(0, 2, atoms);
  }

  void resize(const NodeView& old, const NodeView& view, Json& attrs) const override {
    attrs["heads"] = known(view, 0, 2, "features") / head_dim(old);
  }

 private:
  static std::int64_t head_dim(const NodeView& view) {
    require_float(view);
    require_rank(view, 0, 3);
    const std::int64_t features = known(view, 0, 2, "features"), heads = view.i("heads");
    if (features % (2 * heads) != 0) view.fail(fmt::format("{} features cannot be divided into {} heads of pairs", features, heads));
    return features / heads;
  }
};

class RelativeBias : public Op {
 public:
  RelativeBias() {
    name = "relative_bias";
    summary = "learned bias of attention by distance, [1, heads, S, T] for queries [N, S, ...] and keys [N, T, ...]; only the sizes are read";
    attrs = {{"heads", AttrType::kInt, nullptr, 1, 65536},
             {"buckets", AttrType::kInt, 32, 2, 65536},
             {"max_distance", AttrType::kInt, 128, 1, kMaxSize},
             {"bidirectional", AttrType::kBool, true}};
    min_inputs = max_inputs = 2;
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    return {{.name = "weight", .shape = {view.i("buckets"), view.i("heads")}, .init = {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.02}}}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    for (const std::size_t i : {0, 1}) require_rank_at_least(view, i, 2);
    const std::int64_t one_way = view.i("buckets") / (view.b("bidirectional") ? 2 : 1);
    if (one_way < 2) view.fail("has 2 buckets, expected at least 4 for distances in both directions");
    if (view.i("max_distance") <= one_way / 2)
      view.fail(fmt::format("max_distance is {}, expected more than the {} distances that have a bucket of their own", view.i("max_distance"), one_way / 2));
    return {{DType::kF32, {1, view.i("heads"), view.input(0).dims[1], view.input(1).dims[1]}}};
  }

  Dim macs(const NodeView&) const override { return 0; }  // rows of a table

  void channels(ChannelRule& rule) const override {
    for (const std::size_t i : {0, 1})
      if (const Atoms atoms = rule.input(i, 1); !atoms.empty()) rule.freeze(atoms, "is an axis of positions");
    rule.freeze(rule.slot("weight", 0), "is a row of a table of distances");
    rule.output(0, 1, rule.slot("weight", 1));
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { attrs["heads"] = view.slot_shape("weight")[1]; }
};

class LastToken : public Op {
 public:
  LastToken() {
    name = "last_token";
    summary = "of each sequence of [N, S, D] the last token that the mask, int64 [N, S], does not have at 0: [N, D]; the first where all are 0";
    min_inputs = max_inputs = 2;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank(view, 0, 3);
    const std::vector<Dim>&x = view.input(0).dims, &mask = view.input(1).dims;
    if (view.input(1).dtype != DType::kI64 || mask.size() != 2 || !(x[0] == mask[0]) || !(x[1] == mask[1]))
      view.fail(fmt::format("the mask is {}, expected int64[{}, {}] for {}", text(view.input(1)), x[0].text(), x[1].text(), text(view.input(0))));
    return {{view.input(0).dtype, {x[0], x[2]}}};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "is an axis of tokens", 2);
    freeze_axes(rule, 1, "is an axis of a mask");
    const Atoms atoms = rule.input(0, 2);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }
};

const OpRegistrar rope{std::make_unique<Rope>()};
const OpRegistrar relative_bias{std::make_unique<RelativeBias>()};
const OpRegistrar last_token{std::make_unique<LastToken>()};

}  // namespace ds::graph::opset::position

namespace ds::graph {

std::vector<double> rope_frequencies(const NodeView& view) {
  const double base = view.f("base"), factor = view.f("factor"), low = view.f("low_freq_factor"), high = view.f("high_freq_factor");
  const double positions = static_cast<double>(view.i("original_positions"));
  const std::int64_t d = view.input().dims[2].value() / view.i("heads");
  std::vector<double> frequencies(static_cast<std::size_t>(d / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    double& f = frequencies[i];
    f = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(d));
    if (view.s("scaling") == "none") continue;
    const double waves = positions * f / (2 * M_PI);  // that fit into the positions of the first training
    const double whole = std::clamp((waves - low) / (high - low), 0.0, 1.0);
    f *= whole + (1 - whole) / factor;
  }
  return frequencies;
}

std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t max_distance, bool bidirectional) {
  std::int64_t first = 0;
  if (bidirectional) {
    buckets /= 2;
    if (distance > 0) first = buckets;
  } else if (distance > 0) {
    distance = 0;  // keys that come later, which a causal mask hides
  }
  distance = std::abs(distance);
  const std::int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  // In float32, as those who trained such nets computed it.
  const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  return first + std::min(buckets - 1, exact + static_cast<std::int64_t>(ratio * static_cast<float>(buckets - exact)));
}

}  // namespace ds::graph
