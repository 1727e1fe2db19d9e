#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::resample {

class Upsample2d : public Op {
 public:
  Upsample2d() {
    name = "upsample2d";
    summary = "[N, C, H, W] made larger by whole factors [height, width]: the nearest pixel, or between pixels (align_corners: corners stay corners)";
    attrs = {{"scale", AttrType::kInts, nullptr, 1, 4096},
             {.name = "mode", .type = AttrType::kString, .default_value = "nearest", .choices = {"nearest", "bilinear"}},
             {"align_corners", AttrType::kBool, false}};
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    require_rank(view, 0, 4);
    if (view.b("align_corners") && view.s("mode") == "nearest") view.fail("align_corners is of use with mode bilinear alone");
    const auto scale = pair(view, "scale");
    ValueType type = view.input();
    for (std::size_t i = 0; i < 2; ++i) type.dims[2 + i] = type.dims[2 + i] * Dim(scale[i]);
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, "is enlarged along this axis", 1);
    const Atoms atoms = rule.input(0, 1);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }
};

const OpRegistrar upsample2d{std::make_unique<Upsample2d>()};

}  // namespace ds::graph::opset::resample
