#include "engine/exec/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <utility>

#include "base/core/error.h"

namespace ds::exec {

namespace {

std::atomic<std::int64_t> live{0}, peak{0}, allocations{0}, limit{0};

std::atomic<bool> tracing{false};
std::mutex trace_lock;
std::vector<MemoryEvent> trace;

void note(const void* block, std::int64_t bytes) {
  if (!tracing.load(std::memory_order_relaxed)) return;
  const std::scoped_lock lock(trace_lock);
  trace.push_back({block, bytes});
}

// The size lies in front of the block: freeing needs no table, and 64 bytes keep the alignment.
constexpr std::size_t kHeader = 64;

void free_block(void* data) {
  if (!data) return;
  void* start = static_cast<char*>(data) - kHeader;
  std::size_t bytes;
  std::memcpy(&bytes, start, sizeof bytes);
  live.fetch_sub(std::int64_t(bytes), std::memory_order_relaxed);
  note(start, -std::int64_t(bytes));
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
    note(start, std::int64_t(bytes));
    void* data = static_cast<char*>(start) + kHeader;
    return {data, data, &free_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
};

}  // namespace

void install_allocator() {
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/100);
}

void set_limit(std::int64_t bytes) { limit = bytes; }

std::int64_t memory_limit() { return limit; }

MemoryUse memory_use() { return {live.load(), peak.load(), allocations.load()}; }

void start_trace() {
  const std::scoped_lock lock(trace_lock);
  trace.clear();
  tracing = true;
}

std::size_t trace_length() {
  const std::scoped_lock lock(trace_lock);
  return trace.size();
}

std::vector<MemoryEvent> stop_trace() {
  const std::scoped_lock lock(trace_lock);
  tracing = false;
  return std::exchange(trace, {});
}

void reset_peak() { peak = live.load(); }

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace ds::exec
