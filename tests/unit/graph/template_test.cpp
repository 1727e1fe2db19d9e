// Parameters and repetitions of graphs that people write.
#include "base/graph/template.h"

#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/graph/graph.h"

using namespace ds::graph;

namespace {

const char* const kNet = R"net(
parameters: {width: 8, depth: 2, p: 0.25, act: relu}
inputs: [{name: image, dims: [N, $(in_channels), 8, 8]}]
nodes:
  - {name: stem, op: conv2d, attrs: {out_channels: $(width), kernel: [1, 1]}}
  - repeat: {i: $(depth)}
    nodes:
      - {name: block$(i).conv, op: conv2d, attrs: {out_channels: $(width), kernel: [3, 3], padding: [1, 1]}}
      - {name: block$(i).act, op: $(act)}
      - {name: block$(i).add, op: add, inputs: [block$(i).act, $(in)]}
  - repeat: {s: [a, b], c: [16, 4]}
    nodes:
      - {name: stage_$(s), op: conv2d, attrs: {out_channels: $(2*c), kernel: [1, 1]}}
      - repeat: {k: 2}
        nodes:
          - {name: "stage_$(s).$(k+1)", op: dropout, attrs: {p: $(p)}}
  - {name: pool, op: global_avg_pool}
  - {name: flat, op: flatten}
  - {name: fc, op: linear, attrs: {out_features: $(floor((num_classes+1)/2))}}
outputs: [{name: logits, value: fc}]
)net";

Parameters sizes(Json given = Json::object()) { return {.given = std::move(given), .fixed = {{"in_channels", 3}, {"num_classes", 9}}}; }

std::string failure(const std::string& text, const Parameters& parameters = sizes()) {
  try {
    from_yaml(text, "net.yaml", parameters);
  } catch (const ds::Error& e) {
    CHECK((e.code() == ds::Exit::kInput));
    return e.what();
  }
  return "no error";
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  return text.replace(text.find(from), from.size(), to);
}

std::vector<std::string> names(const Graph& g) {
  std::vector<std::string> all;
  for (const Node& node : g.nodes) all.push_back(node.name);
  return all;
}

}  // namespace

TEST_CASE("template: repetitions and parameters make the graph that is written out") {
  const Graph g = from_yaml(kNet, "net.yaml", sizes());
  CHECK(names(g) == std::vector<std::string>{"stem", "block0.conv", "block0.act", "block0.add", "block1.conv", "block1.act", "block1.add", "stage_a",
                                             "stage_a.1", "stage_a.2", "stage_b", "stage_b.1", "stage_b.2", "pool", "flat", "fc"});
  CHECK(g.find_node("block0.add")->inputs == std::vector<std::string>{"block0.act", "stem"});
  CHECK(g.find_node("block1.add")->inputs == std::vector<std::string>{"block1.act", "block0.add"});
  CHECK(g.find_node("stage_a")->inputs == std::vector<std::string>{"block1.add"});
  CHECK(g.tensor("stem.weight").shape == std::vector<std::int64_t>{8, 3, 1, 1});
  CHECK(g.tensor("stage_b.weight").shape == std::vector<std::int64_t>{8, 32, 1, 1});
  CHECK(g.tensor("fc.weight").shape == std::vector<std::int64_t>{5, 8});
  CHECK(g.find_node("stage_b.2")->attrs["p"] == 0.25);
}

TEST_CASE("template: what is given stands in place of what the file states") {
  const Graph g = from_yaml(kNet, "net.yaml", sizes({{"width", 4}, {"depth", 0}, {"p", 0}, {"act", "gelu"}}));
  CHECK(g.tensor("stem.weight").shape[0] == 4);
  CHECK(g.find_node("block0.conv") == nullptr);
  CHECK(g.find_node("stage_a")->inputs == std::vector<std::string>{"stem"});
  CHECK(from_yaml(kNet, "net.yaml", sizes({{"depth", 3}, {"act", "gelu"}})).find_node("block2.act")->op == "gelu");
}

TEST_CASE("template: a list can be a parameter, and tensors are repeated too") {
  const Graph g = from_yaml(R"net(
parameters: {widths: [3, 5]}
inputs: [{name: x, dims: [N, 5]}]
tensors:
  - repeat: {w: $(widths)}
    tensors:
      - {name: scale$(w), shape: [5]}
nodes:
  - repeat: {w: $(widths)}
    nodes:
      - {name: s$(w), op: tensor, slots: {value: scale$(w)}}
      - {name: y$(w), op: mul, inputs: [$(in), s$(w)]}
outputs: [{name: y, value: y5}]
)net",
                            "net.yaml", {});
  CHECK(g.find_node("y5")->inputs == std::vector<std::string>{"y3", "s5"});
  CHECK(g.tensor("scale5").shape == std::vector<std::int64_t>{5});
}

TEST_CASE("template: what is wrong is told with its line") {
  CHECK(failure(kNet, sizes({{"widht", 4}})) == "net.yaml:2: has no parameter 'widht'; did you mean 'width'");
  CHECK(failure(kNet, sizes({{"width", 0.5}})) == "net.yaml:2: parameter 'width' is given as 0.5, expected a value like 8");
  CHECK(failure(with(kNet, "out_channels: $(width), kernel: [1, 1]", "out_channels: $(widht), kernel: [1, 1]")) ==
        "net.yaml:5: '$(widht)': there is no parameter 'widht'; did you mean 'width'");
  CHECK(failure(with(kNet, "$(2*c)", "$(2*p)")) == "net.yaml:13: '$(2*p)': 'p' is 0.25, which is no whole number");
  CHECK(failure(with(kNet, "$(2*c)", "$(2*c")).find("net.yaml:13: '$(2*c' has no ')' to its '$('") == 0);
  CHECK(failure(with(kNet, "$(2*c)", "$(2**c)")).find("net.yaml:13: '$(2**c)': size '2**c': expected") == 0);
  CHECK(failure(with(kNet, "c: [16, 4]", "c: [16, 4, 2]")) == "net.yaml:11: 'c' has 3 values, 's' 2");
  CHECK(failure(with(kNet, "repeat: {i: $(depth)}", "repeat: {width: 2}")) == "net.yaml:6: 'width' has a value already; use another name");
  CHECK(failure(with(kNet, "repeat: {i: $(depth)}", "repeat: {i: -1}")) == "net.yaml:6: 'i' is -1, expected a number of rounds or a list of values");
  CHECK(failure(with(kNet, "repeat: {i: $(depth)}", "repeat: 3")) == "net.yaml:6: 'repeat' is no mapping; such as repeat: {i: 3}");
  CHECK(failure(with(kNet, "{name: stem, op: conv2d", "{name: stem, op: conv2d, inputs: [$(in)]")) ==
        "net.yaml:5: '$(in)' is of use within the nodes of a repetition alone");
  CHECK(failure(with(kNet, "parameters: {width: 8,", "parameters: {num_classes: 8,")) == "net.yaml:2: 'num_classes' has a value already; use another name");
  // A node that was repeated is found by the line that it is written in.
  CHECK(failure(with(kNet, "op: $(act)", "op: rely")).find("net.yaml:9: node 'block0.act'") == 0);
  std::string deep = "{name: y, op: relu}";
  for (int i = 0; i < 10; ++i) deep = "{repeat: {i" + std::to_string(i) + ": 100}, nodes: [" + deep + "]}";
  const auto around = [](const std::string& nodes) {
    return "inputs: [{name: x, dims: [N, 5]}]\nnodes: [" + nodes + "]\noutputs: [{name: y, value: y}]\n";
  };
  CHECK(failure(around(deep)).find("net.yaml:2: repetitions are within each other") == 0);
  const std::string many = "{repeat: {i: 1000}, nodes: [{repeat: {j: 1000}, nodes: [{name: y, op: relu}]}]}";
  CHECK(failure(around(many)).find("net.yaml:2: repetitions make more than 200000 nodes") == 0);
}

TEST_CASE("template: a few lines cannot ask for more than any memory") {
  const auto around = [](const std::string& parameters, const std::string& nodes) {
    return "parameters: {" + parameters + "}\ninputs: [{name: x, dims: [N, 5]}]\nnodes: [" + nodes + "]\noutputs: [{name: y, value: x}]\n";
  };
  std::string doubled = "a0: xxxxxxxx";
  for (int i = 1; i < 60; ++i) doubled += ", a" + std::to_string(i) + ": $(a" + std::to_string(i - 1) + ")$(a" + std::to_string(i - 1) + ")";
  CHECK(failure(around(doubled, "")) == "net.yaml:1: '$(a9)$(a9)' makes more than 4096 characters");
  CHECK(failure(around("a: [1, 2], b: [$(a), $(a)]", "")) == "net.yaml:1: parameter 'b' is [[1,2],[1,2]], expected a value or a list of values");
  std::string rounds = "{repeat: {z: 200000}, nodes: []}";
  for (int i = 0; i < 5; ++i) rounds = "{repeat: {i" + std::to_string(i) + ": 200000}, nodes: [" + rounds + "]}";
  CHECK(failure(around("", rounds)) == "net.yaml:3: repetitions make more than 4000000 values or 64 MiB of text");
  std::string long_list = "l: [0";
  for (int i = 0; i < 5000; ++i) long_list += ", 1";
  std::string many = "{name: y, op: relu, attrs: {a: [$(l)";
  for (int i = 0; i < 2000; ++i) many += ", $(l)";
  CHECK(failure(around(long_list + "]", many + "]}}")) == "net.yaml:3: repetitions make more than 4000000 values or 64 MiB of text");
}
