#include "engine/compress/calibration.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/histc.h>
#include <c10/core/GradMode.h>

#include "base/core/error.h"
#include "base/core/signals.h"

namespace ds::compress {

namespace {

constexpr std::int64_t kBins = 2048;

/// Calls see(list index, value) for every batch and every value.
template <class See>
void run_batches(exec::Executor& executor, const EachBatch& batches, const exec::PlanOptions& plan, std::size_t outputs,
                 const std::vector<std::size_t>& list_of, See see) {
  batches([&](const std::vector<at::Tensor>& inputs) {
    core::stop_if_requested();
    const auto values = executor.run(inputs, exec::RunContext{}, plan);
    for (std::size_t i = 0; i < list_of.size(); ++i) see(list_of[i], values[outputs + i]);
  });
}

}  // namespace

std::map<std::string, QParams> calibrate(exec::Model& model, const EachBatch& batches, const CalibrationOptions& options,
                                         const std::vector<std::vector<std::string>>& shared) {
  const c10::NoGradGuard off;
  const auto choose = core::body<ChooseRange>("observer", options.observer.name);
  exec::PlanOptions plan;
  std::vector<std::size_t> list_of;
  for (std::size_t k = 0; k < shared.size(); ++k)
    for (const std::string& value : shared[k]) {
      plan.fetch.push_back(value);
      list_of.push_back(k);
    }
  exec::Executor executor(model);
  const std::size_t outputs = model.graph.outputs.size();

  std::vector<Histogram> histograms(shared.size());
  run_batches(executor, batches, plan, outputs, list_of, [&](std::size_t k, const at::Tensor& value) {
    const auto [low, high] = at::aminmax(value);
    histograms[k].low = std::min(histograms[k].low, low.item<double>());
    histograms[k].high = std::max(histograms[k].high, high.item<double>());
  });
  for (std::size_t k = 0; k < shared.size(); ++k) {
    Histogram& h = histograms[k];
    if (!(h.high - h.low < 1e30)) throw Error(Exit::kFailure, shared[k][0], "activations are not finite on the calibration samples");
    h.counts.assign(kBins, 0);
    if (h.high == h.low) h.high = h.low + 1e-6;  // always 0: any scale holds it
  }
  run_batches(executor, batches, plan, outputs, list_of, [&](std::size_t k, const at::Tensor& value) {
    Histogram& h = histograms[k];
    const at::Tensor counts = at::histc(value.flatten().to(at::kFloat), kBins, h.low, h.high).to(at::kDouble);
    for (std::int64_t b = 0; b < kBins; ++b) h.counts[std::size_t(b)] += counts.const_data_ptr<double>()[b];
  });
  std::map<std::string, QParams> result;
  for (std::size_t k = 0; k < shared.size(); ++k) {
    const QParams q = choose(histograms[k], *options.observer.options);
    for (const std::string& value : shared[k]) result[value] = q;
  }
  return result;
}

}  // namespace ds::compress
