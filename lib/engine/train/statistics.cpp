#include "engine/train/statistics.h"

#include <c10/core/GradMode.h>

#include "base/core/signals.h"
#include "engine/exec/executor.h"

namespace ds::train {

namespace {

/// Sums over batches of a norm's batch mean, its square, and batch variance.
struct Moments {
  at::Tensor mean, square, variance;
};

/// A copy of the model that shares its weights, whose running statistics after a batch are that batch's own.
exec::Model with_statistics_of_each_batch(const exec::Model& model) {
  exec::Model probe = model;
  for (graph::Node& n : probe.graph.nodes) {
    if (n.op != "batch_norm2d") continue;
    n.attrs["momentum"] = 1.0;
    for (const char* slot : {"running_mean", "running_var"}) {
      at::Tensor& statistic = probe.tensors.at(n.slots.at(slot).tensor);
      statistic = statistic.detach().clone();
    }
  }
  return probe;
}

}  // namespace

void reestimate_statistics(exec::Model& model, const data::Dataset& data, const Json& preprocessing, std::int64_t batches, std::int64_t batch_size,
                           std::uint64_t seed, bool stoppable) {
  std::vector<std::pair<std::string, std::string>> norms;  // names of running mean and variance
  for (const graph::Node& n : model.graph.nodes)
    if (n.op == "batch_norm2d") norms.emplace_back(n.slots.at("running_mean").tensor, n.slots.at("running_var").tensor);
  if (batches <= 0 || norms.empty()) return;
  const c10::NoGradGuard off;
  exec::Model probe = with_statistics_of_each_batch(model);
  exec::Executor executor(probe);
  data::Loader loader(data.split("train"), preprocessing,
                      {.batch_size = batch_size, .shuffle = true, .drop_last = data.train.size() > batch_size, .seed = seed});
  exec::RunContext context{.training = true, .seed = seed};
  std::vector<Moments> moments(norms.size());
  data::Batch batch;
  for (std::int64_t done = 0, epoch = 0; done < batches; ++epoch) {
    loader.start(epoch);
    for (; done < batches && loader.next(batch); ++done) {
      if (stoppable) core::stop_if_requested();
      context.sample_ids = batch.ids;
      context.step = done;
      executor.run(batch.inputs, context, {.training = true});
      for (std::size_t i = 0; i < norms.size(); ++i) {
        const at::Tensor mean = probe.tensors.at(norms[i].first).to(at::kDouble, false, /*copy=*/true);
        const at::Tensor variance = probe.tensors.at(norms[i].second).to(at::kDouble, false, /*copy=*/true);
        Moments& m = moments[i];
        m = done == 0 ? Moments{mean, mean.square(), variance} : Moments{m.mean.add(mean), m.square.add(mean.square()), m.variance.add(variance)};
      }
    }
  }
  for (std::size_t i = 0; i < norms.size(); ++i) {
    const at::Tensor mean = moments[i].mean.div(double(batches)), between = moments[i].square.div(double(batches)).sub(mean.square());
    model.tensors.at(norms[i].first).copy_(mean);
    model.tensors.at(norms[i].second).copy_(moments[i].variance.div(double(batches)).add(between.clamp_min(0)));
  }
}

}  // namespace ds::train
