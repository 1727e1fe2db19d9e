#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/core/error.h"
#include "base/io/checkpoint.h"
#include "base/io/checkpoint_format.h"
#include "base/io/checksum.h"
#include "base/io/files.h"
#include "base/io/hdf5.h"
#include "base/io/parallel.h"

namespace ds::io {
namespace {

namespace f = format;
using hdf5::Id;

/// One dataset to write.
struct Item {
  const char* group;
  std::string link;
  std::string dtype;               ///< attribute ds_dtype
  hid_t type;                      ///< of the elements in the file
  std::vector<hsize_t> dims;
  std::string shape;               ///< attribute ds_shape, "" = none
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::string hash, sha;
  haddr_t offset = 0;
};

/// What load would refuse is not written.
void check_tensor(const std::string& name, const Array& array) {
  const std::string where = "tensor '" + name + "'";
  const auto fail = [&](const std::string& what) { throw Error(Exit::kFailure, where, what); };
  if (name.empty() || name.find('\0') != std::string::npos) fail("not a name for a tensor");
  if (f::escape(name).size() > f::kMaxName) fail(fmt::format("name of {} bytes, at most {} are written", name.size(), f::kMaxName));
  if (array.shape.size() > f::kMaxRank) fail(fmt::format("rank {}, at most {} is written", array.shape.size(), f::kMaxRank));
  if (std::any_of(array.shape.begin(), array.shape.end(), [](std::int64_t dim) { return dim <= 0; }))
    fail("shape " + shape_text(array.shape) + " has no elements");
  if (!array.data) fail("has no data: the checkpoint was loaded without tensors");
}

Item tensor_item(const char* group, const std::string& name, const Array& array) {
  check_tensor(name, array);
  Item item{group, f::escape(name), dtype_name(array.dtype), hdf5::file_type(array.dtype), {}, "", array.data, array.bytes(), "", "", 0};
  if (f::packed(array.dtype)) {
    item.dims = {item.bytes};
    item.shape = shape_text(array.shape);
  } else {
    item.dims.assign(array.shape.begin(), array.shape.end());
  }
  return item;
}

/// Text of the documents that are there, by name.
std::map<std::string, std::string> texts(const Checkpoint& checkpoint) {
  std::map<std::string, std::string> result;
  for (const f::Document& document : f::kDocuments) {
    const Json& json = checkpoint.*document.member;
    if (const std::string problem = f::kind_problem(document.name, json); !problem.empty()) throw Error(Exit::kFailure, document.name, problem);
    if (!json.is_null()) result[document.name] = f::document_text(json, document.name, !document.in_digest);
  }
  return result;
}

std::vector<Item> make_items(const Checkpoint& checkpoint, const std::map<std::string, std::string>& documents) {
  const auto held = hdf5::lock();  // the names H5T_* are library calls
  std::vector<Item> items;
  for (const auto& [name, text] : documents) {
    if (text.size() > f::kMaxDocument) throw Error(Exit::kFailure, name, fmt::format("{} bytes of text, at most {} are written", text.size(), f::kMaxDocument));
    if (f::too_deep(text.data(), text.size())) throw Error(Exit::kFailure, name, fmt::format("JSON nested deeper than {}", f::kMaxDepth));
    items.push_back({"documents", name, f::kJson, H5T_STD_U8LE, {text.size()}, "", reinterpret_cast<const std::byte*>(text.data()), text.size(), "", "", 0});
  }
  for (const auto& [name, array] : checkpoint.tensors) items.push_back(tensor_item("tensors", name, array));
  for (const auto& [name, array] : checkpoint.state_tensors) items.push_back(tensor_item("state", name, array));
  return items;
}

/// Both hashes and the scan for non-finite values, each block read from memory once.
void digest(Item& item, bool finite) {
  constexpr std::size_t kBlock = 1 << 17;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> sha(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  Checksum hash;
  if (!sha || !EVP_DigestInit_ex(sha.get(), EVP_sha256(), nullptr)) throw Error(Exit::kFailure, item.link, "cannot be hashed");
  const DType dtype = finite ? parse_dtype(item.dtype, item.link) : DType::kU8;
  for (std::size_t at = 0; at < item.bytes; at += kBlock) {
    const std::size_t n = std::min(kBlock, item.bytes - at);
    if (finite && has_nonfinite(dtype, item.data + at, n)) {
      Array block;
      block.dtype = dtype;
      block.shape = {static_cast<std::int64_t>(n * 8) / dtype_bits(dtype)};
      block.data = const_cast<std::byte*>(item.data) + at;
      throw Error(Exit::kFailure, "tensor '" + f::unescape(item.link, "") + "'",
                  fmt::format("value at index {} is not finite", static_cast<std::int64_t>(at * 8) / dtype_bits(dtype) + first_nonfinite(block)));
    }
    hash.update(item.data + at, n);
    EVP_DigestUpdate(sha.get(), item.data + at, n);
  }
  unsigned char bytes[32];
  EVP_DigestFinal_ex(sha.get(), bytes, nullptr);
  for (unsigned char byte : bytes) item.sha += fmt::format("{:02x}", byte);
  item.hash = hash.hex();
}

/// `known` holds tensors alone: what is in it was found finite.
void digest_all(std::vector<Item>& items, KnownDigests* known) {
  std::vector<Item*> order;
  std::size_t total = 0;
  for (Item& item : items) {
    const auto found = known ? known->find({item.data, item.bytes}) : KnownDigests::iterator();
    if (known && found != known->end()) {
      std::tie(item.hash, item.sha) = found->second;
      continue;
    }
    order.push_back(&item);
    total += item.bytes;
  }
  std::stable_sort(order.begin(), order.end(), [](const Item* a, const Item* b) { return a->bytes > b->bytes; });
  parallel(order.size(), total, [&](std::size_t i) { digest(*order[i], std::strcmp(order[i]->group, "tensors") == 0); });
  for (const Item* item : order)
    if (known && std::strcmp(item->group, "tensors") == 0) known->emplace(std::pair{item->data, item->bytes}, std::pair{item->hash, item->sha});
}

std::string root_of(const Checkpoint& checkpoint, const std::vector<Item>& items) {
  std::map<std::string, std::string> documents;
  std::map<std::string, f::TensorEntry> tensors;
  for (const Item& item : items) {
    if (std::strcmp(item.group, "documents") == 0) documents[item.link] = item.sha;
    if (std::strcmp(item.group, "tensors") != 0) continue;
    const std::string name = f::unescape(item.link, "");
    const Array& array = checkpoint.tensors.at(name);
    tensors[name] = {array.dtype, array.shape, item.sha};
  }
  return f::manifest_digest(documents, tensors);
}

void add_text(hid_t object, const char* name, const std::string& text) {
  const Id type(H5Tcopy(H5T_C_S1), H5Tclose, "H5Tcopy", name);
  hdf5::check(H5Tset_size(type, text.size()), "H5Tset_size", name);
  hdf5::check(H5Tset_strpad(type, H5T_STR_NULLPAD), "H5Tset_strpad", name);
  const Id space(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate", name);
  const Id attribute(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "H5Acreate2", name);
  hdf5::check(H5Awrite(attribute, type, text.data()), "H5Awrite", name);
}

void add_version(hid_t file) {
  const std::int32_t version = kFormatVersion;
  const Id space(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate", f::kVersionAttribute);
  const Id attribute(H5Acreate2(file, f::kVersionAttribute, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "H5Acreate2", f::kVersionAttribute);
  hdf5::check(H5Awrite(attribute, H5T_NATIVE_INT32, &version), "H5Awrite", f::kVersionAttribute);
}

/// Gives the dataset its place and description. Its bytes are written by us, later: HDF5 only says where.
void place(hid_t group, hid_t create, Item& item) {
  const Id space(item.dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(item.dims.size()), item.dims.data(), nullptr), H5Sclose,
                 "H5Screate", item.link);
  const Id set(H5Dcreate2(group, item.link.c_str(), item.type, space, H5P_DEFAULT, create, H5P_DEFAULT), H5Dclose, "H5Dcreate2", item.link);
  add_text(set, f::kDtypeAttribute, item.dtype);
  if (!item.shape.empty()) add_text(set, f::kShapeAttribute, item.shape);
  add_text(set, f::kHashAttribute, item.hash);
  add_text(set, f::kShaAttribute, item.sha);
  item.offset = H5Dget_offset(set);
  if (item.offset == HADDR_UNDEF || item.offset % f::kAlignment != 0) throw Error(Exit::kFailure, item.link, "HDF5 gave it no aligned place");
}

void lay_out(hdf5::Memory& memory, std::vector<Item>& items, const std::string& root) {
  const auto held = hdf5::lock();
  Id file = hdf5::create_file(memory);
  {
    add_text(file, f::kFormatAttribute, f::kFormat);
    add_version(file);
    add_text(file, f::kRootAttribute, root);
    const Id create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "H5Pcreate", "hdf5");
    hdf5::check(H5Pset_layout(create, H5D_CONTIGUOUS), "H5Pset_layout", "hdf5");
    hdf5::check(H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time", "hdf5");
    hdf5::check(H5Pset_fill_time(create, H5D_FILL_TIME_NEVER), "H5Pset_fill_time", "hdf5");
    hdf5::check(H5Pset_obj_track_times(create, false), "H5Pset_obj_track_times", "hdf5");
    const Id group_create(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, "H5Pcreate", "hdf5");
    hdf5::check(H5Pset_obj_track_times(group_create, false), "H5Pset_obj_track_times", "hdf5");
    for (const char* name : {"documents", "tensors", "state"}) {
      const Id group(H5Gcreate2(file, name, H5P_DEFAULT, group_create, H5P_DEFAULT), H5Gclose, "H5Gcreate2", name);
      for (Item& item : items)
        if (std::strcmp(item.group, name) == 0) place(group, create, item);
    }
  }
  if (!file.close()) throw Error(Exit::kFailure, "hdf5", "the file could not be laid out");
}

/// Metadata from `memory`, zeros where it has nothing.
void write_metadata(Sink& sink, const hdf5::Memory& memory, std::uint64_t from, std::uint64_t to) {
  static const std::array<std::byte, 4096> zeros{};
  while (from < to) {
    const std::uint64_t inside = from % 4096, n = std::min(4096 - inside, to - from);
    const auto page = memory.pages.find(from / 4096);
    sink.write((page == memory.pages.end() ? zeros : page->second).data() + inside, n);
    from += n;
  }
}

void write_all(Sink& sink, const hdf5::Memory& memory, const std::vector<const Item*>& by_offset) {
  std::uint64_t at = 0;
  for (const Item* item : by_offset) {
    write_metadata(sink, memory, at, item->offset);
    sink.write(item->data, item->bytes);
    at = item->offset + item->bytes;
  }
  write_metadata(sink, memory, at, memory.end);
}

}  // namespace

void save(Checkpoint& checkpoint, const std::string& path, const SaveOptions& options) {
  const std::map<std::string, std::string> documents = texts(checkpoint);
  std::vector<Item> items = make_items(checkpoint, documents);
  digest_all(items, options.known);
  const std::string root = root_of(checkpoint, items);
  hdf5::Memory memory;
  try {
    lay_out(memory, items, root);
  } catch (const Error& error) {
    throw Error(Exit::kFailure, path, error.what());  // nothing was read: the input is not to blame
  }
  std::vector<const Item*> by_offset;
  for (const Item& item : items) by_offset.push_back(&item);
  std::sort(by_offset.begin(), by_offset.end(), [](const Item* a, const Item* b) { return a->offset < b->offset; });
  const auto write = [&](Sink& sink) { write_all(sink, memory, by_offset); };
  if (path == "-") write_stdout(write);
  else replace_file(path, options.overwrite, write);
  checkpoint.path = path == "-" ? path : absolute(path);
  checkpoint.digest = root;
}

std::string root_digest(const Checkpoint& checkpoint, KnownDigests* known) {
  const std::map<std::string, std::string> documents = texts(checkpoint);
  std::vector<Item> items = make_items(checkpoint, documents);
  digest_all(items, known);
  return root_of(checkpoint, items);
}

}  // namespace ds::io
