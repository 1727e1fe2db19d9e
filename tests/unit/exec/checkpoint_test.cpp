// Activation checkpointing: gradients, statistics and outputs are those without it, bit for bit; memory is less; budgets hold.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <doctest/doctest.h>

#include "base/graph/builder.h"
#include "base/graph/passes.h"
#include "engine/exec/estimate.h"
#include "engine/exec/memory.h"
#include "unit/exec/net_inputs.h"
#include "unit/models/zoo.h"

using namespace ds;
using exec::Checkpointing;
using exec::Executor;
using graph::Builder;
using graph::Value;

namespace {

/// Residual blocks with BatchNorm, drop-path and dropout.
graph::Graph dropping() {
  Builder b;
  Value x = b.input("image", graph::DType::kF32, {graph::Dim::symbol("N"), 3, 12, 12});
  x = b.relu("stem.relu", b.batch_norm2d("stem.bn", b.conv2d("stem.conv", x, 8, 3, 1, 1, false)));
  for (int i = 0; i < 4; ++i) {
    const std::string p = "block" + std::to_string(i) + ".";
    Value y = b.relu(p + "relu", b.batch_norm2d(p + "bn", b.conv2d(p + "conv", x, 8, 3, 1, 1, false)));
    y = b.node("drop_path", p + "path", {b.dropout(p + "drop", b.conv2d(p + "conv2", y, 8, 3, 1, 1), 0.2)}, {{"p", 0.3}});
    x = b.add(p + "add", x, y);
  }
  b.output("logits", b.linear("fc", b.flatten("flat", b.global_avg_pool("gap", b.max_pool2d("pool", x, 2, 2))), 7));
  return b.finish();
}

/// One table read three times, by three embeddings, and once more as the weight of the last layer.
graph::Graph tied() {
  Builder b;
  const Value ids = b.input("input_ids", graph::DType::kI64, {graph::Dim::symbol("N"), graph::Dim::symbol("S")});
  Value x = b.node("embedding", "embed", {ids}, {{"num_embeddings", 11}, {"dim", 6}});
  for (int i = 0; i < 2; ++i) {
    const std::string p = "layer" + std::to_string(i);
    x = b.node("gelu", p + ".act", {b.linear(p, x, 6)});
    x = b.add(p + ".sum", x, b.node("embedding", p + ".again", {ids}, {{"num_embeddings", 11}, {"dim", 6}}, {{"weight", {"embed.weight"}}}));
  }
  b.output("logits", b.linear("head", x, 11, false));
  graph::Graph g = b.finish();
  g.find_node("head")->slots["weight"] = {"embed.weight"};
  std::erase_if(g.tensors, [](const graph::TensorSpec& spec) { return spec.name == "head.weight"; });
  graph::verify(g, "tied");
  return g;
}

graph::Graph with_dropout(const std::string& arch, double p, const graph::Json& options = graph::Json::object()) {
  graph::Graph g = zoo::build_small(arch, 7, options);
  graph::set_dropout(g, p);
  return g;
}

struct Result {
  std::vector<at::Tensor> outputs;
  exec::Model model;
};

const exec::RunContext kContext{.training = true, .step = 3, .seed = 9};

Result step(const graph::Graph& graph, const Checkpointing& how, const std::vector<exec::Tap>& taps = {}, at::ScalarType autocast = at::ScalarType::Undefined) {
  Result result{{}, exec::make_model(graph, 5)};
  result.model.require_grad(true);
  Executor executor(result.model);
  std::vector<at::Tensor> inputs = net_inputs::make(graph, 4);
  for (at::Tensor& input : inputs)
    if (input.is_floating_point()) input = input.to(at::kFloat);
  exec::RunContext context = kContext;
  context.autocast = autocast;
  result.outputs = executor.run(inputs, context, {.training = true, .checkpointing = how}, taps);
  std::vector<at::Tensor> wide;
  for (const at::Tensor& y : result.outputs) wide.push_back(y.to(at::kFloat));
  net_inputs::loss(wide).backward();
  return result;
}

void check_equal(const Result& one, const Result& truth) {
  for (std::size_t i = 0; i < truth.outputs.size(); ++i) CHECK(one.outputs[i].equal(truth.outputs[i]));
  int gradients = 0;
  for (const auto& [name, tensor] : truth.model.tensors) {
    CAPTURE(name);
    CHECK(one.model.tensors.at(name).equal(tensor));  // statistics moved once
    if (!tensor.grad().defined()) continue;
    REQUIRE(one.model.tensors.at(name).grad().defined());
    CHECK(one.model.tensors.at(name).grad().equal(tensor.grad()));
    ++gradients;
  }
  CHECK(gradients > 3);
}

Checkpointing segments(std::vector<exec::Segment> of) { return {.kind = Checkpointing::Kind::kSegments, .segments = std::move(of)}; }

std::vector<std::pair<std::string, graph::Graph>> nets() {
  return {{"dropping", dropping()},
          {"tied", tied()},
          {"cnn", with_dropout("cnn", 0.3)},
          {"resnet18", zoo::build_small("resnet18", 7)},
          {"vit", zoo::build_small("vit_tiny", 7, {{"depth", 3}})},
          {"bert", with_dropout("bert_tiny", 0.1)},
          {"t5", zoo::build_small("t5_small", 7)}};
}

}  // namespace

TEST_CASE("checkpointing: outputs, gradients and statistics are those of a plain step, bit for bit") {
  for (const auto& [name, graph] : nets()) {
    CAPTURE(name);
    const Result truth = step(graph, {});
    const auto nodes = static_cast<std::int64_t>(graph.nodes.size());
    std::vector<exec::Segment> each, thirds;
    for (std::int64_t i = 0; i < nodes; ++i) each.push_back({i, i});
    for (std::int64_t i = 1; i + 3 <= nodes; i += 4) thirds.push_back({i, i + 2});  // cut anywhere, some steps between left as they are
    const std::vector<Checkpointing> ways = {exec::parse_checkpointing("all"), exec::parse_checkpointing("every:1"), exec::parse_checkpointing("every:3"),
                                             segments({{0, nodes - 1}}), segments(each), segments(thirds)};
    for (std::size_t i = 0; i < ways.size(); ++i) {
      CAPTURE(i);
      check_equal(step(graph, ways[i]), truth);
    }
  }
}

TEST_CASE("checkpointing: bit-equal under autocast too") {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    for (const graph::Graph& graph : {dropping(), with_dropout("bert_tiny", 0.1)})
      check_equal(step(graph, exec::parse_checkpointing("every:2"), {}, type), step(graph, {}, {}, type));
  }
}

TEST_CASE("checkpointing: a tap ends a segment, sees a value once, and its gradient") {
  const graph::Graph graph = dropping();
  struct Seen {
    int forward = 0, backward = 0;
    at::Tensor value, gradient;
  };
  const auto run = [&](const Checkpointing& how, Seen& seen) {
    const exec::Tap tap{"block1.conv2",
                        [&seen](const at::Tensor& value) {
                          ++seen.forward;
                          seen.value = value.detach().clone();
                          return value.mul(1.5);
                        },
                        [&seen](const at::Tensor& gradient) {
                          ++seen.backward;
                          seen.gradient = gradient.clone();
                          return gradient.mul(0.5);
                        }};
    return step(graph, how, {tap});
  };
  Seen plain, recomputed;
  const Result truth = run({}, plain), one = run(segments({{0, static_cast<std::int64_t>(graph.nodes.size()) - 1}}), recomputed);
  check_equal(one, truth);
  CHECK(recomputed.forward == 1);
  CHECK(recomputed.backward == 1);
  CHECK(recomputed.value.equal(plain.value));
  CHECK(recomputed.gradient.equal(plain.gradient));
}

TEST_CASE("checkpointing: frozen weights, no gradients at all, and backward run twice") {
  const graph::Graph graph = dropping();
  const std::vector<at::Tensor> inputs = {net_inputs::make(graph, 4)[0].to(at::kFloat)};
  const auto frozen = [&](const Checkpointing& how) {
    exec::Model model = exec::make_model(graph, 5);
    model.require_grad(true);
    for (auto& [name, tensor] : model.tensors)
      if (tensor.is_floating_point() && (name.starts_with("stem") || name.starts_with("block2"))) tensor.requires_grad_(false);
    Executor executor(model);
    const at::Tensor loss = executor.run(inputs, kContext, {.training = true, .checkpointing = how})[0].square().sum();
    loss.backward({}, /*retain_graph=*/true);
    loss.backward();
    std::map<std::string, at::Tensor> gradients;
    for (const auto& [name, tensor] : model.tensors)
      if (tensor.grad().defined()) gradients[name] = tensor.grad();
    return gradients;
  };
  const auto truth = frozen({}), one = frozen(exec::parse_checkpointing("every:1"));
  CHECK(truth.size() == one.size());
  CHECK_FALSE(one.count("stem.conv.weight"));
  for (const auto& [name, gradient] : truth) CHECK(one.at(name).equal(gradient));
  exec::Model still = exec::make_model(graph, 5);
  Executor executor(still);
  CHECK_FALSE(executor.run(inputs, kContext, {.training = true, .checkpointing = exec::parse_checkpointing("all")})[0].requires_grad());
}

TEST_CASE("checkpointing: blocks of a net lie between its sums; the last segment is left alone") {
  exec::Model model = exec::make_model(dropping(), 1);
  Executor executor(model);
  const auto lines = executor.describe({.training = true, .checkpointing = exec::parse_checkpointing("every:1")});
  std::map<std::string, std::string> segment;
  for (const std::string& line : lines) {
    const auto at = line.find(", recomputed ");
    segment[line.substr(0, line.find(':'))] = at == std::string::npos ? "" : line.substr(at + 13);
  }
  CHECK_FALSE(segment.at("block1.conv").empty());
  CHECK(segment.at("block1.conv") == segment.at("block1.add"));
  CHECK(segment.at("block1.add") != segment.at("block2.conv"));
  CHECK(segment.at("fc").empty());
  for (const char* text : {"", "some", "every:", "every:0", "every:-1", "every:x"})
    CHECK_THROWS_WITH_AS(exec::parse_checkpointing(text), doctest::Contains("expected none, all or every:N"), Error);
}

namespace {

/// A model with optimizer state beside it, and what a step of it takes beyond what was there before.
struct Measured {
  exec::Model model;
  std::vector<at::Tensor> inputs, state;
  exec::StepProbe probe;

  Measured(const graph::Graph& graph, std::int64_t batch, std::int64_t length = 32) {
    exec::install_allocator();
    before = exec::memory_use().live;
    model = exec::make_model(graph, 5);
    model.to_channels_last();
    model.require_grad(true);
    inputs = net_inputs::make(graph, batch, length);
    for (at::Tensor& input : inputs)
      if (input.is_floating_point()) input = input.to(at::kFloat).contiguous(input.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    for (const std::string& name : model.parameters())
      for (int i = 0; i < 2; ++i) state.push_back(at::zeros_like(model.tensors.at(name).detach()));
    for (const at::Tensor& t : state) probe.optimizer_bytes += static_cast<std::int64_t>(t.nbytes());
    probe.inputs = inputs;
    probe.batch = batch;
    probe.context = kContext;
    probe.plan.training = true;
    probe.loss = [](const std::vector<at::Tensor>& outputs, std::int64_t) {
      std::vector<at::Tensor> wide;
      for (const at::Tensor& y : outputs) wide.push_back(y.to(at::kFloat));
      return net_inputs::loss(wide);
    };
  }
  std::int64_t before = 0;

  std::int64_t peak() {
    Executor executor(model);
    for (int i = 0; i < 2; ++i) {  // as in a run: what the first step caches is there in the second
      for (auto& [name, tensor] : model.tensors)
        if (tensor.requires_grad()) tensor.mutable_grad().reset();
      exec::reset_peak();
      probe.loss(executor.run(inputs, kContext, probe.plan), probe.batch).backward();
    }
    return exec::memory_use().peak - before;
  }
};

}  // namespace

TEST_CASE("estimate: the peak of a training step is within 15 % of the measured one") {
  struct Case {
    std::string name;
    graph::Graph graph;
    std::int64_t batch;
  };
  const std::vector<Case> cases = {{"cnn", zoo::build_small("cnn", 10), 40},
                                   {"resnet18", zoo::build_small("resnet18", 10), 24},
                                   {"vit_tiny", zoo::build_small("vit_tiny", 10, {{"depth", 4}}), 40},
                                   {"bert", zoo::build_small("bert_tiny", 10, {{"depth", 6}, {"dim", 96}, {"mlp_dim", 384}, {"max_positions", 128}}), 24},
                                   {"small batch", zoo::build_small("cnn", 10), 3}};
  for (const Case& c : cases)
    for (const std::string how : {"none", "all"}) {
      CAPTURE(c.name);
      CAPTURE(how);
      Measured m(c.graph, c.batch);
      m.probe.plan.checkpointing = exec::parse_checkpointing(how);
      const exec::MemoryEstimate estimate = exec::estimate_training_memory(m.model, m.probe);
      for (const auto& [name, tensor] : m.model.tensors) CHECK_FALSE(tensor.grad().defined());
      const double measured = double(m.peak());
      CAPTURE(measured);
      CAPTURE(estimate.peak);
      CAPTURE(estimate.activations);
      CHECK(double(estimate.peak) >= 0.85 * measured);
      CHECK(double(estimate.peak) <= 1.15 * measured);
      CHECK(estimate.gradients * 2 == estimate.optimizer);
    }
}

TEST_CASE("estimate: a budget chooses segments that keep to it, and names the least where none does") {
  for (const std::string arch : {"resnet18", "vit_tiny"}) {
    CAPTURE(arch);
    Measured m(zoo::build_small(arch, 10), arch == "vit_tiny" ? 256 : 32);  // so many that activations hold the peak, not the update of the weights
    const exec::MemoryEstimate plain = exec::estimate_training_memory(m.model, m.probe);
    CHECK((exec::choose_checkpointing(m.model, m.probe, plain.activations).kind == Checkpointing::Kind::kNone));
    const std::int64_t measured_plain = m.peak();
    m.probe.plan.checkpointing = exec::parse_checkpointing("all");
    const std::int64_t budget = exec::estimate_training_memory(m.model, m.probe).activations;  // there is a way to keep to it
    m.probe.plan.checkpointing = {};
    CHECK(budget < plain.activations * 7 / 10);
    const Checkpointing chosen = exec::choose_checkpointing(m.model, m.probe, budget);
    CHECK((chosen.kind == Checkpointing::Kind::kSegments));
    m.probe.plan.checkpointing = chosen;
    const exec::MemoryEstimate tight = exec::estimate_training_memory(m.model, m.probe);
    CAPTURE(tight.peak);
    CAPTURE(tight.activations);
    CAPTURE(plain.peak);
    CAPTURE(plain.activations);
    CAPTURE(measured_plain);
    CAPTURE(budget);
    CHECK(tight.activations <= budget);
    CHECK(m.peak() <= measured_plain - (plain.activations - budget) / 2);
    CHECK(double(m.peak()) <= 1.15 * double(tight.peak));
    // A tighter budget recomputes no less.
    const auto nodes = [](const Checkpointing& c) {
      std::int64_t n = 0;
      for (const exec::Segment& s : c.segments) n += s.last - s.first + 1;
      return n;
    };
    CHECK(nodes(exec::choose_checkpointing(m.model, m.probe, plain.activations * 9 / 10)) <= nodes(chosen));
    try {
      exec::choose_checkpointing(m.model, m.probe, 100000);
      FAIL("a budget of 100 kB was taken");
    } catch (const Error& e) {
      CHECK((e.code() == Exit::kUsage));
      CHECK(e.where() == "precision.activation_budget");
      CHECK(e.message().find("0.1 MiB are below the least") == 0);
    }
  }
}
