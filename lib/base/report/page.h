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
  std::string title;                 ///< "" = from the models and the data
  std::vector<std::string> command;  ///< that makes this report, the last of the commands to redo all
};

/// The whole page, well-formed as XML but for its DOCTYPE. Where it would be larger than kMostBytes, mistakes, layers, curves and matrices
/// of later models are left out, in that order, and the page says so.
std::string html(const Facts& facts, const PageOptions& options);

/// The table of all models for a terminal.
Table headline(const Facts& facts);

/// The page's style sheet.
const char* style();
/// Its template (mustache).
const char* page_template();

}  // namespace ds::report
