#include "onnx/read.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <set>

#include "base/core/error.h"
#include "base/io/checkpoint_format.h"
#include "onnx/export.h"
#include "onnx/external.h"
#include "onnx/import/importer.h"

namespace ds::onnx {

namespace {

constexpr int kOldestOpset = 9, kNewestOpset = 25;

[[noreturn]] void refuse(const std::string& where, const std::string& what) { throw Error(Exit::kInput, where, what); }

io::DType dtype_of(const pb::TensorProto& tensor, const std::string& where) {
  for (int i = 0; i <= static_cast<int>(io::DType::kU4); ++i) {
    const auto dtype = static_cast<io::DType>(i);
    if (onnx_dtype(dtype) != 0 && onnx_dtype(dtype) == tensor.data_type()) return dtype;
  }
  if (tensor.data_type() == pb::TensorProto::STRING) refuse(where, "holds texts, which no net here reads");
  refuse(where, fmt::format("has data type {}, which has no form here", tensor.data_type()));
}

std::uint64_t number(const std::string& text, const std::string& where) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) refuse(where, fmt::format("says '{}' for a number of bytes", text.substr(0, 64)));
  return value;
}

io::Bytes external_bytes(const pb::TensorProto& tensor, const std::string& path, std::map<std::string, io::Bytes>& beside, std::size_t size,
                         const std::string& where) {
  std::string location;
  std::uint64_t offset = 0, length = size;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    else if (entry.key() == "offset") offset = number(entry.value(), where);
    else if (entry.key() == "length") length = number(entry.value(), where);
  }
  const auto [at, fresh] = beside.try_emplace(location);
  if (fresh) at->second = map_beside(path, location);
  const io::Bytes& file = at->second;
  if (length != size) refuse(where, fmt::format("has {} bytes in '{}', expected {}", length, location, size));
  if (offset > file.size || length > file.size - offset)
    refuse(where, fmt::format("lies at bytes {} to {} of '{}', which has {}", offset, offset + length, location, file.size));
  return {file.data + offset, size, file.keeper};
}

/// Elements of one of protobuf's lists, which are wider than those of the tensor.
template <class T, class List>
void fill(io::Array& array, const List& list, const std::string& where) {
  if (list.size() != array.numel()) refuse(where, fmt::format("lists {} numbers, expected {}", list.size(), array.numel()));
  T* to = array.as<T>();
  for (const auto value : list) *to++ = static_cast<T>(value);
}

io::Array listed(const pb::TensorProto& tensor, io::DType dtype, std::vector<std::int64_t> shape, std::size_t bytes, const std::string& where) {
  const std::size_t listed = static_cast<std::size_t>(tensor.float_data_size()) + static_cast<std::size_t>(tensor.double_data_size()) +
                             static_cast<std::size_t>(tensor.int32_data_size()) + static_cast<std::size_t>(tensor.int64_data_size());
  if (bytes > 8 * listed) refuse(where, fmt::format("of {} bytes has only {} numbers", bytes, listed));  // before memory is taken
  io::Array array = io::make_array(dtype, std::move(shape));
  switch (dtype) {
    case io::DType::kF32: fill<float>(array, tensor.float_data(), where); break;
    case io::DType::kF64: fill<double>(array, tensor.double_data(), where); break;
    case io::DType::kI64: fill<std::int64_t>(array, tensor.int64_data(), where); break;
    case io::DType::kI32: fill<std::int32_t>(array, tensor.int32_data(), where); break;
    case io::DType::kF16:
    case io::DType::kBF16: fill<std::uint16_t>(array, tensor.int32_data(), where); break;
    case io::DType::kI16: fill<std::int16_t>(array, tensor.int32_data(), where); break;
    default: fill<std::uint8_t>(array, tensor.int32_data(), where); break;
  }
  return array;
}

void check_versions(const pb::ModelProto& proto, const std::string& path, std::vector<std::string>& notes) {
  for (const auto& opset : proto.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() < kOldestOpset) refuse(path, fmt::format("is of opset {}, read are {} and newer", opset.version(), kOldestOpset));
    if (opset.version() > kNewestOpset) notes.push_back(fmt::format("opset {} is newer than {}, the newest that is known", opset.version(), kNewestOpset));
  }
}

bool is_own(const std::map<std::string, std::string>& metadata, const pb::ModelProto& proto, const std::vector<Initializer>& table) {
  const auto structure = metadata.find(kStructureKey);
  return structure != metadata.end() && metadata.count("ds.graph") && structure->second == structure_digest(proto, table);
}

/// The graph that travelled along, with its tensors; what the nodes need beside them is left.
void take_own(commands::OnnxFile& found, std::map<std::string, io::Array>& tensors, const std::string& path) {
  const std::string where = path + ": ds.graph", &text = found.file.metadata.at("ds.graph");
  found.graph = graph::from_json(io::format::parse_document(text.data(), text.size(), where), where);
  graph::verify(found.graph, where);
  for (const graph::TensorSpec& spec : found.graph.tensors) {
    const auto tensor = tensors.find(spec.name);
    if (tensor == tensors.end()) refuse(where, fmt::format("tensor '{}' is not in the model", spec.name));
    found.file.tensors[spec.name] = tensor->second;
  }
  found.own = true;
}

}  // namespace

io::Array tensor_values(const pb::TensorProto& tensor, const io::Bytes& raw, const std::string& path, std::map<std::string, io::Bytes>& beside) {
  const std::string where = fmt::format("{}: tensor '{}'", path, tensor.name().substr(0, 64));
  const io::DType dtype = dtype_of(tensor, where);
  std::vector<std::int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  for (const std::int64_t size : shape)
    if (size == 0 && shape.size() <= static_cast<std::size_t>(io::format::kMaxRank)) return io::make_array(dtype, {0});  // an option left open
  const std::size_t bytes = io::check_foreign(tensor.name().empty() ? "constant" : tensor.name(), dtype, shape, path);
  io::Bytes from = raw;
  if (tensor.data_location() == pb::TensorProto::EXTERNAL) from = external_bytes(tensor, path, beside, bytes, where);
  else if (raw.data == nullptr) return listed(tensor, dtype, std::move(shape), bytes, where);
  if (from.size != bytes) refuse(where, fmt::format("has {} bytes, expected {} for {}", from.size, bytes, io::shape_text(shape)));
  return io::array_in(from, 0, dtype, std::move(shape));
}

Tensors read_tensors(const Parsed& parsed, const io::Bytes& bytes, const std::string& path) {
  Tensors tensors;
  std::map<std::string, io::Bytes> beside;
  for (int i = 0; i < parsed.proto.graph().initializer_size(); ++i) {
    const pb::TensorProto& tensor = parsed.proto.graph().initializer(i);
    const Parsed::Raw& raw = parsed.raw[static_cast<std::size_t>(i)];
    const io::Bytes span = raw.there ? io::Bytes{bytes.data + raw.offset, raw.size, bytes.keeper} : io::Bytes{};
    io::Array values = tensor_values(tensor, span, path, beside);
    tensors.table.push_back({tensor.name(), values});
    if (!tensors.by_name.emplace(tensor.name(), std::move(values)).second) refuse(path, fmt::format("tensor '{}' is there twice", tensor.name()));
  }
  return tensors;
}

commands::OnnxFile read_model(const io::Bytes& bytes, const std::string& path, const commands::OnnxRead& options) {
  const Parsed parsed = parse_model(bytes, path);
  commands::OnnxFile found;
  check_versions(parsed.proto, path, found.notes);
  for (const auto& entry : parsed.proto.metadata_props())
    if (!found.file.metadata.emplace(entry.key(), entry.value()).second) refuse(path, fmt::format("metadata '{}' is there twice", entry.key().substr(0, 64)));
  Tensors tensors = read_tensors(parsed, bytes, path);
  if (options.own && is_own(found.file.metadata, parsed.proto, tensors.table)) {
    take_own(found, tensors.by_name, path);
    return found;
  }
  if (options.own && found.file.metadata.count(kStructureKey)) found.notes.push_back("was changed since ds wrote it: its graph is made from the nodes");
  Imported made = import_graph(parsed.proto, std::move(tensors.by_name), path);
  found.graph = std::move(made.graph);
  found.file.tensors = std::move(made.tensors);
  return found;
}

commands::OnnxFile read_model(const std::string& path, const commands::OnnxRead& options) { return read_model(io::map_file(path), path, options); }

}  // namespace ds::onnx
