#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/core/signals.h"
#include "base/graph/builder.h"
#include "engine/train/trainer.h"

using namespace ds;
using train::Json;
using train::Outcome;
using train::Trainer;

namespace {

const bool silent = [] {
  core::set_log(core::Level::kWarn, core::ProgressMode::kNone, false);
  return true;
}();

struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("ds-train-test-" + std::to_string(getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

/// conv, BatchNorm, ReLU, pooling, dropout, linear: parameters of each kind, buffers, and random numbers.
exec::Model net(std::int64_t classes = 4, std::uint64_t seed = 1) {
  graph::Builder b;
  graph::Value x = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 1, 8, 8});
  x = b.relu("relu1", b.batch_norm2d("bn1", b.conv2d("conv1", x, 8, 3, 1, 1)));
  x = b.dropout("drop", b.flatten("flatten", b.max_pool2d("pool1", x, 2, 2)), 0.2);
  b.output("logits", b.linear("fc", x, classes));
  return exec::make_model(b.finish(), seed);
}

const data::Dataset& small() { return data::open_cached("synthetic:shape=1x8x8,classes=4,train=90,val=40,test=40"); }

commands::FitOptions fit(std::int64_t epochs = 3) {
  commands::FitOptions options;
  options.loop.epochs = epochs;
  options.loop.batch_size = 16;  // 90 = 5 * 16 + 10: the last batch is a short one
  return options;
}

struct Run {
  exec::Model model = net();
  io::Checkpoint checkpoint;
  std::unique_ptr<Trainer> trainer;
  Run(const commands::FitOptions& options, train::TrainerOptions more) {
    more.reproducible = true;
    trainer = std::make_unique<Trainer>(model, small(), options, more, checkpoint);
  }
  std::string digest() {
    exec::store(model, checkpoint);
    return io::root_digest(checkpoint);
  }
};

struct StopAt : train::Callback {
  std::int64_t at;
  explicit StopAt(std::int64_t step) : at(step) {}
  void on_step(Trainer& trainer) override {
    if (trainer.step() == at) core::request_stop();
  }
};

}  // namespace

TEST_CASE("train: learns a small set by heart and the validation split with it") {
  Run run(fit(12), {});
  REQUIRE(run.trainer->run() == Outcome::kDone);
  const Json& last = run.trainer->history().back();
  CHECK(run.trainer->history().size() == 12);
  CHECK(last["train_top1"] > 0.95);
  CHECK(last["val_top1"] > 0.9);
  CHECK(last["step"] == 12 * 6);
  CHECK(last["epoch"] == 12);
  CHECK_FALSE(last.contains("elapsed_s"));
  CHECK(run.trainer->best()["val_top1"] >= last["val_top1"]);
}

TEST_CASE("train: the same seed gives the same weights, another seed others") {
  const auto digest = [](std::uint64_t seed) {
    Run run(fit(2), {.seed = seed, .augment = {"affine"}});
    run.trainer->run();
    return run.digest();
  };
  const std::string one = digest(7);
  CHECK(digest(7) == one);
  CHECK(digest(8) != one);
}

TEST_CASE("train: stopped at any step and resumed, the weights are bit for bit those of one run") {
  // With one-cycle, dropout and augmentation: each is a function of step, epoch and sample, of which a resume must know all.
  Folder folder;
  commands::FitOptions options = fit(3);
  REQUIRE(options.schedule.name == "one-cycle");
  SUBCASE("AdamW, last weights") {}
  SUBCASE("SGD, best weights, clipped") {
    options.optim.select("sgd");
    options.loop.keep = "best";
    options.loop.clip_grad = 0.5;
  }
  SUBCASE("bfloat16, cosine") {
    options.precision.amp = "bf16";
    options.schedule.select("cosine");
  }
  Run whole(options, {.augment = {"crop"}});
  REQUIRE(whole.trainer->run() == Outcome::kDone);
  const std::string wanted = whole.digest();
  for (const std::int64_t step : {1, 5, 6, 7, 17}) {
    CAPTURE(step);
    train::TrainerOptions more{.augment = {"crop"}, .partial = folder / "out.h5.partial", .resume = true};
    std::filesystem::remove(more.partial);
    {
      Run first(options, more);
      first.trainer->add(std::make_shared<StopAt>(step));
      CHECK(first.trainer->run() == Outcome::kStopped);
      CHECK(first.trainer->saved_state() == more.partial);
      core::reset_signals();
    }
    Run second(options, more);
    second.trainer->add(std::make_shared<StopAt>(-1));
    CHECK(second.trainer->run() == Outcome::kDone);
    CHECK(second.digest() == wanted);
    CHECK(second.trainer->history() == whole.trainer->history());
    CHECK(second.trainer->best() == whole.trainer->best());
  }
}

TEST_CASE("train: a state of other options, data or kind is refused") {
  Folder folder;
  train::TrainerOptions more{.partial = folder / "x.partial", .resume = true};
  const auto config = [](double lr) { return Json{{"optim", {{"lr", lr}}}, {"seed", 1}, {"threads", 2}}; };
  {
    Run first(fit(), more);
    first.checkpoint.config = config(0.1);
    first.trainer->add(std::make_shared<StopAt>(3));
    first.trainer->run();
    core::reset_signals();
  }
  Run other(fit(), more);
  other.checkpoint.config = config(0.2);
  other.trainer->add(std::make_shared<StopAt>(-1));
  try {
    other.trainer->run();
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kUsage);
    CHECK(e.message() == "the run to resume has other options: optim.lr was 0.1, is 0.2");
  }
  train::TrainerOptions taught = more;
  taught.run = {{"inputs", {{"teacher", "abc"}}}, {"loss", {{"temperature", 2.0}}}};
  Run one(fit(), taught);
  one.checkpoint.config = config(0.1);
  one.trainer->add(std::make_shared<StopAt>(-1));
  CHECK_THROWS_WITH(one.trainer->run(), doctest::Contains("inputs.teacher was null, is \"abc\", loss.temperature was null, is 2.0"));
  Run fewer(fit(), more);  // the state was saved with a callback
  CHECK_THROWS_AS(fewer.trainer->run(), Error);
}

TEST_CASE("train: a loss that is not finite names the layer") {
  Run run(fit(), {});
  run.model.tensors.at("fc.weight").detach().mul_(3e38);
  try {
    run.trainer->run();
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kFailure);
    CAPTURE(std::string(e.what()));
    CHECK(e.where() == "fc");
    CHECK(e.message().find("is the first that is not finite") != std::string::npos);
  }
}

TEST_CASE("train: weights that the last step of an epoch broke are found on the validation split, and nothing is kept of them") {
  Folder folder;
  struct Break : train::Callback {
    void on_step(Trainer& trainer) override {
      if (trainer.step() == 6) trainer.model().tensors.at("conv1.weight").detach().mul_(3e38);
    }
  };
  Run run(fit(1), {.run_dir = folder / "run"});
  run.trainer->add(std::make_shared<Break>());
  try {
    run.trainer->run();
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Exit::kFailure);
    CHECK(e.where() == "conv1");
    CHECK(e.message().find("the validation loss is") == 0);
    CHECK(e.message().find("after epoch 1 (step 6") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(folder / "run/last.h5"));
  CHECK_FALSE(std::filesystem::exists(folder / "run/best.h5"));
}

namespace {

struct Recorder : train::Callback {
  std::string name;
  std::vector<std::string>& log;
  Recorder(std::string name_, std::vector<std::string>& log_) : name(std::move(name_)), log(log_) {}
  void say(const char* what) { log.push_back(name + "." + what); }
  void on_start(Trainer&) override { say("start"); }
  void on_epoch_start(Trainer&) override { say("epoch_start"); }
  void on_batch(Trainer&, data::Batch&) override { say("batch"); }
  std::vector<exec::Tap> taps(Trainer&) override {
    say("taps");
    return {};
  }
  at::Tensor on_loss(Trainer&, const data::Batch& batch, const std::vector<at::Tensor>& outputs, const at::Tensor& loss) override {
    say("loss");
    CHECK(outputs[0].size(0) == batch.size());
    return loss.mul(2);
  }
  void on_backward(Trainer& trainer) override {
    say("backward");
    CHECK(trainer.parameters()[0].value.grad().defined());
  }
  void on_step(Trainer&) override { say("step"); }
  void on_epoch(Trainer&, Json& metrics) override {
    say("epoch");
    metrics["of_" + name] = 1;
  }
  void on_finish(Trainer&) override { say("finish"); }
};

}  // namespace

TEST_CASE("train: callbacks run in their order and change the loss and the metrics") {
  std::vector<std::string> log;
  commands::FitOptions options = fit(1);
  options.loop.batch_size = 1000;  // larger than the data: one batch
  Run run(options, {});
  run.trainer->add(std::make_shared<Recorder>("a", log));
  run.trainer->add(std::make_shared<Recorder>("b", log));
  run.trainer->run();
  const std::vector<std::string> wanted = {
      "a.start", "b.start", "a.epoch_start", "b.epoch_start", "a.batch", "b.batch", "a.taps", "b.taps", "a.loss", "b.loss",
                                           "a.backward", "b.backward", "a.step", "b.step", "a.epoch", "b.epoch", "a.finish", "b.finish"};
  CHECK(log == wanted);
  CHECK(run.trainer->history()[0]["of_a"] == 1);
  CHECK(run.trainer->history()[0]["train_loss"] > 3.0);  // four times about ln 4
}

TEST_CASE("train: norms and biases have no decay unless it is asked for") {
  Run plain(fit(), {});
  std::map<std::string, bool> decay;
  for (const auto& parameter : plain.trainer->parameters()) decay[parameter.name] = parameter.decay;
  CHECK(decay == std::map<std::string, bool>{{"bn1.bias", false}, {"bn1.weight", false}, {"conv1.bias", false}, {"conv1.weight", true},
                                             {"fc.bias", false}, {"fc.weight", true}});
  commands::FitOptions options = fit();
  options.regularize.decay_norms = true;
  Run all(options, {});
  for (const auto& parameter : all.trainer->parameters()) CHECK(parameter.decay);
}

TEST_CASE("train: a run folder holds what it should, and is not overwritten by accident") {
  Folder folder;
  train::TrainerOptions more{.run_dir = folder / "run"};
  {
    Run run(fit(2), more);
    run.checkpoint.config = {{"train", {{"epochs", 2}}}, {"seed", 42}};
    run.trainer->run();
    std::ifstream metrics(folder / "run/metrics.csv");
    std::string header, row;
    std::getline(metrics, header);
    std::getline(metrics, row);
    CHECK(header == "epoch,step,train_loss,train_top1,val_loss,val_top1,lr,elapsed_s,samples_per_sec,peak_mem_bytes");
    CHECK(row.substr(0, 4) == "1,6,");
    CHECK(row.substr(row.size() - 3) == ",,,");  // reproducible: no times
    CHECK(io::load(folder / "run/best.h5").state.is_null());
    CHECK(io::load(folder / "run/last.h5").state.is_object());
    CHECK(io::load(folder / "run/last.h5").digest == run.digest());
    CHECK(std::filesystem::exists(folder / "run/args.yaml"));
    Run second(fit(2), more);
    CHECK_THROWS_WITH(second.trainer->run(), doctest::Contains("in use by process"));
  }
  {
    Run again(fit(2), more);
    CHECK_THROWS_WITH(again.trainer->run(), doctest::Contains("holds a run already"));
  }
  more.overwrite = true;
  Run forced(fit(2), more);
  CHECK(forced.trainer->run() == Outcome::kDone);
}

TEST_CASE("train: a model of other classes or another shape is refused") {
  io::Checkpoint checkpoint;
  checkpoint.path = "net.h5";
  exec::Model five = net(5);
  CHECK_THROWS_WITH(Trainer(five, small(), fit(), {}, checkpoint), doctest::Contains("net.h5: the model tells 5 classes apart"));
  exec::Model model = net();
  const data::Dataset& large = data::open_cached("synthetic:shape=1x12x12,classes=4,train=16");
  CHECK_THROWS_WITH(Trainer(model, large, fit(), {}, checkpoint), doctest::Contains("images of 1x12x12"));
}

TEST_CASE("train: Wilson's interval") {
  // Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  const std::tuple<int, int, double, double> rows[] = {
      {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}};
  for (const auto& [correct, n, low, high] : rows) {
    CHECK(train::wilson(correct, n).first == doctest::Approx(low).epsilon(1e-3));
    CHECK(train::wilson(correct, n).second == doctest::Approx(high).epsilon(1e-3));
  }
}

TEST_CASE("train: evaluation counts what a plain loop counts, in batches of any size") {
  exec::Model model = net();
  exec::Executor executor(model);
  const data::Split& split = small().val;
  const train::Evaluation whole = train::evaluate(executor, split, small().preprocessing, 4, 1000);
  const at::Tensor logits = executor.run({data::preprocess(split.images, small().preprocessing)}, {}).at(0);
  CHECK(whole.n == 40);
  CHECK(whole.correct == logits.argmax(1).eq(split.labels).sum().item<std::int64_t>());
  const at::Tensor picked = logits.log_softmax(1).gather(1, split.labels.unsqueeze(1));
  CHECK(whole.loss == doctest::Approx(-picked.mean().item<double>()).epsilon(1e-5));
  std::int64_t diagonal = 0, all = 0;
  for (int label = 0; label < 4; ++label)
    for (int other = 0; other < 4; ++other) {
      all += whole.confusion[label][other];
      diagonal += label == other ? whole.confusion[label][other] : 0;
    }
  CHECK(all == 40);
  CHECK(diagonal == whole.correct);
  CHECK_FALSE(whole.metrics("val").contains("val_top5"));
  const train::Evaluation pieces = train::evaluate(executor, split, small().preprocessing, 4, 7);
  CHECK(pieces.predictions == whole.predictions);
}

TEST_CASE("train: mixed precision learns as float32 does, and keeps float32 weights") {
  commands::FitOptions options = fit(12);
  options.precision.amp = "bf16";
  Run mixed(options, {}), plain(fit(12), {});
  mixed.trainer->run();
  plain.trainer->run();
  CHECK(mixed.trainer->history().back()["val_top1"] > 0.9);
  CHECK(mixed.digest() != plain.digest());  // it did compute otherwise
  for (const auto& [name, tensor] : mixed.model.tensors) CHECK((tensor.scalar_type() == at::kFloat));
}

TEST_CASE("train: the memory format changes the last bits alone") {
  commands::FitOptions options = fit(2);
  options.precision.channels_last = "off";
  Run planes(options, {}), pixels(fit(2), {});
  planes.trainer->run();
  pixels.trainer->run();
  CHECK(planes.model.tensors.at("conv1.weight").is_contiguous());
  const double loss = pixels.trainer->history().back()["train_loss"];
  CHECK(planes.trainer->history().back()["train_loss"].get<double>() == doctest::Approx(loss).epsilon(1e-3));
}

TEST_CASE("train: label smoothing spreads its share of the target over all classes") {
  // With logits 0 the loss is ln 4 whatever the target; with the gradient of the bias the target shows: softmax - target.
  for (const double smoothing : {0.0, 0.2}) {
    CAPTURE(smoothing);
    commands::FitOptions options = fit(1);
    options.loop.batch_size = 1000;
    options.regularize.label_smoothing = smoothing;
    Run run(options, {});
    for (const char* name : {"fc.weight", "fc.bias"}) run.model.tensors.at(name).detach().zero_();
    struct Look : train::Callback {
      at::Tensor gradient;
      void on_backward(Trainer& trainer) override { gradient = trainer.model().tensors.at("fc.bias").grad().clone(); }
    };
    const auto look = std::make_shared<Look>();
    run.trainer->add(look);
    run.trainer->run();
    const at::Tensor& labels = small().train.labels;
    for (std::int64_t c = 0; c < 4; ++c) {
      const double share = labels.eq(c).to(at::kDouble).mean().item<double>();
      const double target = share * (1 - smoothing) + smoothing / 4;
      CHECK(look->gradient[c].item<double>() == doctest::Approx(0.25 - target).epsilon(1e-4));
    }
  }
}
