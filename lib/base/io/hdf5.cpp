#include "base/io/hdf5.h"

#include <fmt/format.h>

#include <cstring>

#include "base/core/error.h"

namespace ds::io::hdf5 {
namespace {

/// A virtual file driver: HDF5's view of a Memory.
struct File {
  H5FD_t pub;  // first, as HDF5 demands
  Memory* memory;
  haddr_t end;  ///< reading: what HDF5 takes for the end
};

File& self(H5FD_t* file) { return *reinterpret_cast<File*>(file); }
const File& self(const H5FD_t* file) { return *reinterpret_cast<const File*>(file); }

H5FD_t* open_file(const char*, unsigned flags, hid_t access, haddr_t) {
  Memory* const* memory = static_cast<Memory* const*>(H5Pget_driver_info(access));
  if (!memory || !*memory) return nullptr;
  File* file = new (std::nothrow) File{};
  if (!file) return nullptr;
  file->memory = *memory;
  if (flags & H5F_ACC_CREAT) file->memory->end = 0;
  return &file->pub;
}

herr_t close_file(H5FD_t* file) {
  delete &self(file);
  return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  const std::less<const Memory*> less;
  return less(self(a).memory, self(b).memory) ? -1 : less(self(b).memory, self(a).memory) ? 1 : 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  // Metadata is gathered in blocks. Small raw data is not: each dataset is to start at a multiple of 64.
  if (flags) *flags = H5FD_FEAT_AGGREGATE_METADATA;
  return 0;
}

haddr_t allocate(H5FD_t* file, H5FD_mem_t type, hid_t, hsize_t size) {
  Memory& memory = *self(file).memory;
  const std::uint64_t unit = type == H5FD_MEM_DRAW ? 64 : 8;
  const std::uint64_t start = (memory.end + unit - 1) / unit * unit;
  memory.end = start + size;
  return start;
}

haddr_t get_end_of_address(const H5FD_t* file, H5FD_mem_t) { return self(file).memory->image ? self(file).end : self(file).memory->end; }

herr_t set_end_of_address(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  Memory& memory = *self(file).memory;
  (memory.image ? self(file).end : memory.end) = end;
  return 0;
}

haddr_t get_end_of_file(const H5FD_t* file, H5FD_mem_t) {
  const Memory& memory = *self(file).memory;
  return memory.image ? memory.bytes : memory.end;
}

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  const Memory& memory = *self(file).memory;
  std::byte* to = static_cast<std::byte*>(buffer);
  if (memory.image) {
    if (address > memory.bytes || size > memory.bytes - address) return -1;
    std::memcpy(to, memory.image + address, size);
    return 0;
  }
  for (size_t done = 0; done < size;) {
    const std::uint64_t at = address + done, inside = at % 4096, n = std::min<std::uint64_t>(4096 - inside, size - done);
    const auto page = memory.pages.find(at / 4096);
    if (page == memory.pages.end()) std::memset(to + done, 0, n);
    else std::memcpy(to + done, page->second.data() + inside, n);
    done += n;
  }
  return 0;
}

herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, const void* buffer) {
  Memory& memory = *self(file).memory;
  if (memory.image) return -1;
  const std::byte* from = static_cast<const std::byte*>(buffer);
  for (size_t done = 0; done < size;) {
    const std::uint64_t at = address + done, inside = at % 4096, n = std::min<std::uint64_t>(4096 - inside, size - done);
    std::memcpy(memory.pages[at / 4096].data() + inside, from + done, n);
    done += n;
  }
  return 0;
}

H5FD_class_t driver_class() {
  H5FD_class_t driver{};
  driver.name = "ds-memory";
  driver.maxaddr = HADDR_MAX >> 1;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(Memory*);
  driver.open = open_file;
  driver.close = close_file;
  driver.cmp = compare;
  driver.query = query;
  driver.alloc = allocate;
  driver.get_eoa = get_end_of_address;
  driver.set_eoa = set_end_of_address;
  driver.get_eof = get_end_of_file;
  driver.read = read;
  driver.write = write;
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), driver.fl_map);
  return driver;
}

Id access_list(Memory& memory) {
  static const H5FD_class_t driver_type = driver_class();
  static const hid_t driver = H5FDregister(&driver_type);
  Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "H5Pcreate", "hdf5");
  Memory* pointer = &memory;
  check(H5Pset_driver(access, driver, &pointer), "H5Pset_driver", "hdf5");
  check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110), "H5Pset_libver_bounds", "hdf5");
  return access;
}

}  // namespace

std::unique_lock<std::recursive_mutex> lock() {
  static std::recursive_mutex mutex;
  std::unique_lock<std::recursive_mutex> held(mutex);
  static const bool ready = [] {
    H5dont_atexit();  // a process that ends elsewhere, even in a thread, must not run HDF5's clean-up
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    return true;
  }();
  (void)ready;
  return held;
}

Id::Id(hid_t id, herr_t (*close)(hid_t), const char* call, const std::string& where) : id_(id), close_(close) { check(id, call, where); }

Id::~Id() { close(); }

Id& Id::operator=(Id&& other) noexcept {
  if (this != &other) {
    close();
    id_ = other.id_;
    close_ = other.close_;
    other.id_ = -1;
  }
  return *this;
}

bool Id::close() {
  const hid_t id = id_;
  id_ = -1;
  return id < 0 || close_(id) >= 0;
}

void check(long long status, const char* call, const std::string& where) {
  if (status < 0) throw Error(Exit::kInput, where, fmt::format("corrupt HDF5 structure ({} failed)", call));
}

hid_t file_type(DType dtype) {
  switch (dtype) {
    case DType::kF64: return H5T_IEEE_F64LE;
    case DType::kF32: return H5T_IEEE_F32LE;
    case DType::kF16:
    case DType::kBF16: return H5T_STD_U16LE;
    case DType::kI64: return H5T_STD_I64LE;
    case DType::kI32: return H5T_STD_I32LE;
    case DType::kI16: return H5T_STD_I16LE;
    case DType::kI8: return H5T_STD_I8LE;
    default: return H5T_STD_U8LE;
  }
}

Id open_image(Memory& memory, const std::string& where) {
  const Id access = access_list(memory);
  return Id(H5Fopen("image", H5F_ACC_RDONLY, access), H5Fclose, "H5Fopen", where);
}

Id create_file(Memory& memory) {
  const Id access = access_list(memory);
  const Id create(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "H5Pcreate", "hdf5");
  check(H5Pset_obj_track_times(create, false), "H5Pset_obj_track_times", "hdf5");
  return Id(H5Fcreate("image", H5F_ACC_TRUNC, create, access), H5Fclose, "H5Fcreate", "hdf5");
}

}  // namespace ds::io::hdf5
