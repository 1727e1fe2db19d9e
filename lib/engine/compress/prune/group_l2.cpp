#include "base/catalog/criterion/group-l2.h"

#include <cmath>

#include "engine/compress/prune/criterion.h"

namespace ds::compress::group_l2 {

/// Sum of squares along an axis, by index: [n] float64.
std::vector<double> squares(const at::Tensor& values, int axis) {
  const at::Tensor t = values.square().transpose(0, axis).reshape({values.size(axis), -1}).sum(1).contiguous();
  return {t.const_data_ptr<double>(), t.const_data_ptr<double>() + t.numel()};
}

std::vector<double> score(const ScoreContext& context, const core::Options& options) {
  const auto& classes = context.classes.classes;
  std::map<std::pair<std::string, int>, std::vector<double>> cache;
  std::vector<double> scores(classes.size(), 0);
  for (std::size_t k = 0; k < classes.size(); ++k) {
    int counted = 0;
    for (const auto& [place, indices] : classes[k].members) {
      auto found = cache.find(place);
      if (found == cache.end()) {
        const at::Tensor values = weight_values(context.model, place.first);
        found = cache.emplace(place, values.defined() ? squares(values, place.second) : std::vector<double>{}).first;
      }
      if (found->second.empty()) continue;
      for (const std::int64_t i : indices) scores[k] += found->second[std::size_t(i)];
      ++counted;
    }
    if (counted > 0) scores[k] /= counted;
  }
  if (static_cast<const catalog::criterion::group_l2::Options&>(options).normalize) {
    for (const auto& group : context.classes.groups) {
      double sum = 0;
      for (const int k : group.classes) sum += scores[std::size_t(k)];
      if (sum <= 0) continue;
      for (const int k : group.classes) scores[std::size_t(k)] *= double(group.classes.size()) / sum;
    }
  }
  return scores;
}

const core::Body<ScoreClasses> body{"criterion", "group-l2", score};

}  // namespace ds::compress::group_l2
