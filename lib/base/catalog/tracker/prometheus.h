#pragma once
#include "base/core/error.h"
#include "base/core/registry.h"
#include "base/io/endpoint.h"

namespace ds::catalog::tracker::prometheus {

struct Options : core::Options {
  std::int64_t metrics_port = -1;
  std::string metrics_host = "127.0.0.1", metrics_file, pushgateway, metrics_job = "ds-train";
  double metrics_interval = 10;
  void fields(core::Fields& f) override {
    f.add({.name = "metrics_port", .doc = "serve /metrics on this port; 0: one that is free, which is told; -1: off", .min = -1, .max = 65535,
           .alias = "metrics-port", .hidden = true}, metrics_port);
    f.add({.name = "metrics_host", .doc = "address that /metrics is served on", .alias = "metrics-host", .value_name = "HOST", .hidden = true}, metrics_host);
    f.add({.name = "metrics_file", .doc = "write the metrics to this file, for the textfile collector of node_exporter; ends in .prom",
           .alias = "metrics-file", .value_name = "FILE", .path = true, .hidden = true}, metrics_file);
    f.add({.name = "pushgateway", .doc = "push the metrics to this push gateway: an URL, @FILE that has one, or env:NAME", .alias = "pushgateway",
           .value_name = "URL", .hidden = true}, pushgateway);
    f.add({.name = "metrics_interval", .doc = "time between two writes of the file, or pushes", .min = 0.1, .max = 86400, .unit = "seconds", .hidden = true},
          metrics_interval);
    f.add({.name = "metrics_job", .doc = "the label job of all metrics", .value_name = "NAME", .hidden = true}, metrics_job);
  }
  void check() const override {
    if (!pushgateway.empty()) io::check_endpoint(pushgateway, "watch.pushgateway");
    if (!metrics_file.empty() && !metrics_file.ends_with(".prom"))
      throw Error(Exit::kUsage, "watch.metrics_file", "'" + metrics_file + "' does not end in .prom", "the collector reads no other files");
    if (metrics_job.empty()) throw Error(Exit::kUsage, "watch.metrics_job", "is empty");
  }
};

inline const core::Card kCard{"tracker", "prometheus", "metrics for Prometheus: a port to scrape, a file, or a push gateway",
                              "Prometheus text exposition format 0.0.4"};

}  // namespace ds::catalog::tracker::prometheus
