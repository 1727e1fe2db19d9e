#include "engine/tune/sampler.h"

#include <cmath>

namespace ds::tune {
namespace {

/// The configuration of a number below space.size(): its digits are the indices.
Json numbered(const TuneSpace& space, std::uint64_t number) {
  Json configuration = Json::object();
  for (const auto& p : space.parameters) {
    const auto count = static_cast<std::uint64_t>(p.count());
    configuration[p.path] = p.at(static_cast<std::int64_t>(number % count));
    number /= count;
  }
  return configuration;
}

bool is_taken(const Task& task, const Json& configuration) { return task.taken.count(configuration.dump()) > 0; }

}  // namespace

std::vector<double> snap(const TuneSpace& space, const std::vector<double>& point) {
  std::vector<double> places(point.size());
  for (std::size_t j = 0; j < point.size(); ++j) {
    const auto& p = space.parameters[j];
    const auto count = static_cast<double>(p.count());
    places[j] = p.categorical() ? std::min(std::floor(point[j] * count), count - 1) : p.count() > 0 ? p.encode(p.decode(point[j])) : point[j];
  }
  return places;
}

Suggestion design_point(const Task& task) {
  const auto d = static_cast<std::int64_t>(task.space->parameters.size());
  const std::uint64_t key = exec::stream_key(task.seed, "tune-design");
  // Points that are taken (small spaces) are made up for by points after those of all other trials.
  const std::int64_t after = std::max(task.planned, task.trial) + (task.trial - 1) * 16;
  for (std::int64_t turn = 0; turn < 17; ++turn) {
    const std::int64_t index = turn == 0 ? task.trial - 1 : after + turn - 1;
    const Json configuration = task.space->decode(snap(*task.space, scrambled_sobol(d, index, 1, key).front()));
    if (!is_taken(task, configuration)) return {configuration, {{"by", "design"}, {"point", index}}};
  }
  exec::Stream stream(exec::stream_key(task.seed, "tune-fallback"), static_cast<std::uint64_t>(task.trial));
  return random_point(task, stream);
}

Suggestion random_point(const Task& task, exec::Stream& stream) {
  const TuneSpace& space = *task.space;
  for (int turn = 0; turn < 100; ++turn) {
    std::vector<double> point;
    for (std::size_t j = 0; j < space.parameters.size(); ++j) point.push_back(stream.uniform());
    const Json configuration = space.decode(snap(space, point));
    if (!is_taken(task, configuration)) return {configuration, {{"by", "random"}}};
  }
  const std::int64_t size = space.size();
  if (size == 0) return {nullptr};
  const auto n = static_cast<std::uint64_t>(size), first = stream.below(n);
  for (std::uint64_t i = 0; i < n && i <= task.taken.size(); ++i) {
    const Json configuration = numbered(space, (first + i) % n);
    if (!is_taken(task, configuration)) return {configuration, {{"by", "enumeration"}}};
  }
  return {nullptr};
}

Suggestion suggest(const core::Choice& sampler, const Task& task) {
  if (task.trial == 1 && task.space->first) return {*task.space->first, {{"by", "default"}}};
  return core::body<Suggest>("sampler", sampler.name)(*sampler.options, task);
}

}  // namespace ds::tune
