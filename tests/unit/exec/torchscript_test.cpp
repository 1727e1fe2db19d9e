// TorchScript of every family: loaded again it gives the executor's outputs at sizes at which it was not traced.
#include "engine/exec/torchscript.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/core/error.h"
#include "base/io/tensor_file.h"
#include "engine/exec/executor.h"
#include "unit/models/zoo.h"

using namespace ds;

namespace {

struct File {
  std::string path = std::filesystem::temp_directory_path() / ("ds-torchscript-" + std::to_string(getpid()) + ".ts");
  ~File() { std::filesystem::remove(path); }
  void write(const exec::TorchScript& script) const {
    std::ofstream out(path, std::ios::binary);
    script.write([&out](const void* data, std::size_t bytes) { out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes)); },
                 {{"ds.json", R"({"ds.note": "kept"})"}});
  }
};

/// Statistics that are not what they are at the start, and no tensor of zeros, so that each of them counts.
void stir(exec::Model& model) {
  for (const graph::TensorSpec& spec : model.graph.tensors) {
    const at::Tensor& tensor = model.tensors.at(spec.name);
    if (!tensor.is_floating_point() || (spec.role != graph::Role::kBuffer && tensor.abs().max().item<double>() > 0)) continue;
    for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data_ptr<float>()[i] += 0.03f * static_cast<float>(i % 7);
  }
}

/// The largest difference of the outputs, over the largest output.
double apart(exec::Model& model, exec::TorchScript& script, const graph::Bindings& sizes) {
  exec::Executor executor(model);
  const std::vector<at::Tensor> inputs = exec::sample_inputs(model.graph, sizes);
  const std::vector<at::Tensor> ours = executor.run(inputs, {}), theirs = script.run(inputs);
  REQUIRE(ours.size() == theirs.size());
  double difference = 0, most = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    REQUIRE(ours[i].sizes() == theirs[i].sizes());
    difference = std::max(difference, ours[i].sub(theirs[i]).abs().max().item<double>());
    most = std::max(most, ours[i].abs().max().item<double>());
  }
  CHECK(most > 0);
  return difference / most;
}

}  // namespace

TEST_CASE("torchscript: one of every family, at other sizes than it was traced at") {
  const c10::NoGradGuard off;
  at::set_num_threads(1);
  double largest = 0;
  for (const auto& [family, arch] : zoo::smallest_members()) {
    CAPTURE(arch);
    exec::Model model = exec::make_model(zoo::build_small(arch, 5), 7);
    stir(model);
    const File file;
    file.write(exec::TorchScript(model));
    exec::TorchScript back = exec::TorchScript::load(file.path);
    for (const auto& [rows, other] : {std::pair<std::int64_t, std::int64_t>{1, 2}, {4, 4}}) {
      graph::Bindings sizes;
      for (const std::string& name : exec::open_sizes(model.graph)) sizes[name] = name == "N" ? rows : other;
      const double difference = apart(model, back, sizes);
      CHECK(difference <= 1e-4);
      largest = std::max(largest, difference);
    }
    const io::TensorFile tensors = io::read_tensors(file.path);
    CHECK(tensors.metadata.at("ds.note") == "kept");
    CHECK(tensors.tensors.size() == model.tensors.size());
    for (const auto& [name, tensor] : model.tensors) CHECK_MESSAGE(tensors.tensors.count(name) == 1, name);
  }
  MESSAGE("largest difference, of the largest output: " << largest);
}

TEST_CASE("torchscript: a tensor that has the name of a module") {
  graph::Graph graph;
  graph.inputs = {{"x", {graph::DType::kF32, {graph::Dim::symbol("N"), 3}}}};
  graph.tensors = {{"a", graph::DType::kF32, {2, 3}, graph::Role::kParameter, {}}, {"a.b", graph::DType::kF32, {2}, graph::Role::kParameter, {}}};
  graph::Node y;
  y.name = "y", y.op = "linear", y.attrs = {{"out_features", 2}}, y.inputs = {"x"};
  y.slots["weight"].tensor = "a", y.slots["bias"].tensor = "a.b";
  graph.nodes = {y};
  graph.outputs = {{"y", "y"}};
  graph::verify(graph, "test");
  exec::Model model = exec::make_model(graph, 1);
  model.tensors.at("a").fill_(2);
  model.tensors.at("a.b").fill_(0.5);
  const File file;
  file.write(exec::TorchScript(model));
  exec::TorchScript back = exec::TorchScript::load(file.path);
  CHECK(apart(model, back, {{"N", 4}}) == 0);
  const auto tensors = io::read_tensors(file.path).tensors;
  CHECK(tensors.count("a_") == 1);
  CHECK(tensors.count("a.b") == 1);
}
