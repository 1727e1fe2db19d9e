#include "base/io/zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/core/error.h"
#include "base/io/array.h"
#include "base/io/checkpoint_format.h"
#include "base/io/tensor_file.h"

namespace ds::io {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;
constexpr std::uint16_t kStored = 0, kDeflated = 8, kZip64 = 1, kUtf8 = 1 << 11;
constexpr std::uint16_t kEncrypted = 1 | 1 << 6 | 1 << 13;
constexpr std::uint32_t kMax32 = 0xffffffff;
constexpr std::uint64_t kDeflateRatio = 1032;            ///< the most that deflate can do: 258 bytes a quarter of a byte
constexpr std::uint64_t kTotalRatio = 64, kTotalFree = std::uint64_t{1} << 26;
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint16_t kPadding = 0x4246;               ///< the extra field that torch pads with

[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, where, what, hint); }

/// Little-endian numbers of a range that is checked.
class View {
 public:
  View(const Bytes& bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}
  void require(std::uint64_t at, std::uint64_t size) const {
    if (at > bytes_.size || size > bytes_.size - at) fail(where_, "a corrupt ZIP archive: a header lies beyond the file");
  }
  template <class T>
  T get(std::uint64_t at) const {
    require(at, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data + at, sizeof value);
    return value;
  }
  std::uint16_t u16(std::uint64_t at) const { return get<std::uint16_t>(at); }
  std::uint32_t u32(std::uint64_t at) const { return get<std::uint32_t>(at); }
  std::uint64_t u64(std::uint64_t at) const { return get<std::uint64_t>(at); }
  std::string text(std::uint64_t at, std::uint64_t size) const {
    require(at, size);
    return {reinterpret_cast<const char*>(bytes_.data) + at, size};
  }
  std::uint64_t size() const { return bytes_.size; }
  const std::string& where() const { return where_; }

 private:
  const Bytes& bytes_;
  std::string where_;
};

struct Directory {
  std::uint64_t offset = 0, size = 0, count = 0;
};

/// The end record: the last 22 bytes, or before a comment that reaches exactly to the end of the file.
std::uint64_t find_end(const View& v) {
  for (std::uint64_t back = kEndSize; back <= kEndSize + 0xffff && back <= v.size(); ++back) {
    const std::uint64_t at = v.size() - back;
    if (v.u32(at) == kEnd && v.u16(at + 20) == back - kEndSize) return at;
  }
  fail(v.where(), "no end of a ZIP archive: truncated, or another format");
}

Directory find_directory(const View& v) {
  std::uint64_t end = find_end(v);
  Directory d{v.u32(end + 16), v.u32(end + 12), v.u16(end + 10)};
  const bool disks = v.u16(end + 4) != 0 || v.u16(end + 6) != 0 || v.u16(end + 8) != v.u16(end + 10);
  const bool wide = end >= kLocatorSize && v.u32(end - kLocatorSize) == kLocator64;
  if (wide) {
    const std::uint64_t at = v.u64(end - kLocatorSize + 8);
    v.require(at, kEnd64Size);
    if (v.u32(at) != kEnd64 || v.u32(at + 16) != 0 || v.u32(at + 20) != 0) fail(v.where(), "a corrupt ZIP archive: the ZIP64 end is no such record");
    d = {v.u64(at + 48), v.u64(at + 40), v.u64(at + 32)};
    end = at;
  } else if (disks) {
    fail(v.where(), "a ZIP archive of several disks");
  }
  if (d.offset > end || d.size != end - d.offset) fail(v.where(), "a corrupt ZIP archive: its directory does not end where the file says");
  if (d.count > static_cast<std::uint64_t>(format::kMaxDatasets))
    fail(v.where(), fmt::format("{} entries, at most {} are read", d.count, format::kMaxDatasets));
  return d;
}

/// Sizes and offset that do not fit 32 bits are in an extra field, in this order.
void read_zip64(const View& v, std::uint64_t at, std::uint64_t size, std::uint64_t* const (&wide)[3]) {
  const std::uint64_t end = at + size;
  while (at + 4 <= end) {
    const std::uint16_t id = v.u16(at), length = v.u16(at + 2);
    at += 4;
    if (at + length > end) break;
    if (id == kZip64) {
      std::uint64_t from = at;
      for (std::uint64_t* value : wide) {
        if (*value != kMax32) continue;
        if (from + 8 > at + length) fail(v.where(), "a corrupt ZIP archive: a ZIP64 field is too short");
        *value = v.u64(from);
        from += 8;
      }
      return;
    }
    at += length;
  }
}

void check_name(const std::string& name, const std::string& where) {
  if (name.empty() || name.size() > 2 * format::kMaxName || name.find('\0') != std::string::npos || !is_utf8(name))
    fail(where, "an entry of the ZIP archive has a name that is no text");
  bool climbs = name.front() == '/' || name.find('\\') != std::string::npos;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    climbs |= name.compare(at, end - at, "..") == 0 && end - at == 2;
    at = end + 1;
  }
  if (climbs) fail(where, fmt::format("entry '{}' of the ZIP archive names a place outside of it", name), "the file is made to do harm");
}

/// What the local header says must be what the directory says: two readers must not see two archives.
void check_local(const View& v, std::uint64_t at, std::uint16_t method, ZipEntry& entry) {
  v.require(at, kLocalSize);
  const std::uint64_t name = v.u16(at + 26), extra = v.u16(at + 28);
  if (v.u32(at) != kLocal || v.u16(at + 8) != method || v.text(at + kLocalSize, name) != entry.name)
    fail(v.where(), fmt::format("entry '{}': its header is not what the ZIP archive's directory says", entry.name));
  entry.offset = at + kLocalSize + name + extra;
  v.require(entry.offset, entry.packed);
}

/// Reads the directory's record at `at` and moves past it. `local` takes the place of the local header.
ZipEntry read_entry(const View& v, std::uint64_t& at, std::uint64_t& local) {
  v.require(at, kCentralSize);
  if (v.u32(at) != kCentral) fail(v.where(), "a corrupt ZIP archive: its directory is none");
  const std::uint16_t flags = v.u16(at + 8), method = v.u16(at + 10), name = v.u16(at + 28), extra = v.u16(at + 30), comment = v.u16(at + 32);
  ZipEntry e;
  e.name = v.text(at + kCentralSize, name);
  check_name(e.name, v.where());
  if (flags & kEncrypted) fail(v.where(), fmt::format("entry '{}' is encrypted", e.name));
  if (method != kStored && method != kDeflated) fail(v.where(), fmt::format("entry '{}' is packed by method {}, expected stored or deflated", e.name, method));
  e.deflated = method == kDeflated;
  e.crc = v.u32(at + 16);
  e.packed = v.u32(at + 20);
  e.size = v.u32(at + 24);
  local = v.u32(at + 42);
  read_zip64(v, at + kCentralSize + name, extra, {&e.size, &e.packed, &local});
  if (!e.deflated && e.packed != e.size) fail(v.where(), fmt::format("entry '{}' is stored, but {} bytes are not {}", e.name, e.packed, e.size));
  check_local(v, local, method, e);
  if (e.deflated && e.size / kDeflateRatio > e.packed + 1) fail(v.where(), fmt::format("entry '{}' claims to unpack {} bytes to {}", e.name, e.packed, e.size));
  at += kCentralSize + name + extra + comment;
  return e;
}

std::uint32_t crc_of(std::uint32_t crc, const void* data, std::uint64_t bytes) {
  if (bytes == 0) return crc;  // zlib takes a null pointer for a wish to begin anew
  return static_cast<std::uint32_t>(crc32_z(crc, static_cast<const Bytef*>(data), bytes));
}

Bytes inflate_entry(const Bytes& archive, const ZipEntry& e, const std::string& where) {
  const Array memory = make_array(DType::kU8, {static_cast<std::int64_t>(std::max<std::uint64_t>(e.size, 1))});
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error(Exit::kResource, where, "no memory to unpack");
  std::uint64_t in = 0, out = 0;
  int status = Z_OK;
  while (status == Z_OK) {  // zlib counts in 32 bits
    const auto give = static_cast<uInt>(std::min<std::uint64_t>(e.packed - in, 1 << 30)),
               take = static_cast<uInt>(std::min<std::uint64_t>(e.size - out, 1 << 30));
    stream.next_in = reinterpret_cast<Bytef*>(archive.data + e.offset + in);
    stream.avail_in = give;
    stream.next_out = reinterpret_cast<Bytef*>(memory.data + out);
    stream.avail_out = take;
    status = inflate(&stream, Z_NO_FLUSH);
    in += give - stream.avail_in;
    out += take - stream.avail_out;
    if (status == Z_OK && give == stream.avail_in && take == stream.avail_out) status = Z_BUF_ERROR;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || in != e.packed || out != e.size)
    fail(where, fmt::format("entry '{}' does not unpack to the {} bytes that it claims", e.name, e.size));
  return {memory.data, e.size, memory.keeper};
}

// --- writing ---------------------------------------------------------------------------------------------------

void put(std::string& to, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 255);
}

struct Placed {
  std::uint32_t crc = 0;
  std::uint64_t offset = 0, size = 0;
  std::string local;
};

std::uint32_t narrow(std::uint64_t value) { return value >= kMax32 ? kMax32 : static_cast<std::uint32_t>(value); }

/// What the local and the directory's header share: version to .. length of the name.
std::string common_fields(const ZipItem& item, const Placed& p) {
  std::string text;
  put(text, 45, 2);
  put(text, kUtf8, 2);
  put(text, kStored, 2);
  put(text, 0, 2);
  put(text, 0x21, 2);  // 1980-01-01, the earliest date: files depend on their content alone
  put(text, p.crc, 4);
  put(text, narrow(p.size), 4);
  put(text, narrow(p.size), 4);
  put(text, item.name.size(), 2);
  return text;
}

std::string zip64_field(std::initializer_list<std::uint64_t> values) {
  std::string field;
  if (values.size() == 0) return field;
  put(field, kZip64, 2);
  put(field, 8 * values.size(), 2);
  for (std::uint64_t value : values) put(field, value, 8);
  return field;
}

std::string local_header(const ZipItem& item, const Placed& p) {
  std::string extra = p.size >= kMax32 ? zip64_field({p.size, p.size}) : "";
  const std::uint64_t start = p.offset + kLocalSize + item.name.size() + extra.size() + 4;
  const std::uint64_t pad = (kAlignment - start % kAlignment) % kAlignment;
  put(extra, kPadding, 2);
  put(extra, pad, 2);
  extra.append(pad, 'Z');
  std::string text;
  put(text, kLocal, 4);
  text += common_fields(item, p);
  put(text, extra.size(), 2);
  return text + item.name + extra;
}

std::string directory_header(const ZipItem& item, const Placed& p) {
  const bool big = p.size >= kMax32, far = p.offset >= kMax32;
  const std::string extra = big && far ? zip64_field({p.size, p.size, p.offset}) : big ? zip64_field({p.size, p.size}) : far ? zip64_field({p.offset}) : "";
  std::string text;
  put(text, kCentral, 4);
  put(text, 45, 2);
  text += common_fields(item, p);
  put(text, extra.size(), 2);
  put(text, 0, 2 + 2 + 2 + 4);  // comment, disk, attributes
  put(text, narrow(p.offset), 4);
  return text + item.name + extra;
}

std::string end_records(std::uint64_t count, std::uint64_t offset, std::uint64_t size) {
  std::string text;
  if (count >= 0xffff || offset >= kMax32 || size >= kMax32) {
    put(text, kEnd64, 4);
    put(text, kEnd64Size - 12, 8);
    put(text, 45, 2);
    put(text, 45, 2);
    put(text, 0, 8);
    put(text, count, 8);
    put(text, count, 8);
    put(text, size, 8);
    put(text, offset, 8);
    put(text, kLocator64, 4);
    put(text, 0, 4);
    put(text, offset + size, 8);
    put(text, 1, 4);
  }
  put(text, kEnd, 4);
  put(text, 0, 4);
  put(text, std::min<std::uint64_t>(count, 0xffff), 2);
  put(text, std::min<std::uint64_t>(count, 0xffff), 2);
  put(text, narrow(size), 4);
  put(text, narrow(offset), 4);
  put(text, 0, 2);
  return text;
}

}  // namespace

std::vector<ZipEntry> zip_entries(const Bytes& archive, const std::string& where) {
  const View v(archive, where);
  const Directory d = find_directory(v);
  std::vector<ZipEntry> entries;
  std::set<std::string> names;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
  std::uint64_t at = d.offset, total = 0;
  for (std::uint64_t i = 0; i < d.count; ++i) {
    std::uint64_t local = 0;
    ZipEntry e = read_entry(v, at, local);
    if (at > d.offset + d.size) fail(where, "a corrupt ZIP archive: its directory is longer than it says");
    if (!names.insert(e.name).second) fail(where, fmt::format("entry '{}' is there twice in the ZIP archive", e.name));
    extents.emplace_back(local, e.offset + e.packed);
    if (__builtin_add_overflow(total, e.size, &total) || total / kTotalRatio > archive.size + kTotalFree / kTotalRatio)
      fail(where, fmt::format("the ZIP archive claims to unpack to over {} times its {} bytes", kTotalRatio, archive.size), "the file is made to do harm");
    if (e.name.back() != '/') entries.push_back(std::move(e));
    else if (e.size != 0) fail(where, fmt::format("entry '{}' is a folder with bytes in it", e.name));
  }
  if (at != d.offset + d.size) fail(where, "a corrupt ZIP archive: its directory is shorter than it says");
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 0; i < extents.size(); ++i)
    if (extents[i].second > (i + 1 < extents.size() ? extents[i + 1].first : d.offset))
      fail(where, "entries of the ZIP archive overlap", "the file is made to do harm");
  return entries;
}

Bytes zip_data(const Bytes& archive, const ZipEntry& entry, const std::string& where, bool sum) {
  const Bytes data = entry.deflated ? inflate_entry(archive, entry, where) : Bytes{archive.data + entry.offset, entry.size, archive.keeper};
  if (!sum) return data;
  if (const std::uint32_t crc = crc_of(0, data.data, data.size); crc != entry.crc)
    fail(where, fmt::format("entry '{}' is corrupt: CRC-32 {:08x}, the archive says {:08x}", entry.name, crc, entry.crc));
  return data;
}

void write_zip(const std::string& path, const std::vector<ZipItem>& items, bool overwrite) {
  std::vector<Placed> placed;
  std::uint64_t at = 0;
  std::string directory;
  for (const ZipItem& item : items) {
    Placed p{crc_of(crc_of(0, item.head.data(), item.head.size()), item.data, item.bytes), at, item.head.size() + item.bytes, ""};
    p.local = local_header(item, p);
    directory += directory_header(item, p);
    at += p.local.size() + p.size;
    placed.push_back(std::move(p));
  }
  const std::string end = end_records(items.size(), at, directory.size());
  replace_file(path, overwrite, [&](Sink& sink) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      sink.write(placed[i].local.data(), placed[i].local.size());
      sink.write(items[i].head.data(), items[i].head.size());
      sink.write(items[i].data, items[i].bytes);
    }
    sink.write(directory.data(), directory.size());
    sink.write(end.data(), end.size());
  });
}

}  // namespace ds::io
