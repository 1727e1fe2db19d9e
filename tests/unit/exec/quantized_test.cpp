// int8 ops as the executor runs them: against the integer reference, against float, sliced, and their fake-quantized twins in training.
#include <ATen/ops/arange.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>

#include "base/core/error.h"
#include "base/graph/builder.h"
#include "base/graph/channels.h"
#include "engine/exec/executor.h"
#include "engine/exec/int8.h"
#include "engine/exec/random.h"
#include "int8_reference.h"

namespace {

using namespace ds;
using graph::Builder;
using graph::Dim;
using graph::Json;
using graph::Value;

at::Tensor uniform(std::vector<std::int64_t> shape, double low, double high, std::uint64_t key) {
  at::Tensor t = at::zeros(shape);
  exec::fill_uniform(t, low, high, key);
  return t;
}

/// The greatest difference.
double gap(const at::Tensor& a, const at::Tensor& b) { return a.detach().sub(b.detach()).abs().max().item().toDouble(); }

Json scales(Json attrs, double x, int x_zero, double y, int y_zero) {
  attrs["x_scale"] = x, attrs["x_zero_point"] = x_zero, attrs["y_scale"] = y, attrs["y_zero_point"] = y_zero;
  return attrs;
}

Json conv_attrs(std::int64_t out, std::int64_t kernel, std::int64_t padding, std::int64_t groups, bool relu) {
  return {{"out_channels", out}, {"kernel", {kernel, kernel}}, {"padding", {padding, padding}}, {"groups", groups}, {"relu", relu}};
}

/// quantize, four convolutions (plain, with residual, depthwise, grouped), qadd, the three pools, qlinear to float.
exec::Model small_net() {
  Builder b;
  const Value image = b.input("image", graph::DType::kF32, {Dim::symbol("N"), 3, 11, 9});
  const Value x = b.node("quantize", "x", {image}, {{"scale", 0.02}, {"zero_point", 60}});
  const Value c1 = b.node("qconv2d", "c1", {x}, scales(conv_attrs(12, 3, 1, 1, true), 0.02, 60, 0.03, 5));
  Json attrs = scales(conv_attrs(12, 3, 1, 1, true), 0.03, 5, 0.05, 9);
  attrs["residual_scale"] = 0.03, attrs["residual_zero_point"] = 5;
  const Value c2 = b.node("qconv2d", "c2", {c1, c1}, attrs);
  const Value p = b.node("qmax_pool2d", "p", {c2}, {{"kernel", {2, 2}}, {"stride", {2, 2}}});
  const Value dw = b.node("qconv2d", "dw", {p}, scales(conv_attrs(12, 3, 1, 12, false), 0.05, 9, 0.04, 70), {}, {"bias"});
  const Json add{{"a_scale", 0.05}, {"a_zero_point", 9},  {"b_scale", 0.04}, {"b_zero_point", 70},
                 {"y_scale", 0.06}, {"y_zero_point", 40}, {"relu", true}};
  const Value sum = b.node("qadd", "sum", {p, dw}, add);
  const Value g = b.node("qconv2d", "g", {sum}, scales(conv_attrs(8, 1, 0, 4, true), 0.06, 40, 0.05, 0));
  const Value ap = b.node("qavg_pool2d", "ap", {g}, scales({{"kernel", {2, 2}}, {"stride", {1, 1}}, {"padding", {1, 1}}}, 0.05, 0, 0.04, 3));
  const Value gp = b.node("qglobal_avg_pool", "gp", {ap}, scales(Json::object(), 0.04, 3, 0.03, 1));
  const Value flat = b.flatten("flat", gp);
  Json last{{"out_features", 5}, {"x_scale", 0.03}, {"x_zero_point", 1}, {"dequantize", true}};
  b.output("logits", b.node("qlinear", "fc", {flat}, last));
  exec::Model model = exec::make_model(b.finish(), 1);
  std::uint64_t key = 10;
  for (const auto& spec : model.graph.tensors) {
    at::Tensor& t = model.tensors.at(spec.name);
    ++key;
    if (t.scalar_type() == at::kChar) t.copy_(uniform(spec.shape, -127, 127, key).round());
    if (t.scalar_type() == at::kInt) t.copy_(uniform(spec.shape, -9000, 9000, key).round());
    if (t.scalar_type() == at::kFloat) t.copy_(uniform(spec.shape, 1e-3, 4e-3, key));
  }
  return model;
}

std::vector<std::uint8_t> bytes(const at::Tensor& t) {
  const at::Tensor ordered = t.dim() == 4 ? t.contiguous(at::MemoryFormat::ChannelsLast) : t.contiguous();
  const std::uint8_t* data = ordered.const_data_ptr<std::uint8_t>();
  return {data, data + t.numel()};
}

/// The reference's answer to a qconv2d node.
std::vector<std::uint8_t> reference(const exec::Model& model, const std::string& name, const at::Tensor& x, const at::Tensor& residual) {
  const graph::Node& node = *model.graph.find_node(name);
  const graph::NodeView v(model.graph, node, {});
  exec::simd::Int8Conv p{};
  const auto in = bytes(x), other = residual.defined() ? bytes(residual) : in;
  p.x = in.data();
  p.batch = x.size(0), p.channels = x.size(1), p.height = x.size(2), p.width = x.size(3);
  p.kernel_h = p.kernel_w = v.ints("kernel")[0], p.pad_h = p.pad_w = v.ints("padding")[0];
  p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = 1;
  p.groups = v.i("groups"), p.out_channels = v.i("out_channels");
  p.out_height = p.height + 2 * p.pad_h - p.kernel_h + 1, p.out_width = p.width + 2 * p.pad_w - p.kernel_w + 1;
  p.x_zero = int(v.i("x_zero_point")), p.y_zero = int(v.i("y_zero_point")), p.low = v.b("relu") ? p.y_zero : 0;
  if (residual.defined()) p.residual = other.data();
  p.residual_zero = int(v.i("residual_zero_point")), p.residual_multiplier = float(v.f("residual_scale") / v.f("y_scale"));
  std::vector<std::uint8_t> y(std::size_t(p.batch * p.out_height * p.out_width * p.out_channels));
  p.y = y.data();
  std::vector<float> multiplier;
  for (std::int64_t o = 0; o < p.out_channels; ++o)
    multiplier.push_back(exec::int8_multiplier(v.f("x_scale"), model.tensors.at(name + ".weight_scale")[o].item().toFloat(), v.f("y_scale")));
  const bool biased = model.tensors.count(name + ".bias") != 0;
  test::int8::conv(p, model.tensors.at(name + ".weight").const_data_ptr<std::int8_t>(),
                   biased ? model.tensors.at(name + ".bias").const_data_ptr<std::int32_t>() : nullptr, multiplier.data());
  return y;
}

TEST_CASE("exec: int8 convolutions of a net equal the integer reference, in both memory formats") {
  exec::Model model = small_net();
  exec::Executor executor(model);
  const at::Tensor image = uniform({3, 3, 11, 9}, -1, 1, 3);
  at::Tensor first;
  for (const bool channels_last : {true, false}) {
    const auto y = executor.run({image}, {}, {.channels_last = channels_last, .fetch = {"x", "c1", "c2", "p", "dw", "sum", "g"}});
    CHECK((y[0].scalar_type() == at::kFloat));
    CHECK((y[1].scalar_type() == at::kByte));
    CHECK(bytes(y[2]) == reference(model, "c1", y[1], {}));
    CHECK(bytes(y[3]) == reference(model, "c2", y[2], y[2]));
    CHECK(bytes(y[5]) == reference(model, "dw", y[4], {}));
    CHECK(bytes(y[7]) == reference(model, "g", y[6], {}));
    if (first.defined()) CHECK(first.equal(y[0]));
    first = y[0];
  }
}

TEST_CASE("exec: int8 convolutions whose padding differs at opposite sides equal those of the padded picture, bit for bit") {
  // plain, depthwise, 1x1 with padding at the end alone
  for (const auto& [kernel, stride, groups, out] : {std::array<std::int64_t, 4>{3, 2, 1, 8}, {3, 2, 8, 8}, {5, 1, 8, 8}, {1, 1, 1, 5}, {3, 1, 2, 8}}) {
    CAPTURE(kernel);
    CAPTURE(groups);
    const std::int64_t top = kernel == 1 ? 0 : kernel / 2 - 1, bottom = top + 2, left = kernel / 2, right = left + 1;
    const auto net = [&](std::int64_t height, std::int64_t width, const Json& padding) {
      Builder b;
      const Value image = b.input("image", graph::DType::kF32, {Dim::symbol("N"), 8, height, width});
      const Value x = b.node("quantize", "x", {image}, {{"scale", 0.02}, {"zero_point", 60}});
      Json attrs = scales(conv_attrs(out, kernel, 0, groups, false), 0.02, 60, 0.05, 64);
      attrs["padding"] = padding, attrs["stride"] = {stride, stride};
      b.output("y", b.node("qconv2d", "c", {x}, attrs));
      exec::Model model = exec::make_model(b.finish(), 1);
      model.tensors.at("c.weight").copy_(uniform(model.graph.tensor("c.weight").shape, -127, 127, 5).round());
      model.tensors.at("c.weight_scale").fill_(2e-3);
      model.tensors.at("c.bias").copy_(uniform({out}, -9000, 9000, 6).round());
      return model;
    };
    const at::Tensor image = uniform({2, 8, 10, 9}, -1, 1, 3);
    at::Tensor around = at::zeros({2, 8, 10 + top + bottom, 9 + left + right});
    around.narrow(2, top, 10).narrow(3, left, 9).copy_(image);
    exec::Model sides = net(10, 9, {top, left, bottom, right}), whole = net(around.size(2), around.size(3), {0, 0});
    CHECK(exec::Executor(sides).run({image}, {})[0].equal(exec::Executor(whole).run({around}, {})[0]));
  }
}

TEST_CASE("exec: an int8 net is within rounding of the same arithmetic in float64") {
  exec::Model model = small_net();
  exec::Executor executor(model);
  const auto y = executor.run({uniform({2, 3, 11, 9}, -1, 1, 4)}, {}, {.fetch = {"x", "c1", "ap", "gp", "sum", "p", "dw"}});
  const auto real = [](const at::Tensor& q, double scale, double zero) { return q.to(at::kDouble).sub(zero).mul(scale); };
  const at::Tensor s = model.tensors.at("c1.weight_scale").to(at::kDouble).reshape({-1, 1, 1, 1});
  const at::Tensor w = model.tensors.at("c1.weight").to(at::kDouble).mul(s);
  const at::Tensor b = model.tensors.at("c1.bias").to(at::kDouble).mul(s.flatten()).mul(0.02);
  const at::Tensor c1 = at::convolution(real(y[1], 0.02, 60), w, b, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, 1).clamp(0, 0.03 * (127 - 5));
  CHECK(gap(c1, real(y[2], 0.03, 5)) <= 0.015 * 1.0001);
  const at::Tensor sum = real(y[6], 0.05, 9).add(real(y[7], 0.04, 70)).clamp(0, 0.06 * (127 - 40));
  CHECK(gap(sum, real(y[5], 0.06, 40)) <= 0.03 * 1.0001);
  const at::Tensor mean = real(y[3], 0.04, 3).mean({2, 3}, true);
  CHECK(gap(mean, real(y[4], 0.03, 1)) <= 0.015 * 1.0001);
  const at::Tensor t = model.tensors.at("fc.weight_scale").to(at::kDouble);
  const at::Tensor fc = at::linear(real(y[4], 0.03, 1).flatten(1), model.tensors.at("fc.weight").to(at::kDouble).mul(t.unsqueeze(1)),
                                   model.tensors.at("fc.bias").to(at::kDouble).mul(t).mul(0.03));
  CHECK(gap(fc, y[0]) < 1e-5);
}

TEST_CASE("exec: a sliced int8 net equals the one whose removed channels are 0, bit for bit") {
  exec::Model model = small_net();
  const graph::ChannelClasses classes = graph::channel_classes(model.graph);
  std::set<int> removed;
  for (const auto& group : classes.groups)
    if (!group.frozen && group.classes.size() > 2) removed.insert({group.classes[0], group.classes[group.classes.size() / 2]});
  REQUIRE(!removed.empty());
  const graph::Keep keep = graph::keep_without(model.graph, classes, removed);
  exec::Model sliced;
  sliced.graph = graph::slice_graph(model.graph, keep);
  for (const auto& [name, tensor] : model.tensors) sliced.tensors[name] = exec::to_tensor(graph::slice_array(exec::to_array(tensor), name, keep));
  CHECK(sliced.tensors.at("c1.weight").size(0) < 12);
  CHECK(sliced.tensors.at("c1.weight_scale").size(0) == sliced.tensors.at("c1.weight").size(0));
  for (const int c : removed)  // output channels that are gone give a real 0
    for (const auto& [member, indices] : classes.classes[std::size_t(c)].members)
      if (member.second == 0 && model.tensors.at(member.first).scalar_type() != at::kFloat)
        for (const std::int64_t i : indices) model.tensors.at(member.first).select(0, i).zero_();
  exec::Executor masked(model), small(sliced);
  const at::Tensor image = uniform({2, 3, 11, 9}, -1, 1, 5);
  CHECK(masked.run({image}, {})[0].equal(small.run({image}, {})[0]));
}

TEST_CASE("exec: packed weights follow the tensors that they were made from") {
  exec::Model model = small_net();
  exec::Executor executor(model);
  const at::Tensor image = uniform({1, 3, 11, 9}, -1, 1, 6), before = executor.run({image}, {})[0];
  CHECK(executor.run({image}, {})[0].equal(before));
  model.tensors.at("c1.weight").neg_();
  const at::Tensor after = executor.run({image}, {})[0];
  CHECK(!after.equal(before));
  exec::Executor fresh(model);
  CHECK(fresh.run({image}, {})[0].equal(after));
}

TEST_CASE("exec: what int8 cannot mean is refused") {
  exec::Model model = small_net();
  const at::Tensor image = uniform({1, 3, 11, 9}, -1, 1, 7);
  const auto code = [&](exec::Model& m) {
    try {
      exec::Executor executor(m);
      executor.run({image}, {});
    } catch (const Error& e) {
      return e.code();
    }
    return Exit::kDone;
  };
  exec::Model bad = model.clone();
  bad.tensors.at("c2.weight").fill_(-128);
  CHECK((code(bad) == Exit::kInput));
  bad = model.clone();
  bad.tensors.at("c2.weight_scale").fill_(std::nan(""));
  CHECK((code(bad) == Exit::kInput));
  bad = model.clone();
  bad.graph.find_node("c2")->attrs["x_zero_point"] = 128;
  CHECK_THROWS_AS(graph::verify(bad.graph, "test"), Error);
  bad = model.clone();
  bad.graph.find_node("c2")->attrs["dequantize"] = true;
  CHECK_THROWS_AS(graph::verify(bad.graph, "test"), Error);
  bad = model.clone();
  bad.graph.find_node("c1")->inputs = {"image"};
  CHECK_THROWS_AS(graph::verify(bad.graph, "test"), Error);
}

TEST_CASE("exec: fake quantization gives the values of quantize and dequantize, and a straight-through gradient") {
  Builder b;
  const Value image = b.input("image", graph::DType::kF32, {Dim::symbol("N"), 2, 3, 3});
  const Value q = b.node("quantize", "q", {image}, {{"scale", 0.07}, {"zero_point", 30}});
  b.output("real", b.node("dequantize", "d", {q}, {{"scale", 0.07}, {"zero_point", 30}}));
  b.output("fake", b.node("fake_quantize", "f", {image}, {{"scale", 0.07}, {"zero_point", 30}}));
  exec::Model model = exec::make_model(b.finish(), 1);
  exec::Executor executor(model);
  const at::Tensor image_values = uniform({40, 2, 3, 3}, -10, 10, 8);
  const auto y = executor.run({image_values}, {});
  CHECK(y[0].equal(y[1]));

  // By hand: scale 1/2, zero 10: the range is -5 .. 58.5; halves go to even.
  at::Tensor x = at::arange(8, at::kFloat).mul(0.25).sub(1).requires_grad_(true);  // -1 .. 0.75
  x.data()[0] = -5.3f, x.data()[7] = 60.f;
  const at::Tensor f = exec::fake_quantize(x, 0.5, 10);
  const float expected[8] = {-5.f, -1.f, -0.5f, 0.f, 0.f, 0.f, 0.5f, 58.5f};  // -0.75 / 0.5 = -1.5 -> -2; 0.25 / 0.5 -> 0
  for (int i = 0; i < 8; ++i) CHECK(f[i].item().toFloat() == expected[i]);
  f.sum().backward();
  const float gradient[8] = {0, 1, 1, 1, 1, 1, 1, 0};
  for (int i = 0; i < 8; ++i) CHECK(x.grad()[i].item().toFloat() == gradient[i]);
}

TEST_CASE("exec: fake-quantized layers round weights a channel and pass the gradient to the float ones") {
  Builder b;
  const Value image = b.input("image", graph::DType::kF32, {Dim::symbol("N"), 4, 6, 6});
  const Value c = b.node("fake_conv2d", "c", {image}, {{"out_channels", 6}, {"kernel", {3, 3}}, {"groups", 2}});
  b.output("y", b.node("fake_linear", "l", {b.flatten("flat", c)}, {{"out_features", 3}}));
  exec::Model model = exec::make_model(b.finish(), 3);
  model.require_grad(true);
  exec::Executor executor(model);
  const at::Tensor image_values = uniform({2, 4, 6, 6}, -1, 1, 9);
  const at::Tensor y = executor.run({image_values}, {.training = true}, {.training = true})[0];
  y.square().sum().backward();

  const auto rounded = [](const at::Tensor& w) {
    at::Tensor r = w.detach().clone();
    for (std::int64_t o = 0; o < r.size(0); ++o) {
      const double s = double(float(r[o].abs().max().item().toFloat() / 127));
      at::Tensor row = r[o].flatten();
      for (std::int64_t i = 0; i < row.numel(); ++i) row[i] = float(std::nearbyint(float(row[i].item().toFloat() / float(s)))) * float(s);
      r[o].copy_(row.reshape(r[o].sizes()));
    }
    return r.requires_grad_(true);
  };
  const at::Tensor wc = rounded(model.tensors.at("c.weight")), wl = rounded(model.tensors.at("l.weight"));
  const at::Tensor conv = at::convolution(image_values, wc, model.tensors.at("c.bias").detach(), {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 2);
  const at::Tensor plain = at::linear(conv.flatten(1), wl, model.tensors.at("l.bias").detach());
  CHECK(gap(plain, y) < 1e-5);
  plain.square().sum().backward();
  CHECK(gap(wc.grad(), model.tensors.at("c.weight").grad()) < 1e-4);
  CHECK(gap(wl.grad(), model.tensors.at("l.weight").grad()) < 1e-4);
}

}  // namespace

TEST_CASE("exec: int8 maximum pooling that rounds up is the float one of the same codes") {
  for (const std::int64_t padding : {0, 1}) {
    Builder b;
    const Json pool = {{"kernel", {3, 2}}, {"stride", {2, 3}}, {"padding", {padding, padding}}, {"ceil_mode", true}}, scale = {{"scale", 0.02}, {"zero_point", 60}};
    const Value codes = b.node("quantize", "codes", {b.input("image", graph::DType::kF32, {Dim::symbol("N"), 3, 10, 8})}, scale);
    b.output("int8", b.node("dequantize", "int8", {b.node("qmax_pool2d", "q", {codes}, pool)}, scale));
    b.output("float", b.node("max_pool2d", "float", {b.node("dequantize", "x", {codes}, scale)}, pool));
    exec::Model model = exec::make_model(b.finish(), 1);
    const auto outputs = exec::Executor(model).run({uniform({2, 3, 10, 8}, -1, 1, 5)}, {});
    CHECK(outputs[0].sizes().vec() == std::vector<std::int64_t>{2, 3, padding == 0 ? 5 : 6, 3});
    CHECK(outputs[0].equal(outputs[1]));
  }
}

TEST_CASE("exec: the product of codes is the reference's, with a gate spread over pixels or the same shape") {
  for (const std::vector<std::int64_t>& gate : {std::vector<std::int64_t>{2, 5, 1, 1}, {2, 5, 3, 4}}) {
    Builder b;
    const Json a_scale = {{"scale", 0.03}, {"zero_point", 20}}, b_scale = {{"scale", 0.01}, {"zero_point", 3}};
    const Value a = b.node("quantize", "a", {b.input("image", graph::DType::kF32, {Dim::symbol("N"), 5, 3, 4})}, a_scale);
    const Value g = b.node("quantize", "g", {b.input("gate", graph::DType::kF32, {Dim::symbol("N"), 5, gate[2], gate[3]})}, b_scale);
    b.output("a", a);
    b.output("g", g);
    b.output("y", b.node("qmul", "y", {a, g}, {{"a_scale", 0.03}, {"a_zero_point", 20}, {"b_scale", 0.01}, {"b_zero_point", 3}, {"y_scale", 0.02}, {"y_zero_point", 40}}));
    exec::Model model = exec::make_model(b.finish(), 1);
    const auto out = exec::Executor(model).run({uniform({2, 5, 3, 4}, -1, 4, 5), uniform(gate, -0.1, 1.3, 6)}, {});
    const at::Tensor codes_a = out[0].contiguous(), codes_g = out[1].expand({2, 5, 3, 4}).contiguous(), y = out[2].contiguous();
    std::set<int> seen;
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      CHECK(y.const_data_ptr<std::uint8_t>()[i] == test::int8::mul(codes_a.const_data_ptr<std::uint8_t>()[i], 20, codes_g.const_data_ptr<std::uint8_t>()[i], 3,
                                                                   float(0.03 * 0.01 / 0.02), 40));
      seen.insert(y.const_data_ptr<std::uint8_t>()[i]);
    }
    CHECK(seen.size() > 10);
  }
}

TEST_CASE("exec: layers with a function behind them: the reference's table, near the float function, and its fake-quantized twin") {
  struct Function {
    const char* name;
    double (*f)(double);
    float low, high;  ///< of the table; high 0: a unit beyond what the codes can hold
  };
  const Function functions[] = {{"silu", [](double v) { return v / (1 + std::exp(-v)); }, -16, 0},
                                {"sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); }, -16, 16},
                                {"tanh", [](double v) { return std::tanh(v); }, -16, 16},
                                {"hardsigmoid", [](double v) { return std::min(std::max(v + 3, 0.0), 6.0) / 6; }, -3, 3},
                                {"hardswish", [](double v) { return v * std::min(std::max(v + 3, 0.0), 6.0) / 6; }, -3, 0},
                                {"gelu", [](double v) { return 0.5 * v * std::erfc(-v * M_SQRT1_2); }, -8, 0},
                                {"gelu_tanh", [](double v) { return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))); }, -8, 0}};
  for (const Function& function : functions) {
    CAPTURE(function.name);
    Builder b;
    const Value x = b.node("quantize", "x", {b.input("image", graph::DType::kF32, {Dim::symbol("N"), 3, 9, 7})}, {{"scale", 0.05}, {"zero_point", 60}});
    Json plain = scales(conv_attrs(5, 3, 1, 1, false), 0.05, 60, 0.04, 20), with = plain;
    plain["dequantize"] = true, with["activation"] = function.name;
    b.output("v", b.node("qconv2d", "v", {x}, plain));
    b.output("y", b.node("qconv2d", "y", {x}, with));
    exec::Model model = exec::make_model(b.finish(), 3);
    for (const char* name : {"v", "y"}) {
      at::Tensor &w = model.tensors.at(std::string(name) + ".weight"), &s = model.tensors.at(std::string(name) + ".weight_scale");
      for (std::int64_t i = 0; i < w.numel(); ++i) w.mutable_data_ptr<std::int8_t>()[i] = std::int8_t((i * 37) % 255 - 127);
      s.fill_(0.003f);
    }
    const auto out = exec::Executor(model).run({uniform({3, 3, 9, 7}, -3, 3, 8)}, {});
    const at::Tensor v = out[0].contiguous(), y = out[1].contiguous();
    const double high = function.high > 0 ? double(function.high) : 107 * 0.04 + 1;
    const auto steps = float(4095 / (high - double(function.low)));
    std::set<int> seen;
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      const float value = v.const_data_ptr<float>()[i];
      const std::uint8_t code = y.const_data_ptr<std::uint8_t>()[i];
      CHECK(code == test::int8::look_up(value, function.low, steps, function.f, 0.04, 20));
      const double held = std::min(std::max(function.f(double(value)), -0.8), 4.28);
      CHECK(std::abs((int(code) - 20) * 0.04 - held) < 0.02 + 0.006);
      seen.insert(code);
    }
    CHECK(seen.size() > 8);
  }
}

TEST_CASE("exec: an int8 linear layer on four axes works on the last one") {
  Builder b;
  const Value x = b.node("quantize", "x", {b.input("image", graph::DType::kF32, {Dim::symbol("N"), 3, 4, 5})}, {{"scale", 0.02}, {"zero_point", 60}});
  b.output("four", b.node("qlinear", "l", {x}, {{"out_features", 6}, {"x_scale", 0.02}, {"x_zero_point", 60}, {"dequantize", true}}));
  const Value flat = b.node("reshape", "flat", {x}, {{"shape", {0, 12, 5}}});
  b.output("three", b.node("qlinear", "m", {flat}, {{"out_features", 6}, {"x_scale", 0.02}, {"x_zero_point", 60}, {"dequantize", true}},
                           {{"weight", {"l.weight"}}, {"weight_scale", {"l.weight_scale"}}, {"bias", {"l.bias"}}}));
  exec::Model model = exec::make_model(b.finish(), 1);
  at::Tensor& w = model.tensors.at("l.weight");
  for (std::int64_t i = 0; i < w.numel(); ++i) w.mutable_data_ptr<std::int8_t>()[i] = std::int8_t((i * 37) % 255 - 127);
  const auto out = exec::Executor(model).run({uniform({2, 3, 4, 5}, -1, 1, 5)}, {});
  CHECK(out[0].reshape({2, 12, 6}).equal(out[1]));
}
