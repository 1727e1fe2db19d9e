#include "base/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/core/error.h"
#include "base/io/checkpoint_format.h"

namespace ds::io {
namespace {

using Json = nlohmann::json;

struct Name {
  const char* text;
  DType dtype;
};

/// In the order in which the reference lays tensors out: by falling alignment, then as its enumeration has them.
constexpr std::array<Name, 10> kNames = {{{"I64", DType::kI64},
                                          {"F64", DType::kF64},
                                          {"F32", DType::kF32},
                                          {"I32", DType::kI32},
                                          {"BF16", DType::kBF16},
                                          {"F16", DType::kF16},
                                          {"I16", DType::kI16},
                                          {"I8", DType::kI8},
                                          {"U8", DType::kU8},
                                          {"BOOL", DType::kBool}}};

[[noreturn]] void fail(const std::string& where, const std::string& what) { throw Error(Exit::kInput, where, what); }

std::uint64_t little_endian(const std::byte* data) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(data[i]);
  return value;
}

struct Entry {
  std::string name;
  std::optional<DType> dtype;
  std::optional<std::vector<std::int64_t>> shape;
  std::optional<std::vector<std::uint64_t>> offsets;
};

/// Takes the header's events as they come, so that nothing is built for what does not belong there: {name: {"dtype": text, "shape": [sizes],
/// "data_offsets": [begin, end]}, "__metadata__": {text: text}}.
class Header : public nlohmann::json_sax<Json> {
 public:
  explicit Header(std::string where) : where_(std::move(where)) {}
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { misplaced("null"); }
  bool boolean(bool) override { misplaced("a truth value"); }
  bool number_integer(number_integer_t value) override { misplaced(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { misplaced(text); }
  bool binary(binary_t&) override { misplaced("bytes"); }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_list_) misplaced(fmt::format("{}", value));
    const std::size_t most = key_ == "shape" ? format::kMaxRank : 2;
    const std::size_t size = key_ == "shape" ? entries.back().shape->size() : entries.back().offsets->size();
    if (size >= most) fail(where_, fmt::format("tensor '{}': more than {} numbers in '{}'", entries.back().name, most, key_));
    if (key_ == "data_offsets") entries.back().offsets->push_back(value);
    else if (value > std::uint64_t{INT64_MAX}) fail(where_, fmt::format("tensor '{}': a dim of {}", entries.back().name, value));
    else entries.back().shape->push_back(static_cast<std::int64_t>(value));
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ != 2 || in_list_) misplaced("a text");
    if (in_metadata_) {
      if (!metadata.emplace(key_, text).second) twice();
      return true;
    }
    if (key_ != "dtype") misplaced("a text");
    if (entries.back().dtype) twice();
    const auto known = std::find_if(kNames.begin(), kNames.end(), [&](const Name& n) { return text == n.text; });
    if (known == kNames.end()) fail(where_, fmt::format("tensor '{}': unknown dtype '{}'", entries.back().name, text));
    entries.back().dtype = known->dtype;
    return true;
  }
  bool start_object(std::size_t) override {
    if (in_list_ || depth_ >= 2) misplaced("an object");
    if (++depth_ == 1) return true;
    in_metadata_ = key_ == "__metadata__";
    if (in_metadata_) return true;
    if (entries.size() == format::kMaxDatasets) fail(where_, fmt::format("more than {} tensors", format::kMaxDatasets));
    entries.push_back({key_, {}, {}, {}});
    return true;
  }
  bool end_object() override {
    if (depth_-- != 2 || in_metadata_) return true;
    const Entry& e = entries.back();
    if (!e.dtype || !e.shape || !e.offsets || e.offsets->size() != 2)
      fail(where_, fmt::format("tensor '{}' has not all of dtype, shape and two data_offsets", e.name));
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || in_list_ || (key_ != "shape" && key_ != "data_offsets")) misplaced("a list");
    if (key_ == "shape" ? entries.back().shape.has_value() : entries.back().offsets.has_value()) twice();
    if (key_ == "shape") entries.back().shape.emplace();
    else entries.back().offsets.emplace();
    in_list_ = true;
    return true;
  }
  bool end_array() override {
    in_list_ = false;
    return true;
  }
  bool key(string_t& text) override {
    key_ = text;
    if (depth_ == 1 && !keys_.insert(key_).second) twice();
    if (depth_ == 2 && !in_metadata_ && key_ != "dtype" && key_ != "shape" && key_ != "data_offsets")
      fail(where_, fmt::format("tensor '{}': unknown key '{}'", entries.back().name, key_));
    return true;
  }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    fail(where_, fmt::format("the header is not JSON in UTF-8 (byte {})", at));
  }

 private:
  [[noreturn]] void misplaced(const std::string& what) {
    if (depth_ == 0) fail(where_, what + " for a header, expected an object");
    fail(where_, fmt::format("{} in the header at '{}', expected tensors as {{dtype, shape, data_offsets}} and texts in __metadata__", what, key_));
  }
  [[noreturn]] void twice() { fail(where_, fmt::format("'{}' is there twice in the header", key_)); }

  std::string where_, key_;
  std::set<std::string> keys_;
  int depth_ = 0;
  bool in_list_ = false, in_metadata_ = false;
};

/// Nothing between the tensors, nothing after them. `entries` become sorted by place.
void check_places(std::vector<Entry>& entries, std::uint64_t size, const std::string& name) {
  for (const Entry& e : entries) {
    const std::uint64_t begin = (*e.offsets)[0], end = (*e.offsets)[1], bytes = check_foreign(e.name, *e.dtype, *e.shape, name);
    if (end < begin || end > size) fail(name, fmt::format("tensor '{}': bytes {} to {}, the file has {}", e.name, begin, end, size));
    if (end - begin != bytes)
      fail(name, fmt::format("tensor '{}': {} bytes, its shape {} makes {}", e.name, end - begin, shape_text(*e.shape), bytes));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offsets.value() < b.offsets.value(); });
  std::uint64_t at = 0;
  for (const Entry& e : entries) {
    if ((*e.offsets)[0] != at)
      fail(name, fmt::format("tensor '{}' begins at byte {}, expected {}: tensors {}", e.name, (*e.offsets)[0], at,
                             (*e.offsets)[0] < at ? "overlap" : "leave a hole"));
    at = (*e.offsets)[1];
  }
  if (at != size) fail(name, fmt::format("{} bytes after the last tensor", size - at));
}

/// Where a dtype stands in kNames. Throws for one that the format lacks.
std::size_t rank_of(DType dtype, const std::string& tensor) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i].dtype == dtype) return i;
  throw Error(Exit::kUsage, "tensor '" + tensor + "'", fmt::format("{} has no place in safetensors", dtype_name(dtype)), "write a checkpoint (.h5)");
}

}  // namespace

TensorFile parse_safetensors(const Bytes& bytes, const std::string& name, bool) {
  if (bytes.size < 8) fail(name, fmt::format("{} bytes, a safetensors file has at least 8", bytes.size));
  const std::uint64_t header_size = little_endian(bytes.data), rest = bytes.size - 8;
  if (header_size > kMaxSafetensorsHeader)
    fail(name, fmt::format("header of {} bytes, at most {} are read: not a safetensors file", header_size, kMaxSafetensorsHeader));
  if (header_size > rest) fail(name, fmt::format("header of {} bytes, the file has {}: truncated", header_size, rest));
  const char* text = reinterpret_cast<const char*>(bytes.data + 8);
  if (header_size == 0 || *text != '{') fail(name, "the header does not begin with '{': not a safetensors file");
  Header header(name);
  Json::sax_parse(text, text + header_size, &header);
  check_places(header.entries, rest - header_size, name);
  TensorFile file;
  file.metadata = std::move(header.metadata);
  for (Entry& e : header.entries)
    file.tensors.emplace(e.name, array_in(bytes, 8 + header_size + (*e.offsets)[0], *e.dtype, std::move(*e.shape)));
  return file;
}

void write_safetensors(const std::string& path, const TensorFile& file, bool overwrite) {
  std::vector<const std::pair<const std::string, Array>*> order;
  for (const auto& entry : file.tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return rank_of(a->second.dtype, a->first) < rank_of(b->second.dtype, b->first); });
  std::string header = "{", comma;
  if (!file.metadata.empty()) {
    header += "\"__metadata__\":" + Json(file.metadata).dump();
    comma = ",";
  }
  std::uint64_t at = 0;
  for (const auto* entry : order) {
    const auto& [name, array] = *entry;
    if (name == "__metadata__") throw Error(Exit::kUsage, "tensor '" + name + "'", "safetensors keeps this name for itself");
    const std::uint64_t end = at + array.bytes();
    header += fmt::format(R"({}{}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", comma, Json(name).dump(), kNames[rank_of(array.dtype, name)].text,
                          shape_text(array.shape), at, end);
    comma = ",";
    at = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > kMaxSafetensorsHeader)
    throw Error(Exit::kUsage, path, fmt::format("the header would have {} bytes, readers take {}", header.size(), kMaxSafetensorsHeader));
  replace_file(path, overwrite, [&](Sink& sink) {
    std::array<std::uint8_t, 8> size{};
    for (std::size_t i = 0; i < 8; ++i) size[i] = static_cast<std::uint8_t>(header.size() >> (8 * i));
    sink.write(size.data(), size.size());
    sink.write(header.data(), header.size());
    for (const auto* entry : order) sink.write(entry->second.data, entry->second.bytes());
  });
}

}  // namespace ds::io
