// Over the smallest member of every family, on the smallest images that it takes: what training and pruning rest on.
// (Names and shapes: tests/unit/models/zoo_test.cpp. Outputs: tests/unit/exec/parity_test.cpp.)
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "engine/compress/pruner.h"
#include "engine/exec/executor.h"
#include "unit/models/zoo.h"

using namespace ds;

namespace {

/// Hidden layers of 100 million weights, and depthwise 7x7 convolutions that float64 has no fast kernel for, are of no use here.
const std::map<std::string, graph::Json> kSmaller = {
    {"alexnet", {{"hidden_features", 32}}}, {"convnext_tiny", {{"width", 16}}}, {"vgg11", {{"hidden_features", 32}}}};

at::Tensor wave(const std::vector<std::int64_t>& shape, double step) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return at::arange(1, n + 1, at::TensorOptions().dtype(at::kDouble)).mul(step).sin().mul(1.3).reshape(shape);
}

struct Net {
  exec::Model model;
  at::Tensor images;

  explicit Net(const std::string& arch) {
    const auto options = kSmaller.find(arch);
    model = exec::make_model(zoo::build_small(arch, 7, options == kSmaller.end() ? graph::Json::object() : options->second), 5);
    model.to(at::kDouble);
    const std::vector<graph::Dim>& dims = model.graph.inputs[0].type.dims;
    images = wave({3, dims[1].value(), dims[2].value(), dims[3].value()}, 0.71);
  }

  /// The same dropout and the same statistics of the batch at every call.
  at::Tensor loss() {
    const exec::RunContext context{.training = true, .step = 3, .seed = 9, .update_statistics = false};
    const at::Tensor logits = exec::Executor(model).run({images}, context, {.training = true})[0];
    return at::cross_entropy_loss(logits, at::arange(3).mul(2));
  }
};

/// Weights as after training: norms no longer scale by 1 and shift by 0, and what starts at (almost) nothing has grown.
void roughen(exec::Model& model) {
  const c10::NoGradGuard off;
  for (const graph::TensorSpec& spec : model.graph.tensors) {
    at::Tensor& t = model.tensors.at(spec.name);
    if (!t.is_floating_point()) continue;
    const at::Tensor ripple = wave(t.sizes().vec(), 1.7 + 0.1 * static_cast<double>(spec.name.size())).mul(0.3);
    if (t.dim() == 1) t.copy_(spec.name.ends_with("running_var") || spec.name.ends_with("weight") ? ripple.add(1) : ripple.mul(0.2));
    else if (t.abs().max().item<double>() < 1e-3) t.copy_(ripple);
  }
}

/// On a loaded machine the threads of these many small steps wait for each other longer than they work.
struct OneThread {
  int before = at::get_num_threads();
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before); }
};

}  // namespace

TEST_CASE("architecture: a step against the gradient lowers the loss by what the gradient says, in the smallest of every family") {
  const OneThread one;
  for (const auto& [family, arch] : zoo::smallest_members()) {
    CAPTURE(arch);
    Net net(arch);
    roughen(net.model);
    net.model.require_grad(true);
    const at::Tensor before = net.loss();
    before.backward();
    double squared = 0;
    for (const std::string& name : net.model.parameters()) {
      CAPTURE(name);
      const at::Tensor& gradient = net.model.tensors.at(name).grad();
      REQUIRE(gradient.defined());
      REQUIRE(gradient.isfinite().all().item<bool>());
      squared += gradient.square().sum().item<double>();
    }
    REQUIRE(squared > 0);
    const c10::NoGradGuard off;
    const double step = 1e-6 * before.item<double>() / squared;  // so that the loss falls by a millionth of itself
    for (const std::string& name : net.model.parameters()) {
      at::Tensor& tensor = net.model.tensors.at(name);
      tensor.sub_(tensor.grad().mul(step));
    }
    const double fall = (before.item<double>() - net.loss().item<double>()) / (step * squared);
    CHECK(fall == doctest::Approx(1).epsilon(0.01));
  }
}

TEST_CASE("architecture: slicing 30 % of the channels equals masking them, in the smallest of every family") {
  const OneThread one;
  const c10::NoGradGuard off;
  for (const auto& [family, arch] : zoo::smallest_members()) {
    CAPTURE(arch);
    Net net(arch);
    roughen(net.model);
    commands::PruneSettings settings;
    settings.ratio = 0.3;
    const auto plan = compress::plan_pruning(net.model, settings, 3);
    CHECK(plan.report["notes"].empty());
    exec::Model sliced = compress::slice(net.model, plan.keep), masked = compress::mask(net.model, plan.keep);
    const double kept = double(graph::cost(sliced.graph).parameters) / double(graph::cost(net.model.graph).parameters);
    CHECK(kept < 0.85);
    CHECK(kept > 0.3);
    const at::Tensor a = exec::Executor(sliced).run({net.images}, {})[0], b = exec::Executor(masked).run({net.images}, {})[0];
    CHECK(a.sub(b).abs().max().item<double>() <= 1e-9 * b.abs().max().item<double>());
    const at::Tensor whole = exec::Executor(net.model).run({net.images}, {})[0];
    CHECK(whole.sub(b).abs().max().item<double>() > 1e-6 * whole.abs().max().item<double>());
  }
}
