#include "base/catalog/regularizer/random-erasing.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "engine/exec/random.h"
#include "engine/train/regularizers/mixing.h"

namespace ds::train::random_erasing {

using Options = catalog::regularizer::random_erasing::Options;

constexpr int kAttempts = 10;       ///< at a box that fits
constexpr double kNarrowest = 0.3;  ///< ratio of sides, either way

void fill(at::Tensor box, const std::string& mode, exec::Stream& stream) {
  if (mode == "const") {
    box.zero_();
    return;
  }
  for (std::int64_t c = 0; c < box.size(0); ++c) {
    if (mode == "rand") {
      box[c].fill_(stream.normal());
      continue;
    }
    auto pixels = box.accessor<float, 3>();
    for (std::int64_t y = 0; y < box.size(1); ++y)
      for (std::int64_t x = 0; x < box.size(2); ++x) pixels[c][y][x] = static_cast<float>(stream.normal());
  }
}

struct Eraser : Callback {
  Options options;
  explicit Eraser(const Options& o) : options(o) {}

  void erase(const at::Tensor& picture, exec::Stream& stream) const {
    const std::int64_t height = picture.size(1), width = picture.size(2);
    for (std::int64_t i = 0; i < options.random_erasing_count; ++i) {
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const double area = stream.uniform(options.random_erasing_min, options.random_erasing_max) * static_cast<double>(height * width) /
                            static_cast<double>(options.random_erasing_count);
        const double ratio = std::exp(stream.uniform(std::log(kNarrowest), -std::log(kNarrowest)));
        const auto h = static_cast<std::int64_t>(std::llround(std::sqrt(area * ratio))), w = static_cast<std::int64_t>(std::llround(std::sqrt(area / ratio)));
        if (h >= height || w >= width) continue;
        const auto top = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(height - h + 1))),
                   left = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(width - w + 1)));
        fill(picture.slice(1, top, top + h).slice(2, left, left + w), options.random_erasing_mode, stream);
        break;
      }
    }
  }

  void on_batch(Trainer& trainer, data::Batch& batch) override {
    const at::NoGradGuard no_grad;
    const std::uint64_t key = exec::stream_key(trainer.options().seed, "random_erasing");
    const at::Tensor ids = batch.ids.contiguous();
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      exec::Stream stream(key, static_cast<std::uint64_t>(trainer.step()), static_cast<std::uint64_t>(ids.const_data_ptr<std::int64_t>()[i]));
      if (stream.uniform() < options.random_erasing) erase(batch.inputs.at(0)[i], stream);
    }
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const Options&>(options);
  if (o.random_erasing == 0) return nullptr;
  require_pictures(setting, "random_erasing");
  return std::make_shared<Eraser>(o);
}
const core::Body<MakeRegularizer> body{"regularizer", "random-erasing", make};

}  // namespace ds::train::random_erasing
