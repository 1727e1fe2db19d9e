#include "engine/data/health.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/core/error.h"

namespace ds::data {
namespace {

constexpr double kImbalance = 10;           ///< largest to smallest class, from which on it is told
constexpr std::size_t kMostExamples = 3, kMostListed = 100;
constexpr std::array<const char*, 3> kNames = {"train", "val", "test"};

struct Sample {
  std::uint64_t hash = 0;
  std::int64_t id = 0;  ///< global
  int split = 0;
};

/// The bytes that a sample is read from, without its label.
class Bytes {
 public:
  explicit Bytes(const Split& split) : split_(split), images_(split.images.defined() ? split.images.contiguous() : at::Tensor()) {}
  std::string_view operator[](std::int64_t row) const {
    if (images_.defined()) {
      const auto size = static_cast<std::size_t>(images_.nbytes()) / static_cast<std::size_t>(images_.size(0));
      return {static_cast<const char*>(images_.const_data_ptr()) + static_cast<std::size_t>(row) * size, size};
    }
    if (!split_.texts.empty()) return split_.texts[static_cast<std::size_t>(row)];
    const Tokens& tokens = split_.tokens;
    const std::int64_t first = tokens.first.const_data_ptr<std::int64_t>()[row], length = tokens.length.const_data_ptr<std::int64_t>()[row];
    return {reinterpret_cast<const char*>(tokens.ids.const_data_ptr<std::int32_t>() + first), static_cast<std::size_t>(length) * sizeof(std::int32_t)};
  }

 private:
  const Split& split_;
  at::Tensor images_;
};

/// A text that is packed into blocks is no sample, and one text of a pair may well stand in many pairs.
bool has_own_bytes(const Dataset& set) {
  const Target target = set.train.tokens.target;
  return !of_pairs(target) && target != Target::kNext && target != Target::kMasked;
}

/// Finds samples of equal bytes.
class Twins {
 public:
  explicit Twins(const Dataset& set) : splits_{&set.train, &set.val, &set.test}, bytes_{Bytes(set.train), Bytes(set.val), Bytes(set.test)} {
    for (int s = 0; s < 3; ++s) add(s);
    std::sort(samples_.begin(), samples_.end(), [](const Sample& a, const Sample& b) { return a.hash != b.hash ? a.hash < b.hash : a.id < b.id; });
    for (std::size_t i = 0; i < samples_.size();) {
      std::size_t end = i + 1;
      while (end < samples_.size() && samples_[end].hash == samples_[i].hash) ++end;
      // Each sample is held against the first one: others of another content under one hash are as good as impossible.
      for (std::size_t k = i + 1; k < end; ++k)
        if (bytes(samples_[k]) == bytes(samples_[i])) join(samples_[i], samples_[k]);
      leaks(i, end);
      i = end;
    }
  }

  std::int64_t duplicates = 0, conflicts = 0;
  std::int64_t leaked[3] = {};  ///< train_val, train_test, val_test: samples of the latter split that the former has, too
  std::vector<std::string> twice, astray, torn;  ///< examples

 private:
  void add(int s) {
    const Split& split = *splits_[static_cast<std::size_t>(s)];
    const auto begin = static_cast<std::int64_t>(samples_.size()), n = split.size();
    samples_.resize(static_cast<std::size_t>(begin + n));
    at::parallel_for(0, n, 256, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t i = from; i < to; ++i) {
        const std::string_view text = bytes_[static_cast<std::size_t>(s)][i];
        samples_[static_cast<std::size_t>(begin + i)] = {std::hash<std::string_view>{}(text), split.first_id + i, s};
      }
    });
  }

  std::string_view bytes(const Sample& sample) const {
    const auto s = static_cast<std::size_t>(sample.split);
    return bytes_[s][sample.id - splits_[s]->first_id];
  }

  bool same_label(const Sample& a, const Sample& b) const {
    const at::Tensor &x = splits_[static_cast<std::size_t>(a.split)]->labels, &y = splits_[static_cast<std::size_t>(b.split)]->labels;
    if (!x.defined() || !y.defined()) return true;
    const std::int64_t i = a.id - splits_[static_cast<std::size_t>(a.split)]->first_id, j = b.id - splits_[static_cast<std::size_t>(b.split)]->first_id;
    return x.select(0, i).equal(y.select(0, j));
  }

  void join(const Sample& first, const Sample& other) {
    const std::string pair = fmt::format("{} and {}", first.id, other.id);
    if (first.split == other.split && ++duplicates <= static_cast<std::int64_t>(kMostExamples)) twice.push_back(pair);
    if (!same_label(first, other) && ++conflicts <= static_cast<std::int64_t>(kMostExamples)) torn.push_back(pair);
  }

  void leaks(std::size_t begin, std::size_t end) {
    if (end - begin < 2) return;
    std::array<std::int64_t, 3> count{};
    std::array<const Sample*, 3> one{};
    for (std::size_t i = begin; i < end; ++i) {
      if (bytes(samples_[i]) != bytes(samples_[begin])) continue;
      ++count[static_cast<std::size_t>(samples_[i].split)];
      one[static_cast<std::size_t>(samples_[i].split)] = &samples_[i];
    }
    constexpr std::array<std::pair<std::size_t, std::size_t>, 3> pairs = {{{0, 1}, {0, 2}, {1, 2}}};
    for (std::size_t p = 0; p < 3; ++p) {
      const auto [a, b] = pairs[p];
      if (count[a] == 0 || count[b] == 0) continue;
      leaked[p] += count[b];
      if (astray.size() < kMostExamples) astray.push_back(fmt::format("{} ({}) and {} ({})", one[a]->id, kNames[a], one[b]->id, kNames[b]));
    }
  }

  std::array<const Split*, 3> splits_;
  std::array<Bytes, 3> bytes_;
  std::vector<Sample> samples_;
};

void count_classes(const Dataset& set, Health& health) {
  const std::vector<std::int64_t> counts = class_counts(set.train, set.num_classes);
  std::int64_t least = 0, most = 0;
  std::size_t rarest = 0, commonest = 0;
  std::vector<std::string> empty;
  Json named = Json::object();
  const auto name = [&](std::size_t c) { return c < set.labels.size() ? set.labels[c] : std::to_string(c); };
  for (std::size_t c = 0; c < counts.size(); ++c) {
    if (counts.size() <= kMostListed) named[name(c)] = counts[c];
    if (counts[c] == 0) empty.push_back(name(c));
    if (counts[c] > 0 && (least == 0 || counts[c] < least)) least = counts[c], rarest = c;
    if (counts[c] > most) most = counts[c], commonest = c;
  }
  if (most == 0) return;
  const double ratio = static_cast<double>(most) / static_cast<double>(least);
  if (!named.empty()) health.report["classes"] = named;
  health.report["imbalance"] = ratio;
  if (!empty.empty()) {
    health.report["empty_classes"] = empty;
    health.warnings.push_back(fmt::format("data '{}': {} of {} classes have no sample to train on: {}{}", set.spec, empty.size(), counts.size(),
                                          fmt::join(empty.begin(), empty.begin() + static_cast<std::ptrdiff_t>(std::min(empty.size(), kMostExamples)), ", "),
                                          empty.size() > kMostExamples ? " ..." : ""));
  }
  if (ratio >= kImbalance)
    health.warnings.push_back(fmt::format("data '{}': class '{}' has {} samples, '{}' has {}: data.sampler: weighted, loss.class_weights: balanced or "
                                          "loss.name: focal help the small ones",
                                          set.spec, name(commonest), most, name(rarest), least));
}

}  // namespace

std::vector<std::int64_t> class_counts(const Split& split, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes), 0);
  const Target target = split.tokens.target;
  const at::Tensor& labels = target == Target::kToken ? split.tokens.labels : split.labels;
  if (!labels.defined() || labels.is_floating_point() || of_pairs(target)) return counts;
  const at::Tensor whole = labels.contiguous();
  const auto* values = whole.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < whole.numel(); ++i)
    if (values[i] >= 0 && values[i] < classes) ++counts[static_cast<std::size_t>(values[i])];
  return counts;
}

std::vector<double> balancing_weights(const Dataset& set) {
  const at::Tensor& labels = set.train.labels;
  if (!labels.defined() || labels.is_floating_point() || of_pairs(set.train.tokens.target))
    throw Error(Exit::kUsage, "data.sampler", fmt::format("weighted draws by class, data '{}' has no class of a sample", set.spec), "leave data.sampler out");
  const std::vector<std::int64_t> counts = class_counts(set.train, set.num_classes);
  std::vector<double> weights;
  for (std::int64_t i = 0; i < labels.numel(); ++i)
    weights.push_back(1.0 / static_cast<double>(counts[static_cast<std::size_t>(labels.const_data_ptr<std::int64_t>()[i])]));
  return weights;
}

Health check_health(const Dataset& set) {
  Health health;
  if (set.values.empty()) count_classes(set, health);
  if (!has_own_bytes(set)) return health;
  const Twins twins(set);
  health.report["duplicates"] = twins.duplicates;
  health.report["conflicts"] = twins.conflicts;
  health.report["leaks"] = {{"train_val", twins.leaked[0]}, {"train_test", twins.leaked[1]}, {"val_test", twins.leaked[2]}};
  if (twins.leaked[0] + twins.leaked[1] + twins.leaked[2] > 0)
    health.warnings.push_back(
        fmt::format("data '{}': {} samples of val and {} of test are in train as well, {} of test in val, such as {}: figures on them are "
                    "too good; remove them",
                    set.spec, twins.leaked[0], twins.leaked[1], twins.leaked[2], fmt::join(twins.astray, ", ")));
  if (twins.duplicates > 0)
    health.warnings.push_back(fmt::format("data '{}': {} samples occur more than once in their split, such as {}", set.spec, twins.duplicates,
                                          fmt::join(twins.twice, ", ")));
  if (twins.conflicts > 0)
    health.warnings.push_back(fmt::format("data '{}': {} samples have a twin with another label, such as {}", set.spec, twins.conflicts,
                                          fmt::join(twins.torn, ", ")));
  return health;
}

}  // namespace ds::data
