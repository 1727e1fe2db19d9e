// Named tensors in the file formats of other programs: safetensors, NumPy's .npz and .npy, torch's .pth, .pt and .ts.
#pragma once
#include <map>
#include <string>

#include "base/io/array.h"
#include "base/io/files.h"

namespace ds::io {

/// What such a file holds. A tensor points into the file's mapping where its bytes are as an Array wants them (row-major, at a multiple of
/// the element's size), else into a copy of its own.
struct TensorFile {
  std::map<std::string, Array> tensors;
  std::map<std::string, std::string> metadata;  ///< texts beside the tensors, UTF-8
};

enum class TensorFormat { kNone, kSafetensors, kNpz, kNpy, kPth, kScript };

/// By the extension: .safetensors, .npz, .npy, .pth, .pt, .ts. kNone for any other. torch's are told apart by what is in them when they are
/// read; .pth and .pt are written as state dicts, .ts is TorchScript, which the engine writes (engine/exec/torchscript.h).
TensorFormat tensor_format(const std::string& path);
/// The extensions, for messages: ".safetensors, .npz ...".
std::string tensor_extensions();

/// Opens, checks and maps a file. Nothing that is in it is ever run, and what it claims is held against its size before memory is taken.
/// Throws ds::Error(kInput): missing, of another format, truncated, corrupt, a tensor that no checkpoint could hold (check_foreign).
/// Without `sums` the checksums that a format has are not computed, and the tensors' pages not touched.
TensorFile read_tensors(const std::string& path, bool sums = true);
/// The same from the bytes of the file `path`.
TensorFile read_tensors(const Bytes& bytes, const std::string& path, bool sums = true);

/// Writes atomically, as replace_file. Throws ds::Error: kUsage where `path` exists and not `overwrite` or the format has no place for a tensor's
/// dtype or name; kResource where the disk is full or the folder cannot be written.
void write_tensors(const std::string& path, const TensorFile& file, bool overwrite);

/// A tensor that a file of another program describes: name not empty, without NUL, at most 1,024 bytes of UTF-8; rank at most 8; no dim
/// below 1. Returns the number of bytes. Throws ds::Error(kInput, where) where one of these does not hold or the product overflows.
std::size_t check_foreign(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape, const std::string& where);

/// Whether text is UTF-8, without overlong forms and surrogates.
bool is_utf8(std::string_view text);

/// The array at `offset` of a mapping, whose extent the caller has checked: in place, or a copy where the offset is not aligned.
Array array_in(const Bytes& bytes, std::size_t offset, DType dtype, std::vector<std::int64_t> shape);

/// Elements of `bytes` as strides (in elements, none negative) and an offset (in elements) place them: in place where they are row-major,
/// else gathered into a copy. Throws ds::Error(kInput, where) where one lies beyond `bytes`.
Array array_of(const Bytes& bytes, DType dtype, const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
               std::int64_t offset, const std::string& where);

}  // namespace ds::io
