// A step in parts, out of memory, loss scaling, alarms: what must not change a result, and what must stop a run.
#include <ATen/core/Tensor.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/graph/builder.h"
#include "engine/exec/memory.h"
#include "engine/train/trainer.h"

using namespace ds;
using train::Trainer;

namespace {

const bool silent = [] {
  exec::install_allocator();
  core::set_log(core::Level::kQuiet, core::ProgressMode::kNone, false);
  return true;
}();

/// Without batch statistics: a part's samples do not see each other. With dropout, so that random numbers must follow the sample.
exec::Model net(bool batch_norm = false) {
  graph::Builder b;
  graph::Value x = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 1, 8, 8});
  x = b.conv2d("conv1", x, 8, 3, 1, 1);
  if (batch_norm) x = b.batch_norm2d("bn1", x);
  x = b.dropout("drop", b.flatten("flatten", b.max_pool2d("pool1", b.relu("relu1", x), 2, 2)), 0.2);
  b.output("logits", b.linear("fc", x, 4));
  return exec::make_model(b.finish(), 1);
}

const data::Dataset& small() { return data::open_cached("synthetic:shape=1x8x8,classes=4,train=90,val=40,test=40"); }

commands::FitOptions fit(std::int64_t batch, std::int64_t parts) {
  commands::FitOptions options;
  options.loop.epochs = 2;
  options.loop.batch_size = batch;
  options.loop.grad_accum_steps = parts;
  options.optim.select("sgd");
  options.precision.channels_last = "off";
  return options;
}

struct Probe : train::Callback {
  std::vector<train::StepFigures> figures;
  std::vector<train::Alarm> alarms;
  std::function<void(Trainer&, data::Batch&)> batch;
  std::function<at::Tensor(const at::Tensor&)> loss;
  bool norms = false;
  void on_start(Trainer& trainer) override {
    if (norms) trainer.want_gradient_norm();
  }
  void on_batch(Trainer& trainer, data::Batch& b) override {
    if (batch) batch(trainer, b);
  }
  at::Tensor on_loss(Trainer&, const data::Batch&, const std::vector<at::Tensor>&, const at::Tensor& mean) override { return loss ? loss(mean) : mean; }
  void on_step(Trainer& trainer) override { figures.push_back(trainer.last_step()); }
  void on_alarm(Trainer&, const train::Alarm& alarm) override { alarms.push_back(alarm); }
};

struct Run {
  exec::Model model;
  io::Checkpoint checkpoint;
  std::shared_ptr<Probe> probe = std::make_shared<Probe>();
  std::unique_ptr<Trainer> trainer;
  Run(const commands::FitOptions& options, bool batch_norm = false, bool f64 = false) : model(net(batch_norm)) {
    if (f64) model.to(at::kDouble);
    train::TrainerOptions more;
    more.reproducible = true;
    trainer = std::make_unique<Trainer>(model, small(), options, more, checkpoint);
    trainer->add(probe);
  }
  std::string digest() {
    exec::store(model, checkpoint);
    return io::root_digest(checkpoint);
  }
  /// Largest difference of a weight from another run's.
  double apart(const Run& other) const {
    double most = 0;
    for (const auto& [name, tensor] : model.tensors) most = std::max(most, tensor.detach().sub(other.model.tensors.at(name).detach()).abs().max().item<double>());
    return most;
  }
};

struct Limit {
  explicit Limit(std::int64_t bytes) { exec::set_limit(bytes); }
  ~Limit() { exec::set_limit(0); }
};

}  // namespace

TEST_CASE("step: four parts of 8 give the step of one batch of 32, the short last one too") {
  // 90 = 2 * 32 + 26: the last batch is 8 + 8 + 8 + 2, where an average of parts' means would be wrong.
  Run whole(fit(32, 1)), parts(fit(8, 4));
  whole.trainer->run();
  parts.trainer->run();
  CHECK(whole.trainer->step() == 6);
  CHECK(parts.trainer->step() == 6);
  CHECK(parts.probe->figures[0].parts == 4);
  CHECK(parts.probe->figures[2].samples == 26);
  CHECK(parts.apart(whole) < 2e-6);
  CHECK(parts.probe->figures[2].loss == doctest::Approx(whole.probe->figures[2].loss).epsilon(1e-6));
  CHECK(parts.trainer->history()[0]["train_top1"] == whole.trainer->history()[0]["train_top1"]);
}

TEST_CASE("step: out of memory splits the step, and the weights are those of a run with the memory") {
  commands::FitOptions options = fit(64, 1);
  Run whole(options);
  whole.trainer->run();
  Run tight(options);
  bool first = true;
  // Memory for what is there and the half of what a step asks for.
  exec::reset_peak();
  const std::int64_t live = exec::memory_use().live;
  {
    Run measured(options);
    exec::reset_peak();
    measured.trainer->run();
  }
  const std::int64_t step = exec::memory_use().peak - live;
  tight.probe->batch = [&](Trainer&, data::Batch&) {
    if (first) exec::set_limit(exec::memory_use().live + step / 2);
    first = false;
  };
  {
    const Limit off(0);
    tight.trainer->run();
  }
  REQUIRE(tight.probe->alarms.size() >= 1);
  CHECK(tight.probe->alarms[0].kind == "memory");
  CHECK(tight.probe->figures[0].parts >= 2);
  CHECK(tight.probe->figures[0].samples == 64);
  CHECK(tight.apart(whole) < 2e-6);
}

TEST_CASE("step: a net with batch statistics is not split, nor one sample, nor a run that says fail") {
  const auto message = [](commands::FitOptions options, bool batch_norm) -> std::string {
    Run run(options, batch_norm);
    run.probe->batch = [](Trainer&, data::Batch&) { exec::set_limit(exec::memory_use().live + 2000); };
    const Limit off(0);
    try {
      run.trainer->run();
    } catch (const Error& e) {
      CHECK(e.code() == Exit::kResource);
      return e.what();
    }
    return "";
  };
  CHECK(message(fit(64, 1), true).find("'bn1' takes its statistics from the samples that are computed together") != std::string::npos);
  CHECK(message(fit(64, 1), false).find("one sample alone does not fit") != std::string::npos);
  commands::FitOptions fails = fit(64, 1);
  fails.precision.out_of_memory = "fail";
  const std::string text = message(fails, false);
  CHECK(text.find("a tensor of") != std::string::npos);
  CHECK(text.find("one sample") == std::string::npos);
}

TEST_CASE("step: labels that are mixed weigh as much as the mix says") {
  // All of it on the other label is the same as that label alone; halves are the mean of both losses.
  const auto losses = [](double share, std::int64_t shift) {
    commands::FitOptions options = fit(90, 1);
    options.loop.epochs = 1;
    Run run(options);
    run.probe->batch = [=](Trainer&, data::Batch& batch) {
      const at::Tensor other = batch.labels.add(shift).remainder(4);
      if (share < 0) {
        batch.labels = other;
      } else {
        batch.mixed_labels = other;
        batch.mix = at::Tensor(batch.labels).to(at::kFloat).mul(0).add(share);
      }
    };
    run.trainer->run();
    return run.probe->figures[0].loss;
  };
  const double own = losses(1, 1), other = losses(-1, 1);
  CHECK(own != doctest::Approx(other));
  CHECK(losses(0, 1) == doctest::Approx(other).epsilon(1e-6));
  CHECK(losses(0.25, 1) == doctest::Approx(0.25 * own + 0.75 * other).epsilon(1e-6));
}

TEST_CASE("step: the norm of the gradients is that of all of them together, before clipping") {
  commands::FitOptions options = fit(90, 1);
  options.loop.epochs = 1;
  Run plain(options);
  plain.probe->norms = true;
  plain.trainer->run();
  const double norm = plain.probe->figures[0].gradient_norm;
  CHECK(norm > 0);
  options.loop.clip_grad = norm / 2;
  Run clipped(options);
  clipped.trainer->run();
  CHECK(clipped.probe->figures[0].gradient_norm == doctest::Approx(norm));
  Run unasked(fit(90, 1));
  unasked.trainer->run();
  CHECK(std::isnan(unasked.probe->figures[0].gradient_norm));
}

TEST_CASE("anomaly: a gradient norm above the limit stops the run with exit 5 and its state saved, not in the steps of the warm-up") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("ds-step-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const auto stop = [&](std::int64_t after) -> std::pair<std::int64_t, std::string> {
    commands::FitOptions options = fit(16, 1);
    options.anomaly.gradient_norm = 1e-6;
    options.anomaly.gradient_norm_after = after;
    exec::Model model = net();
    io::Checkpoint checkpoint;
    train::TrainerOptions more;
    more.partial = (folder / "net.h5.partial").string();
    Trainer trainer(model, small(), options, more, checkpoint);
    try {
      trainer.run();
    } catch (const Error& e) {
      CHECK(e.code() == Exit::kGate);
      CHECK(std::filesystem::exists(more.partial));
      return {trainer.step(), e.what()};
    }
    return {-1, ""};
  };
  CHECK(stop(0).first == 0);
  const auto [step, text] = stop(4);
  CHECK(step == 4);
  CHECK(text.find("the norm of all gradients is") != std::string::npos);
  CHECK(text.find("state saved") != std::string::npos);
  CHECK(stop(1000).first == -1);
  std::filesystem::remove_all(folder);
}

TEST_CASE("anomaly: a loss that jumps above its running mean raises one alarm") {
  commands::FitOptions options = fit(4, 1);
  options.loop.epochs = 3;
  options.optim.select("adamw");
  Run calm(options);
  calm.trainer->run();
  Run jumps(options);
  jumps.probe->loss = [&](const at::Tensor& mean) { return jumps.trainer->step() >= 30 && jumps.trainer->step() < 33 ? mean.mul(8) : mean; };
  jumps.trainer->run();
  REQUIRE(jumps.probe->alarms.size() >= 1);
  CHECK(jumps.probe->alarms[0].kind == "loss");
  CHECK(jumps.probe->alarms[0].step == 30);
  CHECK(jumps.probe->alarms[0].value > jumps.probe->alarms[0].limit);
  CHECK(jumps.probe->alarms.size() <= 2);  // the next steps are within the quiet hundred
  CHECK(jumps.trainer->history()[1]["alarms"] >= 1);
}

TEST_CASE("step: the loss scale of fp16 changes nothing but what overflows") {
  // The scale is a power of two: gradients that are scaled and unscaled are the same bits, unless they overflow float32.
  commands::FitOptions plain = fit(32, 1), scaled = fit(32, 1);
  scaled.precision.amp = "fp16";
  scaled.precision.loss_scale = 1024;
  Run one(plain), two(scaled);
  one.trainer->run();
  two.trainer->run();
  CHECK(two.probe->figures[0].loss_scale == 1024);
  CHECK(two.apart(one) < 0.02);  // half precision's rounding
  CHECK_FALSE(two.probe->figures[0].skipped);
  scaled.precision.loss_scale = 0;
  Run three(scaled);
  three.probe->loss = [&](const at::Tensor& mean) { return three.trainer->step() == 2 ? mean.mul(1e36) : mean; };
  const at::Tensor weight = three.model.tensors.at("fc.weight");
  three.trainer->run();
  CHECK(three.probe->figures[2].skipped);
  CHECK(three.probe->figures[2].loss_scale == 65536);
  CHECK(three.probe->figures[3].loss_scale == 32768);
  CHECK(weight.isfinite().all().item<bool>());
}
