// Over every op: what its schema infers is what its kernel makes, in either memory format, and what it costs follows from the shapes.
// (Float64 and gradients: ops_test.cpp. Channel rules: tests/unit/models/rules_test.cpp.)
#include <ATen/ops/arange.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include "engine/exec/executor.h"
#include "unit/models/op_samples.h"

using namespace ds;

namespace {

graph::Graph around(const graph::Op& op) {
  graph::Builder b;
  const graph::Value y = op_samples::sample(b, op);
  b.output("y", y);
  if (op.name == "split") b.output("z", graph::Builder::output_of(y, 1));
  return b.finish();
}

at::Tensor input_of(const graph::Input& input, const graph::Bindings& sizes) {
  std::vector<std::int64_t> shape;
  std::int64_t n = 1;
  for (const graph::Dim& dim : input.type.dims) n *= shape.emplace_back(dim.evaluate(sizes));
  if (input.type.dtype == graph::DType::kI64) return at::arange(n).fmod(5).reshape(shape);
  return at::arange(1, n + 1, at::TensorOptions().dtype(at::kFloat)).mul(0.7).sin().reshape(shape);
}

std::vector<std::int64_t> known(const graph::ValueType& type, const graph::Bindings& sizes) {
  std::vector<std::int64_t> shape;
  for (const graph::Dim& dim : type.dims) shape.push_back(dim.evaluate(sizes));
  return shape;
}

graph::Cost cost_of_node(const graph::Graph& g, const graph::Bindings& sizes) {
  for (const auto& [name, cost] : graph::node_costs(g, sizes))
    if (name == "node") return cost;
  FAIL("no node");
  return {};
}

}  // namespace

TEST_CASE("ops: the kernel gives the type that the schema infers, in training and not, in either memory format") {
  const graph::Bindings sizes{{"N", 3}, {"S", 5}};
  for (const graph::Op* op : graph::ops()) {
    CAPTURE(op->name);
    exec::Model model = exec::make_model(around(*op), 1);
    const auto types = graph::infer_types(model.graph);
    std::vector<at::Tensor> inputs;
    for (const graph::Input& input : model.graph.inputs) inputs.push_back(input_of(input, sizes));
    const c10::NoGradGuard off;
    for (const bool training : {false, true})
      for (const bool channels_last : {false, true}) {
        CAPTURE(training);
        CAPTURE(channels_last);
        const exec::PlanOptions options{.training = training, .channels_last = channels_last};
        const auto outputs = exec::Executor(model).run(inputs, {.training = training, .seed = 4}, options);
        REQUIRE(outputs.size() == model.graph.outputs.size());
        for (std::size_t i = 0; i < outputs.size(); ++i) {
          const graph::ValueType& type = types.at(model.graph.outputs[i].value);
          CHECK(outputs[i].sizes().vec() == known(type, sizes));
          CHECK((exec::dtype_of(outputs[i].scalar_type()) == type.dtype));
          CHECK(outputs[i].to(at::kDouble).isfinite().all().item<bool>());
        }
      }
  }
}

TEST_CASE("ops: activation bytes are those of the outputs, work grows with the batch, and whatever has weights does some") {
  const graph::Bindings one{{"N", 1}, {"S", 5}}, four{{"N", 4}, {"S", 5}};
  for (const graph::Op* op : graph::ops()) {
    CAPTURE(op->name);
    const graph::Graph g = around(*op);
    const graph::Cost cost = cost_of_node(g, one), larger = cost_of_node(g, four);
    const auto types = graph::infer_types(g);
    std::int64_t bytes = 0;
    for (const graph::Output& output : g.outputs) {
      std::int64_t n = io::dtype_bits(types.at(output.value).dtype) / 8;
      for (const std::int64_t size : known(types.at(output.value), one)) n *= size;
      bytes += n;
    }
    CHECK(cost.activation_bytes == bytes);
    CHECK(cost.macs >= 0);
    bool fixed = true;  // a tensor of the table and a bias of distances have no batch
    for (const graph::Output& output : g.outputs)
      for (const graph::Dim& dim : types.at(output.value).dims) fixed = fixed && dim.text().find('N') == std::string::npos;
    CHECK(larger.macs == (fixed ? 1 : 4) * cost.macs);
    CHECK(larger.activation_bytes == (fixed ? 1 : 4) * cost.activation_bytes);
    CHECK(larger.tensor_bytes == cost.tensor_bytes);
    const graph::Node& node = *g.find_node("node");
    const auto weight = node.slots.find("weight");
    // A matrix of weights is multiplied with, save where its rows are looked up.
    if (weight != node.slots.end() && g.tensor(weight->second.tensor).shape.size() >= 2 && op->name != "embedding" &&
        op->name != "relative_bias") {
      CHECK(cost.macs > 0);
      CHECK(cost.parameters > 0);
    }
  }
}
