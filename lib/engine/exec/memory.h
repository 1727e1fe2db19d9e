// Our c10 CPU allocator: counts live and peak bytes exactly and refuses to go beyond a limit, where Linux would kill the process.
#pragma once
#include <cstdint>

namespace ds::exec {

struct MemoryUse {
  std::int64_t live = 0, peak = 0, allocations = 0;
};

/// Makes ours the allocator of CPU tensors; once, at the engine's door.
void install_allocator();
/// In bytes (core::memory_limit_bytes reads --memory-limit); 0 = no limit. Beyond it an allocation throws ds::Error(kResource) naming wanted, live and limit.
void set_limit(std::int64_t bytes);
MemoryUse memory_use();
void reset_peak();
/// Resident memory of the process in bytes.
std::int64_t resident_bytes();

}  // namespace ds::exec
