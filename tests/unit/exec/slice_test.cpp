// The promise that pruning rests on: a net whose classes are sliced away computes what the net computes whose classes are zeroed.
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <doctest/doctest.h>

#include <random>

#include "base/core/error.h"
#include "base/graph/channels.h"
#include "base/graph/passes.h"
#include "engine/exec/executor.h"
#include "engine/exec/model.h"
#include "unit/graph/nets.h"

using namespace ds;
using namespace ds::graph;

namespace {

using Random = std::mt19937;

std::int64_t pick(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random() % static_cast<unsigned>(high - low + 1));
}

/// One step of a random net of [N, C, 6, 6] values: `values` are those that may be read.
Value grow(Builder& b, const std::string& name, const std::vector<Value>& values, Random& random) {
  const Value x = values[random() % values.size()];
  const std::int64_t channels = b.type(x).dims[1].value();
  switch (random() % 9) {
    case 0:
      return b.batch_norm2d(name, b.conv2d(name + "_conv", x, pick(random, 2, 6), 1, 1, 0, random() % 2 == 0));
    case 1:
      return b.conv2d(name, x, 2 * pick(random, 1, 3), 3, 1, 1, random() % 2 == 0, channels % 2 == 0 ? 2 : 1);
    case 2:
      return b.conv2d(name, x, channels * pick(random, 1, 2), 3, 1, 1, false, channels);
    case 3:
      return b.batch_norm2d(name, x);
    case 4:
      return b.relu(name, x);
    case 5:
      return b.max_pool2d(name, x, 3, 1, 1);
    case 6:
      return b.node("concat", name, {x, values[random() % values.size()]}, {{"axis", 1}});
    case 7: {
      if (channels < 2) return b.relu(name, x);
      const std::int64_t first = pick(random, 1, channels - 1);
      const Value parts = b.node("split", name + "_parts", {x}, {{"axis", 1}, {"sizes", {first, channels - first}}});
      return b.node("concat", name, {Builder::output_of(parts, 1), parts}, {{"axis", 1}});
    }
    default: {
      const Value y = values[random() % values.size()];
      if (b.type(x).dims == b.type(y).dims) return b.add(name, x, y);
      return b.add(name, b.conv2d(name + "_a", x, 4, 1), b.conv2d(name + "_b", y, 4, 1));
    }
  }
}

Graph random_net(Random& random) {
  Builder b;
  std::vector<Value> values = {b.conv2d("stem", b.input("image", DType::kF32, {Dim::symbol("N"), 3, 6, 6}), pick(random, 2, 6), 3, 1, 1)};
  const std::int64_t steps = pick(random, 3, 12);
  for (std::int64_t i = 0; i < steps; ++i) {
    if (b.type(values.back()).dims[1].value() > 24) values.push_back(b.conv2d("narrow" + std::to_string(i), values.back(), 5, 1));
    values.push_back(grow(b, "step" + std::to_string(i), values, random));
  }
  Value x = values.back();
  if (random() % 2 == 0) x = b.global_avg_pool("pool", x);
  b.output("logits", b.linear("fc", b.linear("hidden", b.flatten("flat", x), 6), 3));
  if (random() % 2 == 0) b.output("map", b.conv2d("side", values[random() % values.size()], 2, 1));
  return b.finish();
}

void fill(at::Tensor& tensor, double low, double high, Random& random) {
  std::uniform_real_distribution<double> draw(low, high);
  double* data = tensor.data_ptr<double>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) data[i] = draw(random);
}

exec::Model float64_model(const Graph& graph, Random& random) {
  exec::Model model = exec::make_model(graph, 1);
  model.to(at::kDouble);
  for (auto& [name, tensor] : model.tensors) {
    if (tensor.scalar_type() != at::kDouble) continue;
    tensor = tensor.detach().contiguous().clone();
    fill(tensor, name.ends_with("running_var") ? 0.5 : -1, name.ends_with("running_var") ? 2 : 1, random);
  }
  return model;
}

std::vector<at::Tensor> inputs_of(const Graph& graph, Random& random) {
  std::vector<at::Tensor> inputs;
  for (const Input& input : graph.inputs) {
    std::vector<std::int64_t> shape;
    for (const Dim& dim : input.type.dims) shape.push_back(dim.evaluate({{"N", 2}, {"S", 3}}));
    std::int64_t count = 1;
    for (const std::int64_t size : shape) count *= size;
    std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
    for (std::int64_t& id : ids) id = pick(random, 0, 4);
    at::Tensor tensor = at::from_blob(ids.data(), shape, at::kLong).clone();
    if (input.type.dtype != DType::kI64) fill(tensor = tensor.to(at::kDouble), -1, 1, random);
    inputs.push_back(tensor);
  }
  return inputs;
}

std::vector<at::Tensor> run(exec::Model& model, const std::vector<at::Tensor>& inputs) {
  return exec::Executor(model).run(inputs, exec::RunContext{});
}

double difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE((a[i].sizes() == b[i].sizes()));
    REQUIRE((a[i].scalar_type() == at::kDouble));
    most = std::max(most, a[i].sub(b[i]).abs().max().item().toDouble());
  }
  return most;
}

/// Some of the classes that may go: fewer and fewer, until no axis of a tensor or value loses all.
std::set<int> some_classes(const Graph& graph, const ChannelClasses& classes, Random& random) {
  std::set<int> removed;
  for (std::size_t c = 0; c < classes.classes.size(); ++c) {
    if (!classes.classes[c].frozen && !classes.classes[c].coupled && random() % 3 == 0) removed.insert(static_cast<int>(c));
  }
  for (;;) {
    try {
      slice_graph(graph, keep_without(graph, classes, removed));
      return removed;
    } catch (const Error& e) {
      REQUIRE(e.message().find("would lose all") != std::string::npos);
      removed.erase(std::next(removed.begin(), pick(random, 0, static_cast<std::int64_t>(removed.size()) - 1)));
    }
  }
}

exec::Model masked(const exec::Model& model, const ChannelClasses& classes, const std::set<int>& removed) {
  exec::Model result = model.clone();
  for (const int c : removed) {
    for (const auto& [key, indices] : classes.classes[static_cast<std::size_t>(c)].members) {
      for (const std::int64_t i : indices) result.tensors.at(key.first).select(key.second, i).zero_();
    }
  }
  return result;
}

exec::Model sliced(const exec::Model& model, const ChannelClasses& classes, const std::set<int>& removed) {
  const Keep keep = keep_without(model.graph, classes, removed);
  exec::Model result;
  result.graph = slice_graph(model.graph, keep);
  for (const auto& [name, tensor] : model.tensors)
    result.tensors[name] = exec::to_tensor(slice_array(exec::to_array(tensor.contiguous()), name, keep));
  return result;
}

/// Whether zeroing the classes changed the outputs at all: else equality would say nothing.
bool check_net(const std::string& name, const Graph& graph, Random& random) {
  INFO(name);
  INFO(to_yaml(graph));
  exec::Model model = float64_model(graph, random);
  const ChannelClasses classes = channel_classes(graph);
  const std::set<int> removed = some_classes(graph, classes, random);
  const std::vector<at::Tensor> inputs = inputs_of(graph, random);
  exec::Model small = sliced(model, classes, removed), zeroed = masked(model, classes, removed);
  const std::vector<at::Tensor> expected = run(zeroed, inputs);
  CHECK(difference(run(small, inputs), expected) <= 1e-9);
  if (!removed.empty()) CHECK(cost(small.graph, {{"N", 1}, {"S", 3}}).parameters < cost(graph, {{"N", 1}, {"S", 3}}).parameters);
  return difference(run(model, inputs), expected) > 1e-6;
}

}  // namespace

TEST_CASE("exec: a sliced net equals the masked one, for every kind of net") {
  Random random(7);
  for (const auto& [name, graph] : nets::all()) {
    int changed = 0;
    for (int round = 0; round < 5; ++round) changed += check_net(name, graph, random);
    INFO(name);
    CHECK(changed > 0);
  }
}

TEST_CASE("exec: a sliced net equals the masked one, for random nets") {
  Random random(11);
  int changed = 0;
  for (int round = 0; round < 60; ++round) changed += check_net("random net " + std::to_string(round), random_net(random), random);
  CHECK(changed > 40);
}

TEST_CASE("exec: a net with its batch norms folded equals the net") {
  Random random(13);
  std::size_t folded = 0;
  for (int round = 0; round < 20; ++round) {
    exec::Model model = float64_model(random_net(random), random);
    std::map<std::string, io::Array> arrays;
    for (const auto& [name, tensor] : model.tensors) arrays[name] = exec::to_array(tensor.contiguous());
    Folded result = fold_batch_norm(model.graph, arrays);
    folded += result.folded.size();
    exec::Model other;
    other.graph = result.graph;
    for (const auto& [name, array] : result.tensors) other.tensors[name] = exec::to_tensor(array).to(at::kDouble);
    const std::vector<at::Tensor> inputs = inputs_of(model.graph, random), expected = run(model, inputs);
    double scale = 1;
    for (const at::Tensor& output : expected) scale = std::max(scale, output.abs().max().item().toDouble());
    CHECK(difference(run(other, inputs), expected) <= 1e-5 * scale);  // folded weights are float32
  }
  CHECK(folded > 5);
}
