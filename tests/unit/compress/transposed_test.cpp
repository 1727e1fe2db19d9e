// Linear layers whose weights are stored [in, out], as GPT-2's files have them: int8 as those that store [out, in].
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include "base/graph/builder.h"
#include "engine/compress/lowering.h"
#include "engine/compress/quantizer.h"
#include "unit/compress/support.h"

using namespace ds;
using graph::Json;

namespace {

/// linear 6 -> 5, ReLU, linear 5 -> 3 of which the first stores its weight either way, with the same values.
exec::Model net(bool transposed) {
  graph::Builder b;
  const graph::Value x = b.input("x", graph::DType::kF32, {graph::Dim::symbol("N"), 6});
  Json attrs = {{"out_features", 5}};
  if (transposed) attrs["transposed"] = true;
  b.output("y", b.linear("second", b.relu("relu", b.node("linear", "first", {x}, attrs)), 3));
  exec::Model model = exec::make_model(b.finish(), 4);
  at::Tensor& weight = model.tensors.at("first.weight");
  const at::Tensor values = test::ramp({5, 6}, 0.9);
  weight.copy_(transposed ? values.t() : values);
  return model;
}

exec::Model int8(const exec::Model& model) {
  std::map<std::string, compress::QParams> ranges;
  for (const char* value : {"x", "first", "relu", "second"}) ranges[value] = compress::make_qparams(-2, 3);
  return compress::lower_to_int8(model, compress::plan_lowering(model.graph, {}), ranges);
}

}  // namespace

TEST_CASE("transposed: int8 has the codes and outputs of the layer that stores rows, and trains and prunes like it") {
  const c10::NoGradGuard off;
  const at::Tensor x = test::ramp({7, 6}, 0.37);
  exec::Model a = int8(net(false)), b = int8(net(true));
  CHECK(b.graph.find_node("first")->op == "qlinear");
  CHECK(b.tensors.at("first.weight").sizes().vec() == std::vector<std::int64_t>{5, 6});
  for (const auto& [name, tensor] : a.tensors) {
    CAPTURE(name);
    CHECK(tensor.equal(b.tensors.at(name)));
  }
  CHECK(exec::Executor(a).run({x}, {})[0].equal(exec::Executor(b).run({x}, {})[0]));
  exec::Model twin = compress::to_fake_quantized(b);
  CHECK(compress::from_fake_quantized(twin, b).tensors.at("first.weight").equal(b.tensors.at("first.weight")));

  commands::PruneSettings settings;
  settings.ratio = 0.4;
  exec::Model plain = net(false), turned = net(true);
  const auto by_rows = compress::plan_pruning(plain, settings, 1), by_columns = compress::plan_pruning(turned, settings, 1);
  exec::Model small = compress::slice(plain, by_rows.keep), other = compress::slice(turned, by_columns.keep);
  CHECK(small.tensors.at("first.weight").sizes().vec() == std::vector<std::int64_t>{3, 6});
  CHECK(other.tensors.at("first.weight").equal(small.tensors.at("first.weight").t()));
  CHECK(other.graph.find_node("first")->attrs["out_features"] == 3);
}

TEST_CASE("transposed: a fake-quantized layer rounds each output channel of either form alike") {
  const c10::NoGradGuard off;
  const auto fake = [](bool transposed) {
    exec::Model model = net(transposed);
    model.graph.find_node("first")->op = "fake_linear";
    graph::verify(model.graph, "");
    return model;
  };
  exec::Model a = fake(false), b = fake(true), whole = net(true);
  const at::Tensor x = test::ramp({7, 6}, 0.37), y = exec::Executor(a).run({x}, {})[0];
  CHECK(test::largest_difference(y, exec::Executor(b).run({x}, {})[0]) <= 1e-6);
  CHECK(test::largest_difference(y, exec::Executor(whole).run({x}, {})[0]) > 1e-5);
}
