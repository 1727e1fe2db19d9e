#include "engine/train/loss.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "base/core/error.h"
#include "base/core/values.h"
#include "engine/data/health.h"

namespace ds::train {

Loss::~Loss() = default;

std::int64_t Loss::counted(const at::Tensor& labels) const {
  if (labels.dim() == 1 || labels.is_floating_point()) return labels.size(0);
  return labels.ge(0).sum().item<std::int64_t>();
}

std::int64_t Loss::correct(const std::vector<at::Tensor>& outputs, const at::Tensor& labels) const {
  if (labels.is_floating_point()) return 0;
  return outputs.at(0).detach().argmax(-1).eq(labels).sum().item<std::int64_t>();
}

std::unique_ptr<Loss> make_loss(const core::Choice& choice, const LossSetting& setting) {
  const data::Target target = setting.data.train.tokens.target;
  core::Choice chosen = choice;
  if (chosen.name.empty())
    chosen.select(!setting.data.values.empty()          ? "mse"
                  : target == data::Target::kScored     ? "cosine"
                  : data::of_vectors(target)            ? "contrastive"
                                                        : "cross-entropy");
  return core::body<MakeLoss>("loss", chosen.name)(*chosen.options, setting);
}

at::Tensor summed_loss(const Loss& loss, const std::vector<at::Tensor>& outputs, const data::Batch& part) {
  at::Tensor each = loss.each(outputs, part.labels);
  if (part.mix.defined()) {
    const at::Tensor share = part.mix.to(each.scalar_type());
    each = each.mul(share).add(loss.each(outputs, part.mixed_labels).mul(share.neg().add(1)));
  }
  return each.sum();
}

void require_labels(bool fits, const std::string& loss, const std::string& takes, const data::Dataset& data) {
  if (fits) return;
  const data::Target target = data.train.tokens.target;
  const char* has = !data.values.empty()              ? "numbers"
                    : target == data::Target::kScored ? "scored pairs"
                    : target == data::Target::kPair   ? "pairs"
                    : target == data::Target::kNear   ? "classes of vectors"
                                                      : "classes";
  throw Error(Exit::kUsage, "loss.name", fmt::format("{} takes {}, data '{}' has {}", loss, takes, data.spec, has),
              "leave loss.name out: the data ask for a loss that fits");
}

at::Tensor class_weights(const std::vector<std::string>& given, const data::Dataset& data) {
  if (given.empty()) return {};
  const auto refuse = [](const std::string& what) { throw Error(Exit::kUsage, "loss.class_weights", what, "give balanced, or a number a class"); };
  if (!data.tells_classes()) refuse(fmt::format("data '{}' has no classes", data.spec));
  at::Tensor weights = at::empty({data.num_classes}, at::TensorOptions().dtype(at::kDouble));
  auto* values = weights.mutable_data_ptr<double>();
  if (given.size() == 1 && given[0] == "balanced") {
    const std::vector<std::int64_t> counts = data::class_counts(data.train, data.num_classes);
    std::int64_t all = 0;
    for (const std::int64_t count : counts) all += count;
    for (std::size_t c = 0; c < counts.size(); ++c) {
      if (counts[c] == 0) refuse(fmt::format("class {} has no sample to train on, so 'balanced' gives it no weight", c));
      values[c] = static_cast<double>(all) / (static_cast<double>(counts.size()) * static_cast<double>(counts[c]));
    }
    return weights;
  }
  if (static_cast<std::int64_t>(given.size()) != data.num_classes)
    refuse(fmt::format("{} numbers, expected {} as data '{}' has classes", given.size(), data.num_classes, data.spec));
  for (std::size_t c = 0; c < given.size(); ++c) {
    const auto number = core::parse_number(given[c]);
    if (!number || !(*number > 0)) refuse(fmt::format("'{}', expected a number above 0", given[c]));
    values[c] = *number;
  }
  return weights;
}

}  // namespace ds::train
