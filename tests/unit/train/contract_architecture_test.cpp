// Over every architecture: it builds, says the same in every form, costs something, and a step of training makes the loss smaller.
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/graph/channels.h"
#include "base/models/models.h"
#include "engine/exec/executor.h"

using namespace ds;

namespace {

constexpr std::int64_t kClasses = 7, kBatch = 4;

/// The graph; an architecture that is read from a file gets one with a LeNet.
graph::Graph build(const std::string& name) {
  core::Choice choice("architecture", name, "arch");
  const core::Fields fields = core::walk(*choice.options);
  for (const core::Entry& entry : fields.entries()) {
    if (!entry.field.path) continue;
    const auto file = std::filesystem::temp_directory_path() / ("ds-contract-" + std::to_string(getpid()) + ".yaml");
    std::ofstream(file) << graph::to_yaml(build("lenet"));
    *std::get<std::string*>(entry.target) = file.string();
    const graph::Graph graph = models::build(choice, kClasses, 3, 32, 32);
    std::filesystem::remove(file);
    return graph;
  }
  return models::build(choice, kClasses, 3, 32, 32);
}

struct Batch {
  at::Tensor images = at::arange(1, kBatch * 3 * 32 * 32 + 1, at::TensorOptions().dtype(at::kFloat)).mul(0.37).sin().reshape({kBatch, 3, 32, 32});
  at::Tensor labels = at::arange(kBatch).fmod(kClasses).to(at::kLong);
};

/// A large net with a quarter of its channels and heads: as deep, and tried in a fraction of the time.
graph::Graph narrow(const graph::Graph& graph) {
  if (graph::cost(graph).parameters < 5'000'000) return graph;
  const graph::ChannelClasses classes = graph::channel_classes(graph);
  std::set<int> removed;
  for (const graph::ChannelGroup& group : classes.groups)
    for (std::size_t i = 0; i < group.classes.size(); ++i)
      if (i % 4 != 0 && !classes.classes[std::size_t(group.classes[i])].frozen) removed.insert(group.classes[i]);
  return graph::slice_graph(graph, graph::keep_without(graph, classes, removed));
}

at::Tensor loss(exec::Executor& executor, const Batch& batch) {
  // One step number: dropout draws the same masks each time.
  const exec::RunContext context{.training = true, .step = 1, .seed = 3, .update_statistics = false};
  return at::cross_entropy_loss(executor.run({batch.images}, context, {.training = true})[0], batch.labels);
}

}  // namespace

TEST_CASE("architecture: each says the same as JSON and as YAML, and costs something") {
  for (const core::Card& card : core::cards("architecture")) {
    CAPTURE(card.name);
    const graph::Graph g = build(card.name);
    const graph::Json json = graph::to_json(g);
    CHECK(graph::to_json(graph::from_json(json, card.name)) == json);
    CHECK(graph::to_json(graph::from_json(graph::Json::parse(json.dump()), card.name)) == json);
    const graph::Graph read = graph::from_yaml(graph::to_yaml(g), card.name);
    CHECK(graph::to_yaml(read) == graph::to_yaml(g));
    CHECK(graph::cost(read).macs == graph::cost(g).macs);
    graph::Json nodes = graph::to_json(read)["nodes"];
    CHECK(nodes == json["nodes"]);

    const graph::Cost one = graph::cost(g), four = graph::cost(g, {{"N", 4}});
    CHECK(one.macs > 0);
    CHECK(one.parameters > 0);
    CHECK(one.activation_bytes > 0);
    CHECK(one.tensor_bytes >= 4 * one.parameters);
    CHECK(four.macs == 4 * one.macs);
    CHECK(four.parameters == one.parameters);
  }
}

TEST_CASE("architecture: each computes finite logits, and a small step against the gradient lowers the loss") {
  // Hundreds of tiny layers: threads would do little but wait for each other.
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Batch batch;
  for (const core::Card& card : core::cards("architecture")) {
    CAPTURE(card.name);
    exec::Model model = exec::make_model(narrow(build(card.name)), 5);
    exec::Executor executor(model);
    {
      const c10::NoGradGuard off;
      const at::Tensor logits = executor.run({batch.images}, {})[0];
      CHECK(logits.sizes() == at::IntArrayRef({kBatch, kClasses}));
      CHECK(logits.isfinite().all().item<bool>());
    }
    model.require_grad(true);
    const at::Tensor before = loss(executor, batch);
    before.backward();
    double squares = 0;
    for (const std::string& name : model.parameters()) {
      const at::Tensor& gradient = model.tensors.at(name).grad();
      REQUIRE_MESSAGE(gradient.defined(), name);
      squares += gradient.square().sum().item<double>();
    }
    REQUIRE(std::isfinite(squares));
    REQUIRE(squares > 0);
    const c10::NoGradGuard off;
    // A hundredth of the loss by the tangent: small enough for the curvature of any of them.
    const double rate = 0.01 * before.item<double>() / squares;
    for (const std::string& name : model.parameters()) model.tensors.at(name).sub_(model.tensors.at(name).grad(), rate);
    CHECK(loss(executor, batch).item<double>() < before.item<double>());
  }
  at::set_num_threads(threads);
}
