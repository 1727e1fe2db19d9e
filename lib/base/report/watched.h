// What a run tells of itself while it goes on: one table from which come the text for Prometheus, the dashboard for Grafana, the tags of
// TensorBoard and MLflow, the keys of metrics.jsonl and the tables of the documentation.
#pragma once
#include <string>
#include <vector>

#include "base/report/table.h"

namespace ds::report {

enum class MetricType { kGauge, kCounter, kHistogram };

/// How a panel of the dashboard shows a metric.
enum class Shown {
  kValue,      ///< as it is
  kRate,       ///< growth a second
  kQuantiles,  ///< median and 99th percentile of a histogram
  kAge         ///< seconds since the time that it holds
};

/// Every metric has the labels job, model and run; `label` is one more.
struct Watched {
  const char* name;   ///< of Prometheus; base units, counters end in _total
  MetricType type;
  const char* unit;   ///< "seconds", "bytes", "ratio"; "" for a plain number
  const char* help;   ///< one line, lower-case, no final period
  const char* label;  ///< "" where there is none
  const char* key;    ///< in a step's line of metrics.jsonl; "" where it is not there
  const char* tag;    ///< of TensorBoard and MLflow; "" where it is not there
  const char* panel;  ///< title of the panel that shows it; some share one
  Shown shown;
};

/// In the order of the dashboard.
const std::vector<Watched>& watched();
/// The metric of that name. Throws ds::Error(kFailure) where there is none.
const Watched& watched(const std::string& name);
/// Upper bounds of a histogram's buckets in seconds: 1, 2 and 5 times powers of ten from 1 ms to 100 s.
const std::vector<double>& duration_buckets();
/// Tag of a figure of an epoch: "val_top1" -> "val/top1", "train_loss" -> "epoch/train_loss" (train/loss has a point a step).
std::string epoch_tag(const std::string& key);
/// The table as people read it: name, type, unit, meaning, tag.
Table watched_table();

}  // namespace ds::report
