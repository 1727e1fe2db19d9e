#include "base/catalog/regularizer/swa.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "base/core/error.h"
#include "engine/train/parts.h"
#include "engine/train/statistics.h"

namespace ds::train::swa {

using Options = catalog::regularizer::swa::Options;

struct Mean : Callback {
  std::int64_t first;                      ///< epoch, 0-based
  std::int64_t taken = 0;                  ///< epochs in the mean
  std::map<std::string, at::Tensor> mean;  ///< of every float tensor; statistics are those of the mean
  explicit Mean(std::int64_t swa) : first(swa - 1) {}

  void before_validation(Trainer& trainer) override {
    const std::int64_t wanted = trainer.epoch() - first + 1;
    if (wanted <= 0) return;
    const at::NoGradGuard no_grad;
    exec::Model averaged = trainer.model();
    for (auto& [name, tensor] : averaged.tensors)
      if (tensor.is_floating_point()) {
        at::Tensor& own = mean[name];
        // Asked again for an epoch whose validation was stopped, the mean has its weights already.
        if (!own.defined()) own = tensor.detach().clone();
        else if (taken < wanted) own.lerp_(tensor, 1.0 / static_cast<double>(taken + 1));
        tensor = own;
      }
    taken = wanted;
    const commands::LoopOptions& loop = trainer.fit().loop;
    const std::int64_t rows = loop.batch_size, batches = std::max<std::int64_t>(1, trainer.data().train.size() / rows);
    reestimate_statistics(averaged, trainer.data(), trainer.preprocessing(), batches, rows, trainer.options().seed);
  }
  const std::map<std::string, at::Tensor>* averaged() const override { return taken > 0 ? &mean : nullptr; }

  Json state() const override { return {{"taken", taken}}; }
  void load_state(const Json& state) override { taken = state.at("taken").get<std::int64_t>(); }
  std::map<std::string, at::Tensor> tensors() const override { return mean; }
  void load_tensors(const std::map<std::string, at::Tensor>& saved) override {
    for (const auto& [name, tensor] : saved) mean[name] = tensor.clone();
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const std::int64_t first = static_cast<const Options&>(options).swa;
  if (first == 0) return nullptr;
  if (first > setting.fit.loop.epochs)
    throw Error(Exit::kUsage, "regularize.swa", fmt::format("begins in epoch {}, the run ends after {}", first, setting.fit.loop.epochs),
                "begin at about three quarters of train.epochs");
  return std::make_shared<Mean>(first);
}
const core::Body<MakeRegularizer> body{"regularizer", "swa", make};

}  // namespace ds::train::swa
