// Dropout and stochastic depth on keyed streams: the mask is drawn again in backward, nothing but ids is saved.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "engine/exec/random.h"
#include "engine/exec/simd/simd.h"

namespace ds::exec {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor ids_of(const at::Tensor& ids, std::int64_t rows) {
  return ids.defined() ? ids.contiguous() : at::arange(rows, at::TensorOptions().dtype(at::kLong));
}

/// Applies the mask. The element's number is its place in the sample in logical order [C, H, W], whatever the memory format, so that a
/// layout changes no draw.
at::Tensor masked(const at::Tensor& input, double p, std::uint64_t key, std::int64_t step, const at::Tensor& ids) {
  const at::Tensor x = input.contiguous();
  const std::int64_t rows = x.size(0), length = rows == 0 ? 0 : x.numel() / rows;
  at::Tensor y = at::empty_like(x);
  const auto threshold = std::uint32_t(p * 4294967296.0);
  const double scale = 1 / (1 - p);
  const std::int64_t* id = ids.const_data_ptr<std::int64_t>();
  at::parallel_for(0, rows, std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(length, 1)), [&](std::int64_t begin, std::int64_t end) {
    if (x.scalar_type() == at::kFloat) {
      simd::kernels().rows->dropout(x.const_data_ptr<float>() + begin * length, end - begin, length, id + begin, key, std::uint32_t(step), threshold,
                                    float(scale), y.mutable_data_ptr<float>() + begin * length);
      return;
    }
    std::vector<std::uint32_t> words(static_cast<std::size_t>(length));
    const double* in = x.const_data_ptr<double>();
    double* out = y.mutable_data_ptr<double>();
    for (std::int64_t r = begin; r < end; ++r) {
      simd::kernels().rows->philox_words(key, std::uint32_t(step), std::uint64_t(id[r]), 0, length, words.data());
      for (std::int64_t i = 0; i < length; ++i) out[r * length + i] = words[std::size_t(i)] >= threshold ? in[r * length + i] * scale : 0;
    }
  });
  return y;
}

struct KeyedDropout : torch::autograd::Function<KeyedDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double p, std::int64_t key, std::int64_t step, const at::Tensor& ids) {
    context->saved_data["p"] = p;
    context->saved_data["key"] = key;
    context->saved_data["step"] = step;
    context->save_for_backward({ids});
    return masked(x, p, std::uint64_t(key), step, ids);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {masked(gradients[0], context->saved_data["p"].toDouble(), std::uint64_t(context->saved_data["key"].toInt()),
                   context->saved_data["step"].toInt(), context->get_saved_variables()[0]),
            {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, std::uint64_t key, std::int64_t step, const at::Tensor& sample_ids) {
  if (p <= 0) return x;
  if (p >= 1) return x.mul(0);
  const bool wide = x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble;
  const at::Tensor y = KeyedDropout::apply(wide ? x : x.to(at::kFloat), p, std::int64_t(key), step, ids_of(sample_ids, x.size(0)));
  return wide ? y : y.to(x.scalar_type());
}

at::Tensor drop_path(const at::Tensor& x, double p, std::uint64_t key, std::int64_t step, const at::Tensor& sample_ids) {
  if (p <= 0) return x;
  const at::Tensor ids = ids_of(sample_ids, x.size(0));
  std::vector<std::int64_t> shape(std::size_t(x.dim()), 1);
  shape[0] = x.size(0);
  at::Tensor keep = at::empty({x.size(0)}, x.options().requires_grad(false));
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    Stream stream(key, std::uint64_t(step), std::uint64_t(ids.const_data_ptr<std::int64_t>()[n]));
    keep[n].fill_(stream.uniform() >= p ? 1 / (1 - p) : 0.0);
  }
  return x.mul(keep.view(shape));
}

}  // namespace ds::exec
