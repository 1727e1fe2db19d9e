// Which device a command runs on, settled before the first ATen call.
#pragma once
#include <string>

namespace ds::engine {

/// Number of GPUs that the driver (libcuda.so.1) offers; 0 where there is no driver. Loads no LibTorch library.
int gpu_count();

/// "cpu" for --device auto|cpu. For cuda[:N] the driver is asked first, then libtorch_cuda.so is loaded, and then ds::Error(kResource) is
/// thrown: the executor's kernels are written for the CPU. Each of the three ways to fail says which it was.
/// Call it once, before any ATen call: ATen registers devices on its first use.
std::string select_device(const std::string& request);
/// What select_device settled; "cpu" before.
const std::string& device();

}  // namespace ds::engine
