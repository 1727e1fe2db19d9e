#include "engine/exec/nhwc.h"

#include <ATen/TracerMode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "engine/exec/simd/simd.h"

namespace ds::exec {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kBlock = 256;  // rows a partial sum: float within, double across

const simd::RowKernels& rows_table() { return *simd::kernels().rows; }

std::int64_t rows_of(const at::Tensor& x) { return x.numel() / x.size(1); }

/// Runs f(first row, rows, a[C], b[C]) over fixed blocks in parallel and adds the blocks up in order.
template <class F>
void reduce(std::int64_t rows, std::int64_t C, std::vector<double>& a, std::vector<double>& b, F f) {
  const std::int64_t blocks = (rows + kBlock - 1) / kBlock;
  std::vector<float> partial(std::size_t(blocks * 2 * C), 0.f);
  at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      f(i * kBlock, std::min(kBlock, rows - i * kBlock), &partial[std::size_t(i * 2 * C)], &partial[std::size_t((i * 2 + 1) * C)]);
  });
  a.assign(std::size_t(C), 0);
  b.assign(std::size_t(C), 0);
  for (std::int64_t i = 0; i < blocks; ++i)
    for (std::int64_t c = 0; c < C; ++c) {
      a[std::size_t(c)] += partial[std::size_t(i * 2 * C + c)];
      b[std::size_t(c)] += partial[std::size_t((i * 2 + 1) * C + c)];
    }
}

void apply_scale(const at::Tensor& x, const float* scale, const float* offset, bool relu, at::Tensor& y) {
  const std::int64_t C = x.size(1);
  const float* in = x.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  at::parallel_for(0, rows_of(x), kBlock, [&](std::int64_t b, std::int64_t e) {
    rows_table().scale_offset(in + b * C, scale, offset, e - b, C, relu, out + b * C);
  });
}

struct BatchNorm : torch::autograd::Function<BatchNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& running_mean, const at::Tensor& running_var, double momentum, double eps, bool relu, bool update) {
    const std::int64_t C = x.size(1), rows = rows_of(x);
    const float* in = x.const_data_ptr<float>();
    std::vector<double> sum, square;
    // Shifted by the first row, so that the squares do not cancel where the mean is large.
    reduce(rows, C, sum, square, [&](std::int64_t first, std::int64_t n, float* s, float* q) { rows_table().moments(in + first * C, in, n, C, s, q); });

    const at::Tensor stats = at::empty({4, C}, weight.options().requires_grad(false));  // mean, 1/deviation, scale, offset
    float *m = stats.mutable_data_ptr<float>(), *s = m + C, *scale = s + C, *offset = scale + C;
    float* rm = update ? running_mean.mutable_data_ptr<float>() : nullptr;
    float* rv = rm ? running_var.mutable_data_ptr<float>() : nullptr;
    const float *w = weight.const_data_ptr<float>(), *shift = bias.const_data_ptr<float>();
    for (std::int64_t c = 0; c < C; ++c) {
      const double d = sum[std::size_t(c)] / double(rows), variance = std::max(0.0, square[std::size_t(c)] / double(rows) - d * d);
      const double mean = in[c] + d, invstd = 1 / std::sqrt(variance + eps);
      m[c] = float(mean);
      s[c] = float(invstd);
      scale[c] = float(w[c] * invstd);
      offset[c] = float(shift[c] - mean * w[c] * invstd);
      if (!rm) continue;
      rm[c] = float((1 - momentum) * rm[c] + momentum * mean);
      rv[c] = float((1 - momentum) * rv[c] + momentum * variance * double(rows) / double(rows - 1));
    }
    at::Tensor y = at::empty_like(x);
    apply_scale(x, scale, offset, relu, y);
    context->save_for_backward({x, stats});
    context->saved_data["relu"] = relu;
    return y;
  }

  // dx = w s (dz - mean(dz) - (x - m) s^2 mean(dz (x - m))); ReLU's mask comes again from x, scale and offset: y is not kept.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &stats = saved[1];
    const bool relu = context->saved_data["relu"].toBool();
    const at::Tensor dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const std::int64_t C = x.size(1), rows = rows_of(x);
    const float *g = dy.const_data_ptr<float>(), *in = x.const_data_ptr<float>();
    const float *m = stats.const_data_ptr<float>(), *s = m + C, *scale = s + C, *offset = scale + C;
    std::vector<double> sum, dot;
    reduce(rows, C, sum, dot, [&](std::int64_t first, std::int64_t n, float* a, float* b) {
      rows_table().backward_sums(g + first * C, in + first * C, scale, offset, m, n, C, relu, a, b);
    });
    at::Tensor dweight = at::empty({C}, stats.options()), dbias = at::empty({C}, stats.options()), dx = at::empty_like(x);
    std::vector<float> slope(static_cast<std::size_t>(C)), constant(slope);
    for (std::int64_t c = 0; c < C; ++c) {
      const std::size_t i = std::size_t(c);
      const double k = -double(scale[c]) * s[c] * s[c] * dot[i] / double(rows);
      dweight.mutable_data_ptr<float>()[c] = float(dot[i] * s[c]);
      dbias.mutable_data_ptr<float>()[c] = float(sum[i]);
      slope[i] = float(k);
      constant[i] = float(-double(scale[c]) * sum[i] / double(rows) - k * m[c]);
    }
    float* d = dx.mutable_data_ptr<float>();
    at::parallel_for(0, rows, kBlock, [&](std::int64_t first, std::int64_t last) {
      const std::int64_t o = first * C;
      rows_table().backward(g + o, in + o, scale, offset, slope.data(), constant.data(), last - first, C, relu, d + o);
    });
    return {dx, dweight, dbias, {}, {}, {}, {}, {}, {}};
  }
};

struct MaxPool2x2 : torch::autograd::Function<MaxPool2x2> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    const std::int64_t N = x.size(0), C = x.size(1), H = x.size(2), W = x.size(3), h = H / 2, w = W / 2;
    at::Tensor y = at::empty({N, C, h, w}, x.options().requires_grad(false), at::MemoryFormat::ChannelsLast);
    const at::Tensor which = at::empty({N * h * w * C}, x.options().requires_grad(false).dtype(at::kByte));
    const float* in = x.const_data_ptr<float>();
    float* out = y.mutable_data_ptr<float>();
    std::uint8_t* at = which.mutable_data_ptr<std::uint8_t>();
    at::parallel_for(0, N * h, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const float* top = in + ((r / h) * H + (r % h) * 2) * W * C;
        rows_table().max_pool(top, top + W * C, w, C, out + r * w * C, at + r * w * C);
      }
    });
    context->save_for_backward({which});
    context->saved_data["height"] = H;
    context->saved_data["width"] = W;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor which = context->get_saved_variables()[0], dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const std::int64_t N = dy.size(0), C = dy.size(1), h = dy.size(2), w = dy.size(3);
    const std::int64_t H = context->saved_data["height"].toInt(), W = context->saved_data["width"].toInt();
    at::Tensor dx = at::empty({N, C, H, W}, dy.options(), at::MemoryFormat::ChannelsLast);
    if (H % 2 || W % 2) dx.zero_();
    const float* g = dy.const_data_ptr<float>();
    float* d = dx.mutable_data_ptr<float>();
    const std::uint8_t* at = which.const_data_ptr<std::uint8_t>();
    at::parallel_for(0, N * h, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        float* top = d + ((r / h) * H + (r % h) * 2) * W * C;
        rows_table().max_unpool(g + r * w * C, at + r * w * C, w, C, top, top + W * C);
      }
    });
    return {dx};
  }
};

}  // namespace

bool is_nhwc(const at::Tensor& x) {
  if (at::tracer::impl::is_dispatch_enabled()) return false;  // a trace sees ATen's ops alone
  return x.dim() == 4 && x.scalar_type() == at::kFloat && x.is_cpu() && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor batch_norm_train(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                            const at::Tensor& running_var, double momentum, double eps, bool relu, bool update) {
  return BatchNorm::apply(x, weight, bias, running_mean, running_var, momentum, eps, relu, update);
}

at::Tensor batch_norm_infer(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                            const at::Tensor& running_var, double eps, bool relu) {
  const std::int64_t C = x.size(1);
  std::vector<float> scale(static_cast<std::size_t>(C)), offset(scale);
  const float *w = weight.const_data_ptr<float>(), *b = bias.const_data_ptr<float>();
  const float *mean = running_mean.const_data_ptr<float>(), *variance = running_var.const_data_ptr<float>();
  for (std::int64_t c = 0; c < C; ++c) {
    const double k = w[c] / std::sqrt(double(variance[c]) + eps);
    scale[std::size_t(c)] = float(k);
    offset[std::size_t(c)] = float(b[c] - mean[c] * k);
  }
  at::Tensor y = at::empty_like(x);
  apply_scale(x, scale.data(), offset.data(), relu, y);
  return y;
}

at::Tensor max_pool2x2(const at::Tensor& x) { return MaxPool2x2::apply(x); }

}  // namespace ds::exec
