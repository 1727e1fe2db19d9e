// Functions of one element that are no activations.
#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::math {

constexpr double kLargest = std::numeric_limits<float>::max();

class Clamp : public Unary {
 public:
  Clamp()
      : Unary("clamp", "its input, at least min and at most max",
              {{"min", AttrType::kFloat, -kLargest, -kLargest, kLargest}, {"max", AttrType::kFloat, kLargest, -kLargest, kLargest}}) {}

  std::vector<ValueType> infer(const NodeView& view) const override {
    if (view.f("min") > view.f("max")) view.fail(fmt::format("min is {}, max is {}: expected min <= max", view.f("min"), view.f("max")));
    return Unary::infer(view);
  }
};

const OpRegistrar clamp{std::make_unique<Clamp>()};
const OpRegistrar exp{std::make_unique<Unary>("exp", "e to the power of x")};

}  // namespace ds::graph::opset::math
