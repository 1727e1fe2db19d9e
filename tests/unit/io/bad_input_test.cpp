// Whatever a file holds: an error with exit code 3, or the same model as was saved. Never a crash, a hang or another model.
#include <doctest/doctest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <cmath>
#include <random>

#include "base/io/hdf5.h"
#include "sample.h"

using namespace io_test;
namespace io = ds::io;

namespace {

/// The bytes of a good checkpoint.
std::string good(std::string* digest = nullptr, bool small = false) {
  const Folder folder;
  Checkpoint c = sample();
  if (small) {
    for (auto it = c.tensors.begin(); it != c.tensors.end();) it = it->first == "i4" || it->first == "f32" ? std::next(it) : c.tensors.erase(it);
    c.config = c.history = c.preprocessing = nullptr;
  }
  io::save(c, folder / "a.h5");
  if (digest) *digest = c.digest;
  return slurp(folder / "a.h5");
}

std::string message_of(const std::string& bytes) {
  const Folder folder;
  spill(folder / "x.h5", bytes);
  std::string message;
  CHECK(code_of([&] { io::load(folder / "x.h5"); }, &message) == Exit::kInput);
  CHECK(message.find('\n') == std::string::npos);
  const std::string prefix = folder / "x.h5";
  CHECK(message.compare(0, prefix.size(), prefix) == 0);
  return message.substr(prefix.size());
}

/// A file like ours, then changed by `change` through HDF5 itself.
template <class Change>
std::string changed(Change&& change, Checkpoint c = sample()) {
  const Folder folder;
  io::save(c, folder / "a.h5");
  const hid_t file = H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(file >= 0);
  change(file);
  H5Fclose(file);
  return slurp(folder / "a.h5");
}

void set_text(hid_t object, const char* name, const std::string& text) {
  H5Adelete(object, name);
  const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, text.size());
  const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, text.data());
  H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
}

/// Writes into a tensor and mends its XXH3, so that only what is checked after it can complain.
void poke(hid_t file, const char* path, float value) {
  const hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
  std::vector<float> values(H5Dget_storage_size(set) / sizeof(float), value);
  H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  set_text(set, "xxh3_128", io::xxh3_128(values.data(), values.size() * sizeof(float)));
  H5Dclose(set);
}

void make_dataset(hid_t file, const char* path, hid_t type, std::vector<hsize_t> dims, hid_t create = H5P_DEFAULT, const char* dtype = "float32") {
  const hid_t space = H5Screate_simple(int(dims.size()), dims.data(), nullptr);
  const hid_t set = H5Dcreate2(file, path, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
  REQUIRE(set >= 0);
  set_text(set, "ds_dtype", dtype);
  set_text(set, "xxh3_128", std::string(32, '0'));
  set_text(set, "sha256", std::string(64, '0'));
  H5Dclose(set);
  H5Sclose(space);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Quiets HDF5, which this file also calls directly.
const bool quiet = [] {
  ds::io::hdf5::lock();
  return true;
}();

}  // namespace

TEST_CASE("io: empty, random and foreign files, and garbage after the signature") {
  CHECK(message_of("") == ": is empty, expected a ds checkpoint");
  CHECK(message_of("hello") == ": is not a ds checkpoint: no HDF5 signature");
  std::mt19937 random(1);
  std::string noise(4096, 0);
  for (char& c : noise) c = char(random());
  CHECK(message_of(noise) == ": is not a ds checkpoint: no HDF5 signature");
  const std::string signature("\x89HDF\r\n\x1a\n", 8);
  CHECK(contains(message_of(signature), "is truncated: 8 bytes"));
  const std::string start = signature + '\x02' + '\x08' + '\x08' + '\0' + std::string(8, '\0') + std::string(8, '\xff') + std::string(8, '\0');
  CHECK(contains(message_of(start + noise), "HDF5 cannot open it"));
  CHECK(first_failure(2000, 60, [&](long i) {
          std::mt19937 each(static_cast<unsigned>(i));
          std::string bytes = i % 2 ? signature : start;
          for (int k = 0; k < 600; ++k) bytes += char(each());
          return code_of([&] { io::load_bytes(to_bytes(bytes), "noise"); }) == Exit::kInput;
        }) == -1);
  const Folder folder;
  for (const bool newer : {false, true}) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (newer) H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110);
    H5Fclose(H5Fcreate((folder / "f.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access));
    H5Pclose(access);
    CHECK(contains(message_of(slurp(folder / "f.h5")), newer ? "HDF5 file without attributes" : "superblock of version 0"));
  }
}

TEST_CASE("io: missing files, folders and FIFOs are named, and do not block") {
  const Folder folder;
  const auto load = [&](const std::string& path) {
    std::string message;
    CHECK(code_of([&] { io::load(path); }, &message) == Exit::kInput);
    return message.substr(path.size());
  };
  CHECK(load(folder / "none.h5") == ": no such file");
  CHECK(load(folder.path) == ": is a folder, expected a file");
  mkfifo((folder / "pipe").c_str(), 0600);
  CHECK(contains(load(folder / "pipe"), ": is a FIFO"));
  CHECK(contains(load("/dev/null"), ": is not a regular file"));
  CHECK(code_of([&] { io::load(""); }) == Exit::kInput);
  CHECK(code_of([&] { io::load(folder / "none.h5/x"); }) == Exit::kInput);
}

TEST_CASE("io: a truncated file is refused at every length") {
  std::string digest;
  const std::string bytes = good(&digest);
  CHECK(first_failure(long(bytes.size() / 97) + 1, 60, [&](long i) {
          return code_of([&] { io::load_bytes(to_bytes(bytes.substr(0, std::size_t(i) * 97)), "cut"); }) == Exit::kInput;
        }) == -1);
  CHECK(contains(message_of(bytes.substr(0, bytes.size() - 1)), "is truncated or corrupt"));
  CHECK(refused_or_same(bytes + "tail", digest));
}

TEST_CASE("io: every single bit flip is refused, or changes nothing") {
  std::string digest;
  const std::string bytes = good(&digest, true);
  CHECK(first_failure(long(bytes.size()) * 8, 300, [&](long i) {
          std::string flipped = bytes;
          flipped[std::size_t(i / 8)] = char(flipped[std::size_t(i / 8)] ^ (1 << i % 8));
          return refused_or_same(flipped, digest);
        }) == -1);
}

TEST_CASE("io: bytes overwritten at random are refused, or change nothing") {
  std::string digest;
  const std::string bytes = good(&digest);
  CHECK(first_failure(3000, 120, [&](long i) {
          std::mt19937 random(static_cast<unsigned>(i));
          std::string broken = bytes;
          for (unsigned k = 0, n = 1 + random() % 40; k < n; ++k) broken[random() % broken.size()] = char(random());
          if (random() % 4 == 0) broken.erase(random() % broken.size(), random() % 200);
          return refused_or_same(broken, digest);
        }) == -1);
}

TEST_CASE("io: a newer format is refused by name") {
  const std::string bytes = changed([](hid_t file) {
    const std::int32_t version = 2;
    const hid_t attribute = H5Aopen(file, "ds_version", H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_INT32, &version);
    H5Aclose(attribute);
  });
  CHECK(message_of(bytes) == ": has checkpoint format 2, this build reads up to 1; use a newer ds");
  CHECK(contains(message_of(changed([](hid_t file) { set_text(file, "ds_format", "ds-other"); })), "ds_format is 'ds-other'"));
}

TEST_CASE("io: non-finite weights are refused with name and index, a changed tensor by its hash") {
  CHECK(message_of(changed([](hid_t file) { poke(file, "/tensors/f32", NAN); })) == ":/tensors/f32: value at index 0 is not finite");
  CHECK(contains(message_of(changed([](hid_t file) {
          poke(file, "/tensors/f32", 1.f);
          const hid_t set = H5Dopen2(file, "/tensors/f32", H5P_DEFAULT);
          set_text(set, "xxh3_128", std::string(32, 'a'));
          H5Dclose(set);
        })),
                 ":/tensors/f32: is corrupt: XXH3"));
}

TEST_CASE("io: digests that do not fit the content are found, the SHA-256 of a tensor by verify_file") {
  const std::string poked = changed([](hid_t file) { poke(file, "/tensors/f32", 1.f); });
  const Folder folder;
  spill(folder / "a.h5", poked);
  CHECK(code_of([&] { io::load(folder / "a.h5"); }) == Exit::kDone);  // XXH3 guards against accidents, not against forgers
  std::string message;
  CHECK(code_of([&] { io::verify_file(folder / "a.h5"); }, &message) == Exit::kInput);
  CHECK(contains(message, ":/tensors/f32: SHA-256 is"));
  CHECK(contains(message_of(changed([](hid_t file) { set_text(file, "ds_root_digest", std::string(64, '1')); })), "root digest is"));
}

TEST_CASE("io: structures that no checkpoint has are refused") {
  const auto refused = [](auto&& change) { return message_of(changed(change)); };
  CHECK(contains(refused([](hid_t file) { make_dataset(file, "/tensors/zero", H5T_IEEE_F32LE, {3, 0}); }), "has no elements"));
  CHECK(contains(refused([](hid_t file) { make_dataset(file, "/tensors/deep", H5T_IEEE_F32LE, std::vector<hsize_t>(9, 1)); }), "rank 9"));
  CHECK(contains(refused([](hid_t file) { make_dataset(file, "/tensors/late", H5T_IEEE_F32LE, {3}); }), "not stored as one block"));
  CHECK(contains(refused([](hid_t file) { make_dataset(file, "/tensors/type", H5T_IEEE_F64LE, {3}); }), "another type in HDF5"));
  CHECK(contains(refused([](hid_t file) { make_dataset(file, "/tensors/big", H5T_IEEE_F32BE, {3}); }), "another type in HDF5"));
  CHECK(contains(refused([](hid_t file) { make_dataset(file, "/tensors/odd", H5T_IEEE_F32LE, {3}, H5P_DEFAULT, "float31"); }), "unknown dtype 'float31'"));
  CHECK(contains(refused([](hid_t file) {
          const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
          const hsize_t chunk = 2;
          H5Pset_chunk(create, 1, &chunk);
          make_dataset(file, "/tensors/chunked", H5T_IEEE_F32LE, {4}, create);
          H5Pclose(create);
        }),
                 "not stored as one block"));
  CHECK(contains(refused([](hid_t file) {
          const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
          H5Pset_external(create, "/etc/passwd", 0, 16);
          make_dataset(file, "/tensors/outside", H5T_IEEE_F32LE, {4}, create);
          H5Pclose(create);
        }),
                 "not stored as one block"));
  CHECK(contains(refused([](hid_t file) { H5Lcreate_soft("/tensors/f32", file, "/tensors/soft", H5P_DEFAULT, H5P_DEFAULT); }), "not a hard link"));
  CHECK(contains(refused([](hid_t file) { H5Lcreate_external("/etc/passwd", "/x", file, "/tensors/far", H5P_DEFAULT, H5P_DEFAULT); }), "not a hard link"));
  CHECK(contains(refused([](hid_t file) { H5Lcreate_hard(file, "/tensors/f32", file, "/tensors/twin", H5P_DEFAULT, H5P_DEFAULT); }), "shares bytes"));
  CHECK(contains(refused([](hid_t file) { H5Lcreate_hard(file, "/tensors", file, "/tensors/loop", H5P_DEFAULT, H5P_DEFAULT); }), "H5Dopen2"));
  CHECK(contains(refused([](hid_t file) { H5Gclose(H5Gcreate2(file, "/more", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)); }), "other groups"));
  CHECK(contains(refused([](hid_t file) { H5Ldelete(file, "/state", H5P_DEFAULT); }), "other groups"));
  CHECK(contains(refused([](hid_t file) { H5Lmove(file, "/tensors/f32", file, "/tensors/f%32", H5P_DEFAULT, H5P_DEFAULT); }), "tensor's name"));
  CHECK(contains(refused([](hid_t file) { H5Lmove(file, "/tensors/f32", file, "/tensors/f33", H5P_DEFAULT, H5P_DEFAULT); }), "root digest is"));
  CHECK(contains(refused([](hid_t file) {
          H5Lmove(file, "/tensors/f32", file, ("/tensors/" + std::string(1200, 'n')).c_str(), H5P_DEFAULT, H5P_DEFAULT);
        }),
                 "longer than 1024 bytes"));
}

TEST_CASE("io: documents of another kind than the format says are neither written nor read") {
  const auto problem = [](auto&& change) {
    Checkpoint c = sample();
    change(c);
    const Folder folder;
    std::string message;
    CHECK(code_of([&] { io::save(c, folder / "a.h5"); }, &message) == Exit::kFailure);
    CHECK(folder.files().empty());
    return message;
  };
  CHECK(problem([](Checkpoint& c) { c.labels = {{"a", 1}}; }) == "labels: is object, expected a list");
  CHECK(problem([](Checkpoint& c) { c.labels = {"a", 2}; }) == "labels: entry 1 is number, expected a text");
  CHECK(problem([](Checkpoint& c) { c.history = {1}; }) == "history: entry 0 is number, expected an object");
  CHECK(problem([](Checkpoint& c) { c.config = "text"; }) == "config: is string, expected an object");
  // In a file of another program: the text of the document, and its sum.
  const std::string bytes = changed([](hid_t file) {
    const hid_t set = H5Dopen2(file, "/documents/config", H5P_DEFAULT);
    std::string text(H5Dget_storage_size(set), ' ');
    text[0] = '7';
    H5Dwrite(set, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data());
    set_text(set, "xxh3_128", io::xxh3_128(text.data(), text.size()));
    H5Dclose(set);
  });
  CHECK(message_of(bytes) == ":/documents/config: is number, expected an object");
}

TEST_CASE("io: JSON that is nested too deep is refused before it is parsed") {
  Checkpoint c;
  c.graph = io::Json::parse(std::string(150, '[') + std::string(150, ']'));
  const Folder folder;
  io::save(c, folder / "a.h5");
  CHECK(io::load(folder / "a.h5").graph == c.graph);
  c.graph = io::Json::parse(std::string(250, '[') + std::string(250, ']'));
  CHECK(code_of([&] { io::save(c, folder / "b.h5"); }) == Exit::kFailure);
}
