// Over every sampler: what it suggests lies in the space, is a function of the task, and is new.
#include <doctest/doctest.h>

#include "engine/tune/sampler.h"

using namespace ds::tune;
using ds::commands::TuneParameter;

namespace {

TuneParameter number(const char* path, double low, double high, bool log = false, double step = 0) {
  TuneParameter p;
  p.path = path;
  p.low = low, p.high = high, p.log = log, p.step = step;
  return p;
}

/// One parameter of each kind.
TuneSpace space() {
  TuneSpace space;
  space.metric = "y";
  TuneParameter width = number("width", 8, 64, false, 8), name, flag;
  width.type = TuneParameter::Type::kInt;
  name.path = "name", name.type = TuneParameter::Type::kCategorical, name.values = {"a", "b", "c"};
  flag.path = "flag", flag.type = TuneParameter::Type::kCategorical, flag.values = {true, false};
  space.parameters = {number("x", -3, 5), number("lr", 1e-5, 1e-1, true), number("grid", 0, 1, false, 0.25), width, name, flag};
  return space;
}

std::vector<Json> study(const std::string& sampler, const TuneSpace& space, std::uint64_t seed, int trials) {
  const ds::core::Choice choice("sampler", sampler);
  Task task;
  task.space = &space;
  task.seed = seed;
  task.planned = trials;
  std::vector<Json> all;
  for (task.trial = 1; task.trial <= trials; ++task.trial) {
    const Suggestion s = suggest(choice, task);
    REQUIRE(!s.parameters.is_null());
    all.push_back(s.parameters);
    const std::vector<double> place = space.encode(s.parameters);
    // Every fifth trial fails, every seventh is still under way.
    const double value = task.trial % 5 == 0 ? std::nan("") : -(place[0] - 0.3) * (place[0] - 0.3) - place[1];
    if (task.trial % 7 == 0) task.pending.push_back(s.parameters);
    else task.seen.push_back({task.trial, s.parameters, value});
    task.taken.insert(s.parameters.dump());
  }
  return all;
}

}  // namespace

TEST_CASE("sampler: each suggests what is in the space, never the same twice") {
  const TuneSpace all = space();
  for (const ds::core::Card& card : ds::core::cards("sampler")) {
    CAPTURE(card.name);
    std::set<std::string> different, names;
    double low = 1, high = 0;
    const auto trials = study(card.name, all, 11, 16);
    for (const Json& configuration : trials) {
      CAPTURE(configuration.dump());
      REQUIRE(configuration.size() == all.parameters.size());
      for (const TuneParameter& parameter : all.parameters) CHECK(parameter.problem(configuration.at(parameter.path)) == "");
      // What is written to the trial's file is what the model saw.
      CHECK(all.decode(all.encode(configuration)) == configuration);
      different.insert(configuration.dump());
      names.insert(configuration["name"]);
      low = std::min(low, all.encode(configuration)[1]), high = std::max(high, all.encode(configuration)[1]);
    }
    CHECK(different.size() == trials.size());
    CHECK(names.size() >= 2);
    CHECK(high - low > 0.3);  // of the unit cube: it looks around
  }
}

TEST_CASE("sampler: each is a function of seed and results, and takes a seed to heart") {
  const TuneSpace all = space();
  for (const ds::core::Card& card : ds::core::cards("sampler")) {
    CAPTURE(card.name);
    const auto one = study(card.name, all, 1, 9);
    CHECK(one == study(card.name, all, 1, 9));
    CHECK(one != study(card.name, all, 2, 9));
  }
}

TEST_CASE("sampler: each says so where every configuration has been taken") {
  TuneSpace small;
  small.metric = "y";
  TuneParameter name;
  name.path = "name", name.type = TuneParameter::Type::kCategorical, name.values = {"a", "b"};
  small.parameters = {name};
  for (const ds::core::Card& card : ds::core::cards("sampler")) {
    CAPTURE(card.name);
    const ds::core::Choice choice("sampler", card.name);
    Task task;
    task.space = &small;
    std::set<std::string> got;
    for (task.trial = 1; task.trial <= 2; ++task.trial) {
      const Suggestion s = suggest(choice, task);
      REQUIRE(!s.parameters.is_null());
      got.insert(s.parameters["name"]);
      task.seen.push_back({task.trial, s.parameters, double(task.trial)});
      task.taken.insert(s.parameters.dump());
    }
    CHECK(got.size() == 2);
    CHECK(suggest(choice, task).parameters.is_null());
  }
}
