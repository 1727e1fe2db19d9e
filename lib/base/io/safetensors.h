// safetensors: eight bytes of length, a JSON header, then the tensors' bytes without holes.
// https://github.com/huggingface/safetensors, "Format"; what the reference refuses is refused here too.
#pragma once
#include "base/io/tensor_file.h"

namespace ds::io {

/// The header's longest text, as in the reference implementation.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

/// Reads bytes of such a file; `name` says where they come from. float64 to bool as safetensors calls them: F64 F32 F16 BF16 I64 I32 I16 I8 U8
/// BOOL. Throws ds::Error(kInput): header longer than the cap or the file, not a JSON object, a key given twice or unknown, an unknown dtype,
/// data that overlap, leave a hole or do not fit the shape, bytes after the last tensor, a tensor that check_foreign refuses.
TensorFile parse_safetensors(const Bytes& bytes, const std::string& name, bool sums = true);

/// Tensors by falling alignment, then by name, as the reference implementation lays them out: the same tensors give the same bytes.
/// Throws ds::Error as write_tensors; int4 and uint4 have no name in this format.
void write_safetensors(const std::string& path, const TensorFile& file, bool overwrite);

}  // namespace ds::io
