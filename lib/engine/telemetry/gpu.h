// Use and memory of NVIDIA's GPUs, as the driver tells them.
#pragma once
#include <cstdint>
#include <vector>

namespace ds::telemetry {

struct GpuUse {
  int index = 0;
  double utilization = 0;  ///< share of the last sample period in which a kernel ran
  std::int64_t memory_used = 0, memory_total = 0;  ///< bytes, of all processes
};

/// Of every GPU; none where the machine has no driver (libnvidia-ml.so.1). From any thread.
std::vector<GpuUse> gpu_use();

}  // namespace ds::telemetry
