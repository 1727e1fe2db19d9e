// What ds-convert --inspect, --diff and --verify do with files that are no checkpoints: weights of other programs and their folders.
#pragma once
#include <string>

#include "base/commands/convert.h"

namespace ds::commands {

/// Whether a path is a file of weights by its extension, or a folder.
bool is_weights_name(const std::string& path);

/// The tensors of such a file or folder, and the documents where ds wrote them. `digest`: the root digest that the documents tell, else "".
/// Throws ds::Error(kInput) as io::read_tensors and io::read_folder_weights. Without `sums` no checksum is computed.
io::Checkpoint read_weights(const std::string& path, bool sums);

/// Fills the record with what it holds: format, texts beside the tensors, names, dtypes, shapes. Reads no tensor's bytes.
void inspect_weights(const ConvertCommand& options, core::Record& record);

/// Checks form, checksums and finite values, and of what ds wrote the root digest. @return the digest: of the root, else SHA-256 of the file ("" for
/// a folder). Throws ds::Error(kInput).
std::string verify_weights(const std::string& path);

}  // namespace ds::commands
