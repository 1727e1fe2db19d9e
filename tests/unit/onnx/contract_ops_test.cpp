// Every op of the registry has a form in ONNX. (That it means the same is tests/cli/onnx.test.py's matter.)
#include <doctest/doctest.h>

#include <set>

#include "base/core/error.h"
#include "base/core/registry.h"
#include "onnx/emitter.h"
#include "onnx/export.h"
#include "unit/models/op_samples.h"

using namespace ds;

namespace {

std::map<std::string, io::Array> ones(const graph::Graph& graph) {
  std::map<std::string, io::Array> tensors;
  for (const graph::TensorSpec& spec : graph.tensors) {
    io::Array array = io::make_array(spec.dtype, spec.shape);
    std::fill_n(array.data, array.bytes(), std::byte{0});
    if (spec.dtype == io::DType::kF32) std::fill_n(array.as<float>(), array.numel(), 1.0f);
    tensors[spec.name] = array;
  }
  return tensors;
}

}  // namespace

TEST_CASE("onnx: every op has a form, and each form is of an op") {
  std::set<std::string> known;
  for (const graph::Op* op : graph::ops()) {
    CAPTURE(op->name);
    known.insert(op->name);
    CHECK((core::find_body("onnx", op->name) != nullptr));
  }
  for (const std::string& name : core::bodies("onnx")) {
    CAPTURE(name);
    CHECK(known.count(name) == 1);
  }
}

TEST_CASE("onnx: every op is written with unique names, and each value that is read is made before") {
  for (const graph::Op* op : graph::ops()) {
    if (core::find_body("onnx", op->name) == nullptr) continue;
    CAPTURE(op->name);
    graph::Builder b;
    b.output("y", op_samples::sample(b, *op));
    const graph::Graph graph = b.finish();
    const ds::onnx::Model model = ds::onnx::export_model(graph, ones(graph), {{"key", "text"}});
    std::set<std::string> values{""}, nodes;
    for (const auto& input : model.proto.graph().input()) CHECK(values.insert(input.name()).second);
    for (const ds::onnx::Initializer& tensor : model.initializers) CHECK(values.insert(tensor.name).second);
    for (const auto& node : model.proto.graph().node()) {
      CHECK(nodes.insert(node.name()).second);
      for (const std::string& input : node.input()) {
        CAPTURE(input);
        CHECK(values.count(input) == 1);
      }
      for (const std::string& output : node.output()) CHECK((output.empty() || values.insert(output).second));
    }
    REQUIRE(model.proto.graph().output_size() == 1);
    CHECK(model.proto.graph().output(0).name() == "y");
    CHECK(values.count("y") == 1);
    for (const graph::TensorSpec& spec : graph.tensors) CHECK(values.count(spec.name) == 1);
  }
}
