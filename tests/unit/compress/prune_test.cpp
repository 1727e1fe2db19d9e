#include <doctest/doctest.h>

#include <c10/core/GradMode.h>

#include "base/core/error.h"
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
