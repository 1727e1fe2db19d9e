// Provenance as histories of versions are drawn: one row a step, lines from parents to children in lanes at the left.
#pragma once
#include <string>
#include <vector>

#include "base/report/facts.h"

namespace ds::report {

/// A line from a step down to one that came from it. Between their rows it keeps to one lane.
struct Edge {
  int from, to, lane;
  bool first;  ///< to what was changed; else a teacher or the like
};

struct Lanes {
  int count = 0;
  std::vector<int> of;      ///< lane of each step
  std::vector<Edge> edges;  ///< no two share a lane in a row that both pass
};

/// `steps` have their parents before them.
Lanes lay_out(const std::vector<Step>& steps);

/// Pixels: what a row's picture takes, and where a lane's middle is.
inline constexpr double kLaneRow = 44;
double lanes_width(const Lanes& lanes);
double lane_x(const Lanes& lanes, int lane);
/// The lines of a row down to kLaneRow, with the step's own mark.
std::string lanes_picture(const Lanes& lanes, int step, const std::string& mark, int shape);

/// A word of a command line as one would type it: in quotes where a shell would change it.
std::string shell_word(const std::string& word);
/// "val top-1 98.10 % → 97.90 % · tensors 413 kB → 105 kB": what a step says of before and after; `parent` may be nullptr.
std::string change_text(const Step& step, const Step* parent);
/// "seed 1 · mnist5k · avx2 · 2 threads": under what a step ran.
std::string circumstances(const Step& step);

}  // namespace ds::report
