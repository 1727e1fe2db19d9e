// Every size of every family against torchvision and timm: tests/golden/make_zoo.py wrote the files and says what they hold.
#include "unit/models/zoo.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/core/digest.h"

using namespace ds;

namespace {

const std::string kFolder = DS_SOURCE_DIR "/tests/golden/zoo/";

/// Nets of our own: no other library has them under these names.
const std::set<std::string> kOwn = {"cnn", "graph_file", "lenet", "mlp"};

std::vector<std::string> lines_of(const graph::Graph& g) {
  std::vector<std::string> lines;
  for (const graph::TensorSpec& t : g.tensors) {
    if (t.role == graph::Role::kConstant) continue;
    std::string shape;
    for (const std::int64_t size : t.shape) shape += (shape.empty() ? "" : "x") + std::to_string(size);
    lines.push_back(t.name + " " + io::dtype_name(t.dtype) + " " + shape);
  }
  // By name alone: "a.b" comes before "a b" would.
  std::sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.substr(0, a.find(' ')) < b.substr(0, b.find(' ')); });
  return lines;
}

std::string first_difference(const std::vector<std::string>& ours, const std::vector<std::string>& theirs) {
  for (std::size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
    const std::string a = i < ours.size() ? ours[i] : "nothing", b = i < theirs.size() ? theirs[i] : "nothing";
    if (a != b) return "'" + a + "', expected '" + b + "'";
  }
  return "";
}

}  // namespace

TEST_CASE("zoo: every size of every family has the tensors of the library that it is called after") {
  for (const auto& [family, members] : models::families()) {
    if (kOwn.count(family)) continue;
    CAPTURE(family);
    std::ifstream file(kFolder + family + ".json");
    CHECK_MESSAGE(file.good(), "no " << family << ".json: tests/golden/make_zoo.py has to write it");
    if (!file.good()) continue;
    const graph::Json golden = graph::Json::parse(file);
    std::vector<std::string> names;
    for (const auto& [name, size] : golden["sizes"].items()) names.push_back(name);
    CHECK(names == members);
    for (const auto& [name, size] : golden["sizes"].items()) {
      CAPTURE(name);
      const bool image = size.contains("image");  // a net for texts has heads instead
      for (const graph::Json& one : image ? graph::Json::array({size}) : size["heads"]) {
        const graph::Json options = image ? graph::Json::object() : graph::Json{{"head", one["head"]}};
        CAPTURE(options.dump());
        const graph::Graph g = image ? zoo::build_usual(name, options, one["image"]) : zoo::build_usual(name, options);
        const std::vector<std::string> lines = lines_of(g);
        if (name == golden["smallest"]) CHECK(first_difference(lines, image ? golden["lines"] : one["lines"]) == "");
        std::string text;
        for (const std::string& line : lines) text += line + "\n";
        CHECK(static_cast<std::int64_t>(lines.size()) == one["tensors"]);
        CHECK(graph::cost(g).parameters == one["parameters"]);
        CHECK(core::sha256_hex(text) == one["sha256"]);
      }
      if (image) continue;
      std::vector<std::string> heads;
      for (const graph::Json& one : size["heads"]) heads.push_back(one["head"]);
      CHECK(heads == zoo::heads(name));
    }
  }
}

TEST_CASE("zoo: a family is the file that registers it, and every architecture is in one") {
  std::size_t members = 0;
  for (const auto& [family, names] : models::families()) {
    CHECK(std::filesystem::exists(DS_SOURCE_DIR "/lib/base/models/" + family + ".cpp"));
    CHECK(std::is_sorted(names.begin(), names.end()));
    members += names.size();
  }
  CHECK(members == core::cards("architecture").size());
  CHECK(zoo::smallest_members().at("resnet") == "resnet18");
}

TEST_CASE("zoo: every architecture says the same as JSON and as YAML, and costs in proportion to the batch") {
  for (const auto& [family, members] : models::families()) {
    if (family == "graph_file") continue;  // tests/unit/models/graph_file_test.cpp
    for (const std::string& name : members) {
      CAPTURE(name);
      const graph::Graph g = zoo::build_small(name, 7);
      const graph::Json json = graph::to_json(g);
      CHECK(graph::to_json(graph::from_json(graph::Json::parse(json.dump()), name)) == json);
      const graph::Graph read = graph::from_yaml(graph::to_yaml(g), name);
      CHECK(graph::to_yaml(read) == graph::to_yaml(g));
      CHECK(graph::to_json(read)["nodes"] == json["nodes"]);

      const graph::Cost one = graph::cost(g), two = graph::cost(g, {{"N", 2}}), four = graph::cost(g, {{"N", 4}});
      CHECK(graph::cost(read).macs == one.macs);
      CHECK(one.macs > 0);
      CHECK(one.activation_bytes > 0);
      CHECK(one.tensor_bytes >= 4 * one.parameters);
      CHECK(four.macs - two.macs == 2 * (two.macs - one.macs));  // what makes biases of Swin transformers is done once a batch
      CHECK(four.macs > 3.9 * static_cast<double>(one.macs));
      CHECK(four.parameters == one.parameters);
    }
  }
}
