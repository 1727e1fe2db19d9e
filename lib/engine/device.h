// Which device a command runs on, settled before the first ATen call.
#pragma once
#include <string>

namespace ds::engine {

/// Number of GPUs that the driver (libcuda.so.1) offers; 0 where there is no driver. Loads no LibTorch library.
int gpu_count();

/// "cpu" or "cuda:N" for --device auto|cpu|cuda[:N], and loads libtorch_cuda.so in the latter case. `auto` is the CPU, since the
/// executor's kernels are written for it. Call it once, before any ATen call: ATen registers devices on its first use.
/// Throws ds::Error(kResource) where no such GPU is usable.
std::string select_device(const std::string& request);
/// What select_device settled; "cpu" before.
const std::string& device();

}  // namespace ds::engine
