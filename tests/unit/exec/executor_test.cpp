// The executor's promises: taps, fusion, freeing, contexts. Values are those of plain ATen calls or worked out by hand.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sin.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "engine/exec/executor.h"
#include "engine/exec/memory.h"

using namespace ds;
using exec::Executor;
using exec::PlanOptions;
using exec::RunContext;
using exec::Tap;
using graph::Builder;
using graph::Dim;
using graph::DType;
using graph::Value;

namespace {

at::Tensor wave(std::vector<std::int64_t> shape, at::ScalarType dtype = at::kDouble) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return at::arange(1, n + 1, at::TensorOptions().dtype(at::kDouble)).mul(0.7).sin().reshape(shape).to(dtype);
}

/// x [N, 2] -> fc (2 -> 2) -> relu -> head (2 -> 1), with a skip: y = head(relu(fc(x)) + fc(x)).
exec::Model small() {
  Builder b;
  const Value h = b.linear("fc", b.input("x", DType::kF32, {Dim::symbol("N"), 2}), 2, false);
  b.output("y", b.linear("head", b.add("sum", b.relu("relu", h), h), 1, false));
  exec::Model model = exec::make_model(b.finish(), 1);
  model.to(at::kDouble);
  model.tensors["fc.weight"] = at::linspace(1, 4, 4, at::kDouble).reshape({2, 2});    // [1 2; 3 4]
  model.tensors["head.weight"] = at::linspace(5, 6, 2, at::kDouble).reshape({1, 2});  // [5 6]
  model.require_grad(true);
  return model;
}

at::Tensor row(double a, double b) { return at::linspace(a, b, 2, at::kDouble).reshape({1, 2}); }

/// conv - bn - relu - pool - conv - bn - relu - fc.
exec::Model net(std::uint64_t seed = 3) {
  Builder b;
  Value x = b.input("image", DType::kF32, {Dim::symbol("N"), 3, Dim::symbol("H"), Dim::symbol("W")});
  x = b.relu("relu1", b.batch_norm2d("bn1", b.conv2d("conv1", x, 8, 3, 1, 1, false)));
  x = b.relu("relu2", b.batch_norm2d("bn2", b.conv2d("conv2", b.max_pool2d("pool", x, 2, 2), 5, 3, 1, 1)));
  b.output("logits", b.linear("fc", b.flatten("flat", b.global_avg_pool("gap", x)), 4));
  return exec::make_model(b.finish(), seed);
}

double difference(const at::Tensor& a, const at::Tensor& b) { return a.to(at::kDouble).sub(b.to(at::kDouble)).abs().max().item<double>(); }

const RunContext kTraining{.training = true, .step = 3, .seed = 5};

}  // namespace

TEST_CASE("exec: a tap reads a value and its gradient") {
  exec::Model model = small();
  Executor executor(model);
  at::Tensor seen, gradient;
  const Tap tap{"relu",
                [&](const at::Tensor& value) {
                  seen = value.detach().clone();
                  return at::Tensor();
                },
                [&](const at::Tensor& g) {
                  gradient = g.clone();
                  return at::Tensor();
                }};
  const at::Tensor y = executor.run({row(1, -1)}, {}, {}, {tap}).at(0);  // fc: -1, -1
  CHECK(seen.equal(at::full({1, 2}, 0.0, at::kDouble)));
  CHECK(y.item<double>() == -11);
  y.sum().backward();
  CHECK(gradient.equal(row(5, 6)));
}

TEST_CASE("exec: a tap replaces a value, and its gradient") {
  exec::Model model = small();
  Executor executor(model);
  const Tap forward{"relu", [](const at::Tensor& value) { return value.add(10); }, nullptr};
  CHECK(executor.run({row(1, -1)}, {}, {}, {forward}).at(0).item<double>() == 5 * 9 + 6 * 9);
  // y = 5 (r1 + h1) + 6 (r2 + h2); with the gradient of r replaced by 0, only the skip is left.
  const Tap backward{"relu", nullptr, [](const at::Tensor& g) { return g.mul(0); }};
  executor.run({row(1, 1)}, {}, {}, {backward}).at(0).sum().backward();
  CHECK(model.tensors.at("fc.weight").grad().equal(at::linspace(5, 6, 2, at::kDouble).reshape({2, 1}).expand({2, 2})));
}

TEST_CASE("exec: taps on one value run in order, their gradients in reverse") {
  exec::Model model = small();
  Executor executor(model);
  std::vector<std::string> log;
  const auto tap = [&log](const std::string& name, double factor) {
    return Tap{"sum",
               [&log, name, factor](const at::Tensor& value) {
                 log.push_back(name + " " + std::to_string(int(value[0][0].item<double>())));
                 return value.mul(factor);
               },
               [&log, name](const at::Tensor& g) {
                 log.push_back("d" + name + " " + std::to_string(int(g[0][0].item<double>())));
                 return at::Tensor();
               }};
  };
  executor.run({row(1, 1)}, {}, {}, {tap("a", 2), tap("b", 3)}).at(0).sum().backward();  // sum: 6, 14; head: 5, 6
  CHECK(log == std::vector<std::string>{"a 6", "b 12", "db 5", "da 15"});
}

TEST_CASE("exec: taps reach inputs, every output of a node, and values that share their memory") {
  Builder b;
  const Value x = b.input("x", DType::kF32, {Dim::symbol("N"), 4});
  const Value same = b.node("identity", "same", {x});
  const Value parts = b.node("split", "parts", {same}, {{"axis", 1}, {"sizes", {1, 3}}});
  b.output("left", parts);
  b.output("right", Builder::output_of(parts, 1));
  b.output("all", b.add("sum", x, same));
  exec::Model model = exec::make_model(b.finish(), 1);
  model.to(at::kDouble);
  Executor executor(model);
  std::map<std::string, at::Tensor> seen, gradients;
  std::vector<Tap> taps;
  for (const char* name : {"x", "same", "parts", "parts:1"}) {
    taps.push_back({name,
                    [&seen, name](const at::Tensor& value) {
                      seen[name] = value.detach().clone();
                      return at::Tensor();
                    },
                    [&gradients, name](const at::Tensor& g) {
                      gradients[name] = g.clone();
                      return at::Tensor();
                    }});
  }
  const at::Tensor input = wave({2, 4}).requires_grad_(true);
  const auto out = executor.run({input}, {}, {}, taps);
  CHECK(seen.at("x").equal(input.detach()));
  CHECK(seen.at("parts:1").equal(input.detach().narrow(1, 1, 3)));
  out[0].sum().mul(10).add(out[1].sum().mul(100)).add(out[2].sum()).backward();
  // x is read by the sum and by `same`; `same` by the sum and by the split.
  CHECK(gradients.at("parts").equal(at::full({2, 1}, 10.0, at::kDouble)));
  CHECK(gradients.at("parts:1").equal(at::full({2, 3}, 100.0, at::kDouble)));
  CHECK(gradients.at("same")[0][0].item<double>() == 11);
  CHECK(gradients.at("same")[0][1].item<double>() == 101);
  CHECK(gradients.at("x")[0][0].item<double>() == 12);
  CHECK(input.grad()[1][3].item<double>() == 102);
  CHECK_THROWS_WITH_AS(executor.run({input}, {}, {}, {{"parts:2", nullptr, nullptr}}), doctest::Contains("no value of this name"), Error);
}

TEST_CASE("exec: a tap on a tensor of the table leaves no hook behind") {
  Builder b;
  b.tensor({"bias", DType::kF64, {1, 2}, graph::Role::kParameter, {{"kind", "ones"}}});
  const Value x = b.input("x", DType::kF64, {Dim::symbol("N"), 2});
  b.output("y", b.add("sum", x, b.node("tensor", "free", {}, graph::Json::object(), {{"value", {"bias"}}})));
  exec::Model model = exec::make_model(b.finish(), 1);
  model.require_grad(true);
  Executor executor(model);
  int calls = 0;
  const Tap tap{"free", nullptr, [&calls](const at::Tensor& g) {
                  ++calls;
                  return g.mul(2);
                }};
  for (int i = 1; i <= 3; ++i) {
    model.tensors.at("bias").mutable_grad().reset();
    executor.run({row(1, 1)}, {}, {}, {tap}).at(0).sum().backward();
    CHECK(calls == i);
    CHECK(model.tensors.at("bias").grad()[0][0].item<double>() == 2);
  }
}

TEST_CASE("exec: BatchNorm and ReLU are one step, unless a tap or a fetch wants the value between") {
  exec::Model model = net();
  Executor executor(model);
  const auto has = [&](const std::string& line, const PlanOptions& options, const std::vector<std::string>& tapped = {}) {
    const auto lines = executor.describe(options, tapped);
    return std::count(lines.begin(), lines.end(), line) == 1;
  };
  for (const bool training : {false, true}) {
    CHECK(has("bn1 + relu1: batch_norm2d+relu", {.training = training}));
    CHECK(has("bn1: batch_norm2d", {.training = training}, {"bn1"}));
    CHECK(has("bn2 + relu2: batch_norm2d+relu", {.training = training}, {"bn1", "relu2"}));
    CHECK(has("bn1: batch_norm2d", {.training = training, .fetch = {"bn1"}}));
    CHECK(has("relu1: relu", {.training = training, .fuse = false}));
  }
}

TEST_CASE("exec: fused training steps give the unfused values, gradients and statistics") {
  const at::Tensor x = wave({4, 3, 9, 7}, at::kFloat);
  struct Result {
    at::Tensor loss;
    exec::Model model;
  };
  const auto train = [&x](PlanOptions options, at::ScalarType dtype) {
    Result result{{}, net()};
    if (dtype != at::kFloat) result.model.to(dtype);
    options.training = true;
    result.model.require_grad(true);
    Executor executor(result.model);
    result.loss = executor.run({x.to(dtype)}, kTraining, options).at(0).square().sum();
    result.loss.backward();
    return result;
  };
  const Result truth = train({.channels_last = false, .fuse = false}, at::kDouble);
  for (const bool fuse : {true, false})
    for (const bool channels_last : {true, false}) {
      CAPTURE(fuse);
      CAPTURE(channels_last);
      const Result one = train({.channels_last = channels_last, .fuse = fuse}, at::kFloat);
      CHECK(difference(one.loss, truth.loss) <= 1e-4 * std::abs(truth.loss.item<double>()));
      for (const auto& [name, tensor] : one.model.tensors) {
        CAPTURE(name);
        const at::Tensor& expected = truth.model.tensors.at(name);
        CHECK(difference(tensor.detach(), expected.detach()) <= 1e-5 * std::max(1.0, expected.detach().abs().max().item<double>()));
        if (tensor.requires_grad())
          CHECK(difference(tensor.grad(), expected.grad()) <= 2e-4 * std::max(1e-2, expected.grad().abs().max().item<double>()));
      }
      CHECK(difference(one.model.tensors.at("bn1.running_mean"), at::full({8}, 0.0)) > 1e-4);  // they moved at all
    }
}

TEST_CASE("exec: statistics stay where the context says so") {
  exec::Model model = net();
  Executor executor(model);
  const at::Tensor before = model.tensors.at("bn2.running_var").clone();
  RunContext context = kTraining;
  context.update_statistics = false;
  const c10::NoGradGuard off;
  for (const bool fuse : {true, false})
    for (const bool channels_last : {true, false}) {
      executor.run({wave({4, 3, 8, 8}, at::kFloat)}, context, {.training = true, .channels_last = channels_last, .fuse = fuse});
    }
  CHECK(model.tensors.at("bn2.running_var").equal(before));
}

TEST_CASE("exec: a value is freed after its last use") {
  exec::install_allocator();
  const std::int64_t size = 1 << 20;
  constexpr int kLayers = 12;
  Builder b;
  Value x = b.input("x", DType::kF32, {Dim::symbol("N"), 64});
  for (int i = 0; i < kLayers; ++i) x = b.node("sigmoid", "layer" + std::to_string(i), {x});
  b.output("y", x);
  exec::Model model = exec::make_model(b.finish(), 1);
  Executor executor(model);
  const at::Tensor input = at::ones({size / 256, 64});  // 1 MiB
  const auto peak = [&](const at::Tensor& given, const PlanOptions& options) {
    exec::reset_peak();
    const std::int64_t before = exec::memory_use().live;
    {
      const auto out = executor.run({given}, {}, options);
      CHECK(exec::memory_use().live - before >= size);
    }
    CHECK(exec::memory_use().live == before);
    return double(exec::memory_use().peak - before) / double(size);
  };
  {
    const c10::NoGradGuard off;
    CHECK(peak(input, {}) == doctest::Approx(2).epsilon(0.01));  // what a layer reads and what it makes
    CHECK(peak(input, {.fetch = {"layer0", "layer5"}}) == doctest::Approx(4).epsilon(0.01));
  }
  const at::Tensor leaf = at::ones({size / 256, 64}).requires_grad_(true);
  CHECK(peak(leaf, {.training = true}) >= kLayers);  // autograd keeps them all: the measure can tell
}

TEST_CASE("exec: one plan serves every batch and image size") {
  exec::Model model = net();
  Executor executor(model);
  const c10::NoGradGuard off;
  const at::Tensor whole = wave({6, 3, 10, 12}, at::kFloat);
  const at::Tensor y = executor.run({whole}, {}).at(0);
  for (std::int64_t n = 1; n <= 5; ++n) CHECK(difference(executor.run({whole.narrow(0, 0, n)}, {}).at(0), y.narrow(0, 0, n)) <= 1e-6);
  CHECK(executor.run({wave({2, 3, 5, 31}, at::kFloat)}, {}).at(0).sizes() == at::IntArrayRef({2, 4}));
}

TEST_CASE("exec: inputs that do not fit their types are refused by name") {
  Builder b;
  const Value ids = b.input("input_ids", DType::kI64, {Dim::symbol("N"), Dim::symbol("S")});
  const Value mask = b.input("attention_mask", DType::kF32, {Dim::symbol("N"), Dim::symbol("S"), 1});
  const Value x = b.node("embedding", "embed", {ids}, {{"num_embeddings", 5}, {"dim", 3}});
  b.output("y", b.node("mul", "masked", {x, mask}));
  exec::Model model = exec::make_model(b.finish(), 1);
  Executor executor(model);
  const at::Tensor good = at::arange(6).reshape({2, 3}).fmod(5), on = at::ones({2, 3, 1});
  CHECK(executor.run({good, on}, {}).at(0).sizes() == at::IntArrayRef({2, 3, 3}));
  const auto message = [&](const std::vector<at::Tensor>& inputs) {
    try {
      executor.run(inputs, {});
    } catch (const Error& e) {
      CHECK(e.code() == Exit::kInput);
      return e.where() + ": " + e.message();
    }
    return std::string("no error");
  };
  CHECK(message({good}) == "model: 1 inputs, expected 2");
  CHECK(message({good.to(at::kFloat), on}) == "input input_ids: Float, expected int64[N, S]");
  CHECK(message({good, on.to(at::kLong)}) == "input attention_mask: Long, expected float32[N, S, 1]");
  CHECK(message({good, at::ones({2, 4, 1})}) == "input attention_mask: shape [2, 4, 1], expected float32[N, S, 1]");  // S is 3 already
  CHECK(message({good, at::ones({2, 3})}) == "input attention_mask: shape [2, 3], expected float32[N, S, 1]");
}

TEST_CASE("exec: dropout follows the global sample ids, through every split of the batch and memory format") {
  Builder b;
  Value x = b.input("image", DType::kF32, {Dim::symbol("N"), 3, 4, 4});
  x = b.dropout("drop", b.node("drop_path", "path", {x}, {{"p", 0.3}}), 0.5);
  b.output("y", b.dropout("again", x, 0.2));
  exec::Model model = exec::make_model(b.finish(), 1);
  Executor executor(model);
  const c10::NoGradGuard off;
  const at::Tensor images = at::ones({8, 3, 4, 4}), ids = at::arange(100, 108);
  RunContext context = kTraining;
  const auto run = [&](const at::Tensor& x_, const at::Tensor& of, bool channels_last = true) {
    context.sample_ids = of;
    return executor.run({x_}, context, {.training = true, .channels_last = channels_last}).at(0);
  };
  const at::Tensor whole = run(images, ids);
  CHECK(run(images, ids, false).equal(whole));
  for (std::int64_t i = 0; i < 8; ++i) CHECK(run(images.narrow(0, i, 1), ids.narrow(0, i, 1)).equal(whole.narrow(0, i, 1)));
  CHECK(run(images, ids.flip({0})).flip({0}).equal(whole));
  CHECK_FALSE(run(images, ids.add(1)).equal(whole));
  context.step = 4;
  CHECK_FALSE(run(images, ids).equal(whole));
  context = kTraining;
  context.seed = 6;
  CHECK_FALSE(run(images, ids).equal(whole));
  context.training = false;
  CHECK(run(images, ids).equal(images));
}

TEST_CASE("exec: autocast computes layers in bfloat16 and keeps norms, parameters and gradients in float32") {
  exec::Model model = net();
  model.require_grad(true);
  Executor executor(model);
  const at::Tensor x = wave({4, 3, 8, 8}, at::kFloat);
  std::map<std::string, at::ScalarType> types;
  std::vector<Tap> taps;
  for (const char* name : {"conv1", "bn1", "relu1", "conv2", "fc"}) {
    taps.push_back({name, [&types, name](const at::Tensor& value) {
                      types[name] = value.scalar_type();
                      return at::Tensor();
                    }, nullptr});
  }
  RunContext context = kTraining;
  const at::Tensor exact = executor.run({x}, context, {.training = true}, taps).at(0);
  for (const auto& [name, type] : types) CHECK((type == at::kFloat));
  context.autocast = at::kBFloat16;
  const at::Tensor y = executor.run({x}, context, {.training = true}, taps).at(0);
  CHECK((types.at("conv1") == at::kBFloat16));
  CHECK((types.at("conv2") == at::kBFloat16));
  CHECK((types.at("fc") == at::kBFloat16));
  CHECK((types.at("bn1") == at::kFloat));
  const double error = difference(y, exact), scale = exact.abs().max().item<double>();
  CHECK(error > 0);  // it did round
  CHECK(error <= 0.05 * scale);
  y.to(at::kFloat).square().sum().backward();
  for (const std::string& name : model.parameters()) {
    CAPTURE(name);
    REQUIRE(model.tensors.at(name).grad().defined());
    CHECK((model.tensors.at(name).grad().scalar_type() == at::kFloat));
  }
  // float64 is for proofs: autocast leaves it alone.
  exec::Model wide = net();
  wide.to(at::kDouble);
  Executor proof(wide);
  CHECK((proof.run({x.to(at::kDouble)}, context, {.training = true}).at(0).scalar_type() == at::kDouble));
}
