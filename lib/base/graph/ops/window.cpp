// What attention in shifted windows needs (Liu et al. 2021, "Swin Transformer", arXiv:2103.14030, section 3.2).
#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::window_attention {

/// After a cyclic shift a window may hold parts of the image that are not neighbours. The last window of a row has two such parts, divided at
/// `shift` from the end; so has that of a column.
class WindowMask : public Op {
 public:
  WindowMask() {
    name = "window_mask";
    summary = "mask of attention in the windows of an image that was shifted: [windows, 1, P, P] of 0, and `value` between pixels that were apart";
    attrs = {{"size", AttrType::kInts, nullptr, 1, 65536},
             {"window", AttrType::kInts, nullptr, 1, 4096},
             {"shift", AttrType::kInts, nullptr, 0, 4095},
             {"value", AttrType::kFloat, -100.0}};
    min_inputs = max_inputs = 0;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const auto size = pair(view, "size"), window = pair(view, "window"), shift = pair(view, "shift");
    for (std::size_t i = 0; i < 2; ++i) {
      if (size[i] % window[i] != 0) view.fail(fmt::format("windows of {} do not divide a side of {}", window[i], size[i]));
      if (shift[i] >= window[i]) view.fail(fmt::format("shift is {}, expected less than the window's {}", shift[i], window[i]));
    }
    const std::int64_t pixels = window[0] * window[1];
    return {{DType::kF32, {size[0] / window[0] * (size[1] / window[1]), 1, pixels, pixels}}};
  }

  void channels(ChannelRule&) const override {}  // no axis has channels
};

const OpRegistrar window_mask{std::make_unique<WindowMask>()};

}  // namespace ds::graph::opset::window_attention
