#define DS_CHECKSUM checksum_baseline
#include "base/io/checksum_kernels.inc"
