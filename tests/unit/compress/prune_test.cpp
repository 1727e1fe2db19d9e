#include <doctest/doctest.h>

#include <c10/core/GradMode.h>

#include "base/catalog/criterion/group-l2.h"
#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/train/statistics.h"
#include "unit/compress/support.h"

using namespace ds;

TEST_CASE("prune: slicing equals masking, in every scope and by every target") {
  const c10::NoGradGuard off;
  exec::Model model = test::make_cnn();
  test::roughen(model);
  model.to(at::kDouble);
  const at::Tensor x = test::ramp({3, 1, 12, 12}, 0.37).to(at::kDouble);
  for (const char* scope : {"local", "global"})
    for (const char* target : {"channels", "macs"})
      for (const char* criterion : {"group-l2", "random"}) {
        CAPTURE(scope);
        CAPTURE(target);
        CAPTURE(criterion);
        commands::PruneSettings settings;
        settings.ratio = 0.4;
        settings.scope = scope;
        settings.target = target;
        settings.criterion.select(criterion);
        const auto plan = compress::plan_pruning(model, settings, 3);
        REQUIRE_FALSE(plan.removed.empty());
        exec::Model sliced = compress::slice(model, plan.keep), masked = compress::mask(model, plan.keep);
        exec::Executor a(sliced), b(masked);
        const at::Tensor ya = a.run({x}, {})[0], yb = b.run({x}, {})[0];
        CHECK(test::largest_difference(ya, yb) <= 1e-9 * std::max(1.0, yb.abs().max().item<double>()));
        CHECK(graph::cost(sliced.graph).parameters < graph::cost(model.graph).parameters);
      }
}

TEST_CASE("prune: a ratio of 0.5 within layers keeps half of each") {
  const exec::Model model = test::make_cnn();
  commands::PruneSettings settings;
  const auto plan = compress::plan_pruning(model, settings, 1);
  for (const auto& layer : plan.report["layers"]) CHECK(layer["kept"].get<int>() * 2 == layer["channels"].get<int>());
  // Graph input and classes are never cut.
  CHECK(plan.report["frozen"].size() == 2);
}

TEST_CASE("prune: multiply-accumulates fall to the target, and not far below it") {
  const exec::Model model = test::make_cnn(1, 32);
  commands::PruneSettings settings;
  settings.target = "macs";
  settings.ratio = 0.3;
  const auto plan = compress::plan_pruning(model, settings, 1);
  const double share = double(graph::cost(graph::slice_graph(model.graph, plan.keep)).macs) / double(graph::cost(model.graph).macs);
  CHECK(share <= 0.7);
  CHECK(share >= 0.6);
}

TEST_CASE("prune: the criterion finds the channel that does least") {
  exec::Model model = test::make_cnn();
  const c10::NoGradGuard off;
  const auto classes = graph::channel_classes(model.graph);
  // Channel 5 of the first layer: next to nothing in all that goes with it.
  int weak = -1;
  for (std::size_t k = 0; k < classes.classes.size(); ++k) {
    const auto found = classes.classes[k].members.find({"conv1.weight", 0});
    if (found != classes.classes[k].members.end() && found->second == std::vector<std::int64_t>{5}) weak = int(k);
  }
  REQUIRE(weak >= 0);
  for (const auto& [place, indices] : classes.classes[std::size_t(weak)].members)
    for (const std::int64_t i : indices) model.tensors.at(place.first).select(place.second, i).mul_(0.01);
  commands::PruneSettings settings;
  settings.ratio = 0.125;  // one of eight
  CHECK(compress::plan_pruning(model, settings, 1).removed.count(weak) == 1);
  settings.scope = "global";
  settings.ratio = 0.05;
  CHECK(compress::plan_pruning(model, settings, 1).removed.count(weak) == 1);
}

TEST_CASE("prune: min_channels and round_to hold") {
  const exec::Model model = test::make_cnn(1, 16);
  commands::PruneSettings settings;
  settings.ratio = 0.99;
  settings.min_channels = 3;
  for (const auto& layer : compress::plan_pruning(model, settings, 1).report["layers"]) CHECK(layer["kept"].get<int>() >= 3);
  settings.ratio = 0.4;
  settings.round_to = 8;
  for (const auto& layer : compress::plan_pruning(model, settings, 1).report["layers"]) CHECK(layer["kept"].get<int>() % 8 == 0);
}

TEST_CASE("prune: nothing to remove is an error that says why") {
  const exec::Model model = test::make_cnn();
  commands::PruneSettings settings;
  settings.target = "heads";
  CHECK_THROWS_WITH_AS(compress::plan_pruning(model, settings, 1), doctest::Contains("no attention heads"), Error);
}

TEST_CASE("prune: whole heads of a transformer go, and slicing equals masking") {
  const c10::NoGradGuard off;
  core::Choice arch("architecture", "vit_tiny", "arch");
  exec::Model model = exec::make_model(models::build(arch, 5, 3, 32, 32), 2);
  model.to(at::kDouble);
  commands::PruneSettings settings;
  settings.target = "heads";
  settings.ratio = 0.34;
  const auto plan = compress::plan_pruning(model, settings, 1);
  exec::Model sliced = compress::slice(model, plan.keep), masked = compress::mask(model, plan.keep);
  int two = 0;
  for (const auto& node : sliced.graph.nodes)
    if (node.op == "attention") two += graph::full_attributes(node)["heads"].get<int>() == 2;
  CHECK(two == 12);  // three heads, one of which went, in each of twelve layers
  const at::Tensor x = test::ramp({2, 3, 32, 32}, 0.11).to(at::kDouble);
  exec::Executor a(sliced), b(masked);
  CHECK(test::largest_difference(a.run({x}, {})[0], b.run({x}, {})[0]) <= 1e-9);
}

namespace {

/// conv1 (2 -> 3 channels, no bias) - bn - conv2 (3 -> 2, the output's): values that are easily squared.
exec::Model by_hand() {
  graph::Builder b;
  graph::Value x = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 2, 1, 1});
  x = b.batch_norm2d("bn", b.conv2d("conv1", x, 3, 1, 1, 0, false));
  b.output("logits", b.flatten("flat", b.conv2d("conv2", x, 2, 1, 1, 0, false)));
  exec::Model model = exec::make_model(b.finish(), 1);
  const auto set = [&](const char* name, std::vector<float> values) {
    std::copy(values.begin(), values.end(), model.tensors.at(name).mutable_data_ptr<float>());
  };
  set("conv1.weight", {1, 2, 3, 4, 0, 1});  // rows: 5, 25, 1
  set("bn.weight", {2, 1, 3});              // 4, 1, 9
  set("bn.bias", {1, 0, 1});                // 1, 0, 1
  set("conv2.weight", {1, 0, 2, 3, 1, 0});  // columns: 10, 1, 4
  return model;
}

std::vector<double> scores(const exec::Model& model, bool normalize) {
  core::Choice criterion{"criterion", "group-l2"};
  static_cast<catalog::criterion::group_l2::Options&>(*criterion.options).normalize = normalize;
  const auto classes = graph::channel_classes(model.graph);
  const auto all = core::body<compress::ScoreClasses>("criterion", "group-l2")({model, classes, 1}, *criterion.options);
  std::vector<double> of_conv1;
  for (const auto& group : classes.groups)
    if (!group.frozen)
      for (const int k : group.classes) of_conv1.push_back(all[std::size_t(k)]);
  return of_conv1;
}

}  // namespace

TEST_CASE("prune: group L2 is the mean over a channel's members of their squared norms, by hand") {
  const exec::Model model = by_hand();
  // conv1's row, bn's weight and bias, conv2's column: four members.
  const std::vector<double> plain = scores(model, false);
  REQUIRE(plain.size() == 3);
  CHECK(plain[0] == doctest::Approx((5 + 4 + 1 + 10) / 4.0));
  CHECK(plain[1] == doctest::Approx((25 + 1 + 0 + 1) / 4.0));
  CHECK(plain[2] == doctest::Approx((1 + 9 + 1 + 4) / 4.0));
  const double mean = (20 + 27 + 15) / 12.0;
  for (int i = 0; i < 3; ++i) CHECK(scores(model, true)[std::size_t(i)] == doctest::Approx(plain[std::size_t(i)] / mean));
}

TEST_CASE("prune: random scores are a function of the seed, and of each layer alone") {
  const exec::Model model = test::make_cnn();
  commands::PruneSettings settings;
  settings.criterion.select("random");
  const auto removed = [&](std::uint64_t seed) { return compress::plan_pruning(model, settings, seed).removed; };
  CHECK(removed(1) == removed(1));
  CHECK(removed(1) != removed(2));
}

TEST_CASE("prune: statistics are estimated anew from the training split, and what was there leaves no trace") {
  const data::Dataset& data = data::open_cached("synthetic:shape=2x1x1,classes=2,train=64,val=8,test=8");
  exec::Model model = by_hand();
  for (const char* name : {"bn.running_mean", "bn.running_var"}) model.tensors.at(name).fill_(1000);
  compress::Json other = data.preprocessing;  // the model's own, not the data's
  other["mean"] = {0.25, 0.5};
  other["std"] = {2.0, 0.5};
  train::reestimate_statistics(model, data, other, 4, 16, 3);
  const at::Tensor x = data::preprocess(data.train.images, other).to(at::kDouble).flatten(1);
  const at::Tensor y = x.matmul(model.tensors.at("conv1.weight").to(at::kDouble).flatten(1).t());  // [64, 3]: what bn sees
  CHECK(test::largest_difference(model.tensors.at("bn.running_mean"), y.mean(0)) <= 1e-5 * y.abs().max().item<double>());
  // Unbiased within batches of 16: at most 1/15 more than the whole's.
  const at::Tensor variance = y.var(0, false), got = model.tensors.at("bn.running_var").to(at::kDouble);
  CHECK(got.ge(variance.mul(0.999)).all().item<bool>());
  CHECK(got.le(variance.mul(16 / 15.0 + 0.001)).all().item<bool>());
  const at::Tensor weight = model.tensors.at("conv1.weight").clone(), mean = model.tensors.at("bn.running_mean").clone();
  train::reestimate_statistics(model, data, other, 0, 16, 3);
  CHECK(model.tensors.at("bn.running_mean").equal(mean));
  CHECK(model.tensors.at("conv1.weight").equal(weight));
}
