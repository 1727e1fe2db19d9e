// Loading from bytes that someone has mapped or read: what load, load_bytes and load_input share.
#pragma once
#include "base/io/checkpoint.h"
#include "base/io/files.h"

namespace ds::io {

/// `name` is what messages and `path` call it. The arrays hold `bytes.keeper`.
Checkpoint load_image(const Bytes& bytes, const std::string& name, const LoadOptions& options);
/// The model that a record with `status: done` tells of: its first output, as long as that has the digest that the record says.
/// Throws ds::Error(kInput), also for bytes that are no record.
Checkpoint load_recorded(const Bytes& record, const LoadOptions& options);
/// Whether the bytes begin as an HDF5 file does.
bool has_signature(const Bytes& bytes);

}  // namespace ds::io
