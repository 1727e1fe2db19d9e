// Any order of tools, over the smallest member of every family with each of its heads: pruned, quantized, pruned, trained, quantized anew.
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "engine/compress/pruner.h"
#include "engine/compress/quantizer.h"
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
    for (const at::Tensor& x : net_inputs::make(model.graph, 4)) inputs.push_back(x.is_floating_point() ? x.to(at::kFloat) : x);
    wake();
    settle();
  }

  /// Heads and the like that start at nothing tell nothing.
  void wake() {
    const c10::NoGradGuard off;
    for (const graph::TensorSpec& spec : model.graph.tensors) {
      at::Tensor& t = model.tensors.at(spec.name);
      if (t.is_floating_point() && t.dim() > 1 && t.abs().max().item<double>() < 1e-3) t.copy_(net_inputs::wave(t.sizes().vec(), 1.7).mul(0.05));
    }
  }

  /// BatchNorm's statistics are those of the inputs: a net that was never trained would let values grow or vanish.
  void settle() {
    const c10::NoGradGuard off;
    for (int i = 0; i < 40; ++i) exec::Executor(model).run(inputs, {.training = true}, {.training = true});
  }

  std::vector<at::Tensor> outputs(exec::Model& net) const {
    const c10::NoGradGuard off;
    return exec::Executor(net).run(inputs, {});
  }

  exec::Model pruned(const exec::Model& net) const {
    commands::PruneSettings settings;
    settings.ratio = 0.25;
    settings.coupled = true;
    return compress::slice(net, compress::plan_pruning(net, settings, 3).keep);
  }

  exec::Model quantized(const exec::Model& net) const {
    compress::Json report;
    compress::CalibrationOptions options;
    return compress::quantize_static(net, [&](const auto& see) { see(inputs); }, options, report);
  }

  /// One step of training with int8's rounding; how far the loss fell.
  exec::Model trained(const exec::Model& int8, double& fall) const {
    exec::Model masters = compress::to_fake_quantized(int8);
    masters.require_grad(true);
    exec::Executor executor(masters);
    const exec::RunContext context{.training = false, .update_statistics = false};
    const auto loss = [&] { return net_inputs::loss(executor.run(inputs, context)); };
    const at::Tensor before = loss();
    before.backward();
    double squared = 0;
    for (const std::string& name : masters.parameters())
      if (const at::Tensor& gradient = masters.tensors.at(name).grad(); gradient.defined()) squared += gradient.square().sum().item<double>();
    REQUIRE(std::isfinite(squared));
    REQUIRE(squared > 0);
    const c10::NoGradGuard off;
    // Rounding makes the loss a staircase: of some lengths of a step, one at least goes down.
    double best = 0, gone = 0;
    const auto move = [&](double to) {
      for (const std::string& name : masters.parameters()) {
        at::Tensor& tensor = masters.tensors.at(name);
        if (tensor.grad().defined()) tensor.sub_(tensor.grad().mul(to - gone));
      }
      gone = to;
    };
    fall = -1e9;
    for (const double share : {0.05, 0.02, 0.005, 1e-3, 1e-4, 1e-5}) {
      move(share * before.item<double>() / squared);
      const double now = before.item<double>() - loss().item<double>();
      if (now > fall) fall = now, best = gone;
    }
    move(best);
    masters.require_grad(false);
    return compress::from_fake_quantized(masters, int8);
  }
};

/// Signal to noise of all outputs together, in decibels.
double sqnr(const std::vector<at::Tensor>& truth, const std::vector<at::Tensor>& got) {
  REQUIRE(truth.size() == got.size());
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    REQUIRE(got[i].sizes() == truth[i].sizes());
    REQUIRE(got[i].isfinite().all().item<bool>());
    signal += truth[i].to(at::kDouble).square().sum().item<double>();
    noise += truth[i].to(at::kDouble).sub(got[i]).square().sum().item<double>();
  }
  return 10 * std::log10(signal / (noise + 1e-30));
}

}  // namespace

TEST_CASE("family: pruned, quantized, pruned, trained and quantized anew, in the smallest of every family") {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  for (const auto& [family, arch] : zoo::smallest_members()) {
    for (const std::string& head : zoo::heads(arch)) {
      CAPTURE(arch);
      CAPTURE(head);
      const Net net(arch, head);
      exec::Model a = net.pruned(net.model), b = net.quantized(a), c = net.pruned(b);
      CHECK(b.is_quantized());
      CHECK(graph::cost(c.graph).tensor_bytes < graph::cost(b.graph).tensor_bytes);
      const double int8 = sqnr(net.outputs(a), net.outputs(b));
      double fall = 0;
      exec::Model d = net.trained(c, fall);
      CHECK(fall > 0);
      exec::Model twin = compress::to_float(d), e = net.quantized(d), fake = compress::to_fake_quantized(d);
      CHECK(!twin.is_quantized());
      const double again = sqnr(net.outputs(twin), net.outputs(e)), same = sqnr(net.outputs(d), net.outputs(fake));
      CAPTURE(int8);
      CAPTURE(again);
      CAPTURE(same);
      // Nets that were never trained: what is rounded in deep ones with cosine attention grows. A wrong order of axes gives below 0 dB.
      CHECK(int8 > 6);
      CHECK(again > 5);
      // The table of a function and the function differ by a code at times, no more than rounding itself does.
      CHECK(same > std::min(16.0, int8 - 4));
    }
  }
  at::set_num_threads(threads);
}
