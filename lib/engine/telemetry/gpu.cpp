#include "engine/telemetry/gpu.h"

#include <dlfcn.h>

namespace ds::telemetry {
namespace {

// What is used of nvml.h ("NVML API Reference Guide", device queries). 0 = NVML_SUCCESS.
struct Utilization {
  unsigned gpu, memory;  ///< percent
};
struct Memory {
  unsigned long long total, free, used;
};

struct Nvml {
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, void**) = nullptr;
  int (*utilization)(void*, Utilization*) = nullptr;
  int (*memory)(void*, Memory*) = nullptr;
  bool there = false;

  Nvml() {
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    int (*init)() = nullptr;
    there = find(init, "nvmlInit_v2") && find(count, "nvmlDeviceGetCount_v2") && find(handle, "nvmlDeviceGetHandleByIndex_v2") &&
            find(utilization, "nvmlDeviceGetUtilizationRates") && find(memory, "nvmlDeviceGetMemoryInfo") && init() == 0;
  }
};

}  // namespace

std::vector<GpuUse> gpu_use() {
  static const Nvml nvml;
  std::vector<GpuUse> all;
  unsigned count = 0;
  if (!nvml.there || nvml.count(&count) != 0) return all;
  for (unsigned i = 0; i < count; ++i) {
    void* device = nullptr;
    Utilization utilization{};
    Memory memory{};
    if (nvml.handle(i, &device) != 0 || nvml.memory(device, &memory) != 0) continue;
    if (nvml.utilization(device, &utilization) != 0) utilization = {};  // not told by virtual ones
    all.push_back({static_cast<int>(i), utilization.gpu / 100.0, static_cast<std::int64_t>(memory.used), static_cast<std::int64_t>(memory.total)});
  }
  return all;
}

}  // namespace ds::telemetry
