#include "base/graph/ops/common.h"

namespace ds::graph::opset::activation {

class Softmax : public Op {
 public:
  Softmax() {
    name = "softmax";
    summary = "exp(x) over its sum along an axis";
    attrs = {{"axis", AttrType::kInt, -1, -8, 7}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank_at_least(view, 0, 1);
    axis_of(view, view.i("axis"), rank(view));
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    const Atoms atoms = rule.input(0, axis_of(rule.view(), rule.view().i("axis"), rank(rule.view())));
    if (!atoms.empty()) rule.couple(atoms);  // the sum runs over the channels that stay
    pass_axes(rule);
  }
};

const OpRegistrar relu{std::make_unique<Unary>("relu", "max(x, 0)")};
const OpRegistrar relu6{std::make_unique<Unary>("relu6", "clamp(x, 0, 6)")};
const OpRegistrar sigmoid{std::make_unique<Unary>("sigmoid", "1 / (1 + exp(-x))")};
const OpRegistrar tanh{std::make_unique<Unary>("tanh", "hyperbolic tangent")};
const OpRegistrar silu{std::make_unique<Unary>("silu", "x * sigmoid(x)")};
const OpRegistrar hardswish{std::make_unique<Unary>("hardswish", "x * clamp(x + 3, 0, 6) / 6")};
const OpRegistrar hardsigmoid{std::make_unique<Unary>("hardsigmoid", "clamp(x + 3, 0, 6) / 6")};
const OpRegistrar gelu{std::make_unique<Unary>(
    "gelu", "x times the normal distribution function of x, exact or by tanh",
    std::vector<AttrSpec>{{.name = "approximate", .type = AttrType::kString, .default_value = "none", .choices = {"none", "tanh"}}})};
const OpRegistrar scale{std::make_unique<Unary>("scale", "its input times a constant", std::vector<AttrSpec>{{"factor", AttrType::kFloat, nullptr}})};
const OpRegistrar softmax{std::make_unique<Softmax>()};
const OpRegistrar identity{std::make_unique<Unary>("identity", "its input", std::vector<AttrSpec>{}, true)};

}  // namespace ds::graph::opset::activation
