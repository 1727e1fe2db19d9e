// Every op in float64: the outputs keep the precision, and autograd's gradients are those of finite differences.
#include <ATen/ops/arange.h>
#include <c10/core/GradMode.h>
#include <doctest/doctest.h>

#include <set>

#include "base/graph/schema.h"
#include "engine/exec/executor.h"

using namespace ds;

namespace {

/// A small net around one op, in the form that people write.
struct Sample {
  const char *op, *inputs, *nodes, *output = "y";
};

constexpr const char *kRow = "{name: x, dims: [N, 6]}", *kImage = "{name: x, dims: [N, 4, 6, 5]}", *kTokens = "{name: x, dims: [N, S, 6]}",
                    *kMasked = "{name: x, dims: [N, S, 6]}, {name: mask, dims: [N, S], dtype: int64}";

const Sample kSamples[] = {
    {"relu", kRow, "{name: y, op: relu}"},
    {"relu6", kRow, "{name: first, op: linear, attrs: {out_features: 6}}, {name: y, op: relu6}"},
    {"sigmoid", kRow, "{name: y, op: sigmoid}"},
    {"hardsigmoid", kRow, "{name: first, op: linear, attrs: {out_features: 6}}, {name: y, op: hardsigmoid}"},
    {"tanh", kRow, "{name: y, op: tanh}"},
    {"silu", kRow, "{name: y, op: silu}"},
    {"hardswish", kRow, "{name: y, op: hardswish}"},
    {"gelu", kRow, "{name: y, op: gelu}"},
    {"gelu", kRow, "{name: y, op: gelu, attrs: {approximate: tanh}}"},
    {"softmax", kTokens, "{name: y, op: softmax, attrs: {axis: -1}}"},
    {"identity", kRow, "{name: y, op: identity}"},
    {"dropout", kImage, "{name: y, op: dropout, attrs: {p: 0.4}}"},
    {"drop_path", kTokens, "{name: y, op: drop_path, attrs: {p: 0.4}}"},
    {"dropout2d", kImage, "{name: y, op: dropout2d, attrs: {p: 0.4}}"},
    {"conv2d", kImage, "{name: y, op: conv2d, attrs: {out_channels: 3, kernel: [3, 2], stride: [2, 1], padding: [1, 0]}}"},
    {"conv2d", kImage, "{name: y, op: conv2d, attrs: {out_channels: 8, kernel: [3, 3], dilation: [2, 1], groups: 4}, slots: {bias: ~}}"},
    {"conv2d", kImage, "{name: y, op: conv2d, attrs: {out_channels: 3, kernel: [3, 3], stride: [2, 2], padding: [0, 1, 1, 2]}}"},
    {"linear", kTokens, "{name: y, op: linear, attrs: {out_features: 3}}"},
    {"batch_norm2d", kImage, "{name: y, op: batch_norm2d}"},
    {"batch_norm2d", kRow, "{name: y, op: batch_norm2d}"},
    {"batch_norm2d", kImage, "{name: bn, op: batch_norm2d}, {name: y, op: relu}"},
    {"layer_norm", kTokens, "{name: y, op: layer_norm}"},
    {"group_norm", kImage, "{name: y, op: group_norm, attrs: {groups: 2}}"},
    {"max_pool2d", kImage, "{name: y, op: max_pool2d, attrs: {kernel: [2, 2], stride: [2, 2]}}"},
    {"max_pool2d", kImage, "{name: y, op: max_pool2d, attrs: {kernel: [3, 3], stride: [2, 1], padding: [1, 1]}}"},
    {"max_pool2d", kImage, "{name: y, op: max_pool2d, attrs: {kernel: [3, 2], stride: [2, 2], ceil_mode: true}}"},
    {"avg_pool2d", kImage, "{name: y, op: avg_pool2d, attrs: {kernel: [3, 2], stride: [2, 2], padding: [1, 1], count_include_pad: false}}"},
    {"adaptive_avg_pool2d", kImage, "{name: y, op: adaptive_avg_pool2d, attrs: {size: [4, 7]}}"},
    {"global_avg_pool", kImage, "{name: y, op: global_avg_pool}"},
    {"mean", kTokens, "{name: y, op: mean, attrs: {axes: [1], keepdim: false}}"},
    {"add", kRow, "{name: a, op: tanh}, {name: y, op: add, inputs: [a, x]}"},
    {"add", kRow, "{name: y, op: add, inputs: [x, x]}"},
    {"mul", kImage, "{name: gate, op: global_avg_pool}, {name: y, op: mul, inputs: [x, gate]}"},
    {"concat", kRow, "{name: a, op: tanh}, {name: y, op: concat, inputs: [a, x, x], attrs: {axis: 1}}"},
    {"split", kRow, "{name: s, op: split, attrs: {axis: 1, sizes: [4, 2]}}, {name: y, op: concat, inputs: ['s:1', s], attrs: {axis: 1}}"},
    {"slice", kRow, "{name: y, op: slice, attrs: {axis: 1, begin: 1, end: 4}}"},
    {"select", kTokens, "{name: y, op: select, attrs: {axis: 1, index: 0}}"},
    {"reshape", kImage, "{name: y, op: reshape, attrs: {shape: [0, 2, 60]}}"},
    {"flatten", kImage, "{name: y, op: flatten}"},
    {"permute", kImage, "{name: y, op: permute, attrs: {dims: [0, 2, 3, 1]}}"},
    {"reorder", kImage, "{name: y, op: reorder, attrs: {axis: 1, order: [2, 0, 3, 1]}}"},
    {"reorder", kRow, "{name: y, op: reorder, attrs: {axis: -1, order: [5, 4, 0, 1, 3, 2]}}"},
    {"attention", kTokens, "{name: y, op: attention, inputs: [x, x, x], attrs: {heads: 2}}"},
    {"attention", kTokens,
     "{name: q, op: linear, attrs: {out_features: 8}}, {name: k, op: linear, inputs: [x], attrs: {out_features: 4}}, "
     "{name: v, op: linear, inputs: [x], attrs: {out_features: 4}}, {name: y, op: attention, inputs: [q, k, v], attrs: {heads: 4, kv_heads: 2, causal: true}}"},
    {"attention", kMasked,
     "{name: m, op: key_mask, inputs: [mask]}, {name: y, op: attention, inputs: [x, x, x, m], attrs: {heads: 2, causal: true, scale: 0.3}}"},
    {"masked_mean", kMasked, "{name: y, op: masked_mean, inputs: [x, mask]}"},
    {"conv1d", kTokens,
     "{name: turn, op: permute, attrs: {dims: [0, 2, 1]}}, "
     "{name: y, op: conv1d, attrs: {out_channels: 3, kernel: 2, dilation: 2, padding: [2, 0]}}"},
    {"conv1d", kTokens,
     "{name: turn, op: permute, attrs: {dims: [0, 2, 1]}}, "
     "{name: y, op: conv1d, attrs: {out_channels: 4, kernel: 3, stride: 2, padding: [1], groups: 2}, slots: {bias: ~}}"},
    {"linear", kTokens, "{name: y, op: linear, attrs: {out_features: 3, transposed: true}}"},
    {"rms_norm", kTokens, "{name: y, op: rms_norm}"},
    {"scale", kRow, "{name: y, op: scale, attrs: {factor: -0.25}}"},
    {"rope", kTokens, "{name: y, op: rope, attrs: {heads: 1, base: 100}}"},
    {"rope", kTokens,
     "{name: q, op: linear, attrs: {out_features: 16}}, "
     "{name: y, op: rope, attrs: {heads: 2, base: 100, scaling: llama3, factor: 4, original_positions: 16}}"},
    {"relative_bias", kTokens,
     "{name: bias, op: relative_bias, inputs: [x, x], attrs: {heads: 2, buckets: 8, max_distance: 6}}, "
     "{name: y, op: attention, inputs: [x, x, x, bias], attrs: {heads: 2}}"},
    {"last_token", kMasked, "{name: y, op: last_token, inputs: [x, mask]}"},
    {"lstm", kTokens, "{name: y, op: lstm, attrs: {hidden: 3}}"},
    {"lstm", kMasked, "{name: y, op: lstm, inputs: [x, mask], attrs: {hidden: 4, reverse: true}}"},
    {"gru", kTokens, "{name: y, op: gru, attrs: {hidden: 3}, slots: {bias_ih: ~, bias_hh: ~}}"},
    {"gru", kMasked, "{name: y, op: gru, inputs: [x, mask], attrs: {hidden: 4, reverse: true}}"},
    {"l2_normalize", kTokens, "{name: y, op: l2_normalize}"},
    {"embedding", "{name: ids, dims: [N, S], dtype: int64}", "{name: y, op: embedding, attrs: {num_embeddings: 5, dim: 3}}"},
    {"tensor", kTokens,
     "{name: token, op: tensor, inputs: [x], slots: {value: class_token}}, {name: y, op: concat, inputs: [token, x], attrs: {axis: 1}}"},
    {"conv_transpose2d", kImage,
     "{name: y, op: conv_transpose2d, attrs: {out_channels: 3, kernel: [3, 2], stride: [2, 3], padding: [1, 0], output_padding: [1, 2]}}"},
    {"conv_transpose2d", kImage, "{name: y, op: conv_transpose2d, attrs: {out_channels: 6, kernel: [2, 2], dilation: [2, 1], groups: 2}, slots: {bias: ~}}"},
    {"upsample2d", kImage, "{name: y, op: upsample2d, attrs: {scale: [2, 3]}}"},
    {"upsample2d", kImage, "{name: y, op: upsample2d, attrs: {scale: [2, 3], mode: bilinear}}"},
    {"upsample2d", kImage, "{name: y, op: upsample2d, attrs: {scale: [2, 2], mode: bilinear, align_corners: true}}"},
    {"pad", kImage, "{name: y, op: pad, attrs: {axes: [-1, 1], before: [1, 2], after: [0, 3], value: 0.5}}"},
    {"roll", kImage, "{name: y, op: roll, attrs: {axes: [2, -1], shifts: [-2, 1]}}"},
    {"window_mask", "{name: x, dims: [6, 2, 1, 1]}",
     "{name: m, op: window_mask, attrs: {size: [4, 6], window: [2, 2], shift: [1, 1], value: -3}}, {name: y, op: mul, inputs: [x, m]}"},
    {"gather", kImage, "{name: i, op: tensor, slots: {value: index}}, {name: y, op: gather, inputs: [x, i], attrs: {axis: 2}}"},
    {"clamp", kRow, "{name: y, op: clamp, attrs: {min: -0.4, max: 0.9}}"},
    {"exp", kRow, "{name: y, op: exp}"},
    {"fake_quantize", kRow, "{name: y, op: fake_quantize, attrs: {scale: 0.05, zero_point: 64}}"},
    {"fake_conv2d", kImage, "{name: y, op: fake_conv2d, attrs: {out_channels: 3, kernel: [3, 3]}}"},
    {"fake_linear", kRow, "{name: y, op: fake_linear, attrs: {out_features: 3}}"},
};

/// Ops on integers have no float64 form (masks and positions: tokens_test.cpp); the others of int8 training round, so that differences of outputs
/// are steps.
bool integer(const std::string& op) { return op[0] == 'q' || op == "dequantize" || op == "key_mask" || op == "position_ids"; }
bool rounds(const std::string& op) { return op.starts_with("fake_"); }

at::Tensor wave(const std::vector<std::int64_t>& shape, double step) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return at::arange(1, n + 1, at::TensorOptions().dtype(at::kDouble)).mul(step).sin().mul(1.3).reshape(shape).contiguous();
}

exec::Model build(const Sample& sample) {
  std::string text = "inputs: [" + std::string(sample.inputs) + "]\nnodes: [" + sample.nodes + "]\noutputs: [{name: out, value: " + sample.output + "}]\n";
  if (std::string(sample.op) == "tensor") text += "tensors: [{name: class_token, shape: [1, 1, 6]}]\n";
  if (std::string(sample.op) == "gather") text += "tensors: [{name: index, shape: [2, 2], dtype: int64, role: constant}]\n";
  exec::Model model = exec::make_model(graph::from_yaml(text, sample.op), 1);
  model.to(at::kDouble);
  double step = 0.31;
  for (auto& [name, tensor] : model.tensors)
    if (name == "index") tensor.copy_(at::arange(4).mul(3).fmod(6).reshape({2, 2}));
    else if (!name.ends_with("running_var")) tensor.copy_(wave(tensor.sizes().vec(), step += 0.13));
  return model;
}

at::Tensor input_of(const exec::Model& model, std::size_t i = 0) {
  const graph::Input& input = model.graph.inputs[i];
  std::vector<std::int64_t> shape;
  for (const graph::Dim& dim : input.type.dims) shape.push_back(dim.evaluate({{"N", 3}, {"S", 4}}));
  if (input.type.dtype == graph::DType::kI64) return at::arange(12).fmod(5).reshape(shape);
  return wave(shape, 0.77);
}

/// The outputs against fixed weights, so that every element counts.
at::Tensor loss(exec::Model& model, const at::Tensor& x, const exec::PlanOptions& options) {
  const exec::RunContext context{.training = true, .step = 2, .seed = 9, .update_statistics = false};
  std::vector<at::Tensor> inputs{x};
  while (inputs.size() < model.graph.inputs.size()) inputs.push_back(input_of(model, inputs.size()));
  const at::Tensor y = exec::Executor(model).run(inputs, context, options).at(0);
  REQUIRE((y.scalar_type() == at::kDouble));
  return y.mul(wave(y.sizes().vec(), 0.53)).sum();
}

/// Largest difference between the gradient and the central difference, over at most 12 elements.
double worst(exec::Model& model, at::Tensor x, const at::Tensor& tensor, const at::Tensor& gradient, const exec::PlanOptions& options) {
  const c10::NoGradGuard off;
  at::Tensor flat = tensor.view({-1});
  const at::Tensor expected = gradient.contiguous().view({-1});
  const std::int64_t stride = std::max<std::int64_t>(1, flat.numel() / 12);
  double most = 0;
  for (std::int64_t i = 0; i < flat.numel(); i += stride) {
    const double at = flat[i].item<double>(), h = 1e-5;
    double sides[2];
    for (const int side : {0, 1}) {
      flat[i].fill_(at + (side ? h : -h));
      sides[side] = loss(model, x, options).item<double>();
    }
    flat[i].fill_(at);
    most = std::max(most, std::abs((sides[1] - sides[0]) / (2 * h) - expected[i].item<double>()));
  }
  return most;
}

}  // namespace

TEST_CASE("exec: every op has a kernel, and its float form is tested here") {
  std::set<std::string> here;
  for (const Sample& sample : kSamples) here.insert(sample.op);
  for (const graph::Op* op : graph::ops()) {
    CAPTURE(op->name);
    CHECK_NOTHROW(core::body<exec::MakeKernel>("kernel", op->name));
    CHECK(here.count(op->name) == (integer(op->name) ? 0 : 1));
  }
}

TEST_CASE("exec: every op runs in float64, and its gradients are those of finite differences") {
  for (const Sample& sample : kSamples) {
    CAPTURE(sample.nodes);
    for (const exec::PlanOptions& options : {exec::PlanOptions{.training = true, .channels_last = true, .fuse = true},
                                            exec::PlanOptions{.training = true, .channels_last = false, .fuse = false}}) {
      exec::Model model = build(sample);
      at::Tensor x = input_of(model);
      if (rounds(sample.op)) {
        loss(model, x, options);
        continue;
      }
      model.require_grad(true);
      if (x.is_floating_point()) x.requires_grad_(true);
      loss(model, x, options).backward();
      if (x.requires_grad()) CHECK(worst(model, x, x.detach(), x.grad(), options) <= 1e-7);
      for (const std::string& name : model.parameters()) {
        CAPTURE(name);
        const at::Tensor& tensor = model.tensors.at(name);
        REQUIRE(tensor.grad().defined());
        CHECK(worst(model, x, tensor.detach(), tensor.grad(), options) <= 1e-7);
      }
    }
  }
}

TEST_CASE("exec: a tensor that several slots share collects the gradients of all, rows of one those of their own") {
  graph::Graph graph = graph::from_yaml(R"(
inputs: [{name: x, dims: [N, 4]}]
tensors:
  - {name: shared, shape: [8, 4]}
nodes:
  - {name: q, op: linear, attrs: {out_features: 4}, slots: {weight: "shared[0:4]", bias: ~}}
  - {name: k, op: linear, inputs: [x], attrs: {out_features: 4}, slots: {weight: "shared[4:8]", bias: ~}}
  - {name: both, op: mul, inputs: [q, k]}
  - {name: y, op: linear, attrs: {out_features: 8}, slots: {weight: shared, bias: ~}}
outputs: [{name: out, value: y}]
)",
                                        "shared.yaml");
  exec::Model model = exec::make_model(std::move(graph), 1);
  model.to(at::kDouble);
  model.tensors.at("shared").copy_(wave({8, 4}, 0.4));
  model.require_grad(true);
  const exec::PlanOptions options{.training = true};
  const at::Tensor x = input_of(model);
  loss(model, x, options).backward();
  const at::Tensor& tensor = model.tensors.at("shared");
  CHECK(worst(model, x, tensor.detach(), tensor.grad(), options) <= 1e-7);
  CHECK(model.parameters() == std::vector<std::string>{"shared"});
}
