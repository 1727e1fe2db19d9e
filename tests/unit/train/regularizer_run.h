// Short runs with regularizers, for the tests of them: a small residual net on synthetic pictures, plain SGD, and a look at each step.
#pragma once
#include <ATen/core/grad_mode.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/graph/builder.h"
#include "engine/train/parts.h"

namespace regularizer_run {

using namespace ds;
using train::Json;
using train::Trainer;

/// Convolutions in a residual block, dropout, a linear layer. Without norms a sample's gradient does not depend on the others.
inline exec::Model net(bool norms = true, double dropout = 0.2, std::int64_t classes = 4) {
  graph::Builder b;
  const auto norm = [&](const std::string& name, const graph::Value& x) { return norms ? b.batch_norm2d(name, x) : x; };
  graph::Value x = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 1, 8, 8});
  x = b.relu("relu1", norm("bn1", b.conv2d("conv1", x, 6, 3, 1, 1)));
  x = b.relu("relu2", b.add("block1.add", norm("bn2", b.conv2d("conv2", x, 6, 3, 1, 1)), x));
  x = b.relu("relu3", b.add("block2.add", norm("bn3", b.conv2d("conv3", x, 6, 3, 1, 1)), x));
  x = b.dropout("drop", b.flatten("flatten", b.max_pool2d("pool1", x, 2, 2)), dropout);
  b.output("logits", b.linear("fc", x, classes));
  return exec::make_model(b.finish(), 1);
}

inline const data::Dataset& pictures() { return data::open_cached("synthetic:shape=1x8x8,classes=4,train=90,val=40,test=40"); }

/// SGD without momentum, decay and schedule: a step is lr times the gradient.
inline commands::FitOptions plain(std::int64_t epochs = 1, double lr = 0.1) {
  commands::FitOptions fit;
  fit.loop.epochs = epochs;
  fit.loop.batch_size = 16;
  fit.regularize.label_smoothing = 0;
  fit.optim.select("sgd");
  const core::Fields fields = core::walk(*fit.optim.options);
  for (const core::Entry& entry : fields.entries()) {
    if (entry.path == "lr") *std::get<double*>(entry.target) = lr;
    if (entry.path == "momentum" || entry.path == "weight_decay") *std::get<double*>(entry.target) = 0;
    if (entry.path == "nesterov") *std::get<bool*>(entry.target) = false;
  }
  fit.schedule.select("constant");
  return fit;
}

template <class T>
T& options_of(const commands::FitOptions& fit, const char* name) {
  return fit.regularize.more.as<T>(name);
}

using Values = std::map<std::string, at::Tensor>;

inline Values copies(const Values& tensors) {
  Values copy;
  for (const auto& [name, tensor] : tensors) copy[name] = tensor.detach().clone();
  return copy;
}

/// Calls what is set. Comes behind all regularizers.
struct Probe : train::Callback {
  std::function<void(Trainer&, data::Batch&)> batch;
  std::function<void(Trainer&, const data::Batch&, const std::vector<at::Tensor>&, const at::Tensor&)> loss;
  std::function<void(Trainer&, const Values& gradients)> backward;
  std::function<void(Trainer&)> step, finish, validation;
  void on_batch(Trainer& t, data::Batch& b) override { if (batch) batch(t, b); }
  at::Tensor on_loss(Trainer& t, const data::Batch& part, const std::vector<at::Tensor>& outputs, const at::Tensor& value) override {
    if (loss) loss(t, part, outputs, value);
    return value;
  }
  void on_backward(Trainer& t) override {
    if (!backward) return;
    Values gradients;
    for (const auto& parameter : t.parameters())
      if (parameter.value.grad().defined()) gradients[parameter.name] = parameter.value.grad().detach().clone();
    backward(t, gradients);
  }
  void on_step(Trainer& t) override { if (step) step(t); }
  void before_validation(Trainer& t) override { if (validation) validation(t); }
  void on_finish(Trainer& t) override { if (finish) finish(t); }
};

/// One run; `before` may set weights.
struct Run {
  exec::Model model;
  io::Checkpoint checkpoint;
  std::shared_ptr<Probe> probe = std::make_shared<Probe>();
  std::unique_ptr<Trainer> trainer;
  Run(const commands::FitOptions& fit, exec::Model net, train::TrainerOptions more = {}, const data::Dataset& data = pictures()) : model(std::move(net)) {
    core::set_log(core::Level::kWarn, core::ProgressMode::kNone, false);
    more.reproducible = true;
    trainer = std::make_unique<Trainer>(model, data, fit, more, checkpoint);
    trainer->add(probe);
  }
  std::string digest() {
    exec::store(model, checkpoint);
    return io::root_digest(checkpoint);
  }
};

/// Gradients of the first step, as the optimizer is to see them.
inline Values first_gradients(const commands::FitOptions& fit, exec::Model net) {
  Values first;
  Run run(fit, std::move(net));
  run.probe->backward = [&](Trainer&, const Values& gradients) { if (first.empty()) first = gradients; };
  run.trainer->run();
  return first;
}

inline double largest_difference(const Values& a, const Values& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (const auto& [name, tensor] : a) most = std::max(most, tensor.sub(b.at(name)).abs().max().item<double>());
  return most;
}

/// "code|where: message" of what is thrown, "" of nothing.
template <class F>
std::string refusal(F action) {
  try {
    action();
  } catch (const Error& e) {
    return std::to_string(static_cast<int>(e.code())) + "|" + e.where() + ": " + e.message();
  }
  return "";
}

}  // namespace regularizer_run
