#include "base/io/tensor_file.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/core/error.h"
#include "base/io/checkpoint_format.h"
#include "base/io/numpy.h"
#include "base/io/pth.h"
#include "base/io/safetensors.h"

namespace ds::io {
namespace {

struct Format {
  const char* extension;
  TensorFormat format;
  TensorFile (*read)(const Bytes&, const std::string&, bool);
  void (*write)(const std::string&, const TensorFile&, bool);
};

void refuse_script(const std::string& path, const TensorFile&, bool) {
  throw Error(Exit::kUsage, path, "TorchScript is made of a model, not of tensors alone", "convert them to a checkpoint first");
}

constexpr Format kFormats[] = {{".safetensors", TensorFormat::kSafetensors, parse_safetensors, write_safetensors},
                               {".npz", TensorFormat::kNpz, parse_npz, write_npz},
                               {".npy", TensorFormat::kNpy, parse_npy, write_npy},
                               {".pth", TensorFormat::kPth, parse_pth, write_pth},
                               {".pt", TensorFormat::kPth, parse_pth, write_pth},
                               {".ts", TensorFormat::kScript, parse_pth, refuse_script}};

const Format* format_of(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  for (const Format& format : kFormats)
    if (extension == format.extension) return &format;
  return nullptr;
}

const Format& require_format(const std::string& path) {
  if (const Format* format = format_of(path)) return *format;
  throw Error(Exit::kUsage, path,
              fmt::format("unknown format '{}', expected one of {}", std::filesystem::path(path).extension().string(), tensor_extensions()));
}

}  // namespace

TensorFormat tensor_format(const std::string& path) {
  const Format* format = format_of(path);
  return format ? format->format : TensorFormat::kNone;
}

std::string tensor_extensions() {
  std::string text;
  for (const Format& format : kFormats) text += (text.empty() ? "" : ", ") + std::string(format.extension);
  return text;
}

TensorFile read_tensors(const std::string& path, bool sums) {
  const Format& format = require_format(path);
  return format.read(map_file(path), path, sums);
}

TensorFile read_tensors(const Bytes& bytes, const std::string& path, bool sums) { return require_format(path).read(bytes, path, sums); }

void write_tensors(const std::string& path, const TensorFile& file, bool overwrite) { require_format(path).write(path, file, overwrite); }

bool is_utf8(std::string_view text) {
  try {
    (void)nlohmann::json(std::string(text)).dump();  // refuses overlong forms and surrogates
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::size_t check_foreign(const std::string& name, DType dtype, const std::vector<std::int64_t>& shape, const std::string& where) {
  const auto fail = [&](const std::string& what) { throw Error(Exit::kInput, where, what); };
  if (name.empty()) fail("a tensor without a name");
  if (name.find('\0') != std::string::npos || !is_utf8(name)) fail("a tensor's name that is not UTF-8 text");
  if (const std::size_t size = format::escape(name).size(); size > format::kMaxName)
    fail(fmt::format("a tensor's name of {} bytes, at most {} are read", size, format::kMaxName));
  const auto told = [&] { return fmt::format("tensor '{}' of shape {}", name, shape_text(shape)); };
  if (shape.size() > static_cast<std::size_t>(format::kMaxRank))
    fail(fmt::format("tensor '{}' of rank {}, at most {} is read", name, shape.size(), format::kMaxRank));
  std::int64_t bits = dtype_bits(dtype);
  for (std::int64_t dim : shape) {
    if (dim < 1) fail(told() + " has no elements");
    if (__builtin_mul_overflow(bits, dim, &bits) || bits > std::int64_t{1} << 56) fail(told() + " is larger than any file");
  }
  return static_cast<std::size_t>((bits + 7) / 8);
}

Array array_in(const Bytes& bytes, std::size_t offset, DType dtype, std::vector<std::int64_t> shape) {
  std::byte* data = bytes.data + offset;
  const std::size_t element = static_cast<std::size_t>(std::max(1, dtype_bits(dtype) / 8));
  if (reinterpret_cast<std::uintptr_t>(data) % element != 0) {
    Array copy = make_array(dtype, std::move(shape));
    std::memcpy(copy.data, data, copy.bytes());
    return copy;
  }
  Array array;
  array.dtype = dtype;
  array.shape = std::move(shape);
  array.data = data;
  array.keeper = bytes.keeper;
  return array;
}

namespace {

/// Copies axis `axis` and those behind it; a loop over the last one, so that the recursion is as deep as the rank.
void gather(const std::byte* from, std::byte*& to, const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides, std::size_t axis,
            std::size_t element) {
  const std::int64_t step = axis < shape.size() ? strides[axis] * static_cast<std::int64_t>(element) : 0;
  if (axis + 1 >= shape.size()) {
    for (std::int64_t i = 0, n = axis < shape.size() ? shape[axis] : 1; i < n; ++i, to += element) std::memcpy(to, from + i * step, element);
    return;
  }
  for (std::int64_t i = 0; i < shape[axis]; ++i) gather(from + i * step, to, shape, strides, axis + 1, element);
}

}  // namespace

Array array_of(const Bytes& bytes, DType dtype, const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides,
               std::int64_t offset, const std::string& where) {
  const auto element = static_cast<std::size_t>(dtype_bits(dtype) / 8);
  const auto elements = static_cast<std::int64_t>(bytes.size / element);
  std::int64_t last = offset, expected = 1;
  bool row_major = true, wrong = offset < 0 || shape.size() != strides.size();
  for (std::size_t d = shape.size(); !wrong && d-- > 0;) {
    std::int64_t reach = 0;
    wrong = strides[d] < 0 || __builtin_mul_overflow(shape[d] - 1, strides[d], &reach) || __builtin_add_overflow(last, reach, &last);
    if (shape[d] != 1 && strides[d] != expected) row_major = false;
    expected *= shape[d];  // the caller has checked the product
  }
  if (wrong || last >= elements)
    throw Error(Exit::kInput, where, fmt::format("shape {} with strides {} from element {} lies beyond the {} elements that are there", shape_text(shape),
                                                 shape_text(strides), offset, elements));
  if (row_major) return array_in(bytes, static_cast<std::size_t>(offset) * element, dtype, shape);
  Array copy = make_array(dtype, shape);
  std::byte* to = copy.data;
  gather(bytes.data + static_cast<std::size_t>(offset) * element, to, shape, strides, 0, element);
  return copy;
}

}  // namespace ds::io
