// Writing a model: the messages by protobuf, the tensors' bytes straight from where they lie, so that no second copy of the weights is made.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "onnx/export.h"
#include "onnx/external.h"

namespace ds::onnx {

namespace {

constexpr std::uint64_t kMostInline = (std::uint64_t{1} << 31) - 1;  ///< bytes of a message of protobuf
constexpr std::uint64_t kAlignment = 4096;                           ///< a page: readers map the file
constexpr std::size_t kSmall = 1024;                                 ///< bytes of a tensor that stays with the nodes: shapes and the like

/// Tag and length of a field of bytes (protobuf's encoding, "Length-Delimited Records").
std::string head(int field, std::uint64_t length) {
  std::string out;
  for (std::uint64_t value : {static_cast<std::uint64_t>(field << 3 | 2), length}) {
    for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
    out += static_cast<char>(value);
  }
  return out;
}

struct Place {
  bool external = false;
  std::uint64_t offset = 0;
};

/// A tensor's message without its bytes; where they are within, the field's head is at the end.
std::string message(const Initializer& tensor, const Place& place, const std::string& data_name) {
  pb::TensorProto proto;
  for (const std::int64_t size : tensor.array.shape) proto.add_dims(size);
  proto.set_data_type(onnx_dtype(tensor.array.dtype));
  proto.set_name(tensor.name);
  if (!place.external) return proto.SerializeAsString() + head(pb::TensorProto::kRawDataFieldNumber, tensor.array.bytes());
  proto.set_data_location(pb::TensorProto::EXTERNAL);
  for (const auto& [key, value] : {std::pair<const char*, std::string>{"location", data_name}, {"offset", std::to_string(place.offset)},
                                   {"length", std::to_string(tensor.array.bytes())}}) {
    auto& entry = *proto.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  return proto.SerializeAsString();
}

/// Where each tensor's bytes go; returns the length of the file beside.
std::uint64_t lay_out(const Model& model, bool external, std::vector<Place>& places) {
  std::uint64_t end = 0;
  for (const Initializer& tensor : model.initializers) {
    places.push_back({external && tensor.array.bytes() >= kSmall, 0});
    if (!places.back().external) continue;
    places.back().offset = (end + kAlignment - 1) / kAlignment * kAlignment;
    end = places.back().offset + tensor.array.bytes();
  }
  return end;
}

void write_data(const Model& model, const std::vector<Place>& places, const std::string& path) {
  io::replace_file(path, /*overwrite=*/true, [&](io::Sink& sink) {
    static const std::string zeros(kAlignment, '\0');
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (!places[i].external) continue;
      sink.write(zeros.data(), places[i].offset - at);
      sink.write(model.initializers[i].array.data, model.initializers[i].array.bytes());
      at = places[i].offset + model.initializers[i].array.bytes();
    }
  });
}

/// What the file beside is called: by the bytes that go into it.
std::string data_name(const Model& model, const std::vector<Place>& places, const std::string& path) {
  std::string sums;
  for (std::size_t i = 0; i < places.size(); ++i)
    if (places[i].external) sums += io::xxh3_128(model.initializers[i].array.data, model.initializers[i].array.bytes());
  return data_file_name(std::filesystem::path(path).filename().string(), io::sha256(sums.data(), sums.size()).substr(0, 12));
}

}  // namespace

std::string write_model(const Model& model, const std::string& path, const commands::OnnxWrite& options) {
  pb::ModelProto rest = model.proto;  // few bytes: no tensor is in it
  const std::string nodes = rest.graph().SerializeAsString();
  rest.clear_graph();
  const std::string begin = rest.SerializeAsString();
  std::uint64_t total = begin.size() + nodes.size();
  for (const Initializer& tensor : model.initializers) total += tensor.array.bytes() + tensor.name.size() + 128;
  std::vector<Place> places;
  const bool external = lay_out(model, options.external || total > kMostInline, places) > 0;
  const std::string beside = external ? data_name(model, places, path) : "";
  std::uint64_t graph_bytes = nodes.size();
  std::vector<std::string> messages;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::uint64_t inside = places[i].external ? 0 : model.initializers[i].array.bytes();
    std::string text = message(model.initializers[i], places[i], beside);
    messages.push_back(head(pb::GraphProto::kInitializerFieldNumber, text.size() + inside) + text);
    graph_bytes += messages.back().size() + inside;
  }
  if (begin.size() + graph_bytes > kMostInline) throw Error(Exit::kUsage, path, "the nodes alone are more than the 2 GB that a file of ONNX can have");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const std::string data_path = external ? (folder / beside).string() : "";
  const bool was_there = external && io::exists(data_path);
  const std::vector<std::string> old = data_files_of(path);
  if (external) write_data(model, places, data_path);
  try {
    io::replace_file(path, options.overwrite, [&](io::Sink& sink) {
      const std::string graph_head = head(pb::ModelProto::kGraphFieldNumber, graph_bytes);
      for (const std::string* part : {&begin, &graph_head, &nodes}) sink.write(part->data(), part->size());
      for (std::size_t i = 0; i < places.size(); ++i) {
        sink.write(messages[i].data(), messages[i].size());
        if (!places[i].external) sink.write(model.initializers[i].array.data, model.initializers[i].array.bytes());
      }
    });
  } catch (...) {
    if (external && !was_there) unlink(data_path.c_str());
    throw;
  }
  for (const std::string& name : old)  // of the model that was there before
    if (name != beside) unlink((folder / name).c_str());
  return beside;
}

}  // namespace ds::onnx
