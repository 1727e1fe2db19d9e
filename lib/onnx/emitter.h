// How ops become ONNX nodes. One op family a file in onnx/ops/, each op a function that writes what the op means:
//   const core::Body<onnx::ExportOp> body{"onnx", "conv2d", conv2d};
#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/core/registry.h"
#include "base/graph/schema.h"
#include "base/io/array.h"

namespace ds::onnx {

/// The value of a node's attribute.
struct Attribute {
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<std::string>> value;
  Attribute(int v) : value(std::int64_t{v}) {}                                           // NOLINT: as it is written
  Attribute(std::int64_t v) : value(v) {}                                                // NOLINT
  Attribute(double v) : value(static_cast<float>(v)) {}                                  // NOLINT
  Attribute(const char* v) : value(std::string(v)) {}                                    // NOLINT
  Attribute(std::vector<std::int64_t> v) : value(std::move(v)) {}                        // NOLINT
  Attribute(std::initializer_list<std::int64_t> v) : value(std::vector<std::int64_t>(v)) {}
  Attribute(std::vector<std::string> v) : value(std::move(v)) {}                         // NOLINT
};
using Attributes = std::map<std::string, Attribute>;

class Exporter;

/// What an op's function sees of its node, and what it writes with. Values are ONNX names.
class Emitter {
 public:
  Emitter(Exporter& exporter, const graph::NodeView& view) : exporter_(exporter), view_(view) {}
  const graph::NodeView& view() const { return view_; }

  std::string in(std::size_t i = 0) const;
  std::size_t inputs() const { return view_.inputs().size(); }
  const graph::ValueType& type(std::size_t i = 0) const { return view_.input(i); }
  std::string out(int i = 0) const;
  /// What the slot points to, a slice of a tensor by a node; "" for one that is not there, which ONNX takes for an input left out.
  /// Floats of other sizes than 32 bits are cast.
  std::string slot(const std::string& name);
  /// The values of a whole tensor.
  const io::Array& array(const std::string& slot) const;

  /// A node of ONNX with one output: `to`, or a fresh name; returns it. Inputs "" at the end are left away.
  std::string add(const std::string& op, std::vector<std::string> inputs, const Attributes& attributes = {}, const std::string& to = "");
  /// The same with the outputs that are named; "" = not wanted.
  void add_to(const std::string& op, std::vector<std::string> inputs, const Attributes& attributes, const std::vector<std::string>& outputs);
  /// Output i is that value: an op that does nothing in evaluation.
  void pass(const std::string& value, int i = 0);

  // Constants: initializers of their own, one of each content in a file.
  std::string ints(std::vector<std::int64_t> values);  ///< int64 [n]
  std::string integer(std::int64_t value);             ///< int64 []
  std::string number(double value);                    ///< float32 []
  std::string byte(std::int64_t value);                ///< uint8 []
  std::string constant(const io::Array& array);

  // Shapes that only a run knows.
  std::string size(const std::string& value, std::int64_t axis);  ///< int64 [1]
  /// x on the axes `dims`, of which those that are not known are taken from the shape of x where it has them, else -1.
  std::string reshape(const std::string& x, const std::vector<graph::Dim>& from, const std::vector<graph::Dim>& to, const std::string& name = "");

  /// Throws ds::Error(kUsage): this node has no form in ONNX.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  Exporter& exporter_;
  const graph::NodeView& view_;
};

/// Kind "onnx": writes the nodes of one op.
using ExportOp = void(Emitter& e);

}  // namespace ds::onnx
