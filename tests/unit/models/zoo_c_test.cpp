// DeiT, MLP-Mixer, U-Net, Swin: what their tensors' names and shapes do not say.
#include <cmath>

#include "base/graph/channels.h"
#include "unit/models/zoo.h"

using namespace ds;
using graph::Json;

namespace {

graph::Graph make(const std::string& arch, std::int64_t side, const Json& options = Json::object(), std::int64_t classes = 10) {
  return models::build(zoo::choice(arch, options), classes, 3, side, side);
}

Json init(const graph::Graph& g, const std::string& tensor) { return g.tensor(tensor).init; }

/// The members of the class of element i of an axis of a tensor.
graph::ChannelClass class_at(const graph::Graph& g, const std::string& tensor, int axis, std::int64_t i) {
  const graph::ChannelClasses all = graph::channel_classes(g);
  CHECK(all.notes.empty());
  for (const graph::ChannelClass& entry : all.classes) {
    const auto found = entry.members.find({tensor, axis});
    if (found != entry.members.end() && std::count(found->second.begin(), found->second.end(), i)) return entry;
  }
  FAIL("no class");
  return {};
}

}  // namespace

TEST_CASE("zoo c: multiply-accumulates are those that torchvision states, in thousands of millions") {
  const std::pair<const char*, double> sizes[] = {{"swin_t", 4.491},     {"swin_s", 8.741},   {"swin_b", 15.431},  {"swin_v2_t", 5.94},
                                                  {"swin_v2_s", 11.546}, {"swin_v2_b", 20.325}, {"vit_b_16", 17.564}, {"vit_b_32", 4.409},
                                                  {"vit_l_16", 61.555},  {"vit_l_32", 15.378}, {"vit_h_14", 167.295}};
  for (const auto& [arch, billions] : sizes) {
    CAPTURE(arch);
    const std::int64_t side = models::usual(arch).side;
    CHECK(graph::cost(models::build(zoo::choice(arch), 1000, 3, side, side)).macs / 1e9 == doctest::Approx(billions).epsilon(2e-3));
  }
}

TEST_CASE("zoo c: what an architecture is made for is what the libraries say, and its options fit it") {
  for (const auto& [family, members] : models::families()) {
    for (const std::string& name : members) {
      if (name == "graph") continue;
      CAPTURE(name);
      const models::DataSizes data = models::usual_data(name);
      CHECK((data.kind == models::InputKind::kTokens) == zoo::takes_text(name));
      CHECK_NOTHROW(models::build(zoo::choice(name), data));
    }
  }
  CHECK(models::usual("inception_v3").side == 299);
  CHECK(models::usual("efficientnet_b4").side == 380);
  CHECK(models::usual("resnet18").side == 224);
  CHECK(models::usual("lenet").classes == 10);
  CHECK_THROWS_AS(models::usual("resnet19"), Error);
}

TEST_CASE("zoo c: initialisers are those of timm and torchvision") {
  const Json cut = {{"kind", "truncated_normal"}, {"std", 0.02}}, zeros = {{"kind", "zeros"}};
  const graph::Graph deit = make("deit_tiny_distilled_patch16_224", 32);
  CHECK(init(deit, "cls_token") == Json{{"kind", "normal"}, {"mean", 0.0}, {"std", 1e-6}});
  for (const char* tensor : {"dist_token", "pos_embed", "blocks.3.attn.qkv.weight", "blocks.3.mlp.fc1.weight", "head_dist.weight"})
    CHECK(init(deit, tensor) == cut);
  for (const char* tensor : {"blocks.3.attn.qkv.bias", "blocks.3.attn.proj.bias", "head.bias"}) CHECK(init(deit, tensor) == zeros);
  CHECK(init(deit, "blocks.0.norm1.weight")["kind"] == "ones");
  CHECK(init(deit, "patch_embed.proj.weight")["kind"] == "kaiming_uniform");
  const graph::Graph mixer = make("mixer_s16_224", 32);
  CHECK(init(mixer, "blocks.0.mlp_tokens.fc1.weight") == Json{{"kind", "xavier_uniform"}, {"fan_in", 4}, {"fan_out", 256}});
  CHECK(init(mixer, "blocks.0.mlp_channels.fc2.bias") == Json{{"kind", "normal"}, {"mean", 0.0}, {"std", 1e-6}});
  CHECK(init(mixer, "stem.proj.weight")["std"].get<double>() == doctest::Approx(std::sqrt(1.0 / 768) / 0.879625661));  // of deviation 1/sqrt(768) when cut
  CHECK(init(mixer, "head.weight") == zeros);
  for (const char* arch : {"swin_t", "swin_v2_t"}) {
    const graph::Graph swin = make(arch, 64);
    for (const char* tensor : {"features.1.0.attn.qkv.weight", "features.1.0.attn.proj.weight", "features.2.reduction.weight", "head.weight"})
      CHECK(init(swin, tensor) == cut);
    for (const char* tensor : {"features.1.0.attn.qkv.bias", "features.1.0.mlp.3.bias", "head.bias"}) CHECK(init(swin, tensor) == zeros);
  }
  CHECK(init(make("swin_t", 64), "features.1.0.attn.relative_position_bias_table") == cut);
  CHECK(init(make("swin_v2_t", 64), "features.1.0.attn.logit_scale") == Json{{"kind", "constant"}, {"value", std::log(10.0)}});
  CHECK(init(make("swin_v2_t", 64), "features.1.0.attn.cpb_mlp.2.weight") == cut);
}

TEST_CASE("zoo c: stochastic depth grows to the last block, and windows shift in every second block where there are several") {
  const graph::Graph g = make("swin_t", 224);
  std::vector<double> drops;
  int rolls = 0;
  for (const graph::Node& node : g.nodes) {
    if (node.op == "drop_path") drops.push_back(node.attrs["p"]);
    rolls += node.op == "roll";
  }
  REQUIRE(drops.size() == 22);  // two for each of the 12 blocks but the first
  CHECK(drops.front() == doctest::Approx(0.2 / 11));
  CHECK(drops.back() == doctest::Approx(0.2));
  CHECK(rolls == 2 * 5);  // there and back in the second block of each stage, save the last, which is one window
  CHECK(g.find_node("features.1.1.attn.shift")->attrs["shifts"] == Json{-3, -3});
  CHECK(g.find_node("features.1.0.attn.shift") == nullptr);
  CHECK(g.find_node("features.1.0.attn.pad") == nullptr);
  const graph::Graph odd = make("swin_t", 60);  // 15x15 patches: windows want 21x21, merging 16x16
  CHECK(odd.find_node("features.1.0.attn.pad")->attrs["after"] == Json{6, 6});
  CHECK(odd.find_node("features.2.pad")->attrs["after"] == Json{1, 1});
}

TEST_CASE("zoo c: channels of a Swin transformer go through windows, merged patches and heads") {
  for (const char* arch : {"swin_t", "swin_v2_t"}) {
    CAPTURE(arch);
    const graph::Graph g = make(arch, 128);
    auto hidden = class_at(g, "features.1.1.mlp.0.weight", 0, 7).members;
    CHECK(hidden.size() == 3);
    CHECK(hidden[{"features.1.1.mlp.3.weight", 1}] == std::vector<std::int64_t>{7});
    auto stream = class_at(g, "features.0.0.weight", 0, 5).members;
    CHECK(stream[{"features.1.1.attn.qkv.weight", 1}] == std::vector<std::int64_t>{5});
    CHECK(stream[{"features.1.1.attn.proj.weight", 0}] == std::vector<std::int64_t>{5});
    CHECK(stream[{"features.2.reduction.weight", 1}] == std::vector<std::int64_t>{5, 101, 197, 293});  // four patches of 96
    // Head 1 of 3 has features 32 to 63 of queries, keys and values, in every window, with its biases by distance.
    const bool v2 = std::string(arch) == "swin_v2_t";
    const std::string attn = "features.1.1.attn.", table = attn + (v2 ? "cpb_mlp.2.weight" : "relative_position_bias_table");
    auto head = class_at(g, table, v2 ? 0 : 1, 1);
    CHECK(!head.frozen);
    std::vector<std::int64_t> rows;
    for (const std::int64_t begin : {32, 128, 224})
      for (std::int64_t i = 0; i < 32; ++i) rows.push_back(begin + i);
    CHECK(head.members[{attn + "qkv.weight", 0}] == rows);
    CHECK(head.members[{attn + "qkv.bias", 0}] == rows);
    CHECK(head.members[{attn + "proj.weight", 1}] == std::vector<std::int64_t>(rows.begin(), rows.begin() + 32));
    if (v2) CHECK(head.members[{attn + "logit_scale", 0}] == std::vector<std::int64_t>{1});
  }
}

TEST_CASE("zoo c: a channel of U-Net goes with its copy behind the skip") {
  for (const bool bilinear : {false, true}) {
    CAPTURE(bilinear);
    const graph::Graph g = make("unet", 32, {{"width", 8}, {"bilinear", bilinear}});
    auto skip = class_at(g, "inc.double_conv.3.weight", 0, 3).members;
    CHECK(skip[{"down1.maxpool_conv.1.double_conv.0.weight", 1}] == std::vector<std::int64_t>{3});
    CHECK(skip[{"up4.conv.double_conv.0.weight", 1}] == std::vector<std::int64_t>{3});
    if (bilinear) continue;
    auto up = class_at(g, "up4.up.weight", 1, 2).members;  // [in, out, 2, 2]
    CHECK(up[{"up4.up.bias", 0}] == std::vector<std::int64_t>{2});
    CHECK(up[{"up4.conv.double_conv.0.weight", 1}] == std::vector<std::int64_t>{10});  // behind the 8 of the skip
  }
  CHECK_THROWS_WITH_AS(make("unet", 15), doctest::Contains("unet needs images of at least 16x16"), Error);
}

TEST_CASE("zoo c: sizes that do not fit are told") {
  CHECK_THROWS_WITH_AS(make("deit_tiny_patch16_224", 40), doctest::Contains("model.patch_size: is 16, which does not divide images of 40x40"), Error);
  CHECK_THROWS_WITH_AS(make("mixer_s32_224", 40), doctest::Contains("model.patch_size: is 32"), Error);
  CHECK_THROWS_WITH_AS(make("swin_t", 64, {{"dim", 32}}), doctest::Contains("model.dim: is 32, expected a multiple of model.heads (3)"), Error);
  CHECK_THROWS_WITH_AS(make("swin_t", 3), doctest::Contains("'swin_t' does not fit images of 3x3x3"), Error);
}
