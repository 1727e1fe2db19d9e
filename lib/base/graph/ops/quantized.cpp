// int8 has one meaning: activations u8 in 0..127 with a scale and a zero point a value, weights s8 in -127..127 with a scale an output
// channel, bias s32 of scale x_scale * weight_scale (Jacob et al. 2018, arXiv:1712.05877, section 2). Values carry no scale: ops state it.
#include <fmt/format.h>

#include "base/graph/ops/common.h"

namespace ds::graph::opset::quantized {

AttrSpec zero_point(const std::string& name) { return {name + "zero_point", AttrType::kInt, 0, 0, 127}; }
// Bounds that keep products and quotients of three scales within float32.
AttrSpec scale(const std::string& name, Json fallback = nullptr) {
  return {name + "scale", AttrType::kFloat, std::move(fallback), 1e-12, 1e12};
}

void require_u8(const NodeView& view, std::size_t i = 0) {
  if (view.input(i).dtype != DType::kU8) view.fail(fmt::format("input {} is {}, expected uint8", i, text(view.input(i))));
}

void require_same(const NodeView& view, const ValueType& a, const ValueType& b) {
  bool same = a.dims.size() == b.dims.size();
  for (std::size_t i = 0; same && i < a.dims.size(); ++i) same = a.dims[i] == b.dims[i];
  if (!same) view.fail(fmt::format("{} is added to {}, expected one shape", text(b), text(a)));
}

/// Joins every axis of input i with output 0's, whose atoms on `axis` are `own` (empty: those of the input).
void join_residual(ChannelRule& rule, std::size_t i, int axis, const Atoms& own) {
  for (int a = 0; a < rank(rule.view(), i); ++a) {
    const Atoms atoms = rule.input(i, a);
    if (a == axis) rule.unify(own, atoms);
    else if (!atoms.empty()) rule.freeze(atoms, "is added to a value that has no channels on this axis");
  }
}

/// Weight, scales and bias lose the same output channels.
Atoms output_atoms(ChannelRule& rule) {
  const Atoms out = rule.slot("weight", 0);
  rule.unify(out, rule.slot("weight_scale", 0));
  if (rule.view().has_slot("bias")) rule.unify(out, rule.slot("bias", 0));
  return out;
}

std::vector<SlotSpec> weight_slots(std::vector<std::int64_t> shape) {
  const std::int64_t out = shape[0];
  return {{.name = "weight", .shape = std::move(shape), .dtype = DType::kI8, .init = {{"kind", "zeros"}}},
          {.name = "weight_scale", .role = Role::kBuffer, .shape = {out}, .init = {{"kind", "ones"}}},
          {.name = "bias", .optional = true, .shape = {out}, .dtype = DType::kI32, .init = {{"kind", "zeros"}}}};
}

/// A function of one element behind the layer, in the same rounding: see exec/int8.h.
AttrSpec activation() {
  return {.name = "activation", .type = AttrType::kString, .default_value = "none",
          .choices = {"none", "silu", "hardswish", "hardsigmoid", "sigmoid", "gelu", "gelu_tanh", "tanh"}};
}

/// What the activation cuts values off at, 0 = nothing; the range of the codes has it already. For the way back to float.
AttrSpec ceiling() { return {"ceiling", AttrType::kFloat, 0, 0, 6}; }

std::vector<AttrSpec> weighted_attrs() {
  return {scale("x_"),     zero_point("x_"),
          scale("y_", 1),  zero_point("y_"),
          scale("residual_", 1), zero_point("residual_"),
          {"relu", AttrType::kBool, false}, {"dequantize", AttrType::kBool, false},
          ceiling(), activation()};
}

/// The type of the result, and what its attributes allow.
DType result_type(const NodeView& view) {
  const bool to_float = view.b("dequantize");
  if (to_float && view.inputs().size() > 1) view.fail("has a residual input and dequantize: expected one of them");
  if (view.s("activation") != "none" && (to_float || view.b("relu") || view.inputs().size() > 1))
    view.fail("has an activation and relu, dequantize or a residual input: expected one of them");
  return to_float ? DType::kF32 : DType::kU8;
}

class Quantize : public Unary {
 public:
  Quantize() : Unary("quantize", "float to uint8: clamp(round half to even(x / scale) + zero_point, 0, 127)", {scale(""), zero_point("")}) {}
  std::vector<ValueType> infer(const NodeView& view) const override {
    require_float(view);
    return {{DType::kU8, view.input().dims}};
  }
};

class Dequantize : public Unary {
 public:
  Dequantize() : Unary("dequantize", "uint8 to float32: (x - zero_point) * scale", {scale(""), zero_point("")}, true) {}
  std::vector<ValueType> infer(const NodeView& view) const override {
    require_u8(view);
    return {{DType::kF32, view.input().dims}};
  }
};

class QConv2d : public Op {
 public:
  QConv2d() {
    name = "qconv2d";
    summary = "int8 convolution of [N, C, H, W], with an optional second input that is added before rounding, and ReLU";
    attrs = {{"out_channels", AttrType::kInt, nullptr, 1, kMaxSize},
             {"kernel", AttrType::kInts, nullptr, 1, 4096},
             {"stride", AttrType::kInts, {1, 1}, 1, 4096},
             {"padding", AttrType::kInts, {0, 0}, 0, 4096},
             {"dilation", AttrType::kInts, {1, 1}, 1, 4096},
             {"groups", AttrType::kInt, 1, 1, kMaxSize}};
    for (AttrSpec& spec : weighted_attrs()) attrs.push_back(std::move(spec));
    max_inputs = 2;
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override {
    const Sizes s = sizes(view);
    return weight_slots({s.out, s.in / s.groups, s.kernel[0], s.kernel[1]});
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    const Sizes s = sizes(view);
    const auto stride = pair(view, "stride"), padding = sides(view, "padding"), dilation = pair(view, "dilation");
    const ValueType& x = view.input();
    const ValueType y{result_type(view),
                      {x.dims[0], s.out, window(view, x.dims[2] + Dim(padding[2] - padding[0]), s.kernel[0], stride[0], padding[0], dilation[0]),
                       window(view, x.dims[3] + Dim(padding[3] - padding[1]), s.kernel[1], stride[1], padding[1], dilation[1])}};
    if (view.inputs().size() > 1) require_u8(view, 1), require_same(view, y, view.input(1));
    return {y};
  }

  Dim macs(const NodeView& view) const override {
    const Sizes s = sizes(view);
    return product(infer(view)[0].dims, 0, 4) * Dim(s.in / s.groups * s.kernel[0] * s.kernel[1]);
  }

  void channels(ChannelRule& rule) const override {
    const Sizes s = sizes(rule.view());
    freeze_axes(rule, 0, "a convolution slides over this axis", 1);
    const Atoms in = rule.input(0, 1), out = output_atoms(rule);
    if (s.groups == s.in && s.groups > 1) {  // depthwise: filter c * m + k belongs to channel c
      Atoms repeated;
      for (const Atom atom : in) repeated.insert(repeated.end(), static_cast<std::size_t>(s.out / s.in), atom);
      rule.unify(repeated, out);
    } else if (s.groups == 1) {
      rule.unify(in, rule.slot("weight", 1));
    } else {  // groups stay equal in size: position p of every group is one class
      tie_groups(rule, in, s.groups);
      rule.unify(in.empty() ? in : Atoms(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(s.in / s.groups)), rule.slot("weight", 1));
      tie_groups(rule, out, s.groups);
    }
    if (rule.view().inputs().size() > 1) join_residual(rule, 1, 1, out);
    rule.output(0, 1, out);
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override {
    const std::vector<std::int64_t> weight = view.slot_shape("weight");
    attrs["out_channels"] = weight[0];
    if (attrs.contains("groups")) attrs["groups"] = known(view, 0, 1, "channels") / weight[1];
  }

 private:
  struct Sizes {
    std::int64_t in, out, groups;
    std::vector<std::int64_t> kernel;
  };

  static Sizes sizes(const NodeView& view) {
    require_u8(view);
    require_rank(view, 0, 4);
    const Sizes s{known(view, 0, 1, "channels"), view.i("out_channels"), view.i("groups"), pair(view, "kernel")};
    if (s.in % s.groups != 0 || s.out % s.groups != 0)
      view.fail(fmt::format("{} input and {} output channels cannot be divided into {} groups", s.in, s.out, s.groups));
    // 127 * 127 * 131072 is just below 2^31: beyond it the sum could leave 32 bits.
    if (s.in / s.groups * s.kernel[0] * s.kernel[1] > 131072)
      view.fail(fmt::format("sums {} products, expected at most 131072", s.in / s.groups * s.kernel[0] * s.kernel[1]));
    return s;
  }
};

class QLinear : public Op {
 public:
  QLinear() {
    name = "qlinear";
    summary = "int8 x W^T + b over the last axis, with an optional second input that is added before rounding, and ReLU";
    attrs = {{"out_features", AttrType::kInt, nullptr, 1, kMaxSize}};
    for (AttrSpec& spec : weighted_attrs()) attrs.push_back(std::move(spec));
    max_inputs = 2;
  }

  std::vector<SlotSpec> slots(const NodeView& view) const override { return weight_slots({view.i("out_features"), features(view)}); }

  std::vector<ValueType> infer(const NodeView& view) const override {
    features(view);
    ValueType y{result_type(view), view.input().dims};
    y.dims.back() = view.i("out_features");
    if (view.inputs().size() > 1) require_u8(view, 1), require_same(view, y, view.input(1));
    return {y};
  }

  Dim macs(const NodeView& view) const override {
    const ValueType& x = view.input();
    return product(x.dims, 0, x.dims.size()) * Dim(view.i("out_features"));
  }

  void channels(ChannelRule& rule) const override {
    const int last = rank(rule.view()) - 1;
    const Atoms out = output_atoms(rule);
    rule.unify(rule.input(0, last), rule.slot("weight", 1));
    if (rule.view().inputs().size() > 1) join_residual(rule, 1, last, out);
    pass_axes(rule, 0, last);
    rule.output(0, last, out);
  }

  void resize(const NodeView&, const NodeView& view, Json& attrs) const override { attrs["out_features"] = view.slot_shape("weight")[0]; }

 private:
  static std::int64_t features(const NodeView& view) {
    require_u8(view);
    require_rank_at_least(view, 0, 1);
    const std::int64_t in = known(view, 0, rank(view) - 1, "features");
    if (in > 131072) view.fail(fmt::format("sums {} products, expected at most 131072", in));
    return in;
  }
};

class QAdd : public Op {
 public:
  QAdd() {
    name = "qadd";
    summary = "sum of two uint8 values of one shape, each with its scale, and ReLU";
    attrs = {scale("a_"), zero_point("a_"), scale("b_"), zero_point("b_"), scale("y_"), zero_point("y_"), {"relu", AttrType::kBool, false}, ceiling()};
    min_inputs = max_inputs = 2;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_u8(view, 0);
    require_u8(view, 1);
    require_same(view, view.input(0), view.input(1));
    return {view.input()};
  }

  void channels(ChannelRule& rule) const override {
    for (int axis = 0; axis < rank(rule.view()); ++axis) {
      const Atoms a = rule.input(0, axis), b = rule.input(1, axis);
      rule.unify(a, b);
      if (!a.empty() || !b.empty()) rule.output(0, axis, a.empty() ? b : a);
    }
  }
};

class QMul : public Op {
 public:
  QMul() {
    name = "qmul";
    summary = "product of two uint8 values, each with its scale; the second may have size 1 where the first has not, as a gate of channels does";
    attrs = {scale("a_"), zero_point("a_"), scale("b_"), zero_point("b_"), scale("y_"), zero_point("y_")};
    min_inputs = max_inputs = 2;
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_u8(view, 0);
    require_u8(view, 1);
    const ValueType &a = view.input(0), &b = view.input(1);
    bool fits = a.dims.size() == b.dims.size();
    for (std::size_t i = 0; fits && i < a.dims.size(); ++i) fits = a.dims[i] == b.dims[i] || b.dims[i] == Dim(1);
    if (!fits) view.fail(fmt::format("{} is multiplied by {}, expected its shape or 1 on an axis", text(a), text(b)));
    return {a};
  }

  Dim macs(const NodeView& view) const override { return product(view.input().dims, 0, view.input().dims.size()); }

  void channels(ChannelRule& rule) const override {
    for (int axis = 0; axis < rank(rule.view()); ++axis) {
      const Atoms a = rule.input(0, axis), b = rule.input(1, axis);
      const bool spread = rule.view().input(1).dims[static_cast<std::size_t>(axis)] == Dim(1) && a.size() != 1;
      if (spread) rule.freeze(b, "is spread over an axis");
      else rule.unify(a, b);
      if (!a.empty() || !b.empty()) rule.output(0, axis, a.empty() ? b : a);
    }
  }
};

class QPool2d : public Op {
 public:
  QPool2d(const std::string& name_, const std::string& summary_, bool average, bool global) : average_(average), global_(global) {
    name = name_;
    summary = summary_;
    if (!global)
      attrs = {{"kernel", AttrType::kInts, nullptr, 1, 4096},
               {"stride", AttrType::kInts, nullptr, 1, 4096},
               {"padding", AttrType::kInts, {0, 0}, 0, 4096}};
    if (!average) attrs.push_back({"ceil_mode", AttrType::kBool, false});
    if (!average) return;
    if (!global) attrs.push_back({"count_include_pad", AttrType::kBool, true});
    for (AttrSpec spec : {scale("x_"), zero_point("x_"), scale("y_"), zero_point("y_")}) attrs.push_back(std::move(spec));
  }

  std::vector<ValueType> infer(const NodeView& view) const override {
    require_u8(view);
    require_rank(view, 0, 4);
    ValueType type = view.input();
    if (global_) {
      type.dims[2] = type.dims[3] = 1;
      return {type};
    }
    const auto kernel = pair(view, "kernel"), stride = pair(view, "stride"), padding = pair(view, "padding");
    for (std::size_t i = 0; i < 2; ++i) {
      if (2 * padding[i] > kernel[i]) view.fail(fmt::format("padding is {}, expected at most half of the kernel's {}", padding[i], kernel[i]));
      type.dims[2 + i] = window(view, type.dims[2 + i], kernel[i], stride[i], padding[i], 1, !average_ && view.b("ceil_mode"));
    }
    return {type};
  }

  void channels(ChannelRule& rule) const override {
    freeze_axes(rule, 0, average_ ? "pooling averages over this axis" : "pooling slides over this axis", 1);
    const Atoms atoms = rule.input(0, 1);
    if (!atoms.empty()) rule.output(0, 1, atoms);
  }

 private:
  bool average_, global_;
};

/// Training with int8's rounding: a float layer whose weights are rounded to int8 in each forward, a scale an output channel.
/// The layer it stands for has the same attributes, slots, shapes, cost and channel rule.
class FakeQuantized : public Op {
 public:
  FakeQuantized(const std::string& name_, const std::string& float_op, const std::string& summary_, std::vector<AttrSpec> specs)
      : float_op_(float_op) {
    name = name_;
    summary = summary_;
    attrs = std::move(specs);
  }
  std::vector<SlotSpec> slots(const NodeView& view) const override { return op(float_op_).slots(view); }
  std::vector<ValueType> infer(const NodeView& view) const override { return op(float_op_).infer(view); }
  Dim macs(const NodeView& view) const override { return op(float_op_).macs(view); }
  void channels(ChannelRule& rule) const override { op(float_op_).channels(rule); }
  void resize(const NodeView& old, const NodeView& view, Json& attrs) const override { op(float_op_).resize(old, view, attrs); }

 private:
  std::string float_op_;
};

std::vector<AttrSpec> conv_attrs() {
  return {{"out_channels", AttrType::kInt, nullptr, 1, kMaxSize}, {"kernel", AttrType::kInts, nullptr, 1, 4096},
          {"stride", AttrType::kInts, {1, 1}, 1, 4096},           {"padding", AttrType::kInts, {0, 0}, 0, 4096},
          {"dilation", AttrType::kInts, {1, 1}, 1, 4096},         {"groups", AttrType::kInt, 1, 1, kMaxSize}};
}

std::vector<AttrSpec> linear_attrs() {
  return {{"out_features", AttrType::kInt, nullptr, 1, kMaxSize}, {"transposed", AttrType::kBool, false}};
}

Unary* make_fake_quantize() {
  return new Unary("fake_quantize", "quantize and dequantize in one float op; the gradient passes where nothing was clamped",
                   {scale(""), zero_point("")});
}
FakeQuantized* make_fake(const std::string& float_op, std::vector<AttrSpec> attrs) {
  return new FakeQuantized("fake_" + float_op, float_op,
                           float_op + " whose weights are rounded to int8 in each forward; the gradient passes to the float ones", std::move(attrs));
}

const OpRegistrar quantize{std::make_unique<Quantize>()};
const OpRegistrar dequantize{std::make_unique<Dequantize>()};
const OpRegistrar fake_quantize{std::unique_ptr<Op>(make_fake_quantize())};
const OpRegistrar fake_conv2d{std::unique_ptr<Op>(make_fake("conv2d", conv_attrs()))};
const OpRegistrar fake_linear{std::unique_ptr<Op>(make_fake("linear", linear_attrs()))};
const OpRegistrar qconv2d{std::make_unique<QConv2d>()};
const OpRegistrar qlinear{std::make_unique<QLinear>()};
const OpRegistrar qadd{std::make_unique<QAdd>()};
const OpRegistrar qmul{std::make_unique<QMul>()};
const OpRegistrar qmax_pool2d{
    std::make_unique<QPool2d>("qmax_pool2d", "maximum of each window of uint8 [N, C, H, W]; the scale stays", false, false)};
const OpRegistrar qavg_pool2d{
    std::make_unique<QPool2d>("qavg_pool2d", "mean of each window of uint8 [N, C, H, W]; padding counts as a real 0", true, false)};
const OpRegistrar qglobal_avg_pool{
    std::make_unique<QPool2d>("qglobal_avg_pool", "mean over height and width of uint8 [N, C, H, W]", true, true)};

}  // namespace ds::graph::opset::quantized
