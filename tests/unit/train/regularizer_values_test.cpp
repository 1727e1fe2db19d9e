// What each regularizer computes, against closed forms and sums by hand.
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>

#include <cmath>

#include "base/catalog/regularizer/cutmix.h"
#include "base/catalog/regularizer/early-stop.h"
#include "base/catalog/regularizer/gradient-noise.h"
#include "base/catalog/regularizer/l1.h"
#include "base/catalog/regularizer/l2.h"
#include "base/catalog/regularizer/mixup.h"
#include "base/catalog/regularizer/orthogonal.h"
#include "base/catalog/regularizer/r-drop.h"
#include "base/catalog/regularizer/random-erasing.h"
#include "base/catalog/regularizer/sam.h"
#include "base/catalog/regularizer/spatial-dropout.h"
#include "base/catalog/regularizer/spectral-norm.h"
#include "base/catalog/regularizer/swa.h"
#include "base/catalog/regularizer/weight-ema.h"
#include "engine/train/regularizers/mixing.h"
#include "unit/train/regularizer_run.h"

using namespace regularizer_run;
namespace cards = ds::catalog::regularizer;

namespace {

/// What a regularizer adds to the gradients of the first step.
Values added(const std::function<void(const commands::FitOptions&)>& on, exec::Model (*make)() = [] { return net(); }) {
  commands::FitOptions fit = plain();
  const Values before = first_gradients(fit, make());
  fit = plain();
  on(fit);
  Values after = first_gradients(fit, make());
  for (auto& [name, gradient] : after) gradient = gradient.sub(before.at(name));
  return after;
}

/// The original pictures of a batch.
at::Tensor originals(const data::Batch& batch) {
  std::vector<at::Tensor> rows;
  for (std::int64_t i = 0; i < batch.size(); ++i)
    rows.push_back(data::batch_of(pictures().train, pictures().preprocessing, batch.ids[i].item<std::int64_t>() - pictures().train.first_id, 1).inputs[0][0]);
  return at::stack(rows);
}

std::int64_t label_of(std::int64_t id) { return pictures().train.labels[id - pictures().train.first_id].item<std::int64_t>(); }

}  // namespace

TEST_CASE("l1, l2: gradients grow by the sign and by the weight, of weights alone; together they are an elastic net") {
  const exec::Model start = net();
  const auto sign = [&](const std::string& name) { return start.tensors.at(name).detach().sign(); };
  const auto l1 = added([](const auto& fit) { options_of<cards::l1::Options>(fit, "l1").l1 = 0.03; });
  const auto l2 = added([](const auto& fit) { options_of<cards::l2::Options>(fit, "l2").l2 = 0.05; });
  const auto both = added([](const auto& fit) {
    options_of<cards::l1::Options>(fit, "l1").l1 = 0.03;
    options_of<cards::l2::Options>(fit, "l2").l2 = 0.05;
  });
  for (const char* name : {"conv1.weight", "conv3.weight", "fc.weight"}) {
    CAPTURE(name);
    CHECK(l1.at(name).sub(sign(name).mul(0.03)).abs().max().item<double>() < 1e-6);
    CHECK(l2.at(name).sub(start.tensors.at(name).detach().mul(0.05)).abs().max().item<double>() < 1e-6);
    CHECK(both.at(name).sub(l1.at(name)).sub(l2.at(name)).abs().max().item<double>() < 1e-6);
  }
  for (const char* name : {"bn1.weight", "fc.bias"}) {
    CHECK(l1.at(name).abs().max().item<double>() == 0);
    CHECK(l2.at(name).abs().max().item<double>() == 0);
  }
}

TEST_CASE("orthogonal: gradients grow by 4 (W W^T - I) W of the smaller side, or without the diagonal") {
  const exec::Model start = net();
  for (const bool soft : {true, false}) {
    const auto grown = added([soft](const auto& fit) {
      auto& o = options_of<cards::orthogonal::Options>(fit, "orthogonal");
      o.orthogonal = 0.1, o.orthogonal_form = soft ? "soft" : "off-diagonal";
    });
    const at::Tensor w = start.tensors.at("conv2.weight").detach().flatten(1), gram = w.matmul(w.t()), one = at::eye(6);
    const at::Tensor wanted = (soft ? gram.sub(one) : gram.mul(one.neg().add(1))).matmul(w).mul(0.4);
    CHECK(grown.at("conv2.weight").flatten(1).sub(wanted).abs().max().item<double>() < 1e-5);
    CHECK(wanted.abs().max().item<double>() > 1e-3);
  }
}

TEST_CASE("spectral norm: no weight has a larger singular value, and what was within the bound is left alone") {
  commands::FitOptions fit = plain(4);
  options_of<cards::spectral_norm::Options>(fit, "spectral-norm").spectral_norm = 0.4;
  Run run(fit, net());
  run.trainer->run();
  for (const char* name : {"conv1.weight", "conv2.weight", "fc.weight"}) {
    CAPTURE(name);
    CHECK(at::linalg_svdvals(run.model.tensors.at(name).detach().flatten(1))[0].item<double>() < 0.4 * 1.02);
  }
  commands::FitOptions wide = plain(1);
  options_of<cards::spectral_norm::Options>(wide, "spectral-norm").spectral_norm = 100;
  Run same(wide, net()), other(plain(1), net());
  same.trainer->run();
  other.trainer->run();
  CHECK(same.digest() == other.digest());
}

TEST_CASE("gradient noise: normal, of variance eta / (1 + t)^gamma") {
  commands::FitOptions fit = plain(1, 1e-30);  // weights stay, so that the gradients of a step differ by the noise alone
  std::vector<Values> plainly, noisy;
  Run without(fit, net());
  without.probe->backward = [&](Trainer&, const Values& g) { plainly.push_back(g); };
  without.trainer->run();
  fit = plain(1, 1e-30);
  options_of<cards::gradient_noise::Options>(fit, "gradient-noise").gradient_noise = 0.3;
  Run with(fit, net());
  with.probe->backward = [&](Trainer&, const Values& g) { noisy.push_back(g); };
  with.trainer->run();
  REQUIRE(noisy.size() == 6);
  for (std::size_t t : {0, 1, 5}) {
    const at::Tensor noise = noisy[t].at("conv2.weight").sub(plainly[t].at("conv2.weight")).flatten();  // 324 numbers
    const double variance = 0.3 / std::pow(1.0 + static_cast<double>(t), 0.55), n = 324;
    CHECK(std::abs(noise.mean().item<double>()) < 5 * std::sqrt(variance / n));
    CHECK(std::abs(noise.square().mean().item<double>() / variance - 1) < 5 * std::sqrt(2 / n));
  }
  const auto noise = [&](std::size_t t) { return noisy[t].at("conv2.weight").sub(plainly[t].at("conv2.weight")); };
  CHECK(noise(0).sub(noise(1)).abs().max().item<double>() > 0.1);
}

TEST_CASE("SAM: the gradient is that at w + rho g / |g|, adaptive at w + rho w^2 g / | |w| g |, and moves w itself; statistics are of w") {
  for (const bool adaptive : {false, true}) {
    CAPTURE(adaptive);
    const commands::FitOptions fit = plain();
    const Values g = first_gradients(fit, net());
    exec::Model moved = net();
    {
      const at::NoGradGuard off;
      double squared = 0;
      for (const auto& [name, gradient] : g) squared += (adaptive ? gradient.mul(moved.tensors.at(name)) : gradient).square().sum().item<double>();
      for (const auto& [name, gradient] : g) {
        at::Tensor& w = moved.tensors.at(name);
        w.add_(adaptive ? gradient.mul(w.square()) : gradient, 0.07 / std::sqrt(squared));
      }
    }
    const Values wanted = first_gradients(plain(), moved);
    commands::FitOptions sharp = plain();
    auto& o = options_of<cards::sam::Options>(sharp, "sam");
    o.sam = 0.07, o.sam_adaptive = adaptive;
    Values seen, after, statistics;
    Run run(sharp, net());
    run.probe->backward = [&](Trainer&, const Values& gradients) { if (seen.empty()) seen = gradients; };
    run.probe->step = [&](Trainer& t) { if (after.empty()) after = copies(t.model().tensors); };
    run.trainer->run();
    CHECK(largest_difference(seen, wanted) < 1e-5);
    CHECK(largest_difference(seen, g) > 1e-4);
    const exec::Model start = net();
    for (const auto& [name, gradient] : wanted)
      CHECK(after.at(name).sub(start.tensors.at(name).detach().sub(gradient, 0.1)).abs().max().item<double>() < 1e-5);
    Run plainly(plain(), net());
    Values first;
    plainly.probe->step = [&](Trainer& t) { if (first.empty()) first = copies(t.model().tensors); };
    plainly.trainer->run();
    CHECK(after.at("bn2.running_mean").equal(first.at("bn2.running_mean")));
  }
}

TEST_CASE("weight EMA: the recursion of the paper over weights and statistics, with timm's warm-up, and the run ends with it") {
  for (const bool warm : {true, false}) {
    commands::FitOptions fit = plain(2);
    auto& o = options_of<cards::weight_ema::Options>(fit, "weight-ema");
    o.weight_ema = true, o.weight_ema_warmup = warm, o.weight_ema_decay = 0.7;
    Run run(fit, net());
    Values mean = copies(net().tensors);
    double step = 0;
    run.probe->step = [&](Trainer& t) {
      const double decay = warm ? std::min(0.7, 1 - std::pow(step + 1, -2.0 / 3)) : 0.7;
      step += 1;
      for (auto& [name, tensor] : mean) tensor = tensor.mul(decay).add(t.model().tensors.at(name).detach(), 1 - decay);
    };
    run.trainer->run();
    CHECK(step == 12);
    CHECK(largest_difference(copies(run.model.tensors), mean) < 1e-5);
  }
}

TEST_CASE("SWA: the mean of the weights at the ends of its epochs, with the statistics of that mean") {
  commands::FitOptions fit = plain(4);
  fit.loop.batch_size = 90;  // one batch is all: its statistics are those of the split
  options_of<cards::swa::Options>(fit, "swa").swa = 2;
  Run run(fit, net());
  std::vector<Values> ends;
  run.probe->step = [&](Trainer& t) { ends.push_back(copies(t.model().tensors)); };
  run.trainer->run();
  REQUIRE(ends.size() == 4);
  for (const char* name : {"conv1.weight", "bn2.weight", "fc.bias"}) {
    const at::Tensor mean = ends[1].at(name).add(ends[2].at(name)).add(ends[3].at(name)).div(3);
    CHECK(run.model.tensors.at(name).detach().sub(mean).abs().max().item<double>() < 1e-6);
  }
  exec::Executor executor(run.model);
  const data::Batch all = data::batch_of(pictures().train, pictures().preprocessing, 0, 90);
  const at::NoGradGuard off;
  const at::Tensor x = executor.run(all.inputs, {}, {.fuse = false, .fetch = {"conv1"}}).at(1);
  CHECK(run.model.tensors.at("bn1.running_mean").sub(x.mean({0, 2, 3})).abs().max().item<double>() < 1e-5);
  CHECK(run.model.tensors.at("bn1.running_var").sub(x.var(at::IntArrayRef{0, 2, 3}, /*unbiased=*/true)).abs().max().item<double>() < 1e-4);
}

TEST_CASE("R-Drop: the mean loss of two draws and their divergence") {
  commands::FitOptions fit = plain();
  options_of<cards::r_drop::Options>(fit, "r-drop").r_drop = 2;
  Run run(fit, net());
  int seen = 0;
  run.probe->loss = [&](Trainer& t, const data::Batch& part, const std::vector<at::Tensor>& outputs, const at::Tensor& value) {
    const at::NoGradGuard off;
    const at::Tensor p = at::log_softmax(outputs[0].to(at::kDouble), 1), q = at::log_softmax(t.forward(part, 1)[0].to(at::kDouble), 1);
    double loss = 0;
    for (std::int64_t i = 0; i < part.size(); ++i) {
      const auto y = part.labels[i].item<std::int64_t>();
      loss -= 0.5 * (p[i][y].item<double>() + q[i][y].item<double>());
      for (std::int64_t c = 0; c < 4; ++c) {
        const double a = p[i][c].item<double>(), b = q[i][c].item<double>();
        loss += 2 * 0.5 * (std::exp(a) * (a - b) + std::exp(b) * (b - a));
      }
    }
    CHECK(p.sub(q).abs().max().item<double>() > 1e-3);
    CHECK(value.item<double>() == doctest::Approx(loss / static_cast<double>(part.size())).epsilon(1e-5));
    ++seen;
  };
  run.trainer->run();
  CHECK(seen == 6);
}

TEST_CASE("mixup: pictures and losses are blended in the same shares; one a batch, or one a sample") {
  for (const bool each : {false, true}) {
    commands::FitOptions fit = plain(2);
    auto& o = options_of<cards::mixup::Options>(fit, "mixup");
    o.mixup = 0.8, o.mixup_mode = each ? "elem" : "batch";
    Run run(fit, net());
    std::vector<at::Tensor> shares;
    run.probe->batch = [&](Trainer& t, data::Batch& batch) {
      const auto order = exec::permutation(batch.size(), exec::stream_key(t.options().seed, "mixing", "partner"), static_cast<std::uint64_t>(t.step()));
      const at::Tensor x = originals(batch);
      REQUIRE(batch.mix.defined());
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        const std::int64_t j = order[static_cast<std::size_t>(i)];
        const double share = batch.mix[i].item<double>();
        CHECK(batch.inputs[0][i].sub(x[i].mul(share).add(x[j].mul(1 - share))).abs().max().item<double>() < 1e-5);
        CHECK(batch.mixed_labels[i].item<std::int64_t>() == label_of(batch.ids[j].item<std::int64_t>()));
      }
      shares.push_back(batch.mix);
    };
    run.probe->loss = [&](Trainer&, const data::Batch& part, const std::vector<at::Tensor>& outputs, const at::Tensor& value) {
      const at::Tensor p = at::log_softmax(outputs[0].detach().to(at::kDouble), 1);
      double loss = 0;
      for (std::int64_t i = 0; i < part.size(); ++i) {
        const double share = part.mix[i].item<double>();
        loss -= share * p[i][part.labels[i].item<std::int64_t>()].item<double>() + (1 - share) * p[i][part.mixed_labels[i].item<std::int64_t>()].item<double>();
      }
      CHECK(value.item<double>() == doctest::Approx(loss / static_cast<double>(part.size())).epsilon(1e-5));
    };
    run.trainer->run();
    REQUIRE(shares.size() == 12);
    CHECK(shares[0].max().equal(shares[0].min()) == !each);
    CHECK_FALSE(shares[0].equal(shares[1]));
  }
}

TEST_CASE("mixup: shares are of Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1))") {
  for (const double a : {0.1, 0.4, 1.0, 3.0}) {
    CAPTURE(a);
    constexpr int n = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
      exec::Stream stream(5, 0, static_cast<std::uint64_t>(i));
      const double x = train::symmetric_beta(a, stream);
      REQUIRE((x >= 0 && x <= 1));
      sum += x, squares += (x - 0.5) * (x - 0.5);
    }
    const double variance = 1 / (4 * (2 * a + 1));
    CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(variance / n));
    CHECK(squares / n == doctest::Approx(variance).epsilon(0.05));
  }
  exec::Stream stream(1);
  const double end = train::symmetric_beta(1e-9, stream);
  CHECK((end == 0 || end == 1));
}

TEST_CASE("CutMix: a box of the partner's, whose area is its labels' share; with mixup, by turns") {
  commands::FitOptions fit = plain(10, 1e-9);
  options_of<cards::cutmix::Options>(fit, "cutmix").cutmix = 1;
  int cut = 0, blended = 0;
  const auto look = [&](Trainer& t, data::Batch& batch) {
    const auto order = exec::permutation(batch.size(), exec::stream_key(t.options().seed, "mixing", "partner"), static_cast<std::uint64_t>(t.step()));
    const at::Tensor x = originals(batch), y = batch.inputs[0];
    bool boxes = true;
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      const at::Tensor other = x[order[static_cast<std::size_t>(i)]], own = y[i].eq(x[i]), theirs = y[i].eq(other);
      boxes = boxes && own.logical_or(theirs).all().item<bool>();
      if (!boxes) break;
      const at::Tensor changed = own.logical_not()[0];
      if (!changed.any().item<bool>()) continue;
      const std::int64_t rows = changed.any(1).sum().item<std::int64_t>(), columns = changed.any(0).sum().item<std::int64_t>();
      const double area = static_cast<double>(rows * columns) / 64;
      CHECK(1 - batch.mix[i].item<double>() >= area - 1e-6);  // equal, but where the two pictures have the same pixel at a border of the box
      CHECK(1 - batch.mix[i].item<double>() < area + 0.3);
    }
    ++(boxes ? cut : blended);
  };
  SUBCASE("alone") {
    Run run(fit, net());
    run.probe->batch = look;
    run.trainer->run();
    CHECK(cut == 60);
  }
  SUBCASE("both") {
    options_of<cards::mixup::Options>(fit, "mixup").mixup = 1;
    Run run(fit, net());
    run.probe->batch = look;
    run.trainer->run();
    CHECK(cut + blended == 60);
    CHECK(std::abs(cut - 30) < 20);  // five standard deviations
  }
}

TEST_CASE("random erasing: the share of pictures that is asked for, boxes within the bounds of their area") {
  commands::FitOptions fit = plain(10, 1e-9);
  auto& o = options_of<cards::random_erasing::Options>(fit, "random-erasing");
  o.random_erasing = 0.5, o.random_erasing_min = 0.1, o.random_erasing_max = 0.3;
  Run run(fit, net());
  int erased = 0, all = 0;
  run.probe->batch = [&](Trainer&, data::Batch& batch) {
    const at::Tensor x = originals(batch);
    for (std::int64_t i = 0; i < batch.size(); ++i, ++all) {
      const at::Tensor changed = batch.inputs[0][i].ne(x[i])[0];
      if (!changed.any().item<bool>()) continue;
      ++erased;
      CHECK(batch.inputs[0][i].masked_select(changed).abs().max().item<double>() == 0);
      const double area = changed.any(1).sum().item<double>() * changed.any(0).sum().item<double>();
      CHECK(area <= 0.3 * 64 + 8);  // sides are rounded to pixels
    }
  };
  run.trainer->run();
  CHECK(all == 900);
  CHECK(std::abs(erased - 450) < 75);
}

TEST_CASE("early stopping: after so many epochs without a better one; the history says why it ended when") {
  commands::FitOptions fit = plain(9);
  auto& o = options_of<cards::early_stop::Options>(fit, "early-stop");
  o.early_stop = 3;
  SUBCASE("a metric that stands still") {
    Run run(plain(9, 1e-12), net());
    fit = plain(9, 1e-12);
    options_of<cards::early_stop::Options>(fit, "early-stop").early_stop = 3;
    Run stopped(fit, net());
    stopped.trainer->run();
    CHECK(stopped.trainer->history().size() == 4);
  }
  SUBCASE("better by less than the least counts as no better") {
    o.early_stop_metric = "val_loss", o.early_stop_min_delta = 1e9;
    Run run(fit, net());
    run.trainer->run();
    CHECK(run.trainer->history().size() == 4);
  }
  SUBCASE("a loss that falls goes on to the end") {
    o.early_stop_metric = "train_loss", o.early_stop = 9;
    Run run(fit, net());
    run.trainer->run();
    CHECK(run.trainer->history().size() == 9);
  }
  SUBCASE("the wrong way round it stops") {
    o.early_stop_metric = "train_loss", o.early_stop_mode = "max";
    Run run(fit, net(true, 0));
    run.trainer->run();
    CHECK(run.trainer->history().size() == 4);
  }
  SUBCASE("a metric that there is not") {
    o.early_stop_metric = "val_f2";
    Run run(fit, net());
    CHECK(refusal([&] { run.trainer->run(); }).find("2|regularize.early_stop_metric: an epoch has no 'val_f2'") == 0);
  }
}

TEST_CASE("spatial dropout: whole channels of a sample, the others scaled; the same whatever the memory format") {
  graph::Builder b;
  graph::Value x = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 40, 3, 3});
  b.output("y", b.node("dropout2d", "drop", {x}, {{"p", 0.25}}));
  exec::Model model = exec::make_model(b.finish(), 1);
  const at::Tensor in = at::linspace(0.5, 1.5, 20 * 40 * 9).view({20, 40, 3, 3});
  exec::Executor executor(model);
  const exec::RunContext context{.training = true, .step = 2, .seed = 3};
  const at::Tensor y = executor.run({in}, context, {.training = true}).at(0), ratio = y.div(in).flatten(2);
  CHECK(ratio.amax(2).sub(ratio.amin(2)).abs().max().item<double>() < 1e-6);
  const at::Tensor kept = ratio.amax(2).gt(0);
  CHECK(ratio.amax(2).masked_select(kept).sub(4.0 / 3).abs().max().item<double>() < 1e-5);
  CHECK(std::abs(kept.sum().item<double>() - 600) < 5 * std::sqrt(800 * 0.25 * 0.75));
  CHECK(executor.run({in.contiguous(at::MemoryFormat::ChannelsLast)}, context, {.training = true}).at(0).equal(y));
  CHECK(executor.run({in}, {}).at(0).equal(in));
}

TEST_CASE("regularizers that do not go with the run or with each other are refused before the first step") {
  const auto refused = [](const std::function<void(commands::FitOptions&)>& on, const data::Dataset& data = pictures(),
                          exec::Model model = net()) {
    commands::FitOptions fit = plain(2);
    on(fit);
    return refusal([&] { Run(fit, model, {}, data).trainer->run(); });
  };
  CHECK(refused([](auto& f) {
          options_of<cards::weight_ema::Options>(f, "weight-ema").weight_ema = true;
          options_of<cards::swa::Options>(f, "swa").swa = 1;
        }).find("2|regularize.weight_ema: and regularize.swa are both set") == 0);
  CHECK(refused([](auto& f) { options_of<cards::swa::Options>(f, "swa").swa = 3; }).find("2|regularize.swa: begins in epoch 3, the run ends after 2") == 0);
  CHECK(refused([](auto& f) { options_of<cards::r_drop::Options>(f, "r-drop").r_drop = 1; }, pictures(), net(true, 0))
            .find("2|regularize.r_drop: the model has no dropout") == 0);
  CHECK(refused([](auto& f) {
          options_of<cards::mixup::Options>(f, "mixup").mixup = 1;
          f.loss.select("contrastive");
        }).find("2|regularize.mixup: does not go with loss 'contrastive'") == 0);
  data::Dataset unseen = pictures();
  unseen.val = {};
  CHECK(refused([](auto& f) { options_of<cards::early_stop::Options>(f, "early-stop").early_stop = 1; }, unseen)
            .find("2|regularize.early_stop: data 'synthetic") == 0);
  CHECK(refusal([] {
          cards::random_erasing::Options o;
          o.random_erasing_min = 0.5;
          o.check();
        }).find("2|regularize.random_erasing_min: is above") == 0);
}
