// The pictures of a report, each one SVG element. Model i has colour i mod 7 and shape i mod 4.
#pragma once
#include <string>
#include <vector>

#include "base/report/facts.h"
#include "base/report/svg.h"

namespace ds::report {

/// The class that gives an element the colour of model i.
std::string colour(int model);
/// A model's mark for legends and tables, beside its name.
std::string mark(int model);

struct Series {
  std::string name;
  int model = 0;
  bool faint = false;  ///< dashed and thin: training, beside validation
  std::vector<std::pair<double, double>> points;
};

struct LineChart {
  std::string title, x_label;
  double width = 340, height = 236;
  bool percent = false;  ///< values are shares, shown in percent
  bool markers = true;
};
/// Lines over steps. Long ones are thinned to 240 points; values that are not finite are left out.
std::string line_chart(const std::vector<Series>& series, const LineChart& chart);

/// Accuracy with interval against latency (or bytes, where not all models have a latency); areas tell bytes; dominated models are dashed.
/// "" where fewer than two models have the figures. `small`: for a screen as wide as a hand.
std::string scatter(const std::vector<Model>& models, bool small);

/// Up to 30 classes: the matrix with counts. More: a map without counts.
std::string confusion_chart(const Confusion& confusion, const std::vector<std::string>& labels, const std::string& name);
/// Bars with the accuracy of each class: in the matrix's order and as high as its rows where that has counts, else of the `most` that do worst.
std::string class_bars(const Confusion& confusion, const std::vector<std::string>& labels, const std::string& name, std::size_t most = 20);

/// An interval on a scale that all rows of a table share.
std::string interval(const Score& score, const Axis& axis, int model);

/// "402 µs": as seconds_text, with the letter that paper has.
std::string time_text(double seconds);

}  // namespace ds::report
