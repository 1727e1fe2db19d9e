#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::lenet {

struct Options : ArchOptions {};

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  require_size(o, "lenet", 12);
  graph::Builder b;
  graph::Value x = b.relu("relu1", b.conv2d("conv1", image(b, o), 6, 5, 1, 2));
  x = b.max_pool2d("pool1", x, 2, 2);
  x = b.relu("relu2", b.conv2d("conv2", x, 16, 5));
  x = b.flatten("flatten", b.max_pool2d("pool2", x, 2, 2));
  x = b.relu("relu3", b.linear("fc1", x, 120));
  x = b.relu("relu4", b.linear("fc2", x, 84));
  x = dropout(b, "dropout", x, o, 0);
  b.output("logits", b.linear("fc3", x, o.num_classes));
  return b.finish();
}

const Architecture entry =
    Architecture::make<Options>("lenet", "LeNet-5 with ReLU and max pooling: 61,706 parameters for 10 classes of 1x28x28",
                                "LeCun et al. 1998, Gradient-based learning applied to document recognition, section II.B", build, Usual{28, 1, 10});

}  // namespace ds::models::lenet
