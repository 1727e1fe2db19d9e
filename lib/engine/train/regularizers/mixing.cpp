#include "engine/train/regularizers/mixing.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/catalog/regularizer/cutmix.h"
#include "base/catalog/regularizer/mixup.h"
#include "base/core/error.h"

namespace ds::train {
namespace {

/// Marsaglia & Tsang 2000, "A simple method for generating gamma variables".
double gamma(double a, exec::Stream& stream) {
  if (a < 1) {
    const double smaller = std::pow(stream.uniform(), 1 / a);
    return gamma(a + 1, stream) * smaller;
  }
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = stream.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - stream.uniform()) < 0.5 * x * x + d * (1 - v + std::log(v))) return d * v;
  }
}

struct Box {
  std::int64_t top, bottom, left, right;
  std::int64_t area() const { return (bottom - top) * (right - left); }
};

/// Of a share 1 - lambda of the area, about a pixel drawn from all, cut off at the borders.
Box box(double lambda, std::int64_t height, std::int64_t width, exec::Stream& stream) {
  const double side = std::sqrt(1 - lambda);
  const auto h = static_cast<std::int64_t>(static_cast<double>(height) * side) / 2, w = static_cast<std::int64_t>(static_cast<double>(width) * side) / 2;
  const auto y = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(height))),
             x = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(width)));
  return {std::max<std::int64_t>(y - h, 0), std::min(y + h, height), std::max<std::int64_t>(x - w, 0), std::min(x + w, width)};
}

at::Tensor inside(const at::Tensor& picture, const Box& b) { return picture.slice(1, b.top, b.bottom).slice(2, b.left, b.right); }

}  // namespace

double symmetric_beta(double a, exec::Stream& stream) {
  const double x = gamma(a, stream), y = gamma(a, stream);
  return x + y > 0 ? x / (x + y) : stream.uniform() < 0.5 ? 0 : 1;  // both vanish where a is tiny: all mass is at the ends
}

void Mixing::on_batch(Trainer& trainer, data::Batch& batch) {
  const at::NoGradGuard no_grad;
  const std::uint64_t seed = trainer.options().seed, step = static_cast<std::uint64_t>(trainer.step());
  const std::int64_t n = batch.size();
  exec::Stream whole(exec::stream_key(seed, "mixing"), step);
  const bool changes = whole.uniform() < options_.probability, switched = whole.uniform() < options_.switched;
  if (!changes || n < 2) return;
  const bool cuts = options_.mixup > 0 && options_.cutmix > 0 ? switched : options_.cutmix > 0;
  const std::vector<std::int64_t> order = exec::permutation(n, exec::stream_key(seed, "mixing", "partner"), step);
  const at::Tensor partner = at::tensor(order, at::TensorOptions().dtype(at::kLong)), ids = batch.ids.contiguous();
  const at::Tensor x = batch.inputs.at(0), other = x.index_select(0, partner);
  at::Tensor shares = at::empty({n}, x.options().dtype(at::kFloat));
  at::Tensor y = x.clone();
  for (std::int64_t i = 0; i < n; ++i) {
    exec::Stream stream(exec::stream_key(seed, "mixing", options_.each ? "sample" : "batch"), step,
                        options_.each ? static_cast<std::uint64_t>(ids.const_data_ptr<std::int64_t>()[i]) : 0);
    double share = symmetric_beta(cuts ? options_.cutmix : options_.mixup, stream);
    if (cuts) {
      const Box b = box(share, x.size(2), x.size(3), stream);
      inside(y[i], b).copy_(inside(other[i], b));
      share = 1 - static_cast<double>(b.area()) / static_cast<double>(x.size(2) * x.size(3));
    }
    shares.mutable_data_ptr<float>()[i] = static_cast<float>(share);
  }
  if (!cuts) {
    const at::Tensor share = shares.to(x.scalar_type()).view({n, 1, 1, 1});
    y.mul_(share).add_(other.mul(share.neg().add(1)));
  }
  batch.inputs[0] = y;
  batch.mixed_labels = batch.labels.index_select(0, partner);
  batch.mix = shares;
}

void require_pictures(const Setting& setting, const char* key) {
  const std::string where = std::string("regularize.") + key;
  const data::Dataset& data = setting.data;
  if (data.has_tokens()) throw Error(Exit::kUsage, where, fmt::format("is for pictures, data '{}' are tokens", data.spec), "leave it out");
  const at::Tensor& images = data.train.images;
  if (images.defined() && images.dim() == 4 && images.size(2) * images.size(3) <= 1)
    throw Error(Exit::kUsage, where, fmt::format("is for pictures, data '{}' are rows of a table", data.spec), "leave it out");
}

std::shared_ptr<Callback> make_mixing(const Setting& setting, const char* key) {
  const core::CardGroup& group = setting.fit.regularize.more;
  const auto& blend = group.as<catalog::regularizer::mixup::Options>("mixup");
  const double cutmix = group.as<catalog::regularizer::cutmix::Options>("cutmix").cutmix;
  const std::string where = std::string("regularize.") + key;
  if (cutmix > 0) require_pictures(setting, "cutmix");
  if (setting.data.has_tokens())
    throw Error(Exit::kUsage, where, fmt::format("blends numbers, data '{}' are tokens, of which there is no mean", setting.data.spec), "leave it out");
  static const std::set<std::string> kOfClasses = {"", "cross-entropy", "bce", "focal"};
  if (!setting.data.values.empty() || setting.data.train.labels.is_floating_point())
    throw Error(Exit::kUsage, where, fmt::format("blends classes, data '{}' are of a regression", setting.data.spec), "leave it out");
  if (!kOfClasses.contains(setting.fit.loss.name))
    throw Error(Exit::kUsage, where, fmt::format("does not go with loss '{}', which has no blend of two classes", setting.fit.loss.name),
                "leave one out, or set loss.name to cross-entropy");
  return std::make_shared<Mixing>(MixingOptions{blend.mixup, cutmix, blend.mixup_prob, blend.mixup_switch_prob, blend.mixup_mode == "elem"});
}

}  // namespace ds::train
