#include "base/core/host.h"

#include <fmt/format.h>
#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/core/error.h"
#include "base/core/values.h"

namespace ds::core {
namespace {

std::int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  std::int64_t kib = 0;
  while (file >> name >> kib) {
    std::getline(file, unit);
    if (name == "MemAvailable:") return kib << 10;
  }
  return 0;
}

/// Limit of the process's cgroup or of one above it, 0 where there is none.
std::int64_t cgroup_limit() {
  std::int64_t limit = 0;
  const auto take = [&](const std::string& path) {
    std::ifstream file(path);
    std::int64_t bytes = 0;
    if (file >> bytes && bytes > 0 && (limit == 0 || bytes < limit)) limit = bytes;
  };
  take("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  std::ifstream self("/proc/self/cgroup");
  for (std::string line; std::getline(self, line);) {
    if (line.compare(0, 3, "0::") != 0) continue;
    for (std::string path = line.substr(3); !path.empty(); path = path.substr(0, path.rfind('/'))) take("/sys/fs/cgroup" + path + "/memory.max");
  }
  take("/sys/fs/cgroup/memory.max");
  return limit;
}

}  // namespace

const char* version() { return DS_VERSION; }

const char* cpu_isa() {
  const char* capability = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string_view wish = capability ? capability : "";
  if (wish == "default") return "baseline";
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (avx512 && wish != "avx2") return __builtin_cpu_supports("avx512vnni") ? "avx512-vnni" : "avx512";
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "avx2" : "baseline";
}

int thread_count(std::int64_t requested) {
  if (requested > 0) return static_cast<int>(requested);
  if (const char* slurm = std::getenv("SLURM_CPUS_PER_TASK")) {
    const auto cpus = parse_integer(slurm);
    if (cpus && *cpus > 0 && *cpus < 65536) return static_cast<int>(*cpus);
  }
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof mask, &mask) == 0 ? std::max(CPU_COUNT(&mask), 1) : 1;
}

std::int64_t memory_limit_bytes(const std::string& text) {
  if (text == "none") return 0;
  if (text == "auto") {
    const std::int64_t available = available_memory(), limit = cgroup_limit();
    const std::int64_t smaller = limit > 0 && (available == 0 || limit < available) ? limit : available;
    return smaller / 20 * 19;
  }
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes <= 0)
    throw Error(Exit::kUsage, "--memory-limit", fmt::format("expected bytes such as 8G or 512MiB, auto or none, got '{}'", text));
  return *bytes;
}

}  // namespace ds::core
