#include "base/models/models.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "base/core/error.h"
#include "base/core/tool.h"
#include "base/graph/channels.h"
#include "unit/models/zoo.h"

using namespace ds;
using Shape = std::vector<std::int64_t>;

namespace {

using zoo::choice;

graph::Graph make(const std::string& arch, Shape image, std::int64_t classes, const graph::Json& options = graph::Json::object(),
                  double dropout = -1) {
  return models::build(choice(arch, options), classes, image[0], image[1], image[2], dropout);
}

std::string failure(const std::string& arch, Shape image, const graph::Json& options = graph::Json::object()) {
  try {
    make(arch, std::move(image), 10, options);
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kUsage);
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("models: tensors have exactly the names and shapes of torchvision") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(DS_SOURCE_DIR "/tests/golden/parity")) {
    CAPTURE(entry.path().string());
    const graph::Json golden = graph::Json::parse(std::ifstream(entry.path()));
    if (!golden.contains("tensors")) continue;  // zoo_test.cpp
    const Shape image = golden["image"];
    const graph::Graph g = make(golden["arch"], {image[1], image[2], image[3]}, 10, golden["options"]);
    graph::Json tensors = graph::Json::object();
    for (const graph::TensorSpec& t : g.tensors) tensors[t.name] = t.shape;
    CHECK(tensors == golden["tensors"]);
    ++files;
  }
  CHECK(files == 10);
}

TEST_CASE("models: parameters and multiply-accumulates are those of the papers") {
  const auto parameters = [](const std::string& arch, Shape image, std::int64_t classes) {
    return graph::cost(make(arch, std::move(image), classes)).parameters;
  };
  CHECK(parameters("lenet", {1, 28, 28}, 10) == 61'706);
  CHECK(parameters("cnn", {1, 28, 28}, 10) == 102'826);
  CHECK(parameters("cnn", {1, 8, 8}, 10) == 102'826);
  CHECK(parameters("mlp", {1, 28, 28}, 10) == 235'146);
  CHECK(parameters("resnet18", {3, 224, 224}, 1000) == 11'689'512);
  CHECK(parameters("resnet34", {3, 224, 224}, 1000) == 21'797'672);
  CHECK(parameters("resnet50", {3, 224, 224}, 1000) == 25'557'032);
  CHECK(parameters("resnet101", {3, 224, 224}, 1000) == 44'549'160);
  CHECK(parameters("resnet152", {3, 224, 224}, 1000) == 60'192'808);
  CHECK(parameters("vit_b_16", {3, 224, 224}, 1000) == 86'567'656);
  CHECK(parameters("vit_tiny", {3, 224, 224}, 1000) == 5'717'416);
  CHECK(graph::cost(make("resnet18", {3, 224, 224}, 1000)).macs == 1'814'073'344);
  CHECK(graph::cost(make("resnet50", {3, 224, 224}, 1000)).macs == 4'089'184'256);
}

TEST_CASE("models: every architecture builds, verifies, and survives its text form") {
  for (const core::Card& card : core::cards("architecture")) {
    CAPTURE(card.name);
    CHECK(!card.summary.empty());
    if (card.name == "graph" || zoo::takes_text(card.name)) continue;  // graph_file_test.cpp, text_test.cpp
    const graph::Graph g = zoo::build_small(card.name, 7);
    CHECK_NOTHROW(graph::verify(g, card.name));
    CHECK(g.meta["arch"] == card.name);
    CHECK(g.meta["options"]["num_classes"] == 7);
    REQUIRE(g.inputs.size() == 1);
    const std::string side = g.inputs[0].type.dims.at(2).text();
    CHECK(graph::type_text(g.inputs[0].type) == "float32[N, 3, " + side + ", " + side + "]");
    REQUIRE(g.outputs.size() == 1);
    CHECK(g.outputs[0].name == "logits");
    const std::string scores = card.name == "unet" ? "float32[N, 7, " + side + ", " + side + "]" : "float32[N, 7]";
    CHECK(graph::type_text(graph::infer_types(g).at(g.outputs[0].value)) == scores);
    CHECK(graph::from_yaml(graph::to_yaml(g), card.name).nodes.size() == g.nodes.size());
  }
}

TEST_CASE("models: the smallest of every family loses channels where its classes say") {
  for (const auto& [family, arch] : zoo::smallest_members()) {
    CAPTURE(arch);
    const graph::Graph g = zoo::build_small(arch, 7);
    const graph::ChannelClasses all = graph::channel_classes(g);
    CHECK(all.notes.empty());
    std::set<int> removed;
    for (const graph::ChannelGroup& group : all.groups) {
      for (std::size_t i = 0; i < group.classes.size(); i += 2)
        if (group.classes.size() > 1 && !all.classes[static_cast<std::size_t>(group.classes[i])].frozen) removed.insert(group.classes[i]);
    }
    REQUIRE(!removed.empty());
    const graph::Graph small = graph::slice_graph(g, graph::keep_without(g, all, removed));
    const double left = zoo::takes_text(arch) ? 0.75 : 0.55;  // tables of words and positions keep their rows, an embedding its features
    CHECK(graph::cost(small).parameters < left * static_cast<double>(graph::cost(g).parameters));
  }
}

TEST_CASE("models: dropout is the architecture's own unless it is stated") {
  const auto p = [](const graph::Graph& g) {
    std::vector<double> all;
    for (const graph::Node& node : g.nodes)
      if (node.op == "dropout") all.push_back(node.attrs["p"]);
    return all;
  };
  CHECK(p(make("cnn", {1, 28, 28}, 10)) == std::vector<double>{0.3});
  CHECK(p(make("cnn", {1, 28, 28}, 10, graph::Json::object(), 0.1)) == std::vector<double>{0.1});
  CHECK(p(make("cnn", {1, 28, 28}, 10, graph::Json::object(), 0)).empty());
  CHECK(p(make("resnet18", {3, 32, 32}, 10)).empty());
  CHECK(p(make("resnet18", {3, 32, 32}, 10, graph::Json::object(), 0.2)) == std::vector<double>{0.2});
  CHECK(p(make("vit_tiny", {3, 32, 32}, 10, graph::Json::object(), 0.1)).size() == 1 + 3 * 12);
  CHECK(make("cnn", {1, 28, 28}, 10, graph::Json::object(), 0.1).meta["options"]["dropout"] == 0.1);
}

TEST_CASE("models: sizes come from the data, and options that contradict them are refused") {
  CHECK(make("cnn", {1, 28, 28}, 10, {{"width", 8}}).tensor("conv1.weight").shape == Shape{8, 1, 3, 3});
  CHECK(make("mlp", {1, 8, 8}, 3, {{"hidden", graph::Json::array()}}).tensor("fc1.weight").shape == Shape{3, 64});
  CHECK(models::build(choice("mlp", {{"num_classes", 4}}), 0, 1, 8, 8).tensor("fc3.weight").shape[0] == 4);
  CHECK(failure("cnn", {1, 28, 28}, {{"num_classes", 7}}) == "model.num_classes: is 7, but the data have 10; leave model.num_classes out");
  CHECK_THROWS_WITH_AS(models::build(choice("cnn"), 0, 1, 8, 8),
                       "model.num_classes: is 0, expected a number above 0; set model.num_classes or --data", Error);
  CHECK(failure("lenet", {1, 8, 8}) ==
        "model.arch: lenet needs images of at least 12x12, the data have 8x8; choose a smaller model, such as cnn or mlp");
  CHECK(failure("cnn", {1, 3, 8}).find("cnn needs images of at least 4x4") != std::string::npos);
  CHECK(failure("vit_tiny", {1, 28, 28}) ==
        "model.patch_size: is 16, which does not divide images of 28x28; set model.patch_size to a divisor, such as 4 for 28x28 images");
  CHECK(failure("vit_tiny", {3, 32, 32}, {{"heads", 5}}) == "model.dim: is 192, expected a multiple of model.heads (5)");
  const core::Choice shared = choice("cnn");
  models::build(shared, 10, 1, 28, 28);
  CHECK(shared.as<models::ArchOptions>().num_classes == 0);  // the caller's options stay as they are
}

TEST_CASE("models: initialisers of residual nets and transformers are torchvision's") {
  const graph::Graph r = make("resnet18", {3, 32, 32}, 10);
  CHECK(r.tensor("layer2.0.conv1.weight").init == graph::Json{{"kind", "kaiming_normal"}, {"fan", 128 * 9}, {"gain", std::sqrt(2.0)}});
  CHECK(r.tensor("fc.weight").init["kind"] == "kaiming_uniform");
  const graph::Graph v = make("vit_tiny", {3, 32, 32}, 10);
  CHECK(v.tensor("class_token").init["kind"] == "zeros");
  CHECK(v.tensor("encoder.pos_embedding").init == graph::Json{{"kind", "normal"}, {"mean", 0.0}, {"std", 0.02}});
  CHECK(v.tensor("heads.head.weight").init["kind"] == "zeros");
  const std::string layer = "encoder.layers.encoder_layer_3.";
  CHECK(v.tensor(layer + "self_attention.in_proj_weight").init == graph::Json{{"kind", "xavier_uniform"}, {"fan_in", 192}, {"fan_out", 576}});
  CHECK(v.tensor(layer + "mlp.0.weight").init == graph::Json{{"kind", "xavier_uniform"}, {"fan_in", 192}, {"fan_out", 768}});
  CHECK(v.tensor(layer + "mlp.3.bias").init["std"] == 1e-6);
  CHECK(v.tensor(layer + "self_attention.out_proj.weight").init["kind"] == "kaiming_uniform");
}
