// Over every card of kind "regularizer": off it changes nothing, on it does, and a run that was stopped and resumed, or computed in parts,
// is the run that was not. A card without a line below is a failing test.
#include "base/catalog/regularizer/cutmix.h"
#include "base/catalog/regularizer/drop-path.h"
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
#include "unit/train/regularizer_run.h"

using namespace regularizer_run;
namespace cards = ds::catalog::regularizer;

namespace {

/// How each is turned on, on a run of three epochs.
const std::map<std::string, void (*)(const commands::FitOptions&)>& switches() {
  using Fit = commands::FitOptions;
  static const std::map<std::string, void (*)(const Fit&)> all = {
      {"l1", [](const Fit& f) { options_of<cards::l1::Options>(f, "l1").l1 = 1e-3; }},
      {"l2", [](const Fit& f) { options_of<cards::l2::Options>(f, "l2").l2 = 1e-2; }},
      {"mixup", [](const Fit& f) { options_of<cards::mixup::Options>(f, "mixup").mixup = 0.4; }},
      {"cutmix", [](const Fit& f) { options_of<cards::cutmix::Options>(f, "cutmix").cutmix = 1; }},
      {"random-erasing", [](const Fit& f) {
         auto& o = options_of<cards::random_erasing::Options>(f, "random-erasing");
         o.random_erasing = 0.5, o.random_erasing_mode = "pixel";
       }},
      {"spatial-dropout", [](const Fit& f) { options_of<cards::spatial_dropout::Options>(f, "spatial-dropout").spatial_dropout = 0.2; }},
      {"drop-path", [](const Fit& f) { options_of<cards::drop_path::Options>(f, "drop-path").drop_path = 0.3; }},
      {"early-stop", [](const Fit& f) {
         auto& o = options_of<cards::early_stop::Options>(f, "early-stop");
         o.early_stop = 1, o.early_stop_min_delta = 1e9;
       }},
      {"gradient-noise", [](const Fit& f) { options_of<cards::gradient_noise::Options>(f, "gradient-noise").gradient_noise = 1e-4; }},
      {"weight-ema", [](const Fit& f) { options_of<cards::weight_ema::Options>(f, "weight-ema").weight_ema = true; }},
      {"swa", [](const Fit& f) { options_of<cards::swa::Options>(f, "swa").swa = 2; }},
      {"orthogonal", [](const Fit& f) { options_of<cards::orthogonal::Options>(f, "orthogonal").orthogonal = 1e-2; }},
      {"spectral-norm", [](const Fit& f) { options_of<cards::spectral_norm::Options>(f, "spectral-norm").spectral_norm = 0.5; }},
      {"r-drop", [](const Fit& f) { options_of<cards::r_drop::Options>(f, "r-drop").r_drop = 1; }},
      {"sam", [](const Fit& f) { options_of<cards::sam::Options>(f, "sam").sam = 0.05; }},
  };
  return all;
}

commands::FitOptions with(const std::string& name, std::int64_t epochs) {
  commands::FitOptions fit = plain(epochs);
  if (!name.empty()) switches().at(name)(fit);
  return fit;
}

std::filesystem::path scratch() {
  const auto folder = std::filesystem::temp_directory_path() / ("ds-regularizer-test-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace

TEST_CASE("regularizers: each has a line in this test") {
  std::vector<std::string> names, tested;
  for (const core::Card& card : core::cards("regularizer")) names.push_back(card.name);
  for (const auto& [name, on] : switches()) tested.push_back(name);
  CHECK(names == tested);
}

TEST_CASE("regularizers: with the defaults of its card each leaves the graph as it is and has nothing to do") {
  const commands::FitOptions fit = plain();
  const train::TrainerOptions options;
  for (const core::Card& card : core::cards("regularizer")) {
    CAPTURE(card.name);
    exec::Model model = net();
    const Json before = graph::to_json(model.graph);
    const train::Setting setting{model, pictures(), fit, options};
    CHECK(core::body<train::MakeRegularizer>("regularizer", card.name)(*card.make_options(), setting) == nullptr);
    CHECK(graph::to_json(model.graph) == before);
  }
}

TEST_CASE("regularizers: each changes the run; stopped at any step and resumed, it is bit for bit the run that was not") {
  Run without(plain(3), net());
  without.trainer->run();
  const std::string plain_digest = without.digest();
  const auto folder = scratch();
  for (const auto& [name, on] : switches()) {
    CAPTURE(name);
    Run whole(with(name, 3), net());
    REQUIRE(whole.trainer->run() == train::Outcome::kDone);
    const std::string wanted = whole.digest();
    CHECK(wanted != plain_digest);
    for (const std::int64_t at : {1, 6, 11}) {  // six steps an epoch
      CAPTURE(at);
      const train::TrainerOptions more{.partial = (folder / (name + ".partial")).string(), .resume = true};
      std::filesystem::remove(more.partial);
      {
        Run first(with(name, 3), net(), more);
        first.probe->step = [at](Trainer& trainer) { if (trainer.step() == at) core::request_stop(); };
        CHECK(first.trainer->run() == train::Outcome::kStopped);
        core::reset_signals();
      }
      Run second(with(name, 3), net(), more);
      CHECK(second.trainer->run() == train::Outcome::kDone);
      CHECK(second.digest() == wanted);
      CHECK(second.trainer->history() == whole.trainer->history());
    }
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("regularizers: all of them together, stopped and resumed") {
  const auto all = [] {
    commands::FitOptions fit = plain(3, 0.02);
    for (const auto& [name, on] : switches())
      if (name != "swa" && name != "early-stop") on(fit);
    fit.loop.clip_grad = 1;
    return fit;
  };
  const auto folder = scratch();
  Run whole(all(), net());
  REQUIRE(whole.trainer->run() == train::Outcome::kDone);
  const train::TrainerOptions more{.partial = (folder / "all.partial").string(), .resume = true};
  {
    Run first(all(), net(), more);
    first.probe->step = [](Trainer& trainer) { if (trainer.step() == 8) core::request_stop(); };
    CHECK(first.trainer->run() == train::Outcome::kStopped);
    core::reset_signals();
  }
  Run second(all(), net(), more);
  CHECK(second.trainer->run() == train::Outcome::kDone);
  CHECK(second.digest() == whole.digest());
  std::filesystem::remove_all(folder);
}

TEST_CASE("regularizers: a step of two batches of 8 is the step of one of 16, for nets whose samples do not depend on each other") {
  for (const auto& [name, on] : switches()) {
    CAPTURE(name);
    Run one(with(name, 2), net(false));
    one.trainer->run();
    commands::FitOptions parts = with(name, 2);
    parts.loop.batch_size = 8;
    parts.loop.grad_accum_steps = 2;
    Run two(parts, net(false));
    two.trainer->run();
    CHECK(one.trainer->step() == two.trainer->step());
    CHECK(largest_difference(copies(one.model.tensors), copies(two.model.tensors)) < 2e-5);
  }
}
