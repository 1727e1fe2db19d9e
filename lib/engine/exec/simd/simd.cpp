#include "engine/exec/simd/simd.h"

#include <string_view>

#include "base/core/host.h"

namespace ds::exec::simd {

#define DS_DECLARE(isa)                  \
  namespace isa {                        \
  extern const RowKernels kRowKernels;   \
  extern const Int8Kernels kInt8Kernels; \
  }
DS_DECLARE(baseline)
DS_DECLARE(avx2)
DS_DECLARE(avx512)
DS_DECLARE(vnni)
#undef DS_DECLARE

namespace {

const Kernels kBaseline{"baseline", &baseline::kRowKernels, &baseline::kInt8Kernels};
const Kernels kAvx2{"avx2", &avx2::kRowKernels, &avx2::kInt8Kernels};
const Kernels kAvx512{"avx512", &avx512::kRowKernels, &avx512::kInt8Kernels};
const Kernels kVnni{"avx512-vnni", &vnni::kRowKernels, &vnni::kInt8Kernels};

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}

bool has_vnni() { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = [&]() -> const Kernels& {
    for (const Kernels* set : runnable_kernels())
      if (std::string_view(set->isa) == core::cpu_isa()) return *set;
    return kBaseline;
  }();
  return chosen;
}

std::vector<const Kernels*> runnable_kernels() {
  std::vector<const Kernels*> sets{&kBaseline};
  if (has_avx2()) sets.push_back(&kAvx2);
  if (has_avx512()) sets.push_back(&kAvx512);
  if (has_vnni()) sets.push_back(&kVnni);
  return sets;
}

}  // namespace ds::exec::simd
