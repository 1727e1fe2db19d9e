// The best set of our own vector kernels for this CPU.
#pragma once
#include <vector>

#include "engine/exec/simd/table.h"

namespace ds::exec::simd {

struct Kernels {
  const char* isa;  ///< "baseline" (SSE4.2), "avx2", "avx512", "vnni"
  const RowKernels* rows;
  const Int8Kernels* int8;
};

/// Chosen once. ATEN_CPU_CAPABILITY, torch's own switch, holds it down: default = baseline, avx2 = at most that; avx512 allows VNNI too
/// (as in torch, where oneDNN then uses it).
const Kernels& kernels();
const char* isa_name();

/// Every set that this CPU can run, baseline first, whatever the environment says: for tests and benchmarks.
std::vector<const Kernels*> runnable_kernels();

}  // namespace ds::exec::simd
