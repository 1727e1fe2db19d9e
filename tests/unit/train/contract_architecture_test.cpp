// Over the smallest member of every family, with each of its heads, on the smallest images that it takes or a few tokens: what training and pruning
// rest on.
// (Names and shapes: tests/unit/models/zoo_test.cpp. Outputs: tests/unit/exec/parity_test.cpp.)
#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "engine/compress/pruner.h"
#include "engine/exec/executor.h"
#include "unit/exec/net_inputs.h"
#include "unit/models/zoo.h"

using namespace ds;

namespace {

struct Net {
  exec::Model model;
  std::vector<at::Tensor> inputs;

  Net(const std::string& arch, const std::string& head) {
    graph::Json options = zoo::smaller(arch);
    if (!head.empty()) options["head"] = head;
    model = exec::make_model(zoo::build_small(arch, 7, options), 5);
    model.to(at::kDouble);
    inputs = net_inputs::make(model.graph, 3);
  }

  /// The same dropout and the same statistics of the batch at every call.
  at::Tensor loss() {
    const exec::RunContext context{.training = true, .step = 3, .seed = 9, .update_statistics = false};
    return net_inputs::loss(exec::Executor(model).run(inputs, context, {.training = true}));
  }
};

/// Every net that the tests below run on: the smallest of each family with each head, called "bert_tiny token".
std::vector<std::pair<std::string, std::string>> nets() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [family, arch] : zoo::smallest_members())
    for (const std::string& head : zoo::heads(arch)) all.emplace_back(arch, head);
  return all;
}

/// Weights as after training: norms no longer scale by 1 and shift by 0, and what starts at (almost) nothing has grown.
void roughen(exec::Model& model) {
  const c10::NoGradGuard off;
  for (const graph::TensorSpec& spec : model.graph.tensors) {
    at::Tensor& t = model.tensors.at(spec.name);
    if (!t.is_floating_point()) continue;
    const at::Tensor ripple = net_inputs::wave(t.sizes().vec(), 1.7 + 0.1 * static_cast<double>(spec.name.size())).mul(0.3);
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
  for (const auto& [arch, head] : nets()) {
    CAPTURE(arch);
    CAPTURE(head);
    Net net(arch, head);
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
  for (const auto& [arch, head] : nets()) {
    CAPTURE(arch);
    CAPTURE(head);
    Net net(arch, head);
    roughen(net.model);
    commands::PruneSettings settings;
    settings.ratio = 0.3;
    const auto plan = compress::plan_pruning(net.model, settings, 3);
    CHECK(plan.report["notes"].empty());
    exec::Model sliced = compress::slice(net.model, plan.keep), masked = compress::mask(net.model, plan.keep);
    const double kept = double(graph::cost(sliced.graph).parameters) / double(graph::cost(net.model.graph).parameters);
    CHECK(kept < 0.85);
    CHECK(kept > 0.3);
    const auto a = exec::Executor(sliced).run(net.inputs, {}), b = exec::Executor(masked).run(net.inputs, {});
    const auto whole = exec::Executor(net.model).run(net.inputs, {});
    REQUIRE(a.size() == whole.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].sub(b[i]).abs().max().item<double>() <= 1e-9 * b[i].abs().max().item<double>());
      CHECK(whole[i].sub(b[i]).abs().max().item<double>() > 1e-6 * whole[i].abs().max().item<double>());
    }
  }
}

TEST_CASE("architecture: padding behind a text changes nothing of what a net for texts says of it") {
  const OneThread one;
  const c10::NoGradGuard off;
  for (const auto& [arch, head] : nets()) {
    if (!zoo::takes_text(arch)) continue;
    CAPTURE(arch);
    CAPTURE(head);
    Net net(arch, head);
    roughen(net.model);
    std::vector<at::Tensor> longer;
    at::Tensor tokens;  // 1 where a token is
    for (std::size_t i = 0; i < net.inputs.size(); ++i) {
      const graph::Input& input = net.model.graph.inputs[i];
      const bool mask = input.name == "attention_mask", text = input.type.dims.at(1) == graph::Dim::symbol("S");
      if (mask) tokens = net.inputs[i];
      const at::Tensor more = at::full({3, 4}, mask ? 0 : input.name == "input_ids" ? 1 : 0, at::kLong);  // 1: what RoBERTa knows padding by
      longer.push_back(text ? at::cat({net.inputs[i], more}, 1) : net.inputs[i]);
    }
    REQUIRE(tokens.defined());
    const auto before = exec::Executor(net.model).run(net.inputs, {}), after = exec::Executor(net.model).run(longer, {});
    for (std::size_t i = 0; i < before.size(); ++i) {
      at::Tensor difference = after[i].sizes() == before[i].sizes() ? after[i] : after[i].narrow(1, 0, before[i].size(1));
      difference = difference.sub(before[i]);
      if (after[i].sizes() != before[i].sizes()) difference = difference.mul(tokens.unsqueeze(-1));  // of padding it may say anything
      CHECK(difference.abs().max().item<double>() <= 1e-12 * before[i].abs().max().item<double>());
    }
  }
}

TEST_CASE("architecture: a text of padding alone gives numbers, in every type") {
  const OneThread one;
  const c10::NoGradGuard off;
  for (const auto& [arch, head] : nets()) {
    if (!zoo::takes_text(arch)) continue;
    CAPTURE(arch);
    CAPTURE(head);
    Net net(arch, head);
    for (std::size_t i = 0; i < net.inputs.size(); ++i)
      if (net.model.graph.inputs[i].name == "attention_mask") net.inputs[i].select(0, 2).fill_(0);
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      net.model.to(type);
      for (const at::ScalarType autocast : {at::ScalarType::Undefined, at::kBFloat16, at::kHalf})
        for (const at::Tensor& y : exec::Executor(net.model).run(net.inputs, {.autocast = autocast}))
          CHECK(y.to(at::kDouble).isfinite().all().item<bool>());
    }
  }
}
