#include "base/io/numpy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/core/error.h"
#include "base/io/checkpoint_format.h"
#include "base/io/zip.h"

namespace ds::io {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 1 << 16;
constexpr std::size_t kAlignment = 64;
constexpr const char* kMetadata = "__ds__";
constexpr const char* kBfloat = "ds.bfloat16";

struct Code {
  const char* text;
  DType dtype;
};
/// Without the byte order. u2 stands for bfloat16 where the metadata say so.
constexpr Code kCodes[] = {{"f8", DType::kF64}, {"f4", DType::kF32}, {"f2", DType::kF16}, {"u2", DType::kBF16}, {"i8", DType::kI64},
                           {"i4", DType::kI32}, {"i2", DType::kI16}, {"i1", DType::kI8},  {"u1", DType::kU8},   {"b1", DType::kBool}};

[[noreturn]] void fail(const std::string& where, const std::string& what, const std::string& hint = "") { throw Error(Exit::kInput, where, what, hint); }

struct NpyHeader {
  DType dtype = DType::kF32;
  bool swapped = false, fortran = false;
  std::vector<std::int64_t> shape;
};

/// The header: a Python dict literal with the keys descr, fortran_order and shape, and nothing else of the language.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  NpyHeader read() {
    NpyHeader h;
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      const int which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (which < 0 || seen[which]) malformed();
      seen[which] = true;
      if (which == 0) descr(h);
      else if (which == 1) h.fortran = truth();
      else h.shape = tuple();
      if (accept('}')) break;
      expect(',');
    }
    skip();
    if (at_ != text_.size() || !seen[0] || !seen[1] || !seen[2]) malformed();
    return h;
  }

 private:
  [[noreturn]] void malformed() const { fail(where_, fmt::format("a malformed header of NumPy (at byte {})", at_)); }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) malformed();
  }
  std::string quoted() {
    skip();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) malformed();
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos || end - at_ > 32) malformed();
    const std::string word(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return word;
  }
  bool truth() {
    skip();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    malformed();
  }
  void descr(NpyHeader& h) {
    skip();
    if (at_ < text_.size() && text_[at_] == '[') fail(where_, "an array of records, expected numbers");
    const std::string text = quoted();
    if (text.size() > 1 && text[1] == 'O')
      fail(where_, "an array of Python objects, which is a pickle: it is not read, for that would run what it says", "save numbers, with allow_pickle=False");
    const auto known = std::find_if(std::begin(kCodes), std::end(kCodes), [&](const Code& c) { return text.size() == 3 && text.substr(1) == c.text; });
    if (known == std::end(kCodes) || !std::strchr("<>|=", text[0])) fail(where_, fmt::format("unknown dtype '{}'", text));
    h.dtype = known->dtype;
    h.swapped = text[0] == '>' && dtype_bits(h.dtype) > 8;
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == static_cast<std::size_t>(format::kMaxRank)) fail(where_, fmt::format("rank over {}", format::kMaxRank));
      shape.push_back(number());
      if (accept(')')) return shape;
      expect(',');
    }
    return shape;
  }
  std::int64_t number() {
    skip();
    std::int64_t value = 0;
    const std::size_t start = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
        fail(where_, "a dim that is larger than any file");
    if (at_ == start) malformed();
    return value;
  }

  std::string_view text_;
  std::string where_;
  std::size_t at_ = 0;
};

/// The number at `data` with its bytes turned, in place.
void swap_bytes(Array& array) {
  const auto element = static_cast<std::size_t>(dtype_bits(array.dtype) / 8);
  for (std::size_t at = 0, n = array.bytes(); at < n; at += element) std::reverse(array.data + at, array.data + at + element);
}

Array parse_array(const Bytes& bytes, const std::string& name, const std::string& where) {
  const auto byte = [&](std::size_t at) { return std::to_integer<std::size_t>(bytes.data[at]); };
  if (bytes.size < 10 || std::memcmp(bytes.data, kMagic.data(), kMagic.size()) != 0) fail(where, "not an array of NumPy (no .npy signature)");
  const std::size_t version = byte(6), start = version == 1 ? 10 : 12;
  if (version < 1 || version > 3 || byte(7) != 0) fail(where, fmt::format("version {}.{} of NumPy's format, expected 1.0 to 3.0", version, byte(7)));
  if (bytes.size < start) fail(where, "a truncated header of NumPy");
  const std::size_t size = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (size > kMaxHeader || size > bytes.size - start) fail(where, fmt::format("a header of {} bytes, the file has {}", size, bytes.size - start));
  const NpyHeader h = HeaderReader({reinterpret_cast<const char*>(bytes.data) + start, size}, where).read();
  const std::size_t expected = check_foreign(name, h.dtype, h.shape, where), there = bytes.size - start - size;
  if (there != expected)
    fail(where, fmt::format("array '{}': {} bytes, its shape {} makes {}", name, there, shape_text(h.shape), expected));
  const Bytes data{bytes.data + start + size, there, bytes.keeper};
  std::vector<std::int64_t> strides(h.shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    const std::size_t d = h.fortran ? i : strides.size() - 1 - i;
    strides[d] = stride;
    stride *= h.shape[d];
  }
  Array array = array_of(data, h.dtype, h.shape, strides, 0, where);
  if (h.swapped) {
    if (array.keeper == bytes.keeper) {  // the mapping itself: shared with nobody, but read again by whoever checks it
      Array copy = make_array(array.dtype, array.shape);
      std::memcpy(copy.data, array.data, array.bytes());
      array = copy;
    }
    swap_bytes(array);
  }
  return array;
}

void refuse_uint16(const std::string& name, const std::string& where) { fail(where, fmt::format("array '{}': unknown dtype 'u2'", name)); }

std::map<std::string, std::string> parse_metadata(const Array& array, const std::string& where) {
  if (array.dtype != DType::kU8 || array.shape.size() != 1) fail(where, "is no text");
  const Json json = format::parse_document(reinterpret_cast<const char*>(array.data), array.bytes(), where);
  if (!json.is_object()) fail(where, "is no object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) fail(where, fmt::format("'{}' is {}, expected a text", key, value.type_name()));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// Takes the list of bfloat16 names out of the metadata.
std::map<std::string, bool> take_bfloat(std::map<std::string, std::string>& metadata, const std::string& where) {
  std::map<std::string, bool> names;
  const auto found = metadata.find(kBfloat);
  if (found == metadata.end()) return names;
  const Json list = format::parse_document(found->second.data(), found->second.size(), where);
  if (!list.is_array()) fail(where, "is no list");
  for (const Json& name : list) {
    if (!name.is_string()) fail(where, "is no list of names");
    names[name.get<std::string>()] = true;
  }
  metadata.erase(found);
  return names;
}

std::string npy_header(const Array& array, const std::string& name) {
  const auto known = std::find_if(std::begin(kCodes), std::end(kCodes), [&](const Code& c) { return c.dtype == array.dtype; });
  if (known == std::end(kCodes)) throw Error(Exit::kUsage, "tensor '" + name + "'", fmt::format("{} has no place in NumPy's format", dtype_name(array.dtype)));
  std::string shape;
  for (std::int64_t dim : array.shape) shape += std::to_string(dim) + (array.shape.size() == 1 ? "," : ", ");
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}", dtype_bits(array.dtype) == 8 ? '|' : '<', known->text, shape);
  const std::size_t before = kMagic.size() + 4;
  text.append((kAlignment - (before + text.size() + 1) % kAlignment) % kAlignment, ' ');
  text += '\n';
  return std::string(kMagic) + std::string("\1\0", 2) + static_cast<char>(text.size() & 255) + static_cast<char>(text.size() >> 8) + text;
}

}  // namespace

TensorFile parse_npy(const Bytes& bytes, const std::string& name, bool) {
  const std::string stem = std::filesystem::path(name).stem().string();
  const Array array = parse_array(bytes, stem, name);
  if (array.dtype == DType::kBF16) refuse_uint16(stem, name);
  TensorFile file;
  file.tensors[stem] = array;
  return file;
}

TensorFile parse_npz(const Bytes& bytes, const std::string& name, bool sums) {
  TensorFile file;
  for (const ZipEntry& entry : zip_entries(bytes, name)) {
    if (!entry.name.ends_with(".npy")) fail(name, fmt::format("entry '{}' is no array: its name does not end in .npy", entry.name));
    const std::string tensor = entry.name.substr(0, entry.name.size() - 4), where = name + ":" + entry.name;
    const Array array = parse_array(zip_data(bytes, entry, name, sums), tensor, where);
    if (tensor == kMetadata) file.metadata = parse_metadata(array, where);
    else file.tensors[tensor] = array;
  }
  std::map<std::string, bool> bfloat = take_bfloat(file.metadata, name + ": " + kBfloat);
  for (const auto& [tensor, array] : file.tensors)
    if (array.dtype == DType::kBF16 && !bfloat.count(tensor)) refuse_uint16(tensor, name);
  return file;
}

void write_npz(const std::string& path, const TensorFile& file, bool overwrite) {
  std::vector<ZipItem> items;
  Json bfloat = Json::array();
  for (const auto& [name, array] : file.tensors) {
    if (name == kMetadata) throw Error(Exit::kUsage, "tensor '" + name + "'", "this name is kept for the metadata");
    if (name.front() == '/' || name.find("..") != std::string::npos || name.find('\\') != std::string::npos)
      throw Error(Exit::kUsage, "tensor '" + name + "'", "no entry of a ZIP archive may have this name", "write .safetensors");
    items.push_back({name + ".npy", npy_header(array, name), array.data, array.bytes()});
    if (array.dtype == DType::kBF16) bfloat.push_back(name);
  }
  std::map<std::string, std::string> metadata = file.metadata;
  if (!bfloat.empty()) metadata[kBfloat] = bfloat.dump();
  const std::string text = Json(metadata).dump();
  Array described;
  described.dtype = DType::kU8;
  described.shape = {static_cast<std::int64_t>(text.size())};
  if (!metadata.empty()) items.push_back({std::string(kMetadata) + ".npy", npy_header(described, kMetadata), text.data(), text.size()});
  write_zip(path, items, overwrite);
}

void write_npy(const std::string& path, const TensorFile& file, bool overwrite) {
  if (file.tensors.size() != 1) throw Error(Exit::kUsage, path, fmt::format("{} tensors, .npy holds one", file.tensors.size()), "write .npz");
  const std::string& name = file.tensors.begin()->first;
  const Array& array = file.tensors.begin()->second;
  if (array.dtype == DType::kBF16) throw Error(Exit::kUsage, "tensor '" + name + "'", "bfloat16 has no place in .npy", "write .npz");
  const std::string header = npy_header(array, name);
  replace_file(path, overwrite, [&](Sink& sink) {
    sink.write(header.data(), header.size());
    sink.write(array.data, array.bytes());
  });
}

}  // namespace ds::io
