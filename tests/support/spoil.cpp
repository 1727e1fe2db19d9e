// spoil KIND IN OUT: a copy of the checkpoint IN with one thing wrong that flipping or cutting bytes does not make, or (foreign, foreign-old)
// an HDF5 file of somebody else. All sums fit, so that only what is meant to be found can be found.
#include <hdf5.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/io/checkpoint.h"
#include "base/io/files.h"

namespace {

namespace io = ds::io;

void set_text(hid_t object, const char* name, const std::string& text) {
  if (H5Aexists(object, name) > 0) H5Adelete(object, name);
  const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, text.size());
  const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, text.data());
  H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
}

void newer(hid_t file) {
  const std::int32_t version = io::kFormatVersion + 1;
  const hid_t attribute = H5Aopen(file, "ds_version", H5P_DEFAULT);
  H5Awrite(attribute, H5T_NATIVE_INT32, &version);
  H5Aclose(attribute);
}

herr_t first_float(hid_t group, const char* name, const H5L_info_t*, void* found) {
  const hid_t set = H5Dopen2(group, name, H5P_DEFAULT), type = H5Dget_type(set);
  const bool fits = H5Tequal(type, H5T_IEEE_F32LE) > 0;
  H5Tclose(type);
  H5Dclose(set);
  if (fits) *static_cast<std::string*>(found) = name;
  return fits ? 1 : 0;
}

void nonfinite(hid_t file) {
  std::string name;
  const hid_t group = H5Gopen2(file, "tensors", H5P_DEFAULT);
  hsize_t index = 0;
  H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &index, first_float, &name);
  const hid_t set = H5Dopen2(group, name.c_str(), H5P_DEFAULT);
  std::vector<float> values(H5Dget_storage_size(set) / sizeof(float));
  H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  values.back() = std::nanf("");
  H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  set_text(set, "xxh3_128", io::xxh3_128(values.data(), values.size() * sizeof(float)));
  H5Dclose(set);
  H5Gclose(group);
}

void zero(hid_t file) {
  const hsize_t dims[2] = {3, 0};
  const hid_t space = H5Screate_simple(2, dims, nullptr);
  const hid_t set = H5Dcreate2(file, "/tensors/zero", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  set_text(set, "ds_dtype", "float32");
  set_text(set, "xxh3_128", io::xxh3_128("", 0));
  set_text(set, "sha256", io::sha256("", 0));
  H5Dclose(set);
  H5Sclose(space);
}

/// What another program would store: one group with one dataset of numbers.
void make_foreign(const std::string& path, bool recent) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (recent) H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  const hid_t group = H5Gcreate2(file, "model_weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t dims[2] = {4, 5};
  const hid_t space = H5Screate_simple(2, dims, nullptr);
  const hid_t set = H5Dcreate2(group, "kernel:0", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<float> values(20, 0.5f);
  H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(set);
  H5Sclose(space);
  H5Gclose(group);
  H5Fclose(file);
  H5Pclose(access);
}

using Documents = std::function<void(io::Checkpoint&)>;
const std::map<std::string, Documents> of_documents = {
    {"no-graph", [](io::Checkpoint& c) { c.graph = nullptr; }},
    {"no-config", [](io::Checkpoint& c) { c.config = nullptr; }},
    {"odd-config", [](io::Checkpoint& c) { c.config["data"]["name"] = 7; }},
    {"odd-augment", [](io::Checkpoint& c) { c.config["data"]["augment"] = {1, 2}; }},
    {"odd-preprocessing", [](io::Checkpoint& c) { c.preprocessing["mean"] = "grey"; }},
    {"lost-tensor", [](io::Checkpoint& c) { c.tensors.erase(c.tensors.begin()); }},
    {"other-shape", [](io::Checkpoint& c) { c.tensors.begin()->second.shape.push_back(1); }},
};
const std::map<std::string, void (*)(hid_t)> of_structure = {{"newer", newer}, {"nonfinite", nonfinite}, {"zero", zero}};

int spoil(const std::string& kind, const std::string& from, const std::string& to) {
  if (kind == "foreign" || kind == "foreign-old") return make_foreign(to, kind == "foreign"), 0;
  if (const auto change = of_documents.find(kind); change != of_documents.end()) {
    io::Checkpoint checkpoint = io::load(from);
    change->second(checkpoint);
    io::save(checkpoint, to);
    return 0;
  }
  const auto change = of_structure.find(kind);
  if (change == of_structure.end()) return 2;
  std::filesystem::copy_file(from, to);
  const hid_t file = H5Fopen(to.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  if (file < 0) return 1;
  change->second(file);
  return H5Fclose(file) < 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    return spoil(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "spoil: %s\n", error.what());
    return 1;
  }
}
