#include "base/report/lineage.h"

#include <doctest/doctest.h>

#include "sample.h"
#include "xml.h"

using namespace ds::report;
using namespace report_test;

namespace {

std::vector<Step> steps_of(const std::vector<std::vector<int>>& parents) {
  std::vector<Step> steps(parents.size());
  for (std::size_t i = 0; i < parents.size(); ++i) steps[i].parents = parents[i];
  return steps;
}

/// No line passes a step in the lane that it is in, and no two lines share a lane beside the same row.
void check_apart(const Lanes& lanes) {
  for (const Edge& e : lanes.edges) {
    CHECK(e.lane < lanes.count);
    for (int i = e.from + 1; i < e.to; ++i) CHECK(lanes.of[static_cast<std::size_t>(i)] != e.lane);
    for (const Edge& other : lanes.edges)
      if (&other != &e && other.lane == e.lane) CHECK((other.to <= e.from || e.to <= other.from));
  }
}

}  // namespace

TEST_CASE("lineage: a chain is one lane") {
  const Lanes lanes = lay_out(steps_of({{}, {0}, {1}, {2}}));
  CHECK(lanes.count == 1);
  CHECK(lanes.of == std::vector<int>{0, 0, 0, 0});
  CHECK(lanes.edges.size() == 3);
  check_apart(lanes);
}

TEST_CASE("lineage: a teacher's line has a lane of its own") {
  const Lanes lanes = lay_out(Family().facts().steps);
  CHECK(lanes.count == 2);
  CHECK(lanes.of == std::vector<int>{0, 0, 0, 0});
  REQUIRE(lanes.edges.size() == 4);
  CHECK(lanes.edges[3].from == 0);
  CHECK(lanes.edges[3].to == 2);
  CHECK(lanes.edges[3].lane == 1);
  CHECK_FALSE(lanes.edges[3].first);
  check_apart(lanes);
}

TEST_CASE("lineage: branches, strangers and many teachers keep apart") {
  check_apart(lay_out(steps_of({{}, {0}, {0}, {0}})));
  check_apart(lay_out(steps_of({{}, {}, {0}, {1}, {}, {2, 1, 3}, {5, 0, 4}})));
  check_apart(lay_out(steps_of({{}, {0}, {1, 0}, {2, 0, 1}, {3, 0, 1, 2}, {0, 4}})));
  CHECK(lay_out({}).count == 0);
  CHECK(lay_out(steps_of({{}, {}})).count == 1);  // one after the other
}

TEST_CASE("lineage: a row's picture has what arrives, passes and leaves") {
  const Lanes lanes = lay_out(Family().facts().steps);
  const auto edges = [&](int step) { return count(lanes_picture(lanes, step, "dot k0", 0), "class=\"edge"); };
  CHECK(edges(0) == 2);  // to pruned and, as a teacher, to distilled
  CHECK(edges(1) == 3);  // from base, to distilled, and the teacher's line
  CHECK(edges(2) == 3);
  CHECK(edges(3) == 1);
  CHECK(count(lanes_picture(lanes, 1, "dot k0", 0), "edge other") == 1);
  CHECK(contains(lanes_picture(lanes, 1, "dot k0", 0), "<path d=\"M28 0V44\" class=\"edge other\"/>"));
  CHECK(problem_of(lanes_picture(lanes, 2, "dot k0", 0)) == "");
  CHECK(lanes_width(lanes) == 42);
}

TEST_CASE("lineage: words are quoted where a shell would change them") {
  CHECK(shell_word("--lr=0.1") == "--lr=0.1");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("two words") == "'two words'");
  CHECK(shell_word("{config}") == "'{config}'");
  CHECK(shell_word("it's") == "'it'\\''s'");
  CHECK(shell_word("$(rm)") == "'$(rm)'");
}

TEST_CASE("lineage: what a step says of before and after") {
  const Facts facts = Family().facts();
  CHECK(change_text(facts.steps[1], &facts.steps[0]) ==
        "val top-1 90.00 % \u2192 80.00 % \u00b7 tensors 40 B \u2192 20 B \u00b7 latency 4.00 ms \u2192 2.00 ms");
  CHECK(change_text(facts.steps[0], nullptr) == "val top-1 90.00 % \u00b7 test top-1 95.00 % \u00b7 tensors 40 B \u00b7 latency 4.00 ms");
  CHECK(change_text({}, nullptr) == "");
  CHECK(circumstances(facts.steps[0]) == "seed 7 \u00b7 digits \u00b7 avx2 \u00b7 2 threads");
  CHECK(circumstances({}) == "");
}
