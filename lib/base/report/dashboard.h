// The dashboard for Grafana, made from the table of metrics.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/report/watched.h"

namespace ds::report {

/// Queries of PromQL for a metric, each with its legend. They hold Grafana's variables $job, $model, $run and $__rate_interval.
std::vector<std::pair<std::string, std::string>> queries(const Watched& metric);
/// A dashboard as Grafana imports it (schema 38): it asks for the data source, and lets one choose jobs, models and runs.
nlohmann::json dashboard();

}  // namespace ds::report
