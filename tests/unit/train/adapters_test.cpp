// What the executor does with layers that are not trained, such as those beside adapters.
#include <doctest/doctest.h>

#include "base/graph/builder.h"
#include "engine/exec/executor.h"
#include "unit/exec/net_inputs.h"

using namespace ds;

TEST_CASE("adapters: what is frozen runs as in evaluation, and nothing goes back through it") {
  graph::Builder b;
  graph::Value x = b.input("image", graph::DType::kF32, {graph::Dim::symbol("N"), 2, 4, 4});
  x = b.dropout("drop", b.relu("relu", b.batch_norm2d("bn", b.conv2d("conv", x, 3, 3, 1, 1))), 0.5);
  x = b.relu("relu2", b.batch_norm2d("bn2", b.conv2d("conv2", x, 3, 1)));  // one step of the plan
  b.output("logits", b.linear("head", b.flatten("flat", b.global_avg_pool("pool", x)), 2));
  exec::Model model = exec::make_model(b.finish(), 1);
  const std::vector<at::Tensor> inputs = {net_inputs::wave({4, 2, 4, 4}, 0.3).to(at::kFloat)};
  exec::Executor executor(model);
  const at::Tensor still = executor.run(inputs, {}, {.fetch = {"drop"}}).at(1);

  for (const char* name : {"conv2.weight", "head.weight"}) model.tensors.at(name).requires_grad_(true);
  const at::Tensor mean = model.tensors.at("bn.running_mean").clone(), mean2 = model.tensors.at("bn2.running_mean").clone();
  const exec::RunContext context{.training = true, .step = 1, .seed = 2};
  const auto values = executor.run(inputs, context, {.training = true, .fetch = {"drop", "relu2"}});
  CHECK(values[1].equal(still));  // dropout in front of what is trained is off
  CHECK_FALSE(values[1].requires_grad());
  CHECK(values[2].requires_grad());
  CHECK(model.tensors.at("bn.running_mean").equal(mean));
  CHECK(model.tensors.at("bn2.running_mean").equal(mean2));  // behind it too: its own tensors are frozen
  values[0].sum().backward();
  CHECK(model.tensors.at("conv2.weight").grad().defined());
  CHECK_FALSE(model.tensors.at("conv.weight").grad().defined());

  // A norm that is trained takes the batch's statistics.
  model.tensors.at("bn2.weight").requires_grad_(true);
  executor.rebind();
  executor.run(inputs, context, {.training = true});
  CHECK_FALSE(model.tensors.at("bn2.running_mean").equal(mean2));
  CHECK(model.tensors.at("bn.running_mean").equal(mean));
}
