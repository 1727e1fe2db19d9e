#pragma once
#include "base/core/registry.h"
#include "base/io/endpoint.h"

namespace ds::catalog::tracker::mlflow {

struct Options : core::Options {
  std::string mlflow, mlflow_experiment;
  void fields(core::Fields& f) override {
    f.add({.name = "mlflow", .doc = "tracking server of MLflow: an URL, @FILE that has one, or env:MLFLOW_TRACKING_URI; a token comes from "
           "MLFLOW_TRACKING_TOKEN", .alias = "mlflow", .value_name = "URL", .hidden = true}, mlflow);
    f.add({.name = "mlflow_experiment", .doc = "experiment that the run belongs to; default: MLFLOW_EXPERIMENT_NAME, or Default",
           .alias = "mlflow-experiment", .value_name = "NAME", .hidden = true}, mlflow_experiment);
  }
  void check() const override {
    if (!mlflow.empty()) io::check_endpoint(mlflow, "watch.mlflow");
  }
};

inline const core::Card kCard{"tracker", "mlflow", "parameters and metrics to a tracking server over REST; what a dead one misses is kept for later",
                              "MLflow REST API 2.0"};

}  // namespace ds::catalog::tracker::mlflow
