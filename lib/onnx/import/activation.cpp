// Functions of one element, arithmetic of two values, and what is written as several of them: GELU, SiLU, layer norm
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "onnx/import/patterns.h"

namespace ds::onnx::imports::activation {

template <const char* const& op>
void unary(Reader& r) { r.set(op, {r.value(0)}); }

const char *const kRelu = "relu", *const kSigmoid = "sigmoid", *const kHardswish = "hardswish", *const kExp = "exp";

void tanh(Reader& r) {
  if (r.in(0).kind != Known::kNothing) r.set("tanh", {r.value(0)});  // else of GELU, which looks back
}

void pass(Reader& r) { r.put(r.in(0)); }

/// Means something only together with later nodes, which look back.
void part(Reader&) {}

void hard_sigmoid(Reader& r) {
  if (std::abs(r.f("alpha", 0.2) - 1.0 / 6) > 1e-6 || r.f("beta", 0.5) != 0.5) r.fail("has alpha or beta other than 1/6 and 0.5");
  r.set("hardsigmoid", {r.value(0)});
}

void softmax(Reader& r) {
  if (r.in(0).kind == Known::kNothing) return;  // of attention
  r.set("softmax", {r.value(0)}, {{"axis", r.i("axis", -1)}});
}

void clip(Reader& r) {
  if (quantized_before(r)) return;
  const bool old = r.attribute("min") || r.attribute("max");
  const double largest = std::numeric_limits<float>::max();
  const double least = old ? r.f("min", -largest) : r.has(1) ? r.number(1) : -largest, most = old ? r.f("max", largest) : r.has(2) ? r.number(2) : largest;
  if (least == 0 && most == 6) return r.set("relu6", {r.value(0)});
  if (least == 0 && most == largest) return r.set("relu", {r.value(0)});
  r.set("clamp", {r.value(0)}, {{"min", std::max(least, -largest)}, {"max", std::min(most, largest)}});
}

/// Whether an input of a node is one number near `expected`.
bool is_number(const Reader& r, const std::string& value, double expected) {
  const Known& known = r.known(value);
  return known.kind == Known::kConstant && known.array.numel() == 1 && std::abs(io::element(known.array, 0) - expected) <= 1e-5 * std::abs(expected);
}

/// The other input of a node of two where one is a number near `expected`; "" else.
std::string beside_number(const Reader& r, const pb::NodeProto* node, double expected) {
  if (node == nullptr || node->input_size() != 2) return "";
  for (int i = 0; i < 2; ++i)
    if (is_number(r, node->input(i), expected)) return node->input(1 - i);
  return "";
}

/// x where the value is 1 + erf(x / sqrt(2)); "" else.
std::string in_erf(const Reader& r, const std::string& value) {
  const pb::NodeProto* add = r.made_by(value, "Add");
  const pb::NodeProto* erf = r.made_by(beside_number(r, add, 1), "Erf");
  if (erf == nullptr) return "";
  if (const pb::NodeProto* div = r.made_by(erf->input(0), "Div"); div != nullptr && is_number(r, div->input(1), std::sqrt(2.0))) return div->input(0);
  return beside_number(r, r.made_by(erf->input(0), "Mul"), std::sqrt(0.5));
}

/// x where the value is 1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)); "" else.
std::string in_tanh(const Reader& r, const std::string& value) {
  const pb::NodeProto* tanh = r.made_by(beside_number(r, r.made_by(value, "Add"), 1), "Tanh");
  if (tanh == nullptr) return "";
  const pb::NodeProto* sum = r.made_by(beside_number(r, r.made_by(tanh->input(0), "Mul"), std::sqrt(2 / M_PI)), "Add");
  if (sum == nullptr || sum->input_size() != 2) return "";
  for (int i = 0; i < 2; ++i) {
    const std::string& x = sum->input(i);
    const std::string cube = beside_number(r, r.made_by(sum->input(1 - i), "Mul"), 0.044715);
    if (const pb::NodeProto* pow = r.made_by(cube, "Pow"); pow != nullptr && pow->input(0) == x && is_number(r, pow->input(1), 3)) return x;
    const pb::NodeProto* product = r.made_by(cube, "Mul");
    for (int k = 0; product != nullptr && k < 2; ++k)
      if (const pb::NodeProto* square = r.made_by(product->input(k), "Mul"); square != nullptr && product->input(1 - k) == x)
        if (square->input(0) == x && square->input(1) == x) return x;
  }
  return "";
}

/// x * 0.5 * (1 + ...) in any order of the products.
std::string gelu_input(const Reader& r, const pb::NodeProto& mul, bool& by_tanh) {
  std::vector<std::string> factors{mul.input(0), mul.input(1)};
  for (int i = 0; i < 2; ++i)
    if (const pb::NodeProto* inner = r.made_by(mul.input(i), "Mul"); inner != nullptr && inner->input_size() == 2) {
      factors = {mul.input(1 - i), inner->input(0), inner->input(1)};
      std::string half, x, one;
      for (const std::string& factor : factors) {
        if (half.empty() && is_number(r, factor, 0.5)) half = factor;
        else if (std::string found = in_erf(r, factor); one.empty() && !found.empty()) one = found, by_tanh = false;
        else if (std::string also = in_tanh(r, factor); one.empty() && !also.empty()) one = also, by_tanh = true;
        else x = factor;
      }
      if (!half.empty() && !one.empty() && one == x) return x;
    }
  return "";
}

/// One number: a constant that is as good as none, or scales.
std::optional<double> single(Reader& r, int i) {
  if (!r.is_constant(i) || r.in(i).array.numel() != 1 || !io::is_float(r.in(i).array.dtype)) return std::nullopt;
  return io::element(r.in(i).array, 0);
}

/// Arithmetic of sizes, element by element.
bool of_sizes(Reader& r, const std::string& op) {
  const auto integers = [&](int i) { return r.in(i).kind == Known::kSizes || (r.is_constant(i) && r.sizes(i)); };
  if (!integers(0) || !integers(1)) {
    if (r.in(0).kind == Known::kNothing || r.in(1).kind == Known::kNothing) return false;  // part of a mask, and the like
    if (r.in(0).kind == Known::kSizes || r.in(1).kind == Known::kSizes) r.fail("computes with sizes and values");
    return false;
  }
  const auto a = r.sizes(0), b = r.sizes(1);
  if (!a || !b || a->empty() || b->empty() || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) r.fail("computes with sizes of different numbers");
  const auto is_scalar = [&](int i) { return r.in(i).kind == Known::kSizes ? r.in(i).scalar : r.in(i).array.shape.empty(); };
  std::vector<graph::Dim> sizes;
  for (std::size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    const graph::Dim &x = (*a)[a->size() == 1 ? 0 : i], &y = (*b)[b->size() == 1 ? 0 : i];
    if (op == "Div" && y.is_known() && y.value() == 0) r.fail("divides by zero");
    sizes.push_back(op == "Add" ? x + y : op == "Sub" ? x - y : op == "Mul" ? x * y : floor_div(x, y));
  }
  put_sizes(r, sizes, is_scalar(0) && is_scalar(1));
  return true;
}

/// A constant of one number, as exporters compute the scale of attention.
bool of_numbers(Reader& r, const std::string& op) {
  const auto a = single(r, 0), b = op == "Sqrt" ? a : single(r, 1);
  if (!a || !b) return false;
  const double value = op == "Sqrt" ? std::sqrt(*a) : op == "Div" ? *a / *b : op == "Mul" ? *a * *b : op == "Add" ? *a + *b : *a - *b;
  if (!std::isfinite(value)) r.fail("makes a number that is not finite");
  Known known;
  known.kind = Known::kConstant;
  known.array = io::make_array(io::DType::kF32, r.in(0).array.shape);
  *known.array.as<float>() = static_cast<float>(value);
  known.name = r.node().output_size() ? r.node().output(0) : "number";
  r.put(std::move(known));
  return true;
}

void sqrt(Reader& r) { of_numbers(r, "Sqrt"); }

/// The decomposed layer norm that ends in this sum: (x - mean) / sqrt(mean((x - mean)^2) + eps) * w + b over the last axis.
bool layer_norm(Reader& r) {
  for (int i = 0; i < 2; ++i) {
    const pb::NodeProto* scaled = r.made_by(r.node().input(i), "Mul");
    if (scaled == nullptr || r.known(r.node().input(1 - i)).kind != Known::kConstant) continue;
    for (int k = 0; k < 2; ++k) {
      const pb::NodeProto* div = r.made_by(scaled->input(k), "Div");
      const Known& weight = r.known(scaled->input(1 - k));
      if (div == nullptr || weight.kind != Known::kConstant || weight.array.shape.size() != 1) continue;
      const pb::NodeProto *sub = r.made_by(div->input(0), "Sub"), *root = r.made_by(div->input(1), "Sqrt");
      const pb::NodeProto* sum = root == nullptr ? nullptr : r.made_by(root->input(0), "Add");
      const pb::NodeProto* variance = sum == nullptr ? nullptr : r.made_by(sum->input(0), "ReduceMean");
      const pb::NodeProto* square = variance == nullptr ? nullptr : r.made_by(variance->input(0), "Pow");
      const pb::NodeProto* mean = sub == nullptr ? nullptr : r.made_by(sub->input(1), "ReduceMean");
      if (square == nullptr || mean == nullptr || r.made_by(square->input(0), "Sub") == nullptr || mean->input(0) != sub->input(0)) continue;
      const Known &eps = r.known(sum->input(1)), &x = r.known(sub->input(0)), &bias = r.known(r.node().input(1 - i));
      if (eps.kind != Known::kConstant || eps.array.numel() != 1 || x.kind != Known::kValue || bias.array.shape != weight.array.shape) continue;
      r.set("layer_norm", {x.value}, {{"eps", std::stod(fmt::format("{}", static_cast<float>(io::element(eps.array, 0))))}},
            {{"weight", r.tensor(weight.array, weight.name)}, {"bias", r.tensor(bias.array, bias.name)}});
      return true;
    }
  }
  return false;
}

void add(Reader& r) {
  if (of_sizes(r, "Add") || of_numbers(r, "Add")) return;
  if (layer_norm(r)) return;
  for (int i = 0; i < 2; ++i) {
    if (single(r, i) == 0.0) return r.put(r.in(1 - i));
    if (r.in(i).kind == Known::kNothing) return;  // part of a pattern that ends later
  }
  r.set("add", {r.value(0), r.value(1)});
}

void sub(Reader& r) {
  if (of_sizes(r, "Sub") || of_numbers(r, "Sub")) return;
  for (int i = 0; i < 2; ++i)
    if (r.in(i).kind == Known::kNothing) return;
  if (const auto number = single(r, 1)) {
    io::Array negative = io::make_array(io::DType::kF32, {1});
    *negative.as<float>() = static_cast<float>(-*number);
    const graph::Slot slot = r.tensor(negative, r.in(1).name + "/negative", graph::Role::kConstant);
    return r.set("add", {r.value(0), r.add("tensor", {}, graph::Json::object(), {{"value", slot}})});
  }
  r.set("add", {r.value(0), r.add("scale", {r.value(1)}, {{"factor", -1.0}})});
}

void mul(Reader& r) {
  if (of_sizes(r, "Mul") || of_numbers(r, "Mul")) return;
  bool by_tanh = false;
  if (const std::string x = gelu_input(r, r.node(), by_tanh); !x.empty() && r.known(x).kind == Known::kValue)
    return r.set("gelu", {r.known(x).value}, {{"approximate", by_tanh ? "tanh" : "none"}});
  for (int i = 0; i < 2; ++i) {
    const std::string& other = r.node().input(1 - i);
    if (const pb::NodeProto* sigmoid = r.made_by(r.node().input(i), "Sigmoid"); sigmoid && sigmoid->input(0) == other) return r.set("silu", {r.value(1 - i)});
    if (const pb::NodeProto* hard = r.made_by(r.node().input(i), "HardSigmoid"); hard && hard->input(0) == other) return r.set("hardswish", {r.value(1 - i)});
    if (r.in(i).kind == Known::kNothing) return;
  }
  for (int i = 0; i < 2; ++i)
    if (const auto factor = single(r, i); factor && r.in(1 - i).kind == Known::kValue) {
      if (*factor == 1) return r.put(r.in(1 - i));
      return r.set("scale", {r.value(1 - i)}, {{"factor", *factor}});
    }
  r.set("mul", {r.value(0), r.value(1)});
}

void div(Reader& r) {
  if (of_sizes(r, "Div") || of_numbers(r, "Div")) return;
  if (r.in(0).kind == Known::kNothing || r.in(1).kind == Known::kNothing) return;
  const auto divisor = single(r, 1);
  if (!divisor || *divisor == 0 || r.in(0).kind != Known::kValue) r.fail("divides by what is no single number");
  // x * clamp(x + 3, 0, 6) / 6, as older exporters write hardswish
  if (const pb::NodeProto* product = r.made_by(r.node().input(0), "Mul"); *divisor == 6 && product != nullptr)
    for (int i = 0; i < 2; ++i) {
      const pb::NodeProto* held = r.made_by(product->input(i), "Clip");
      const std::string& x = product->input(1 - i);
      if (held != nullptr && beside_number(r, r.made_by(held->input(0), "Add"), 3) == x && r.known(x).kind == Known::kValue)
        return r.set("hardswish", {r.known(x).value});
    }
  r.set("scale", {r.value(0)}, {{"factor", 1.0 / *divisor}});
}

const core::Body<ImportOp> bodies[] = {{"onnx-import", "Relu", unary<kRelu>},
                                       {"onnx-import", "Sigmoid", unary<kSigmoid>},
                                       {"onnx-import", "Tanh", tanh},
                                       {"onnx-import", "HardSwish", unary<kHardswish>},
                                       {"onnx-import", "Exp", unary<kExp>},
                                       {"onnx-import", "HardSigmoid", hard_sigmoid},
                                       {"onnx-import", "Softmax", softmax},
                                       {"onnx-import", "Clip", clip},
                                       {"onnx-import", "Identity", pass},
                                       {"onnx-import", "Dropout", pass},
                                       {"onnx-import", "Erf", part},
                                       {"onnx-import", "Sqrt", sqrt},
                                       {"onnx-import", "Pow", part},
                                       {"onnx-import", "Range", part},
                                       {"onnx-import", "Less", part},
                                       {"onnx-import", "LessOrEqual", part},
                                       {"onnx-import", "Greater", part},
                                       {"onnx-import", "GreaterOrEqual", part},
                                       {"onnx-import", "And", part},
                                       {"onnx-import", "Or", part},
                                       {"onnx-import", "Not", part},
                                       {"onnx-import", "IsNaN", part},
                                       {"onnx-import", "GatherElements", part},
                                       {"onnx-import", "CumSum", part},
                                       {"onnx-import", "Add", add},
                                       {"onnx-import", "Sub", sub},
                                       {"onnx-import", "Mul", mul},
                                       {"onnx-import", "Div", div}};

}  // namespace ds::onnx::imports::activation
