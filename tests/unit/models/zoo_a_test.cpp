// AlexNet, VGG, ResNet, DenseNet, GoogLeNet, Inception, SqueezeNet, MNASNet: what their tensors' names and shapes do not say.
#include <cmath>

#include "base/graph/channels.h"
#include "unit/models/zoo.h"

using namespace ds;
using graph::Json;

namespace {

graph::Graph make(const std::string& arch, std::int64_t side, std::int64_t classes = 1000) {
  return models::build(zoo::choice(arch), classes, 3, side, side);
}

std::vector<double> dropouts(const std::string& arch, double stated = -1) {
  std::vector<double> all;
  const graph::Graph g = models::build(zoo::choice(arch), 10, 3, 96, 96, stated);
  for (const graph::Node& node : g.nodes)
    if (node.op == "dropout") all.push_back(node.attrs["p"]);
  return all;
}

}  // namespace

TEST_CASE("zoo: multiply-accumulates are those that torchvision states, in thousands of millions") {
  const std::pair<const char*, double> sizes[] = {
      {"alexnet", 0.714},          {"vgg11", 7.609},            {"vgg13", 11.308},           {"vgg16", 15.47},           {"vgg19", 19.632},
      {"vgg11_bn", 7.609},         {"vgg13_bn", 11.308},        {"vgg16_bn", 15.47},         {"vgg19_bn", 19.632},       {"wide_resnet50_2", 11.398},
      {"wide_resnet101_2", 22.753}, {"resnext50_32x4d", 4.23},  {"resnext101_32x8d", 16.414}, {"resnext101_64x4d", 15.46}, {"densenet121", 2.834},
      {"densenet161", 7.728},      {"densenet169", 3.36},       {"densenet201", 4.291},      {"googlenet", 1.498},       {"squeezenet1_0", 0.819},
      {"squeezenet1_1", 0.349},    {"mnasnet0_5", 0.104},       {"mnasnet0_75", 0.215},      {"mnasnet1_0", 0.314},      {"mnasnet1_3", 0.526}};
  for (const auto& [arch, billions] : sizes) {
    CAPTURE(arch);
    CHECK(std::round(graph::cost(make(arch, 224)).macs / 1e6) / 1e3 == doctest::Approx(billions).epsilon(1e-9));
  }
  CHECK(std::round(graph::cost(make("inception_v3", 299)).macs / 1e6) / 1e3 == doctest::Approx(5.713).epsilon(1e-9));
}

TEST_CASE("zoo: dropout is where the papers have it, unless it is stated") {
  CHECK(dropouts("alexnet") == std::vector<double>{0.5, 0.5});
  CHECK(dropouts("vgg16_bn") == std::vector<double>{0.5, 0.5});
  CHECK(dropouts("googlenet") == std::vector<double>{0.2});
  CHECK(dropouts("inception_v3") == std::vector<double>{0.5});
  CHECK(dropouts("squeezenet1_0") == std::vector<double>{0.5});
  CHECK(dropouts("mnasnet1_0") == std::vector<double>{0.2});
  CHECK(dropouts("densenet121").empty());
  CHECK(dropouts("densenet121", 0.1).size() == 6 + 12 + 24 + 16);
  CHECK(dropouts("vgg16", 0).empty());
  CHECK(dropouts("vgg16", 0.3) == std::vector<double>{0.3, 0.3});
}

TEST_CASE("zoo: initialisers are torchvision's") {
  const Json zeros = {{"kind", "zeros"}};
  const auto init = [](const graph::Graph& g, const char* tensor) { return g.tensor(tensor).init; };
  const auto normal = [](double std) { return Json{{"kind", "normal"}, {"mean", 0.0}, {"std", std}}; };
  const graph::Graph alex = make("alexnet", 64);
  CHECK(init(alex, "features.0.weight") == Json{{"kind", "kaiming_uniform"}, {"a", std::sqrt(5.0)}, {"fan_in", 3 * 121}});
  const graph::Graph vgg = make("vgg11_bn", 32);
  CHECK(init(vgg, "features.4.weight") == Json{{"kind", "kaiming_normal"}, {"fan", 128 * 9}, {"gain", std::sqrt(2.0)}});
  CHECK(init(vgg, "features.4.bias") == zeros);
  CHECK(init(vgg, "classifier.6.weight") == normal(0.01));
  CHECK(init(vgg, "classifier.6.bias") == zeros);
  const graph::Graph dense = make("densenet121", 32);
  CHECK(init(dense, "features.denseblock1.denselayer1.conv2.weight") == Json{{"kind", "kaiming_normal"}, {"fan", 128 * 9}, {"gain", std::sqrt(2.0)}});
  CHECK(init(dense, "classifier.bias") == zeros);
  CHECK(init(make("googlenet", 32), "inception4b.branch3.1.conv.weight") == normal(0.01));
  CHECK(init(make("inception_v3", 80), "Mixed_6b.branch7x7_2.conv.weight") == normal(0.1));
  const graph::Graph squeeze = make("squeezenet1_1", 32);
  CHECK(init(squeeze, "features.3.squeeze.weight") == Json{{"kind", "kaiming_uniform"}, {"a", 0.0}, {"fan_in", 64}});
  CHECK(init(squeeze, "features.3.squeeze.bias") == zeros);
  CHECK(init(squeeze, "classifier.1.weight") == normal(0.01));
  const graph::Graph mnas = make("mnasnet0_5", 32);
  CHECK(init(mnas, "layers.3.weight") == Json{{"kind", "kaiming_normal"}, {"fan", 16 * 9}, {"gain", std::sqrt(2.0)}});
  CHECK(init(mnas, "classifier.1.weight") == Json{{"kind", "kaiming_uniform"}, {"a", 1.0}, {"fan_in", 1000}});
  CHECK(mnas.find_node("layers.1")->attrs["momentum"] == doctest::Approx(0.0003));
}

TEST_CASE("zoo: images that are too small are told with the layer, and VGG takes any size that its poolings leave") {
  const auto failure = [](const std::string& arch, std::int64_t side) -> std::string {
    try {
      make(arch, side, 10);
    } catch (const Error& e) {
      CHECK(e.code() == Exit::kUsage);
      return e.what();
    }
    return "no error";
  };
  CHECK(failure("vgg11", 31) ==
        "model.arch: 'vgg11' does not fit images of 3x31x31: node 'features.20' (max_pool2d): a window of 2 does not fit into 1 + 2 * 0 (size and "
        "padding); use larger images or a smaller model");
  CHECK(failure("inception_v3", 74).find("does not fit images of 3x74x74: node 'Mixed_7a") != std::string::npos);
  for (const auto& [arch, least] : {std::pair{"alexnet", 63}, {"vgg19", 32}, {"densenet121", 29}, {"googlenet", 15}, {"inception_v3", 75},
                                    {"squeezenet1_0", 21}, {"squeezenet1_1", 17}}) {  // as torchvision states them
    CAPTURE(arch);
    CHECK(failure(arch, least) == "no error");
    CHECK(failure(arch, least - 1) != "no error");
  }
  CHECK(make("vgg11", 224).find_node("avgpool") == nullptr);  // 7x7 already
  CHECK(make("vgg11", 64).find_node("avgpool")->op == "adaptive_avg_pool2d");
}

TEST_CASE("zoo: groups of ResNeXt and branches of concatenations lose what goes together") {
  const graph::Graph g = make("resnext50_32x4d", 32, 10);
  const graph::ChannelClasses all = graph::channel_classes(g);
  // The 3x3 convolution of the first block: 128 channels in 32 groups of 4, so that 4 classes of 32 channels each may go.
  std::size_t classes = 0;
  for (const graph::ChannelClass& entry : all.classes) {
    const auto found = entry.members.find({"layer1.0.conv2.weight", 0});
    if (found == entry.members.end()) continue;
    ++classes;
    CHECK(found->second.size() == 32);
  }
  CHECK(classes == 4);
  // Channels of a DenseNet's first convolution are read by the norms of every layer of the first block and of the transition.
  const graph::Graph dense = make("densenet121", 32, 10);
  const graph::ChannelClasses of_dense = graph::channel_classes(dense);
  for (const graph::ChannelClass& entry : of_dense.classes) {
    if (!entry.members.count({"features.conv0.weight", 0})) continue;
    std::size_t norms = 0;
    for (const auto& [key, indices] : entry.members) norms += key.first.ends_with("running_mean");
    CHECK(norms == 1 + 6 + 1);
    CHECK(!entry.frozen);
  }
}
