// The executor in float64 against PyTorch's own nets: tests/golden/make_parity.py (for texts make_text.py) wrote the files and states the formula of
// the weights.
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/core/tool.h"
#include "base/models/models.h"
#include "engine/exec/executor.h"
#include "engine/exec/init.h"

using namespace ds;

namespace {

std::vector<double> uniform(const std::string& name, std::int64_t n) {
  std::uint64_t seed = 0xcbf29ce484222325;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::vector<double> u(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < u.size(); ++i) {
    std::uint64_t z = seed + i + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    u[i] = 2.0 * static_cast<double>(z >> 11) / 9007199254740992.0 - 1.0;
  }
  return u;
}

at::Tensor tensor(std::vector<double> values, const std::vector<std::int64_t>& shape) {
  return at::from_blob(values.data(), shape, at::kDouble).clone();
}

at::Tensor weights(const graph::TensorSpec& spec) {
  std::int64_t n = 1;
  for (const std::int64_t size : spec.shape) n *= size;
  std::vector<double> u = uniform(spec.name, n);
  const double scale = std::sqrt(3.0 / static_cast<double>(n / spec.shape[0]));
  for (double& x : u) {
    if (spec.name.ends_with("running_var")) x = 1.25 + 0.75 * x;
    else if (spec.shape.size() == 1) x = spec.name.ends_with("weight") ? 1.0 + 0.5 * x : 0.1 * x;
    else x *= scale;
  }
  return tensor(std::move(u), spec.shape);
}

/// Numbers of a nested list, in order; `shape` gets its sizes.
template <class T>
void flatten(const graph::Json& list, std::vector<T>& values, std::vector<std::int64_t>& shape, std::size_t depth = 0) {
  if (shape.size() == depth) shape.push_back(static_cast<std::int64_t>(list.size()));
  for (const graph::Json& entry : list) {
    if (entry.is_array()) flatten(entry, values, shape, depth + 1);
    else values.push_back(entry.get<T>());
  }
}

graph::Graph build(const graph::Json& golden) {
  core::Choice choice("architecture", golden["arch"], "arch");
  choice.select(golden["arch"]);
  core::from_json(*choice.options, golden["options"], "golden");
  if (!golden.contains("image")) return models::build(choice, {.kind = models::InputKind::kTokens});
  const std::vector<std::int64_t> shape = golden["image"];
  return models::build(choice, 10, shape[1], shape[2], shape[3]);
}

/// An image by the formula, or the ids that are stored.
std::vector<at::Tensor> inputs_of(const graph::Graph& graph, const graph::Json& golden) {
  if (golden.contains("image")) {
    const std::vector<std::int64_t> shape = golden["image"];
    return {tensor(uniform("image", shape[0] * shape[1] * shape[2] * shape[3]), shape)};
  }
  std::vector<at::Tensor> inputs;
  for (const graph::Input& input : graph.inputs) {
    std::vector<std::int64_t> values, shape;
    flatten(golden["inputs"].at(input.name), values, shape);
    inputs.push_back(at::tensor(values).reshape(shape));
  }
  return inputs;
}

/// Output against a nested list of its values.
void check_output(const at::Tensor& output, const graph::Json& list) {
  std::vector<double> expected;
  std::vector<std::int64_t> shape;
  flatten(list, expected, shape);
  const at::Tensor y = output.contiguous();
  REQUIRE((y.scalar_type() == at::kDouble));
  REQUIRE(y.sizes().vec() == shape);
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    error = std::max(error, std::abs(y.data_ptr<double>()[i] - expected[i]));
  }
  CHECK(error <= 1e-9 * largest);
}

/// On a loaded machine the threads of these many small steps wait for each other longer than they work.
struct OneThread {
  int before = at::get_num_threads();
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before); }
};

}  // namespace

TEST_CASE("parity: outputs equal PyTorch's in float64") {
  const OneThread one;
  std::set<std::string> archs;
  for (const auto& entry : std::filesystem::directory_iterator(DS_SOURCE_DIR "/tests/golden/parity")) {
    CAPTURE(entry.path().string());
    const graph::Json golden = graph::Json::parse(std::ifstream(entry.path()));
    archs.insert(golden["arch"].get<std::string>());
    exec::Model model{build(golden), {}};
    for (const graph::TensorSpec& spec : model.graph.tensors) {
      at::Tensor& t = model.tensors[spec.name];
      t = weights(spec);
      if (spec.role != graph::Role::kConstant) continue;  // what is no matter of training follows from the sizes
      if (spec.dtype == graph::DType::kI64) t = t.to(at::kLong);
      exec::initialise(t, spec, 0);
    }
    const std::vector<at::Tensor> inputs = inputs_of(model.graph, golden);
    for (const bool channels_last : {false, true}) {
      CAPTURE(channels_last);
      exec::Executor executor(model);
      const std::vector<at::Tensor> outputs = executor.run(inputs, exec::RunContext{}, {.channels_last = channels_last});
      if (golden.contains("logits")) check_output(outputs.at(0), golden["logits"]);
      const graph::Json named = golden.value("outputs", graph::Json::object());
      for (const auto& [name, values] : named.items()) {
        CAPTURE(name);
        const auto found = std::find_if(model.graph.outputs.begin(), model.graph.outputs.end(), [&](const graph::Output& o) { return o.name == name; });
        REQUIRE(found != model.graph.outputs.end());
        check_output(outputs.at(std::size_t(found - model.graph.outputs.begin())), values);
      }
    }
  }
  for (const auto& [family, members] : models::families()) {
    CAPTURE(family);  // a member of each is here; "graph" is what a user's file says
    CHECK((family == "graph_file" || std::any_of(members.begin(), members.end(), [&](const std::string& arch) { return archs.count(arch); })));
  }
}
