// --model graph: a net that a user wrote.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/core/error.h"
#include "base/core/tool.h"
#include "base/models/models.h"

using namespace ds;

namespace {

struct File {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("ds-net-" + std::to_string(getpid()) + ".yaml");
  explicit File(const std::string& text) { std::ofstream(path) << text; }
  ~File() { std::filesystem::remove(path); }
};

const char* const kNet = R"(
inputs: [{name: image, dims: [N, 1, H, W]}]
nodes:
  - {name: conv1, op: conv2d, attrs: {out_channels: 8, kernel: [3, 3], padding: [1, 1]}}
  - {name: relu1, op: relu}
  - {name: pool, op: global_avg_pool}
  - {name: flat, op: flatten}
  - {name: drop, op: dropout, attrs: {p: 0.3}}
  - {name: fc, op: linear, attrs: {out_features: 10}}
outputs: [{name: logits, value: fc}]
)";

graph::Graph make(const std::string& file, std::int64_t classes = 10, std::int64_t channels = 1, double dropout = -1) {
  core::Choice c("architecture", "graph", "arch");
  c.select("graph");
  core::from_json(*c.options, {{"file", file}}, "test");
  return models::build(c, classes, channels, 8, 8, dropout);
}

Error error(const std::string& text, std::int64_t classes = 10, std::int64_t channels = 1) {
  const File file(text);
  try {
    make(file.path.string(), classes, channels);
  } catch (const Error& e) {
    CHECK((e.where().find(file.path.string()) == 0));
    return e;
  }
  return Error(Exit::kDone, "", "no error");
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("models: a graph from a file is the net that it says") {
  const File file(kNet);
  const graph::Graph g = make(file.path.string());
  CHECK(g.nodes.size() == 6);
  CHECK(graph::type_text(g.inputs[0].type) == "float32[N, 1, 8, 8]");  // H and W are the data's
  CHECK(g.tensor("conv1.weight").shape == std::vector<std::int64_t>{8, 1, 3, 3});
  CHECK(g.tensor("fc.weight").init["kind"] == "kaiming_uniform");
  CHECK(g.meta == graph::Json{{"arch", "graph"}});  // no path: it would be part of the digest
  CHECK(g.find_node("drop")->attrs["p"] == 0.3);
  CHECK(make(file.path.string(), 10, 1, 0.1).find_node("drop")->attrs["p"] == 0.1);
}

TEST_CASE("models: an architecture written as YAML and read back is the same graph") {
  core::Choice c("architecture", "cnn", "arch");
  c.select("cnn");
  const graph::Graph cnn = models::build(c, 10, 1, 8, 8);
  const File file(graph::to_yaml(cnn));
  CHECK(graph::to_json(make(file.path.string())) == graph::to_json(cnn));
}

TEST_CASE("models: a net that needs larger images than the data have is a usage error, as for every architecture") {
  const File file(with(kNet, "kernel: [3, 3], padding: [1, 1]", "kernel: [9, 9]"));
  try {
    make(file.path.string());
    FAIL("no error");
  } catch (const Error& e) {
    CHECK((e.code() == Exit::kUsage));
    CHECK(e.message().find("'graph' does not fit images of 1x8x8: node 'conv1'") == 0);
  }
}

TEST_CASE("models: a file takes sizes from the data and parameters from the options") {
  const std::string text = with(with(with(kNet, "dims: [N, 1, H, W]", "dims: [N, $(in_channels), H, W]"), "out_channels: 8", "out_channels: $(width)"),
                                "out_features: 10", "out_features: $(num_classes)");
  const File file("parameters: {width: 8}" + text);
  const auto make_with = [&](const graph::Json& options) {
    core::Choice c("architecture", "graph", "arch");
    c.select("graph");
    graph::Json all = options;
    all["file"] = file.path.string();
    core::from_json(*c.options, all, "test");
    return models::build(c, 7, 3, 8, 8);
  };
  CHECK(make_with(graph::Json::object()).tensor("conv1.weight").shape == std::vector<std::int64_t>{8, 3, 3, 3});
  CHECK(make_with({{"parameters", {"width=4"}}}).tensor("fc.weight").shape == std::vector<std::int64_t>{7, 4});
  CHECK(make_with({{"parameters", {{"width", 4}}}}).tensor("conv1.weight").shape[0] == 4);
  CHECK_THROWS_WITH_AS(make_with({{"parameters", {"width"}}}), "model.parameters: has 'width', expected NAME=VALUE; such as --model.parameters width=64",
                       Error);
  CHECK_THROWS_WITH_AS(make_with({{"parameters", {"depth=4"}}}), doctest::Contains("has no parameter 'depth'; there are width"), Error);
}

TEST_CASE("models: a file that cannot be a net for these data is refused by name") {
  CHECK((error("nodes: [").code() == Exit::kInput));
  const Error op = error(with(kNet, "op: relu", "op: rely"));
  CHECK((op.code() == Exit::kInput));
  CHECK(op.where().find(":5: node 'relu1'") != std::string::npos);
  CHECK(op.hint().find("relu") != std::string::npos);
  const Error classes = error(kNet, 7);
  CHECK((classes.code() == Exit::kInput));
  CHECK(classes.message() == "output 'logits' is float32[N, 10], expected [N, 7]: a score for each of the data's classes");
  CHECK(error(kNet, 10, 3).message() == "input 'image' is float32[N, 1, H, W], the data have float32[N, 3, 8, 8]");
  CHECK(error(with(kNet, "dims: [N, 1, H, W]", "dims: [N, 1, H, W], dtype: int64")).message() != "no error");
  try {
    make("");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK((e.code() == Exit::kUsage));
    CHECK(e.where() == "model.file");
  }
  CHECK_THROWS_AS(make("/none/net.yaml"), Error);
}
