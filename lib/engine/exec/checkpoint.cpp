#include "engine/exec/checkpoint.h"

#include <algorithm>
#include <cmath>

#include "base/core/error.h"

namespace ds::exec {

namespace {

/// Steps where a value begins and ends to live: after step `made` and until step `used` has run.
struct Life {
  int made = -1, used = -1;
  bool gradient = false;
};

std::vector<Life> lives_of(const std::vector<StepSketch>& steps, const std::vector<bool>& floats) {
  std::vector<Life> lives(floats.size());
  for (int s = 0; s < int(steps.size()); ++s) {
    const StepSketch& step = steps[std::size_t(s)];
    bool gradient = step.grows;
    for (const int value : step.in) {
      lives[std::size_t(value)].used = s;
      gradient = gradient || lives[std::size_t(value)].gradient;
    }
    for (const int value : step.out) lives[std::size_t(value)] = {s, s, gradient && floats[std::size_t(value)]};
  }
  return lives;
}

/// Ends of blocks: numbers of steps that lie before a cut where one value with a gradient lives. Values that live over a third of the net (the
/// encoder's output in a decoder, biases by position, skips of a U-Net) are not counted.
std::vector<int> block_ends(const std::vector<StepSketch>& steps, const std::vector<bool>& floats) {
  const int n = int(steps.size()), longest = std::max(16, n / 3);
  std::vector<int> living(std::size_t(n + 1), 0), ends;
  for (const Life& life : lives_of(steps, floats)) {
    if (!life.gradient || life.used - life.made > longest) continue;
    for (int cut = life.made + 1; cut <= life.used; ++cut) ++living[std::size_t(cut)];
  }
  for (int cut = 1; cut < n; ++cut)
    if (living[std::size_t(cut)] == 1) ends.push_back(cut);
  ends.push_back(n);
  return ends;
}

using Ranges = std::vector<std::pair<int, int>>;

Ranges every_nth(const std::vector<int>& ends, std::int64_t every) {
  Ranges ranges;
  int begin = 0;
  for (std::size_t i = std::size_t(every) - 1; i + 1 < ends.size(); i += std::size_t(every)) {
    ranges.emplace_back(begin, ends[i]);
    begin = ends[i];
  }
  return ranges;
}

Ranges square_root(const std::vector<int>& ends, const std::vector<StepSketch>& steps, const std::vector<double>& bytes) {
  double total = 0, so_far = 0;
  for (const StepSketch& step : steps)
    for (const int value : step.out) total += bytes[std::size_t(value)];
  const double share = total / std::ceil(std::sqrt(double(ends.size())));
  Ranges ranges;
  int begin = 0, at = 0;
  for (const int end : ends) {
    for (; at < end; ++at)
      for (const int value : steps[std::size_t(at)].out) so_far += bytes[std::size_t(value)];
    if (so_far < share || end == int(steps.size())) continue;
    ranges.emplace_back(begin, end);
    begin = end;
    so_far = 0;
  }
  return ranges;
}

Ranges of_nodes(const std::vector<Segment>& segments, const std::vector<StepSketch>& steps) {
  Ranges ranges;
  for (const Segment& segment : segments) {
    int begin = -1, end = -1;
    for (int s = 0; s < int(steps.size()); ++s) {
      const std::int64_t node = steps[std::size_t(s)].nodes.back();
      if (node < segment.first || node > segment.last) continue;
      if (begin < 0) begin = s;
      end = s + 1;
    }
    if (begin >= 0) ranges.emplace_back(begin, end);
  }
  return ranges;
}

}  // namespace

Checkpointing parse_checkpointing(const std::string& text) {
  if (text == "none") return {};
  if (text == "all") return {.kind = Checkpointing::Kind::kAll};
  const std::string digits = text.starts_with("every:") ? text.substr(6) : "";
  const bool number = !digits.empty() && digits.size() < 10 && digits.find_first_not_of("0123456789") == std::string::npos;
  const std::int64_t every = number ? std::stoll(digits) : 0;
  if (every < 1) throw Error(Exit::kUsage, "precision.checkpointing", "'" + text + "', expected none, all or every:N");
  return {.kind = Checkpointing::Kind::kEvery, .every = every};
}

Ranges checkpointed_ranges(const Checkpointing& how, const std::vector<StepSketch>& steps, const std::vector<double>& bytes,
                           const std::vector<bool>& floats, const std::vector<bool>& ends) {
  Ranges whole;
  switch (how.kind) {
    case Checkpointing::Kind::kNone: return {};
    case Checkpointing::Kind::kAll: whole = square_root(block_ends(steps, floats), steps, bytes); break;
    case Checkpointing::Kind::kEvery: whole = every_nth(block_ends(steps, floats), how.every); break;
    case Checkpointing::Kind::kSegments: whole = of_nodes(how.segments, steps); break;
  }
  Ranges ranges;
  for (const auto& [first, last] : whole) {
    int begin = first;
    for (int s = first; s < last; ++s) {
      if (!ends[std::size_t(s)] && s + 1 < last) continue;
      ranges.emplace_back(begin, s + 1);
      begin = s + 1;
    }
  }
  return ranges;
}

}  // namespace ds::exec
