#include "base/graph/builder.h"
#include "base/models/parts.h"

namespace ds::models::inception {

struct Options : ArchOptions {};

/// One module of the net: its convolutions are called `<name>.<branch>`, each with BatchNorm and ReLU.
struct Module {
  graph::Builder& b;
  std::string name;

  /// @param rows, columns  the kernel; padded so that the size stays, unless `stride` is 2
  graph::Value conv(const char* branch, const graph::Value& x, std::int64_t out, std::int64_t rows, std::int64_t columns, std::int64_t stride = 1) const {
    graph::Json attrs = {{"out_channels", out}, {"kernel", {rows, columns}}};
    if (stride == 1 && rows * columns > 1) attrs["padding"] = {rows / 2, columns / 2};
    if (stride != 1) attrs["stride"] = {stride, stride};
    const std::string path = name + "." + branch;
    const graph::Value y = b.node("conv2d", path + ".conv", {x}, std::move(attrs), {}, {"bias"});
    return b.relu(path + ".relu", b.batch_norm2d(path + ".bn", y, 1e-3));
  }
  graph::Value average(const graph::Value& x) const {
    return b.node("avg_pool2d", name + ".pool", {x}, {{"kernel", {3, 3}}, {"stride", {1, 1}}, {"padding", {1, 1}}});
  }
  graph::Value maximum(const graph::Value& x) const { return b.max_pool2d(name + ".pool", x, 3, 2); }
  graph::Value concat(const char* what, const std::vector<graph::Value>& values) const {
    return b.node("concat", name + "." + what, values, {{"axis", 1}});
  }
};

graph::Value module_a(const Module& m, const graph::Value& x, std::int64_t pool) {
  const graph::Value one = m.conv("branch1x1", x, 64, 1, 1);
  const graph::Value five = m.conv("branch5x5_2", m.conv("branch5x5_1", x, 48, 1, 1), 64, 5, 5);
  graph::Value three = m.conv("branch3x3dbl_2", m.conv("branch3x3dbl_1", x, 64, 1, 1), 96, 3, 3);
  three = m.conv("branch3x3dbl_3", three, 96, 3, 3);
  return m.concat("concat", {one, five, three, m.conv("branch_pool", m.average(x), pool, 1, 1)});
}

graph::Value module_b(const Module& m, const graph::Value& x) {
  const graph::Value three = m.conv("branch3x3", x, 384, 3, 3, 2);
  const graph::Value twice = m.conv("branch3x3dbl_2", m.conv("branch3x3dbl_1", x, 64, 1, 1), 96, 3, 3);
  return m.concat("concat", {three, m.conv("branch3x3dbl_3", twice, 96, 3, 3, 2), m.maximum(x)});
}

graph::Value module_c(const Module& m, const graph::Value& x, std::int64_t width) {
  const graph::Value one = m.conv("branch1x1", x, 192, 1, 1);
  graph::Value seven = m.conv("branch7x7_2", m.conv("branch7x7_1", x, width, 1, 1), width, 1, 7);
  seven = m.conv("branch7x7_3", seven, 192, 7, 1);
  graph::Value twice = m.conv("branch7x7dbl_2", m.conv("branch7x7dbl_1", x, width, 1, 1), width, 7, 1);
  twice = m.conv("branch7x7dbl_4", m.conv("branch7x7dbl_3", twice, width, 1, 7), width, 7, 1);
  twice = m.conv("branch7x7dbl_5", twice, 192, 1, 7);
  return m.concat("concat", {one, seven, twice, m.conv("branch_pool", m.average(x), 192, 1, 1)});
}

graph::Value module_d(const Module& m, const graph::Value& x) {
  const graph::Value three = m.conv("branch3x3_2", m.conv("branch3x3_1", x, 192, 1, 1), 320, 3, 3, 2);
  graph::Value seven = m.conv("branch7x7x3_2", m.conv("branch7x7x3_1", x, 192, 1, 1), 192, 1, 7);
  seven = m.conv("branch7x7x3_4", m.conv("branch7x7x3_3", seven, 192, 7, 1), 192, 3, 3, 2);
  return m.concat("concat", {three, seven, m.maximum(x)});
}

graph::Value module_e(const Module& m, const graph::Value& x) {
  const graph::Value one = m.conv("branch1x1", x, 320, 1, 1);
  const graph::Value a = m.conv("branch3x3_1", x, 384, 1, 1);
  const graph::Value three = m.concat("branch3x3", {m.conv("branch3x3_2a", a, 384, 1, 3), m.conv("branch3x3_2b", a, 384, 3, 1)});
  const graph::Value c = m.conv("branch3x3dbl_2", m.conv("branch3x3dbl_1", x, 448, 1, 1), 384, 3, 3);
  const graph::Value twice = m.concat("branch3x3dbl", {m.conv("branch3x3dbl_3a", c, 384, 1, 3), m.conv("branch3x3dbl_3b", c, 384, 3, 1)});
  return m.concat("concat", {one, three, twice, m.conv("branch_pool", m.average(x), 192, 1, 1)});
}

/// The first convolutions: as in a module, but their names have no branch and only one is padded.
graph::Value stem_conv(graph::Builder& b, const std::string& name, const graph::Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                       std::int64_t padding) {
  return b.relu(name + ".relu", b.batch_norm2d(name + ".bn", b.conv2d(name + ".conv", x, out, kernel, stride, padding, false), 1e-3));
}

graph::Graph build(const core::Options& base) {
  const auto& o = static_cast<const Options&>(base);
  graph::Builder b;
  graph::Value x = stem_conv(b, "Conv2d_1a_3x3", image(b, o), 32, 3, 2, 0);
  x = stem_conv(b, "Conv2d_2a_3x3", x, 32, 3, 1, 0);
  x = b.max_pool2d("maxpool1", stem_conv(b, "Conv2d_2b_3x3", x, 64, 3, 1, 1), 3, 2);
  x = stem_conv(b, "Conv2d_3b_1x1", x, 80, 1, 1, 0);
  x = b.max_pool2d("maxpool2", stem_conv(b, "Conv2d_4a_3x3", x, 192, 3, 1, 0), 3, 2);
  x = module_a({b, "Mixed_5b"}, x, 32);
  x = module_a({b, "Mixed_5c"}, x, 64);
  x = module_a({b, "Mixed_5d"}, x, 64);
  x = module_b({b, "Mixed_6a"}, x);
  x = module_c({b, "Mixed_6b"}, x, 128);
  x = module_c({b, "Mixed_6c"}, x, 160);
  x = module_c({b, "Mixed_6d"}, x, 160);
  x = module_c({b, "Mixed_6e"}, x, 192);
  x = module_d({b, "Mixed_7a"}, x);
  x = module_e({b, "Mixed_7b"}, x);
  x = module_e({b, "Mixed_7c"}, x);
  x = dropout(b, "dropout", b.flatten("flatten", b.global_avg_pool("avgpool", x)), o, 0.5);
  b.output("logits", b.linear("fc", x, o.num_classes));
  graph::Graph graph = b.finish();
  init_normal(graph, "conv2d", 0.1);  // torchvision cuts at 20 deviations, so nowhere
  init_normal(graph, "linear", 0.1);
  return graph;
}

const Architecture entry = Architecture::make<Options>(
    "inception_v3", "branches of factored convolutions, without the auxiliary head: 23.8 million parameters for 1,000 classes; images of 75x75 or more",
    "Szegedy et al. 2016, arXiv:1512.00567, section 6", build, Usual{299, 3, 1000, {"AuxLogits."}, /*centred=*/true});

}  // namespace ds::models::inception
