// ZIP archives of arrays, as NumPy and torch write them: stored or deflated entries, ZIP64, nothing else.
// PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
#pragma once
#include <string>
#include <vector>

#include "base/io/files.h"

namespace ds::io {

struct ZipEntry {
  std::string name;
  std::uint64_t offset = 0;            ///< of the data in the archive
  std::uint64_t packed = 0, size = 0;  ///< bytes in the archive, and unpacked
  bool deflated = false;
  std::uint32_t crc = 0;
};

/// The entries as the central directory lists them, folders left out. Throws ds::Error(kInput): no archive, several disks, a name that is
/// absolute, has "..", is there twice or is not UTF-8, an encrypted entry, a method other than stored and deflated, entries that overlap, a
/// local header that says otherwise, and sizes that no honest archive has: beyond what deflate can do, or over 64 times the file in all.
std::vector<ZipEntry> zip_entries(const Bytes& archive, const std::string& where);

/// An entry's bytes: in place where it is stored, else unpacked into memory aligned to 64 bytes. Without `sum` the CRC-32 is not computed.
/// Throws ds::Error(kInput) where they do not unpack to the stated size or the CRC-32 differs, kResource where memory is short.
Bytes zip_data(const Bytes& archive, const ZipEntry& entry, const std::string& where, bool sum = true);

/// An entry to write: `head`, then `bytes` at `data`, which the caller keeps.
struct ZipItem {
  std::string name, head;
  const void* data = nullptr;
  std::uint64_t bytes = 0;
};
/// Writes an archive atomically (replace_file): stored entries whose data lie at multiples of 64, so that a reader may map them; no times.
void write_zip(const std::string& path, const std::vector<ZipItem>& items, bool overwrite);

}  // namespace ds::io
