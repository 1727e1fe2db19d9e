// Trajectories and rates against those of PyTorch, timm and transformers, stored by tests/golden/make_optim.py, which states the formula of weights
// and gradients.
#include <ATen/ops/from_blob.h>
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "base/core/tool.h"
#include "engine/optim/optimizer.h"

using namespace ds;
using core::Json;

namespace {

at::Tensor uniform(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::uint64_t seed = 0xcbf29ce484222325;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  std::vector<double> u(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < u.size(); ++i) {
    std::uint64_t z = seed + i + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    u[i] = 2.0 * static_cast<double>(z >> 11) / 9007199254740992.0 - 1.0;
  }
  return at::from_blob(u.data(), shape, at::kDouble).clone();
}

at::Tensor gradient(const std::string& name, const std::vector<std::int64_t>& shape, std::int64_t step) {
  const at::Tensor g = uniform(name + "/grad/" + std::to_string(step), shape);
  double* values = g.mutable_data_ptr<double>();
  for (std::int64_t i = 1; i < g.numel(); i += 2) values[i] *= 0.1;
  return g;
}

Json golden(const std::string& file) { return Json::parse(std::ifstream(DS_SOURCE_DIR "/tests/golden/optim/" + file)); }

std::set<std::string> names(const Json& list) { return list.get<std::set<std::string>>(); }

}  // namespace

TEST_CASE("optim: every optimizer's trajectory is its peer's in float64, whatever the options and the memory format") {
  const Json file = golden("optimizers.json");
  const auto no_decay = names(file["no_decay"]), not_hidden = names(file["not_hidden"]);
  std::set<std::string> seen;
  for (const Json& test : file["cases"])
    for (const bool channels_last : {false, true}) {
      CAPTURE(test["optimizer"].get<std::string>());
      CAPTURE(test["options"].dump());
      CAPTURE(channels_last);
      seen.insert(test["optimizer"]);
      const core::Choice choice{"optimizer", test["optimizer"]};
      core::from_json(*choice.options, test["options"], "golden");
      std::vector<optim::Parameter> parameters;
      for (const auto& [name, shape] : file["shapes"].items()) {
        at::Tensor value = uniform(name, shape);
        if (channels_last && value.dim() == 4) value = value.contiguous(at::MemoryFormat::ChannelsLast);
        parameters.push_back({.name = name, .value = value.requires_grad_(true), .decay = !no_decay.contains(name), .hidden = !not_hidden.contains(name)});
      }
      auto optimizer = optim::make_optimizer(choice, parameters);
      for (std::int64_t step = 0; step < file["steps"]; ++step) {
        for (optim::Parameter& parameter : parameters)
          parameter.value.mutable_grad() = gradient(parameter.name, parameter.value.sizes().vec(), step);
        optimizer->step(test["lr"]);
      }
      for (const optim::Parameter& parameter : parameters) {
        CAPTURE(parameter.name);
        const std::vector<double> expected = test["final"][parameter.name];
        const at::Tensor result = parameter.value.detach().contiguous().flatten();
        REQUIRE(result.numel() == static_cast<std::int64_t>(expected.size()));
        double largest = 0, error = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) {
          largest = std::max(largest, std::abs(expected[i]));
          error = std::max(error, std::abs(result.const_data_ptr<double>()[i] - expected[i]));
        }
        CHECK(error <= 1e-12 * largest);
      }
    }
  for (const core::Card& card : core::cards("optimizer")) CHECK_MESSAGE(seen.contains(card.name), card.name);
}

TEST_CASE("optim: every schedule's rates are its peer's") {
  std::set<std::string> seen{"constant"};  // nothing to compare
  const Json file = golden("schedules.json");
  for (const Json& test : file["cases"]) {
    CAPTURE(test["schedule"].get<std::string>());
    CAPTURE(test["options"].dump());
    seen.insert(test["schedule"]);
    const core::Choice choice{"schedule", test["schedule"]};
    core::from_json(*choice.options, test["options"], "golden");
    const std::int64_t total = test["total"], epoch = test["steps_per_epoch"];
    for (std::int64_t step = 0; step < total; ++step) {
      CAPTURE(step);
      Json rows = Json::array();
      if (test["losses"].is_array())
        for (std::int64_t done = 1; done * epoch <= step; ++done)
          rows.push_back({{"step", done * epoch}, {"val_loss", test["losses"][static_cast<std::size_t>(done - 1)]}});
      const double rate = optim::schedule_factor(choice, {.step = step, .total = total, .steps_per_epoch = epoch, .history = &rows});
      CHECK(std::abs(rate - test["factors"][static_cast<std::size_t>(step)].get<double>()) < 1e-12);
    }
  }
  for (const core::Card& card : core::cards("schedule")) CHECK_MESSAGE(seen.contains(card.name), card.name);
}
