#include "base/catalog/regularizer/early-stop.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/core/error.h"
#include "engine/train/parts.h"

namespace ds::train::early_stop {

using Options = catalog::regularizer::early_stop::Options;

struct Patience : Callback {
  Options options;
  Json best = nullptr;
  std::int64_t since = 0;  ///< epochs without a better one
  explicit Patience(const Options& o) : options(o) {}

  std::string metric(const Json& row) const {
    if (options.early_stop_metric != "auto") return options.early_stop_metric;
    return row.contains("val_top1") ? "val_top1" : "val_loss";
  }
  bool less_is_better(const std::string& name) const {
    if (options.early_stop_mode != "auto") return options.early_stop_mode == "min";
    for (const char* word : {"loss", "perplexity", "error", "mae", "mse", "rmse", "ece"})
      if (name.find(word) != std::string::npos) return true;
    return false;
  }

  void on_epoch(Trainer& trainer, Json& row) override {
    const std::string name = metric(row);
    if (!row.contains(name) || !row[name].is_number()) {
      std::vector<std::string> names;
      for (const auto& [key, value] : row.items())
        if (value.is_number()) names.push_back(key);
      throw Error(Exit::kUsage, "regularize.early_stop_metric", fmt::format("an epoch has no '{}'", name), fmt::format("one of {}", fmt::join(names, ", ")));
    }
    const double value = row[name].get<double>(), sign = less_is_better(name) ? -1 : 1;
    const bool better = best.is_null() || sign * (value - best.get<double>()) > options.early_stop_min_delta;
    since = better ? 0 : since + 1;
    if (better) best = value;
    if (since >= options.early_stop)
      trainer.finish_early(fmt::format("{} has not become better than {:.4g} for {} epochs", name, best.get<double>(), since));
  }

  Json state() const override { return {{"best", best}, {"since", since}}; }
  void load_state(const Json& state) override {
    best = state.at("best");
    since = state.at("since").get<std::int64_t>();
  }
};

std::shared_ptr<Callback> make(const core::Options& options, const Setting& setting) {
  const auto& o = static_cast<const Options&>(options);
  if (o.early_stop == 0) return nullptr;
  const bool train_metric = o.early_stop_metric.starts_with("train_");
  if (setting.data.val.size() == 0 && !train_metric)
    throw Error(Exit::kUsage, "regularize.early_stop", fmt::format("data '{}' has no validation split to tell when to stop", setting.data.spec),
                "leave it out, or name a metric of training such as early_stop_metric: train_loss");
  return std::make_shared<Patience>(o);
}
const core::Body<MakeRegularizer> body{"regularizer", "early-stop", make};

}  // namespace ds::train::early_stop
