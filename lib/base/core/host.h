// Version of this build, and what this machine offers.
#pragma once
#include <cstdint>
#include <string>

namespace ds::core {

/// "0.1.0": the project's version in CMakeLists.txt.
const char* version();
/// "avx512-vnni", "avx512", "avx2" or "baseline": what this processor has and may use. ATEN_CPU_CAPABILITY, torch's own switch, holds it
/// down: default = baseline, avx2 = at most that; avx512 allows VNNI too (as in torch, where oneDNN then uses it).
const char* cpu_isa();
/// `requested`, or for 0: SLURM_CPUS_PER_TASK, else the number of processors that this process may run on.
int thread_count(std::int64_t requested);
/// Bytes of "8G", "512MiB", a plain number; "auto": the smaller of the cgroup's limit and the memory available now, less 5 %; "none": 0.
/// Throws ds::Error(kUsage, "--memory-limit", ...).
std::int64_t memory_limit_bytes(const std::string& text);

}  // namespace ds::core
