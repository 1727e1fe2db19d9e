// MobileNet, ShuffleNet, EfficientNet, RegNet, ConvNeXt: what their tensors' names and shapes do not say.
#include <cmath>

#include "base/graph/channels.h"
#include "unit/models/zoo.h"

using namespace ds;
using graph::Json;

namespace {

graph::Graph make(const std::string& arch, std::int64_t side, std::int64_t classes = 1000) {
  return models::build(zoo::choice(arch), classes, 3, side, side);
}

std::vector<double> probabilities(const graph::Graph& g, const std::string& op) {
  std::vector<double> all;
  for (const graph::Node& node : g.nodes)
    if (node.op == op) all.push_back(node.attrs["p"]);
  return all;
}

}  // namespace

TEST_CASE("zoo b: multiply-accumulates are those that torchvision states, in thousands of millions") {
  struct Size {
    const char* arch;
    double billions;
    std::int64_t side;
  };
  const Size sizes[] = {
      {"mobilenet_v2", 0.301, 224}, {"mobilenet_v3_large", 0.217, 224}, {"mobilenet_v3_small", 0.057, 224},
      {"shufflenet_v2_x0_5", 0.04, 224}, {"shufflenet_v2_x1_0", 0.145, 224}, {"shufflenet_v2_x1_5", 0.296, 224},
      {"shufflenet_v2_x2_0", 0.583, 224}, {"efficientnet_b0", 0.386, 224}, {"efficientnet_b1", 0.687, 240}, {"efficientnet_b2", 1.088, 288},
      {"efficientnet_b3", 1.827, 300}, {"efficientnet_b4", 4.394, 380}, {"efficientnet_b5", 10.266, 456}, {"efficientnet_b6", 19.068, 528},
      {"efficientnet_b7", 37.746, 600}, {"efficientnet_v2_s", 8.366, 384}, {"efficientnet_v2_m", 24.582, 480},
      {"efficientnet_v2_l", 56.08, 480}, {"regnet_x_400mf", 0.414, 224}, {"regnet_x_800mf", 0.8, 224}, {"regnet_x_1_6gf", 1.603, 224},
      {"regnet_x_3_2gf", 3.177, 224}, {"regnet_x_8gf", 7.995, 224}, {"regnet_x_16gf", 15.941, 224}, {"regnet_x_32gf", 31.736, 224},
      {"regnet_y_400mf", 0.402, 224}, {"regnet_y_800mf", 0.834, 224}, {"regnet_y_1_6gf", 1.612, 224}, {"regnet_y_3_2gf", 3.176, 224},
      {"regnet_y_8gf", 8.473, 224}, {"regnet_y_16gf", 15.912, 224}, {"regnet_y_32gf", 32.28, 224}, {"regnet_y_128gf", 374.57, 384},
      {"convnext_tiny", 4.456, 224}, {"convnext_small", 8.684, 224}, {"convnext_base", 15.355, 224}, {"convnext_large", 34.361, 224},
  };
  for (const auto& [arch, billions, side] : sizes) {
    CAPTURE(arch);
    CHECK(std::round(graph::cost(make(arch, side)).macs / 1e6) / 1e3 == doctest::Approx(billions).epsilon(1e-9));
  }
}

TEST_CASE("zoo b: dropout and stochastic depth are where the papers have them") {
  const std::pair<const char*, double> dropouts[] = {{"mobilenet_v2", 0.2},      {"mobilenet_v3_small", 0.2}, {"efficientnet_b0", 0.2},
                                                     {"efficientnet_b3", 0.3},   {"efficientnet_b4", 0.4},    {"efficientnet_b7", 0.5},
                                                     {"efficientnet_v2_l", 0.4}, {"efficientnet_lite2", 0.3}};
  for (const auto& [arch, p] : dropouts) {
    CAPTURE(arch);
    CHECK(probabilities(make(arch, 64), "dropout") == std::vector<double>{p});
  }
  for (const char* arch : {"shufflenet_v2_x1_0", "regnet_y_400mf", "convnext_tiny"}) {
    CAPTURE(arch);
    CHECK(probabilities(make(arch, 64), "dropout").empty());
    CHECK(probabilities(models::build(zoo::choice(arch), 10, 3, 64, 64, 0.3), "dropout") == std::vector<double>{0.3});
  }
  // Block i of n is left out with probability 0.2 i / n, where it has a sum at all: 9 of the 16 blocks of efficientnet_b0.
  const std::vector<double> b0 = probabilities(make("efficientnet_b0", 64), "drop_path");
  const std::vector<int> blocks = {2, 4, 6, 7, 9, 10, 12, 13, 14};
  REQUIRE(b0.size() == blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) CHECK(b0[i] == doctest::Approx(0.2 * blocks[i] / 16));
  CHECK(probabilities(make("efficientnet_lite0", 64), "drop_path") == b0);
  const std::vector<double> small = probabilities(make("convnext_small", 64), "drop_path");
  REQUIRE(small.size() == 35);  // the first of the 36 is always there
  for (std::size_t i = 0; i < small.size(); ++i) CHECK(small[i] == doctest::Approx(0.4 * double(i + 1) / 35));
}

TEST_CASE("zoo b: initialisers and norms are torchvision's") {
  const Json zeros = {{"kind", "zeros"}};
  const auto init = [](const graph::Graph& g, const char* tensor) { return g.tensor(tensor).init; };
  const auto fan_out = [](std::int64_t fan) { return Json{{"kind", "kaiming_normal"}, {"fan", fan}, {"gain", std::sqrt(2.0)}}; };
  const Json normal = {{"kind", "normal"}, {"mean", 0.0}, {"std", 0.01}}, cut = {{"kind", "truncated_normal"}, {"std", 0.02}};
  const graph::Graph v2 = make("mobilenet_v2", 32), v3 = make("mobilenet_v3_small", 32), b6 = make("efficientnet_b6", 32), next = make("convnext_tiny", 32);
  CHECK(init(v2, "features.1.conv.0.0.weight") == fan_out(32 * 9));  // depthwise: torch counts all of the output channels
  CHECK(init(v2, "classifier.1.weight") == normal);
  CHECK(init(v2, "classifier.1.bias") == zeros);
  CHECK(init(v3, "features.1.block.1.fc1.bias") == zeros);
  CHECK(init(v3, "classifier.0.weight") == normal);
  CHECK(init(b6, "features.1.0.block.1.fc2.bias") == zeros);
  CHECK(init(b6, "classifier.1.weight") == Json{{"kind", "uniform"}, {"a", -1 / std::sqrt(1000.0)}, {"b", 1 / std::sqrt(1000.0)}});
  CHECK(init(make("regnet_x_400mf", 32), "trunk_output.block1.block1-0.f.b.0.weight") == fan_out(32 * 9));
  CHECK(init(make("shufflenet_v2_x0_5", 32), "conv1.0.weight") == Json{{"kind", "kaiming_uniform"}, {"a", std::sqrt(5.0)}, {"fan_in", 27}});
  CHECK(init(next, "features.1.0.layer_scale") == Json{{"kind", "constant"}, {"value", 1e-6}});
  CHECK(init(next, "features.0.0.weight") == cut);
  CHECK(init(next, "features.1.0.block.3.weight") == cut);
  CHECK(init(next, "features.1.0.block.3.bias") == zeros);
  const auto norms = [](const graph::Graph& g) {
    std::set<std::pair<double, double>> all;
    for (const graph::Node& node : g.nodes)
      if (node.op == "batch_norm2d") all.emplace(node.attrs.value("eps", 1e-5), node.attrs.value("momentum", 0.1));
    return all;
  };
  using Norms = std::set<std::pair<double, double>>;
  CHECK(norms(v2) == Norms{{1e-5, 0.1}});
  CHECK(norms(v3) == Norms{{1e-3, 0.01}});
  CHECK(norms(make("efficientnet_b4", 32)) == Norms{{1e-5, 0.1}});
  CHECK(norms(b6) == Norms{{1e-3, 0.01}});
  CHECK(norms(make("efficientnet_v2_s", 32)) == Norms{{1e-3, 0.1}});
  CHECK(norms(make("efficientnet_lite0", 32)) == Norms{{1e-3, 0.01}});
}

TEST_CASE("zoo b: EfficientNet-Lite pads as TensorFlow does, odd rows and columns at the end") {
  const auto padding = [](std::int64_t side, const char* node) { return make("efficientnet_lite0", side).find_node(node)->attrs.value("padding", Json()); };
  CHECK(padding(224, "_conv_stem") == Json{0, 0, 1, 1});  // 112 outputs need 2 * 111 + 3 = 225 rows
  CHECK(padding(225, "_conv_stem") == Json{1, 1});        // 113 need 227
  CHECK(padding(224, "_blocks.3._depthwise_conv") == Json{1, 1, 2, 2});  // 5x5 of stride 2 on 56 rows: 28 need 59
  CHECK(padding(224, "_blocks.4._depthwise_conv") == Json{2, 2});
  CHECK(padding(224, "_blocks.4._expand_conv").is_null());
}

TEST_CASE("zoo b: a gate goes with the channels that it scales, a shuffled channel keeps its identity") {
  const auto members_with = [](const graph::Graph& g, const std::string& tensor, std::int64_t i) {
    const graph::ChannelClasses all = graph::channel_classes(g);
    CHECK(all.notes.empty());
    for (const graph::ChannelClass& entry : all.classes) {
      const auto found = entry.members.find({tensor, 0});
      if (found != entry.members.end() && std::count(found->second.begin(), found->second.end(), i)) return entry.members;
    }
    return decltype(graph::ChannelClass::members){};
  };
  // mobilenet_v3_small, features.4: expansion, depthwise, gate and projection share channel 5, which nothing else has.
  auto gated = members_with(make("mobilenet_v3_small", 32), "features.4.block.2.fc2.weight", 5);
  for (const char* tensor : {"features.4.block.0.0.weight", "features.4.block.1.0.weight", "features.4.block.2.fc2.bias"})
    CHECK(gated[{tensor, 0}] == std::vector<std::int64_t>{5});
  for (const char* tensor : {"features.4.block.2.fc1.weight", "features.4.block.3.0.weight"}) CHECK(gated[{tensor, 1}] == std::vector<std::int64_t>{5});
  CHECK(gated.count({"features.5.block.0.0.weight", 0}) == 0);
  // shufflenet_v2_x0_5, stage2.0 gives [branch1 | branch2] of 24 + 24 channels, shuffled to b1[0] b2[0] b1[1] b2[1] ...: channel 13 of branch2
  // is 27 of the value, and so 3 of the second half, which stage2.1 reads.
  auto shuffled = members_with(make("shufflenet_v2_x0_5", 32), "stage2.0.branch2.5.weight", 13);
  CHECK(shuffled[{"stage2.1.branch2.0.weight", 1}] == std::vector<std::int64_t>{3});
  CHECK(shuffled.count({"stage2.0.branch1.2.weight", 0}) == 0);
  // regnet_y_400mf, groups of 8 channels: the 3x3 convolution of 48 channels has 8 classes of 6.
  CHECK(members_with(make("regnet_y_400mf", 32), "trunk_output.block1.block1-0.f.b.0.weight", 0)[{"trunk_output.block1.block1-0.f.b.0.weight", 0}] ==
        std::vector<std::int64_t>{0, 8, 16, 24, 32, 40});
}

TEST_CASE("zoo b: sizes that do not fit are told") {
  CHECK_THROWS_WITH_AS(make("convnext_tiny", 28), doctest::Contains("convnext needs images of at least 32x32, the data have 28x28"), Error);
  CHECK_NOTHROW(make("convnext_tiny", 32));
  for (const char* arch : {"mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s", "efficientnet_lite0", "regnet_x_400mf"}) {
    CAPTURE(arch);
    CHECK_NOTHROW(make(arch, 1));  // as torchvision has it
  }
  CHECK(models::build(zoo::choice("convnext_base", {{"width", 8}}), 10, 3, 32, 32).tensor("features.7.0.layer_scale").shape == std::vector<std::int64_t>{64, 1, 1});
}
