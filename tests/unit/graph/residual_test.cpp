#include "base/graph/residual.h"

#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/graph/schema.h"

using namespace ds;

namespace {

/// Three blocks: a plain one, one with a projection for a shortcut, one of two sums; then a sum of what does not come from each other.
graph::Graph net() {
  graph::Builder b;
  graph::Value in = b.input("image", io::DType::kF32, {graph::Dim::symbol("N"), 3, 8, 8});
  graph::Value x = b.conv2d("stem", in, 4, 3, 1, 1);
  x = b.add("a.add", x, b.batch_norm2d("a.bn", b.conv2d("a.conv", x, 4, 3, 1, 1)));
  const graph::Value way = b.conv2d("b.conv2", b.relu("b.relu", b.conv2d("b.conv1", x, 8, 3, 2, 1)), 8, 3, 1, 1);
  x = b.add("b.add", way, b.batch_norm2d("b.down.1", b.conv2d("b.down.0", x, 8, 1, 2)));
  x = b.add("c.0.add1", b.conv2d("c.0.conv1", x, 8, 1, 1), x);
  x = b.add("c.0.add2", b.conv2d("c.0.conv2", x, 8, 1, 1), x);
  b.output("y", b.add("other", b.conv2d("left", x, 4, 1, 1), b.relu("right.relu", b.conv2d("right", in, 4, 1, 2))));
  return b.finish();
}

double p_of(const graph::Graph& g, const std::string& name) { return graph::full_attributes(*g.find_node(name)).at("p").get<double>(); }

}  // namespace

TEST_CASE("residuals: a sum with what it branched off from, straight or through a projection; the branch is the longer way") {
  const auto found = graph::residuals(net());
  REQUIRE(found.size() == 4);
  CHECK((found[0].add == "a.add" && found[0].branch == 1 && found[0].block == "a.add"));
  CHECK((found[1].add == "b.add" && found[1].branch == 0));
  CHECK((found[2].block == "c.0.add1" && found[3].block == "c.0.add1" && found[3].add == "c.0.add2"));
}

TEST_CASE("drop path: grows evenly from block to block, is put at the end of a branch once, and is set where it is") {
  graph::Graph g = net();
  graph::set_drop_path(g, 0.4);
  graph::verify(g, "test");
  CHECK(p_of(g, "a.add.drop_path") == 0);
  CHECK(p_of(g, "b.add.drop_path") == doctest::Approx(0.2));
  CHECK(p_of(g, "c.0.add1.drop_path") == doctest::Approx(0.4));
  CHECK(p_of(g, "c.0.add2.drop_path") == doctest::Approx(0.4));
  CHECK(g.find_node("b.add")->inputs == std::vector<std::string>{"b.add.drop_path", "b.down.1"});
  CHECK(g.find_node("b.add.drop_path")->inputs[0] == "b.conv2");
  const std::size_t nodes = g.nodes.size();
  graph::set_drop_path(g, 0.1);
  CHECK(g.nodes.size() == nodes);
  CHECK(p_of(g, "c.0.add1.drop_path") == doctest::Approx(0.1));
}

TEST_CASE("spatial dropout: in front of wide convolutions behind the first layer, once") {
  graph::Graph g = net();
  graph::set_spatial_dropout(g, 0.3);
  graph::verify(g, "test");
  CHECK(g.find_node("stem")->inputs[0] == "image");
  CHECK(g.find_node("a.conv")->inputs[0] == "stem.spatial_dropout");
  CHECK(g.find_node("a.add")->inputs[0] == "stem");
  CHECK(g.find_node("b.down.0")->inputs[0] == "a.add");
  CHECK(p_of(g, "b.relu.spatial_dropout") == 0.3);
  const std::size_t nodes = g.nodes.size();
  graph::set_spatial_dropout(g, 0.1);
  CHECK(g.nodes.size() == nodes);
  CHECK(p_of(g, "b.relu.spatial_dropout") == 0.1);
}

TEST_CASE("drop path, spatial dropout: a net without a place for them is refused") {
  graph::Builder b;
  graph::Value x = b.input("x", io::DType::kF32, {graph::Dim::symbol("N"), 4});
  b.output("y", b.linear("fc", x, 2));
  graph::Graph g = b.finish();
  CHECK_THROWS_WITH_AS(graph::set_drop_path(g, 0.1),
                       "regularize.drop_path: the model has no residual blocks; leave it out, or train a model that has some", Error);
  CHECK_THROWS_AS(graph::set_spatial_dropout(g, 0.1), Error);
}
