// torch's .pth and .pt: pickles of state dicts and of whole models, in the ZIP form (torch 1.6 and later) and the older one, and what
// torch.jit.save writes. torch/serialization.py, _save and _legacy_save; torch/csrc/jit/serialization/export_module.cpp.
#pragma once
#include "base/io/tensor_file.h"

namespace ds::io {

/// Finds the tensors: a state dict; a dict that has one as state_dict, model_state_dict or model; a model of any class, whose parameters and
/// persistent buffers are named as state_dict() would; a TorchScript archive, whose tensors are named by their attributes and whose code is
/// ignored. What else is in a dict (epoch, optimizer) is left alone. No class is imported and no function called (base/io/pickle.h): tensors are
/// read from the arguments of torch._utils._rebuild_tensor_v2, modules from their _parameters, _buffers and _modules.
/// Storages stay in the mapping; views that are not row-major become copies. The entry ds.json of the archive, texts, is the metadata.
/// Throws ds::Error(kInput): truncated, corrupt, a call that is not in the list of those that models have (it is named), views beyond
/// their storage, no tensors, a tensor that check_foreign refuses.
TensorFile parse_pth(const Bytes& bytes, const std::string& name, bool sums = true);

/// A state dict that torch.load(weights_only=True, mmap=True) takes; tensors that share memory share a storage.
/// Throws ds::Error as write_tensors; 4-bit tensors have no place.
void write_pth(const std::string& path, const TensorFile& file, bool overwrite);

}  // namespace ds::io
