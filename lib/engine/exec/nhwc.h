// Own training kernels on channels-last float32 values, CPU: each is one autograd node.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace ds::exec {

/// True where the kernels below apply: CPU, float32, [N, C, H, W] channels-last, and not while TorchScript's tracer looks on.
bool is_nhwc(const at::Tensor& x);

/// Batch normalisation by the batch's own statistics (Ioffe & Szegedy 2015), then ReLU where `relu`.
/// @param x [N, C, H, W], channels-last, float32; N*H*W > 1   @param weight, bias, running_mean, running_var [C] float32
/// @return [N, C, H, W], channels-last. `update`: the running statistics move by `momentum` (unbiased variance), as in torch.
/// The bytes do not depend on the number of threads: sums go over fixed blocks of rows, in order.
at::Tensor batch_norm_train(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                            const at::Tensor& running_var, double momentum, double eps, bool relu, bool update);
/// The same by running statistics. Without gradients only.
at::Tensor batch_norm_infer(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                            const at::Tensor& running_var, double eps, bool relu);

/// 2x2 max pooling of stride 2 (odd sizes drop the last row or column). The first of equal values takes the gradient.
/// @param x [N, C, H, W], channels-last, float32   @return [N, C, H/2, W/2], channels-last
at::Tensor max_pool2x2(const at::Tensor& x);

}  // namespace ds::exec
