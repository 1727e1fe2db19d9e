// The best set of our own vector kernels for this CPU.
#pragma once
#include <vector>

#include "engine/exec/simd/table.h"

namespace ds::exec::simd {

struct Kernels {
  const char* isa;  ///< as core::cpu_isa(): "baseline" (SSE4.2), "avx2", "avx512", "avx512-vnni"
  const RowKernels* rows;
  const Int8Kernels* int8;
};

/// The set of core::cpu_isa(), chosen once.
const Kernels& kernels();

/// Every set that this CPU can run, baseline first, whatever the environment says: for tests and benchmarks.
std::vector<const Kernels*> runnable_kernels();

}  // namespace ds::exec::simd
