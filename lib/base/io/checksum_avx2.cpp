#if defined(__x86_64__)
#pragma GCC target("avx2")
#include <immintrin.h>
#define XXH_VECTOR 2  // XXH_AVX2: xxhash.h looks at macros, which the pragma does not set in time
#endif
#define DS_CHECKSUM checksum_avx2
#include "base/io/checksum_kernels.inc"
