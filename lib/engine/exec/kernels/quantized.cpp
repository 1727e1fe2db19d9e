// int8 layers on our own kernels, and the float layers that train for them. Values between int8 layers are uint8, 4-D ones channels-last.
#include <ATen/Parallel.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <cmath>

#include "base/core/error.h"
#include "engine/exec/int8.h"
#include "engine/exec/kernel.h"
#include "engine/exec/padding.h"
#include "engine/exec/simd/int8_pack.h"
#include "engine/exec/simd/simd.h"

namespace ds::exec::kernels::quantized {

/// The tensor in the order that the kernels read: channels-last where it has 4 axes.
at::Tensor in_order(const at::Tensor& x) { return x.dim() == 4 ? x.contiguous(at::MemoryFormat::ChannelsLast) : x.contiguous(); }

at::Tensor empty_in_order(at::IntArrayRef sizes, at::ScalarType type) {
  return at::empty(sizes, at::TensorOptions().dtype(type), sizes.size() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

/// Pixels a thread takes at least: about 64k multiply-accumulates (or as many bytes moved).
std::int64_t grain(std::int64_t work) { return std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(work, 1)); }

class Quantize final : public Kernel {
 public:
  explicit Quantize(const graph::NodeView& v) : scale_(float(v.f("scale"))), zero_(std::int32_t(v.i("zero_point"))) {}

  void run(StepArgs& a) override {
    const simd::Int8Kernels& int8 = *simd::kernels().int8;
    const at::Tensor x = a.in().to(at::kFloat);
    at::Tensor y = empty_in_order(x.sizes(), at::kByte);
    std::uint8_t* to = y.mutable_data_ptr<std::uint8_t>();
    if (x.dim() == 4 && x.is_contiguous() && !x.is_contiguous(at::MemoryFormat::ChannelsLast)) {
      const std::int64_t C = x.size(1), pixels = x.size(2) * x.size(3);
      const float* from = x.const_data_ptr<float>();
      at::parallel_for(0, x.size(0) * pixels, grain(C), [&](std::int64_t begin, std::int64_t end) {
        int8.quantize_nchw(from, C, pixels, begin, end, scale_, zero_, to);
      });
    } else {
      const at::Tensor ordered = in_order(x);
      const float* from = ordered.const_data_ptr<float>();
      at::parallel_for(0, x.numel(), grain(1), [&](std::int64_t begin, std::int64_t end) {
        int8.quantize(from + begin, end - begin, scale_, zero_, to + begin);
      });
    }
    a.out(std::move(y));
  }

 private:
  float scale_;
  std::int32_t zero_;
};

std::unique_ptr<Kernel> quantize(const BindContext& c) { return std::make_unique<Quantize>(c.view); }

std::unique_ptr<Kernel> dequantize(const BindContext& c) {
  return kernel([scale = float(c.view.f("scale")), zero = std::int32_t(c.view.i("zero_point"))](StepArgs& a) {
    const at::Tensor x = in_order(a.in());
    at::Tensor y = empty_in_order(x.sizes(), at::kFloat);
    const std::uint8_t* from = x.const_data_ptr<std::uint8_t>();
    float* to = y.mutable_data_ptr<float>();
    at::parallel_for(0, x.numel(), grain(1), [&](std::int64_t begin, std::int64_t end) {
      simd::kernels().int8->dequantize(from + begin, end - begin, scale, zero, to + begin);
    });
    a.out(std::move(y));
  });
}

/// qconv2d and qlinear. Weights are packed in the first run, and again when the slots hold other tensors or were written to.
class Weighted final : public Kernel {
 public:
  explicit Weighted(const graph::NodeView& v)
      : name_(v.node().name), conv_(v.node().op == "qconv2d"), x_scale_(v.f("x_scale")), y_scale_(v.b("dequantize") ? 1 : v.f("y_scale")),
        relu_(v.b("relu")), to_float_(v.b("dequantize")) {
    if (v.s("activation") != "none") {
      activation_ = std::make_unique<Int8Activation>(int8_activation(v.s("activation"), y_scale_, v.i("y_zero_point")));
      y_scale_ = 1;  // the table has it
    }
    p_.x_zero = std::int32_t(v.i("x_zero_point"));
    p_.y_zero = std::int32_t(v.i("y_zero_point"));
    p_.low = relu_ ? p_.y_zero : 0;
    p_.residual_zero = std::int32_t(v.i("residual_zero_point"));
    p_.residual_multiplier = float(v.f("residual_scale") / y_scale_);
    p_.kernel_h = p_.kernel_w = p_.stride_h = p_.stride_w = p_.dilation_h = p_.dilation_w = p_.groups = 1;
    if (!conv_) return;
    const auto stride = v.ints("stride"), dilation = v.ints("dilation"), kernel = v.ints("kernel");
    const Padding padding(v);
    p_.kernel_h = kernel[0], p_.kernel_w = kernel[1], p_.stride_h = stride[0], p_.stride_w = stride[1];
    p_.pad_h = padding.top, p_.pad_w = padding.left, end_h_ = padding.bottom, end_w_ = padding.right;
    p_.dilation_h = dilation[0], p_.dilation_w = dilation[1];
    p_.groups = v.i("groups");
  }

  void run(StepArgs& a) override {
    pack(a.slot(0), a.slot(1), a.slot(2));
    const at::Tensor x = conv_ ? in_order(a.in()) : a.in().contiguous();  // features of a linear layer are the last axis, of four axes too
    simd::Int8Conv p = p_;
    p.x = x.const_data_ptr<std::uint8_t>();
    p.out_channels = weight_.size(0);
    std::vector<std::int64_t> sizes = x.sizes().vec();
    if (conv_) {
      p.batch = x.size(0), p.channels = x.size(1), p.height = x.size(2), p.width = x.size(3);
      p.out_height = (p.height + p.pad_h + end_h_ - p.dilation_h * (p.kernel_h - 1) - 1) / p.stride_h + 1;
      p.out_width = (p.width + p.pad_w + end_w_ - p.dilation_w * (p.kernel_w - 1) - 1) / p.stride_w + 1;
      sizes = {p.batch, p.out_channels, p.out_height, p.out_width};
    } else {
      p.channels = sizes.back();
      p.batch = x.numel() / p.channels;
      p.height = p.width = p.out_height = p.out_width = 1;
      sizes.back() = p.out_channels;
    }
    at::Tensor y = conv_ ? empty_in_order(sizes, to_float_ ? at::kFloat : at::kByte) : at::empty(sizes, to_float_ ? at::kFloat : at::kByte);
    p.y = to_float_ ? nullptr : y.mutable_data_ptr<std::uint8_t>();
    p.y_float = to_float_ ? y.mutable_data_ptr<float>() : nullptr;
    const at::Tensor residual = a.inputs() > 1 ? (conv_ ? in_order(a.in(1)) : a.in(1).contiguous()) : at::Tensor();
    p.residual = residual.defined() ? residual.const_data_ptr<std::uint8_t>() : nullptr;
    multiply(p);
    if (to_float_ && relu_) y.relu_();
    a.out(std::move(y));
  }

  void forget() override { weight_ = at::Tensor(); }

 private:
  void multiply(const simd::Int8Conv& p) {
    const std::int64_t pixels = p.batch * p.out_height * p.out_width, depth = p.kernel_h * p.kernel_w * p.channels / p.groups;
    const std::int64_t bytes = simd::conv_scratch_bytes(p) / 64 * 64 + 64;
    if (activation_) return multiply_and_look_up(p, pixels, depth, bytes);
    scratch_.resize(std::size_t(bytes * at::get_num_threads()));
    at::parallel_for(0, pixels, grain(depth * p.out_channels), [&](std::int64_t begin, std::int64_t end) {
      simd::run_conv(*simd::kernels().int8, p, packed_, begin, end, scratch_.data() + bytes * at::get_thread_num());
    });
  }

  /// Some pixels at a time as floats, which stay in the cache, and from there as codes.
  void multiply_and_look_up(const simd::Int8Conv& p, std::int64_t pixels, std::int64_t depth, std::int64_t bytes) {
    const std::int64_t whole = bytes + simd::kTileRows * p.out_channels * std::int64_t(sizeof(float)) / 64 * 64 + 64;
    scratch_.resize(std::size_t(whole * at::get_num_threads()));
    at::parallel_for(0, pixels, grain(depth * p.out_channels), [&](std::int64_t begin, std::int64_t end) {
      std::uint8_t* scratch = scratch_.data() + whole * at::get_thread_num();
      auto* values = reinterpret_cast<float*>(scratch + bytes + (64 - reinterpret_cast<std::uintptr_t>(scratch + bytes) % 64) % 64);
      for (std::int64_t at = begin; at < end; at += simd::kTileRows) {
        const std::int64_t stop = std::min(end, at + simd::kTileRows);
        simd::Int8Conv part = p;
        part.y = nullptr;
        // The kernel writes pixel i at y_float + i * out_channels.
        part.y_float = reinterpret_cast<float*>(reinterpret_cast<std::uintptr_t>(values) - std::uintptr_t(at * p.out_channels) * sizeof(float));
        simd::run_conv(*simd::kernels().int8, part, packed_, at, stop, scratch);
        activation_->apply(values, (stop - at) * p.out_channels, p.y + at * p.out_channels);
      }
    });
  }

  static std::int64_t version(const at::Tensor& t) { return t.defined() && !t.is_inference() ? std::int64_t(t._version()) : 0; }

  void pack(const at::Tensor& weight, const at::Tensor& scale, const at::Tensor& bias) {
    const std::int64_t versions = version(weight) + version(scale) + version(bias);
    const auto same = [](const at::Tensor& a, const at::Tensor& b) { return a.is_same(b); };
    if (weight_.defined() && same(weight, weight_) && same(scale, scale_) && same(bias, bias_) && versions == versions_) return;
    const at::Tensor w = weight.contiguous(), s = scale.to(at::kDouble).contiguous(), b = bias.defined() ? bias.contiguous() : bias;
    const std::int64_t out = w.size(0);
    const std::int8_t* values = w.const_data_ptr<std::int8_t>();
    for (std::int64_t i = 0; i < w.numel(); ++i)
      if (values[i] == -128) throw Error(Exit::kInput, name_, "weight " + std::to_string(i) + " is -128, expected -127 to 127");
    std::vector<float> multiplier(static_cast<std::size_t>(out));
    for (std::int64_t o = 0; o < out; ++o) {
      const double scale_o = s.const_data_ptr<double>()[o];
      multiplier[std::size_t(o)] = int8_multiplier(x_scale_, scale_o, y_scale_);
      if (!(scale_o > 0) || !std::isfinite(multiplier[std::size_t(o)]))
        throw Error(Exit::kInput, name_,
                    "weight_scale " + std::to_string(o) + " is " + std::to_string(scale_o) + ", expected a positive number, not too large");
    }
    packed_ = simd::pack_conv(values, out, w.size(1), p_.kernel_h, p_.kernel_w, p_.groups, b.defined() ? b.const_data_ptr<std::int32_t>() : nullptr,
                              p_.x_zero, multiplier.data());
    weight_ = weight, scale_ = scale, bias_ = bias, versions_ = versions;
  }

  std::string name_;
  bool conv_;
  double x_scale_, y_scale_;
  bool relu_, to_float_;
  std::unique_ptr<Int8Activation> activation_;
  simd::Int8Conv p_{};
  std::int64_t end_h_ = 0, end_w_ = 0;  ///< padding behind the last row and column
  simd::PackedConv packed_;
  at::Tensor weight_, scale_, bias_;  // what packed_ was made from
  std::int64_t versions_ = 0;
  std::vector<std::uint8_t> scratch_;  // a part a thread
};

std::unique_ptr<Kernel> weighted(const BindContext& c) { return std::make_unique<Weighted>(c.view); }

std::unique_ptr<Kernel> qadd(const BindContext& c) {
  simd::Int8Add p{};
  const graph::NodeView& v = c.view;
  p.a_zero = std::int32_t(v.i("a_zero_point")), p.b_zero = std::int32_t(v.i("b_zero_point")), p.y_zero = std::int32_t(v.i("y_zero_point"));
  p.low = v.b("relu") ? p.y_zero : 0;
  p.a_ratio = float(v.f("a_scale") / v.f("y_scale")), p.b_ratio = float(v.f("b_scale") / v.f("y_scale"));
  return kernel([p](StepArgs& args) {
    simd::Int8Add add = p;
    const at::Tensor a = in_order(args.in(0)), b = in_order(args.in(1));
    at::Tensor y = empty_in_order(a.sizes(), at::kByte);
    add.a = a.const_data_ptr<std::uint8_t>(), add.b = b.const_data_ptr<std::uint8_t>(), add.y = y.mutable_data_ptr<std::uint8_t>();
    at::parallel_for(0, a.numel(), grain(1), [&](std::int64_t begin, std::int64_t end) { simd::kernels().int8->add(add, begin, end); });
    args.out(std::move(y));
  });
}

/// Bytes of a gate are those of a channel, or of as many elements in a row as it is spread over.
std::unique_ptr<Kernel> qmul(const BindContext& c) {
  const graph::NodeView& v = c.view;
  const auto a_zero = std::int32_t(v.i("a_zero_point")), b_zero = std::int32_t(v.i("b_zero_point")), y_zero = std::int32_t(v.i("y_zero_point"));
  const float ratio = float(v.f("a_scale") * v.f("b_scale") / v.f("y_scale"));
  return kernel([=](StepArgs& args) {
    const at::Tensor a = in_order(args.in(0)), b = in_order(args.in(1).expand_as(a));
    at::Tensor y = empty_in_order(a.sizes(), at::kByte);
    const auto *x = a.const_data_ptr<std::uint8_t>(), *g = b.const_data_ptr<std::uint8_t>();
    auto* to = y.mutable_data_ptr<std::uint8_t>();
    at::parallel_for(0, a.numel(), grain(1), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const float product = float((std::int32_t(x[i]) - a_zero) * (std::int32_t(g[i]) - b_zero)) * ratio;
        const float shifted = float(y_zero) + std::nearbyintf(product), lower = shifted > 0 ? shifted : 0;
        to[i] = std::uint8_t(lower < 127 ? lower : 127);
      }
    });
    args.out(std::move(y));
  });
}

/// @param average else maximum    @param global the window is the picture
std::unique_ptr<Kernel> pool(const graph::NodeView& v, bool average, bool global) {
  simd::Int8Pool p{};
  p.dilation_h = p.dilation_w = p.stride_h = p.stride_w = 1;
  if (!global) {
    const auto kernel = v.ints("kernel"), stride = v.ints("stride"), padding = v.ints("padding");
    p.kernel_h = kernel[0], p.kernel_w = kernel[1], p.stride_h = stride[0], p.stride_w = stride[1], p.pad_h = padding[0], p.pad_w = padding[1];
  }
  if (average) {
    p.count_padding = global || v.b("count_include_pad");
    p.x_zero = std::int32_t(v.i("x_zero_point")), p.y_zero = std::int32_t(v.i("y_zero_point"));
    p.ratio = float(v.f("x_scale") / v.f("y_scale"));
  }
  // How far the last window may stick out, as in graph::opset::window.
  const bool ceil = !average && v.b("ceil_mode");
  const std::int64_t beyond_h = ceil ? std::min(p.stride_h - 1, p.kernel_h - p.pad_h - 1) : 0;
  const std::int64_t beyond_w = ceil ? std::min(p.stride_w - 1, p.kernel_w - p.pad_w - 1) : 0;
  return kernel([p, average, global, beyond_h, beyond_w](StepArgs& a) {
    simd::Int8Pool pool = p;
    const at::Tensor x = in_order(a.in());
    pool.x = x.const_data_ptr<std::uint8_t>();
    pool.channels = x.size(1), pool.height = x.size(2), pool.width = x.size(3);
    if (global) pool.kernel_h = pool.height, pool.kernel_w = pool.width;
    pool.out_height = (pool.height + 2 * pool.pad_h + beyond_h - pool.kernel_h) / pool.stride_h + 1;
    pool.out_width = (pool.width + 2 * pool.pad_w + beyond_w - pool.kernel_w) / pool.stride_w + 1;
    at::Tensor y = empty_in_order({x.size(0), pool.channels, pool.out_height, pool.out_width}, at::kByte);
    pool.y = y.mutable_data_ptr<std::uint8_t>();
    const auto run = average ? simd::kernels().int8->avg_pool : simd::kernels().int8->max_pool;
    at::parallel_for(0, x.size(0) * pool.out_height * pool.out_width, grain(pool.channels * pool.kernel_h * pool.kernel_w),
                     [&](std::int64_t begin, std::int64_t end) { run(pool, begin, end); });
    a.out(std::move(y));
  });
}

std::unique_ptr<Kernel> qmax_pool2d(const BindContext& c) { return pool(c.view, false, false); }
std::unique_ptr<Kernel> qavg_pool2d(const BindContext& c) { return pool(c.view, true, false); }
std::unique_ptr<Kernel> qglobal_avg_pool(const BindContext& c) { return pool(c.view, true, true); }

std::unique_ptr<Kernel> fake_quantize_kernel(const BindContext& c) {
  return kernel([scale = c.view.f("scale"), zero = c.view.i("zero_point")](StepArgs& a) {
    const at::Tensor& x = a.in();
    const bool half = x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble;
    a.out(fake_quantize(half ? x.to(at::kFloat) : x, scale, zero));
  });
}

std::unique_ptr<Kernel> fake_conv2d(const BindContext& c) {
  const graph::NodeView& v = c.view;
  return kernel([stride = v.ints("stride"), padding = Padding(v), dilation = v.ints("dilation"), groups = v.i("groups")](StepArgs& a) {
    const at::Tensor w = fake_quantize_weight(a.slot(0));
    a.out(at::convolution(padding.around(a.in().to(w.scalar_type())), w, a.slot(1), stride, padding.rest(), dilation, /*transposed=*/false, {0, 0}, groups));
  });
}

std::unique_ptr<Kernel> fake_linear(const BindContext& c) {
  return kernel([transposed = c.view.b("transposed")](StepArgs& a) {
    const at::Tensor w = fake_quantize_weight(transposed ? a.slot(0).t() : a.slot(0));
    a.out(at::linear(a.in().to(w.scalar_type()), w, a.slot(1)));
  });
}

const core::Body<MakeKernel> bodies[] = {{"kernel", "quantize", quantize},
                                         {"kernel", "dequantize", dequantize},
                                         {"kernel", "fake_quantize", fake_quantize_kernel},
                                         {"kernel", "qconv2d", weighted},
                                         {"kernel", "qlinear", weighted},
                                         {"kernel", "qadd", qadd},
                                         {"kernel", "qmul", qmul},
                                         {"kernel", "qmax_pool2d", qmax_pool2d},
                                         {"kernel", "qavg_pool2d", qavg_pool2d},
                                         {"kernel", "qglobal_avg_pool", qglobal_avg_pool},
                                         {"kernel", "fake_conv2d", fake_conv2d},
                                         {"kernel", "fake_linear", fake_linear}};

}  // namespace ds::exec::kernels::quantized
