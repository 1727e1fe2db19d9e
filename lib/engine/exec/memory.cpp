#include "engine/exec/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "base/core/error.h"

namespace ds::exec {

namespace {

std::atomic<std::int64_t> live{0}, peak{0}, allocations{0}, limit{0};

// The size lies in front of the block: freeing needs no table, and 64 bytes keep the alignment.
constexpr std::size_t kHeader = 64;

void free_block(void* data) {
  if (!data) return;
  void* start = static_cast<char*>(data) - kHeader;
  std::size_t bytes;
  std::memcpy(&bytes, start, sizeof bytes);
  live.fetch_sub(std::int64_t(bytes), std::memory_order_relaxed);
  c10::free_cpu(start);
}

std::string mebibytes(std::int64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &free_block, c10::Device(c10::DeviceType::CPU)};
    const std::int64_t now = live.fetch_add(std::int64_t(bytes), std::memory_order_relaxed) + std::int64_t(bytes);
    const std::int64_t most = limit.load(std::memory_order_relaxed);
    if (most > 0 && now > most) {
      live.fetch_sub(std::int64_t(bytes), std::memory_order_relaxed);
      throw Error(Exit::kResource, "memory", "a tensor of " + mebibytes(std::int64_t(bytes)) + " was asked for, with " +
                  mebibytes(now - std::int64_t(bytes)) + " in use and a limit of " + mebibytes(most), "lower the batch size or raise --memory-limit");
    }
    void* start;
    try {
      start = c10::alloc_cpu(bytes + kHeader);
    } catch (...) {
      live.fetch_sub(std::int64_t(bytes), std::memory_order_relaxed);
      throw Error(Exit::kResource, "memory", "the system refused " + mebibytes(std::int64_t(bytes)), "lower the batch size");
    }
    std::memcpy(start, &bytes, sizeof bytes);
    allocations.fetch_add(1, std::memory_order_relaxed);
    std::int64_t seen = peak.load(std::memory_order_relaxed);
    while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
    void* data = static_cast<char*>(start) + kHeader;
    return {data, data, &free_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
};

/// A number in a file of the kernel's, or -1.
std::int64_t number_in(const char* path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word) || word == "max") return -1;
  return std::atoll(word.c_str());
}

std::int64_t available() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::int64_t value;
  while (file >> key >> value >> unit)
    if (key == "MemAvailable:") return value * 1024;
  return -1;
}

std::int64_t automatic_limit() {
  std::int64_t bytes = available();
  // cgroup 2, then 1: what is left of the group's limit counts, not the limit.
  const std::int64_t most = std::max(number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  const std::int64_t used = std::max(number_in("/sys/fs/cgroup/memory.current"), number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes"));
  if (most > 0 && (bytes < 0 || most - std::max<std::int64_t>(used, 0) < bytes)) bytes = most - std::max<std::int64_t>(used, 0);
  return bytes < 0 ? 0 : bytes / 100 * 95;
}

}  // namespace

void install_allocator() {
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/100);
}

std::int64_t parse_limit(const std::string& text) {
  if (text == "auto") return automatic_limit();
  if (text == "none") return 0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  std::string unit(end);
  double factor = 1;
  if (!unit.empty()) {
    const std::string kUnits = "KMGT";
    const auto at = kUnits.find(char(std::toupper(static_cast<unsigned char>(unit[0]))));
    const std::string rest = unit.substr(1);
    const bool binary = rest == "iB" || rest.empty();
    if (at == std::string::npos || (!binary && rest != "B")) factor = 0;
    else for (std::size_t i = 0; i <= at; ++i) factor *= binary ? 1024 : 1000;
  }
  if (end == text.c_str() || factor == 0 || !(value > 0))
    throw Error(Exit::kUsage, "--memory-limit", "'" + text + "' is no size", "say auto, none, or a number with K, M, G, KiB, MB ...");
  return std::int64_t(value * factor);
}

void set_limit(std::int64_t bytes) { limit = bytes; }

MemoryUse memory_use() { return {live.load(), peak.load(), allocations.load()}; }

void reset_peak() { peak = live.load(); }

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace ds::exec
