// Our c10 CPU allocator: counts live and peak bytes exactly and refuses to go beyond a limit, where Linux would kill the process.
#pragma once
#include <cstdint>
#include <vector>

namespace ds::exec {

struct MemoryUse {
  std::int64_t live = 0, peak = 0, allocations = 0;
};

/// Makes ours the allocator of CPU tensors; once, at the engine's door.
void install_allocator();
/// In bytes (core::memory_limit_bytes reads --memory-limit); 0 = no limit. Beyond it an allocation throws ds::Error(kResource) naming wanted, live and limit.
void set_limit(std::int64_t bytes);
std::int64_t memory_limit();  ///< as set
MemoryUse memory_use();
void reset_peak();
/// What was allocated (bytes > 0) and freed (bytes < 0) since start_trace, in order.
struct MemoryEvent {
  const void* block = nullptr;
  std::int64_t bytes = 0;
};
void start_trace();
std::size_t trace_length();
std::vector<MemoryEvent> stop_trace();
/// Resident memory of the process in bytes.
std::int64_t resident_bytes();

}  // namespace ds::exec
