#include "engine/optim/groups.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/core/error.h"
#include "base/models/models.h"

using namespace ds;

namespace {

exec::Model model_of(const std::string& arch, std::int64_t size) {
  core::Choice choice("architecture", arch, "arch");
  return exec::make_model(models::build(choice, 10, 3, size, size), 1);
}

}  // namespace

TEST_CASE("optim: layers are numbered from the stem over the blocks to the head") {
  const exec::Model vit = model_of("deit_tiny_patch16_224", 32);
  const auto depths = optim::layer_depths(vit.graph);
  CHECK(depths.at("patch_embed.proj.weight") == 0);
  CHECK(depths.at("cls_token") == 0);
  CHECK(depths.at("pos_embed") == 0);
  CHECK(depths.at("blocks.0.norm1.weight") == 1);
  CHECK(depths.at("blocks.11.mlp.fc2.bias") == 12);
  CHECK(depths.at("norm.weight") == 13);
  CHECK(depths.at("head.weight") == 13);

  const auto of_resnet = optim::layer_depths(model_of("resnet18", 32).graph);
  CHECK(of_resnet.at("conv1.weight") == 0);
  CHECK(of_resnet.at("layer1.0.conv1.weight") == 1);
  CHECK(of_resnet.at("layer4.1.conv2.weight") == 8);
  CHECK(of_resnet.at("fc.weight") == 9);
}

TEST_CASE("optim: a layer learns at a share of the rate of the one above it, matrices between hidden features are told apart") {
  exec::Model vit = model_of("deit_tiny_patch16_224", 32);
  for (const optim::Parameter& parameter : optim::parameters_of(vit, {.layer_decay = 0.5})) {
    CAPTURE(parameter.name);
    if (parameter.name == "head.weight") {
      CHECK(parameter.lr_scale == 1);
      CHECK(parameter.decay);
      CHECK_FALSE(parameter.hidden);
    } else if (parameter.name == "blocks.11.attn.proj.weight") {
      CHECK(parameter.lr_scale == 0.5);
      CHECK(parameter.hidden);
    } else if (parameter.name == "pos_embed") {
      CHECK(parameter.lr_scale == doctest::Approx(std::pow(0.5, 13)));
      CHECK_FALSE(parameter.decay);
      CHECK_FALSE(parameter.hidden);
    } else if (parameter.name == "blocks.3.mlp.fc1.bias") {
      CHECK_FALSE(parameter.decay);
    }
  }
}

TEST_CASE("optim: what is frozen by a pattern is not trained, and a pattern without a match names what is near") {
  exec::Model net = model_of("resnet18", 32);
  net.require_grad(true);
  const auto parameters = optim::parameters_of(net, {.freeze = {"conv1*", "bn1.*", "layer[12].*"}});
  for (const optim::Parameter& parameter : parameters) {
    CAPTURE(parameter.name);
    CHECK((parameter.name.starts_with("layer3") || parameter.name.starts_with("layer4") || parameter.name.starts_with("fc")));
    CHECK(parameter.value.requires_grad());
  }
  CHECK_FALSE(net.tensors.at("layer2.1.conv1.weight").requires_grad());
  const auto hint = [&](const std::string& pattern) {
    try {
      optim::parameters_of(net, {.freeze = {pattern}});
    } catch (const Error& e) {
      CHECK(e.code() == Exit::kUsage);
      CHECK(e.where() == "train.freeze");
      return e.message() + "; " + e.hint();
    }
    return std::string();
  };
  CHECK(hint("layer1.0.cnv1.*") == "no parameter is called 'layer1.0.cnv1.*'; did you mean 'layer1.0.conv1.*'?");
  CHECK(hint("encoder.*") == "no parameter is called 'encoder.*'; names begin with conv1, bn1, layer1, layer2, layer3, layer4, fc");
  CHECK(hint("*") == "freezes all 62 parameters: nothing is left to train; ");
}
