// Stands in for libnvidia-ml.so.1 on a machine without a GPU: two GPUs with known figures.
extern "C" {

struct Utilization {
  unsigned gpu, memory;
};
struct Memory {
  unsigned long long total, free, used;
};

int nvmlInit_v2() { return 0; }

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  static char devices[2];
  if (index > 1) return 2;  // NVML_ERROR_INVALID_ARGUMENT
  *device = &devices[index];
  return 0;
}

int nvmlDeviceGetUtilizationRates(void*, Utilization* utilization) {
  *utilization = {75, 10};
  return 0;
}

int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {80000000000ull, 60000000000ull, 20000000000ull};
  return 0;
}
}
