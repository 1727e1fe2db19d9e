// The report as one HTML page: no script, nothing from elsewhere.
#pragma once
#include <string>
#include <vector>

#include "base/report/facts.h"
#include "base/report/table.h"

namespace ds::report {

/// What the page is kept under, as far as leaving out pictures helps.
inline constexpr std::size_t kMostBytes = 500000;

struct PageOptions {
  std::string title;  ///< "" = from the models and the data
};

/// The whole page, well-formed as XML but for its DOCTYPE. Where it would be larger than kMostBytes, mistakes, layers, curves and matrices
/// of later models are left out, in that order, and the page says so.
std::string html(const Facts& facts, const PageOptions& options);

/// The table of all models for a terminal.
Table headline(const Facts& facts);
/// The same figures in full: "name", "digest", "split", "top1", "top1_low", "top1_high" (shares), "parameters", "macs", "tensor_bytes",
/// "file_bytes", "batch", "latency_p50_s", "latency_p99_s", "dominated"; without those that nobody told.
Json figures(const Model& model);
/// Its keys in order.
const std::vector<std::string>& figure_keys();

/// The page's style sheet.
const char* style();
/// Its template (mustache).
const char* page_template();

}  // namespace ds::report
