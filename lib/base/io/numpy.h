// NumPy's .npy (one array) and .npz (a ZIP archive of them). numpy/lib/_format_impl.py, "Format Version 1.0" to "3.0".
#pragma once
#include "base/io/tensor_file.h"

namespace ds::io {

/// One array, named as the file without its extension. Fortran order and big-endian numbers become a copy in ours.
/// Throws ds::Error(kInput): not such a file, an array of Python objects (they are pickled, and unpickling runs code), a dtype other than
/// float64, float32, float16, int64, int32, int16, int8, uint8 and bool, bytes too few or too many, a tensor that check_foreign refuses.
TensorFile parse_npy(const Bytes& bytes, const std::string& name, bool sums = true);
/// Every entry `x.npy` as the tensor x. The entry __ds__.npy, bytes of a JSON object of texts, is the metadata; it says there which
/// arrays of uint16 are bfloat16, for which NumPy has no name ("ds.bfloat16": a list of names). Throws ds::Error as parse_npy and zip_entries.
TensorFile parse_npz(const Bytes& bytes, const std::string& name, bool sums = true);

/// Stored, not deflated, so that a load may map it. Throws ds::Error as write_tensors: 4-bit tensors and names that a ZIP archive must not
/// have ("..") have no place, and .npy only for a single tensor without metadata that matters.
void write_npz(const std::string& path, const TensorFile& file, bool overwrite);
void write_npy(const std::string& path, const TensorFile& file, bool overwrite);

}  // namespace ds::io
