#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/io/checkpoint.h"
#include "base/io/checkpoint_format.h"
#include "base/io/checkpoint_image.h"
#include "base/io/checksum.h"
#include "base/io/files.h"
#include "base/io/hdf5.h"
#include "base/io/parallel.h"

namespace ds::io {
namespace {

namespace f = format;
using hdf5::Id;

constexpr unsigned char kSignature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/// One dataset of a file.
struct Stored {
  std::string name;   ///< of the tensor or document
  std::string where;  ///< file:/group/link, for messages
  Array array;        ///< data points into the image
  std::string hash, sha;
  bool weight = false;
};

/// Reads the structure of an image and checks all that can be checked without reading tensors.
class Reader {
 public:
  Reader(const Bytes& bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  /// Fills the lists below. `sums` reads the digests of tensors too, which nobody needs who does not verify.
  void read(bool sums);

  std::string root;
  std::vector<Stored> documents, tensors, state;

 private:
  [[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& hint = "") const {
    throw Error(Exit::kInput, where, what, hint);
  }
  void check_start() const;
  void check_version(hid_t file) const;
  std::vector<std::string> links(hid_t group, const std::string& where) const;
  std::string text(hid_t object, const char* name, const std::string& where) const;
  void read_group(hid_t file, const char* name, bool sums, std::vector<Stored>& to) const;
  Stored read_dataset(hid_t group, const std::string& group_name, const std::string& link, bool sums) const;
  void read_shape(hid_t set, Stored& stored) const;
  void check_overlap() const;

  const Bytes& bytes_;
  std::string name_;
};

void Reader::check_start() const {
  const auto* start = reinterpret_cast<const unsigned char*>(bytes_.data);
  if (bytes_.size == 0) fail(name_, "is empty, expected a ds checkpoint");
  if (bytes_.size < sizeof kSignature || std::memcmp(start, kSignature, sizeof kSignature) != 0)
    fail(name_, "is not a ds checkpoint: no HDF5 signature");
  if (bytes_.size < 48) fail(name_, fmt::format("is truncated: {} bytes, an HDF5 header alone has 48", bytes_.size));
  // Superblocks 0 and 1 have no checksum, so what follows them may be anything: HDF5 never gets to see it.
  if (start[8] != 2 && start[8] != 3) fail(name_, fmt::format("is not a ds checkpoint: HDF5 superblock of version {}, expected 2 or 3", start[8]));
  if (start[9] != 8 || start[10] != 8) fail(name_, "is not a ds checkpoint: HDF5 offsets and lengths are not of 8 bytes");
  std::uint64_t base, end;
  std::memcpy(&base, start + 12, 8);
  std::memcpy(&end, start + 28, 8);
  if (base != 0) fail(name_, "is not a ds checkpoint: HDF5 base address is not 0");
  if (end > bytes_.size) fail(name_, fmt::format("is truncated or corrupt: {} bytes, its header says {}", bytes_.size, end));
}

void Reader::check_version(hid_t file) const {
  const htri_t format_exists = H5Aexists(file, f::kFormatAttribute), version_exists = H5Aexists(file, f::kVersionAttribute);
  if (format_exists < 0 || version_exists < 0) fail(name_, "is not a ds checkpoint, or corrupt: HDF5 cannot read its attributes");
  if (format_exists == 0 || version_exists == 0)
    fail(name_, fmt::format("is not a ds checkpoint: HDF5 file without attributes {} and {}", f::kFormatAttribute, f::kVersionAttribute));
  if (const std::string format = text(file, f::kFormatAttribute, name_); format != f::kFormat)
    fail(name_, fmt::format("is not a ds checkpoint: {} is '{}', expected '{}'", f::kFormatAttribute, format, f::kFormat));
  const Id attribute(H5Aopen(file, f::kVersionAttribute, H5P_DEFAULT), H5Aclose, "H5Aopen", name_);
  const Id type(H5Aget_type(attribute), H5Tclose, "H5Aget_type", name_);
  std::int32_t version = 0;
  if (H5Tequal(type, H5T_STD_I32LE) <= 0 || H5Aget_storage_size(attribute) != sizeof version) fail(name_, "attribute ds_version is not one int32");
  hdf5::check(H5Aread(attribute, H5T_NATIVE_INT32, &version), "H5Aread", name_);
  if (version > kFormatVersion)
    fail(name_, fmt::format("has checkpoint format {}, this build reads up to {}", version, kFormatVersion), "use a newer ds");
  if (version < 1) fail(name_, fmt::format("has checkpoint format {}, which never was", version));
}

struct Links {
  std::vector<std::string> names;
  std::string problem;
};

/// Called by HDF5: no exception may pass.
herr_t take_link(hid_t, const char* name, const H5L_info_t* info, void* data) {
  Links& links = *static_cast<Links*>(data);
  try {
    if (info->type != H5L_TYPE_HARD) links.problem = fmt::format("link '{:.80}' is not a hard link", name);
    else if (std::strlen(name) > f::kMaxName) links.problem = fmt::format("a name is longer than {} bytes", f::kMaxName);
    else links.names.emplace_back(name);
  } catch (...) {
    links.problem = "no memory for its names";
  }
  return links.problem.empty() ? 0 : 1;
}

std::vector<std::string> Reader::links(hid_t group, const std::string& where) const {
  H5G_info_t info;
  hdf5::check(H5Gget_info(group, &info), "H5Gget_info", where);
  if (info.nlinks > static_cast<hsize_t>(f::kMaxDatasets)) fail(where, fmt::format("{} datasets, at most {} are read", info.nlinks, f::kMaxDatasets));
  Links found;
  hsize_t index = 0;
  const herr_t status = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &index, take_link, &found);
  if (!found.problem.empty()) fail(where, found.problem);
  hdf5::check(status, "H5Literate", where);
  if (found.names.size() != info.nlinks) fail(where, "corrupt HDF5 structure (links are missing)");
  std::sort(found.names.begin(), found.names.end());
  return found.names;
}

std::string Reader::text(hid_t object, const char* name, const std::string& where) const {
  const Id attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, "H5Aopen", where);
  const Id type(H5Aget_type(attribute), H5Tclose, "H5Aget_type", where);
  const std::size_t size = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 || size == 0 || size > 256 || H5Aget_storage_size(attribute) != size)
    fail(where, fmt::format("attribute {} is not one text of fixed length", name));
  char buffer[256];
  hdf5::check(H5Aread(attribute, type, buffer), "H5Aread", where);
  return std::string(buffer, strnlen(buffer, size));
}

/// Elements of a shape, with a bound that keeps every later product in range.
std::int64_t elements(const std::vector<std::int64_t>& shape, const std::string& where) {
  std::int64_t n = 1;
  for (std::int64_t dim : shape) {
    if (dim <= 0) throw Error(Exit::kInput, where, "shape " + shape_text(shape) + " has no elements");
    if (__builtin_mul_overflow(n, dim, &n) || n > (std::int64_t{1} << 48)) throw Error(Exit::kInput, where, "impossible shape " + shape_text(shape));
  }
  return n;
}

/// Shape of a packed dtype from its attribute: "[3,5]".
std::vector<std::int64_t> parse_shape(const std::string& text, const std::string& where) {
  const Json json = f::parse_document(text.data(), text.size(), where);
  std::vector<std::int64_t> shape;
  if (!json.is_array() || json.size() > f::kMaxRank) throw Error(Exit::kInput, where, "attribute ds_shape is not a list of at most 8 integers");
  for (const Json& dim : json) {
    if (!dim.is_number_integer()) throw Error(Exit::kInput, where, "attribute ds_shape is not a list of integers");
    shape.push_back(dim.get<std::int64_t>());
  }
  return shape;
}

void Reader::read_shape(hid_t set, Stored& stored) const {
  const Id space(H5Dget_space(set), H5Sclose, "H5Dget_space", stored.where);
  const H5S_class_t kind = H5Sget_simple_extent_type(space);
  if (kind == H5S_NULL) fail(stored.where, "has no elements");
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > f::kMaxRank) fail(stored.where, fmt::format("rank {}, at most {} is read", rank, f::kMaxRank));
  hsize_t dims[H5S_MAX_RANK];
  hdf5::check(H5Sget_simple_extent_dims(space, dims, nullptr), "H5Sget_simple_extent_dims", stored.where);
  for (int i = 0; i < rank; ++i) stored.array.shape.push_back(static_cast<std::int64_t>(std::min<hsize_t>(dims[i], INT64_MAX)));
  elements(stored.array.shape, stored.where);
}

Stored Reader::read_dataset(hid_t group, const std::string& group_name, const std::string& link, bool sums) const {
  Stored stored;
  stored.where = name_ + ":/" + group_name + "/" + link;
  const bool document = group_name == "documents";
  stored.name = document ? link : f::unescape(link, stored.where);
  stored.weight = group_name == "tensors";
  const Id set(H5Dopen2(group, link.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", stored.where);
  const std::string dtype = text(set, f::kDtypeAttribute, stored.where);
  if (document != (dtype == f::kJson)) fail(stored.where, "has dtype '" + dtype + "', unexpected in this group");
  const Id type(H5Dget_type(set), H5Tclose, "H5Dget_type", stored.where);
  if (H5Tcommitted(type) != 0 || H5Tequal(type, dtype == f::kJson ? H5T_STD_U8LE : hdf5::file_type(parse_dtype(dtype, stored.where))) <= 0)
    fail(stored.where, "has another type in HDF5 than its attribute ds_dtype '" + dtype + "' says");
  read_shape(set, stored);
  stored.array.dtype = document ? DType::kU8 : parse_dtype(dtype, stored.where);
  if (f::packed(stored.array.dtype)) {
    const std::vector<std::int64_t> shape = parse_shape(text(set, f::kShapeAttribute, stored.where), stored.where);
    const std::int64_t n = elements(shape, stored.where);
    if (stored.array.shape != std::vector<std::int64_t>{(n + 1) / 2})
      fail(stored.where, fmt::format("{} bytes for the shape {} of {}", shape_text(stored.array.shape), shape_text(shape), dtype));
    stored.array.shape = shape;
  } else if (document && stored.array.shape.size() != 1) {
    fail(stored.where, "is not a text");
  }
  if (document || sums) stored.hash = text(set, f::kHashAttribute, stored.where);
  if (!document && sums) stored.sha = text(set, f::kShaAttribute, stored.where);
  // Undefined for a chunked, compact, virtual, external or filtered dataset.
  const haddr_t offset = H5Dget_offset(set);
  const std::size_t size = stored.array.bytes();
  if (offset == HADDR_UNDEF) fail(stored.where, "is not stored as one block in the file");
  if (offset > bytes_.size || size > bytes_.size - offset || H5Dget_storage_size(set) != size) fail(stored.where, "reaches beyond the end of the file");
  if (offset % f::kAlignment != 0) fail(stored.where, fmt::format("starts at byte {}, not a multiple of {}", offset, f::kAlignment));
  stored.array.data = bytes_.data + offset;
  stored.array.keeper = bytes_.keeper;
  return stored;
}

void Reader::read_group(hid_t file, const char* name, bool sums, std::vector<Stored>& to) const {
  const std::string where = name_ + ":/" + name;
  const Id group(H5Gopen2(file, name, H5P_DEFAULT), H5Gclose, "H5Gopen2", where);
  const std::vector<std::string> names = links(group, where);
  to.reserve(names.size());
  for (const std::string& link : names) to.push_back(read_dataset(group, name, link, sums));
}

/// Two tensors on the same bytes would change together when one is written to.
void Reader::check_overlap() const {
  std::vector<const Stored*> all;
  for (const std::vector<Stored>* list : {&documents, &tensors, &state})
    for (const Stored& stored : *list) all.push_back(&stored);
  std::sort(all.begin(), all.end(), [](const Stored* a, const Stored* b) { return a->array.data < b->array.data; });
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i - 1]->array.data + all[i - 1]->array.bytes() > all[i]->array.data) fail(all[i]->where, "shares bytes with another dataset");
}

void Reader::read(bool sums) {
  check_start();
  const auto held = hdf5::lock();
  hdf5::Memory memory;
  memory.image = bytes_.data;
  memory.bytes = bytes_.size;
  Id file;
  try {
    file = hdf5::open_image(memory, name_);
  } catch (const Error&) {
    fail(name_, "is not a ds checkpoint, or corrupt: HDF5 cannot open it");
  }
  check_version(file);
  if (const std::vector<std::string> found = links(file, name_); found != std::vector<std::string>{"documents", "state", "tensors"})
    fail(name_, "has other groups than documents, state and tensors");
  root = text(file, f::kRootAttribute, name_);
  read_group(file, "documents", sums, documents);
  read_group(file, "tensors", sums, tensors);
  read_group(file, "state", sums, state);
  if (!file.close()) fail(name_, "corrupt HDF5 structure (H5Fclose failed)");
  check_overlap();
}

/// The hash and the scan for non-finite values, each block read from memory once. "" or what is wrong.
std::string problem_of(const Stored& stored) {
  constexpr std::size_t kBlock = 1 << 17;  // stays in the second-level cache between the two
  Checksum hash;
  const std::size_t size = stored.array.bytes();
  const bool scan = stored.weight && is_float(stored.array.dtype);
  bool finite = true;
  for (std::size_t at = 0; at < size; at += kBlock) {
    const std::size_t n = std::min(kBlock, size - at);
    hash.update(stored.array.data + at, n);
    if (scan && finite) finite = !has_nonfinite(stored.array.dtype, stored.array.data + at, n);
  }
  if (const std::string sum = hash.hex(); sum != stored.hash)
    return fmt::format("is corrupt: XXH3 {}, the file says {}", sum, stored.hash);
  if (!finite) return fmt::format("value at index {} is not finite", first_nonfinite(stored.array));
  return "";
}

/// Throws for the first, in the file's order, that is wrong.
void verify_sums(const std::vector<const Stored*>& all) {
  std::vector<std::size_t> order(all.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    order[i] = i;
    total += all[i]->array.bytes();
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return all[a]->array.bytes() > all[b]->array.bytes(); });
  std::vector<std::string> problems(all.size());
  parallel(all.size(), total, [&](std::size_t i) { problems[order[i]] = problem_of(*all[order[i]]); });
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!problems[i].empty()) throw Error(Exit::kInput, all[i]->where, problems[i]);
}

std::string computed_root(const Reader& reader) {
  std::map<std::string, std::string> documents;
  std::map<std::string, f::TensorEntry> tensors;
  for (const Stored& stored : reader.documents) documents[stored.name] = sha256(stored.array.data, stored.array.bytes());
  for (const Stored& stored : reader.tensors) tensors[stored.name] = {stored.array.dtype, stored.array.shape, stored.sha};
  return f::manifest_digest(documents, tensors);
}

void check_root(const Reader& reader, const std::string& name) {
  if (const std::string root = computed_root(reader); root != reader.root)
    throw Error(Exit::kInput, name, fmt::format("root digest is {}, the file says {}", root, reader.root));
}

Json parse(const Stored& stored) {
  if (stored.array.bytes() > f::kMaxDocument)
    throw Error(Exit::kInput, stored.where, fmt::format("{} bytes of text, at most {} are read", stored.array.bytes(), f::kMaxDocument));
  if (const std::string problem = problem_of(stored); !problem.empty()) throw Error(Exit::kInput, stored.where, problem);
  Json document = f::parse_document(reinterpret_cast<const char*>(stored.array.data), stored.array.bytes(), stored.where);
  if (const std::string problem = f::kind_problem(stored.name, document); !problem.empty()) throw Error(Exit::kInput, stored.where, problem);
  return document;
}

std::map<std::string, Array> take(std::vector<Stored>& list, bool data) {
  std::map<std::string, Array> arrays;
  for (Stored& stored : list) {
    if (!data) stored.array.data = nullptr, stored.array.keeper = nullptr;
    arrays.emplace_hint(arrays.end(), stored.name, std::move(stored.array));
  }
  return arrays;
}

}  // namespace

Checkpoint load_image(const Bytes& bytes, const std::string& name, const LoadOptions& options) {
  Reader reader(bytes, name);
  reader.read(options.verify);
  Checkpoint checkpoint;
  checkpoint.path = name;
  checkpoint.digest = reader.root;
  for (const Stored& stored : reader.documents) {
    const auto known = std::find_if(f::kDocuments.begin(), f::kDocuments.end(), [&](const f::Document& d) { return stored.name == d.name; });
    if (known == f::kDocuments.end()) throw Error(Exit::kInput, stored.where, "is no document of this format");
    checkpoint.*known->member = parse(stored);
  }
  if (options.verify) {
    std::vector<const Stored*> all;
    for (const std::vector<Stored>* list : {&reader.tensors, &reader.state})
      for (const Stored& stored : *list) all.push_back(&stored);
    if (options.tensors) verify_sums(all);
    check_root(reader, name);
  }
  checkpoint.tensors = take(reader.tensors, options.tensors);
  checkpoint.state_tensors = take(reader.state, options.tensors);
  return checkpoint;
}

bool has_signature(const Bytes& bytes) { return bytes.size >= sizeof kSignature && std::memcmp(bytes.data, kSignature, sizeof kSignature) == 0; }

Checkpoint load(const std::string& path, const LoadOptions& options) {
  Checkpoint checkpoint = load_image(map_file(path, options.max_bytes), path, options);
  checkpoint.path = absolute(path);
  return checkpoint;
}

Checkpoint load_bytes(std::vector<std::byte> bytes, const std::string& name, const LoadOptions& options) {
  Bytes image;
  image.size = bytes.size();
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % f::kAlignment == 0) {
    const auto kept = std::make_shared<std::vector<std::byte>>(std::move(bytes));
    image.data = kept->data();
    image.keeper = kept;
  } else {  // a vector is aligned to 16 only, tensors are promised 64
    const Array copy = make_array(DType::kU8, {static_cast<std::int64_t>(bytes.size())});
    std::copy(bytes.begin(), bytes.end(), copy.data);
    image.data = copy.data;
    image.keeper = copy.keeper;
  }
  return load_image(image, name, options);
}

std::string verify_file(const std::string& path) {
  const Bytes bytes = map_file(path);
  load_image(bytes, path, {});
  Reader reader(bytes, path);
  reader.read(true);
  std::vector<const Stored*> all;
  for (const std::vector<Stored>* list : {&reader.tensors, &reader.state})
    for (const Stored& stored : *list) all.push_back(&stored);
  std::vector<std::string> sums(all.size());
  parallel(all.size(), bytes.size, [&](std::size_t i) { sums[i] = sha256(all[i]->array.data, all[i]->array.bytes()); });
  for (std::size_t i = 0; i < all.size(); ++i)
    if (sums[i] != all[i]->sha) throw Error(Exit::kInput, all[i]->where, fmt::format("SHA-256 is {}, the file says {}", sums[i], all[i]->sha));
  check_root(reader, path);
  return reader.root;
}

}  // namespace ds::io
