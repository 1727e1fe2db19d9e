#include "engine/device.h"

#include <dlfcn.h>

#include <cstdlib>

#include "base/core/error.h"

namespace ds::engine {
namespace {

std::string& settled() {
  static std::string name = "cpu";
  return name;
}

}  // namespace

int gpu_count() {
  static const int count = [] {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver == nullptr) return 0;
    auto* init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
    auto* get_count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
    int devices = 0;
    if (init == nullptr || get_count == nullptr || init(0) != 0 || get_count(&devices) != 0) return 0;
    return devices;
  }();
  return count;
}

std::string select_device(const std::string& request) {
  if (request == "auto" || request == "cpu") return settled() = "cpu";
  const int index = request.size() > 5 ? std::atoi(request.c_str() + 5) : 0;  // "cuda" or "cuda:N": run_tool has checked the form
  const int count = gpu_count();
  if (count == 0) throw Error(Exit::kResource, "--device", "no usable GPU: libcuda.so.1 is missing or reports no device", "use --device cpu");
  if (index >= count)
    throw Error(Exit::kResource, "--device", "no GPU " + std::to_string(index) + ", there are " + std::to_string(count), "use --device cuda:0");
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    throw Error(Exit::kResource, "--device", std::string("the CUDA part of LibTorch cannot be loaded: ") + dlerror(),
                "run scripts/setup.sh --cuda, or use --device cpu");
  // A result must never say of itself that it was made on a GPU when it was not.
  throw Error(Exit::kResource, "--device", "GPU " + std::to_string(index) + " is there, but this build has kernels for the CPU alone", "use --device cpu");
}

const std::string& device() { return settled(); }

}  // namespace ds::engine
