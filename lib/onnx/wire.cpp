#include "onnx/wire.h"

#include <fmt/format.h>

#include "base/core/error.h"

namespace ds::onnx {

namespace {

// One entry of two bytes may become an object of some hundred: this many make at most some hundred MB.
constexpr std::size_t kMaxFields = 2'000'000;
constexpr std::size_t kMaxText = std::size_t{256} << 20;  ///< bytes for protobuf: nodes, texts, tensors that are lists of numbers

struct Field {
  int number = 0, type = 0;
  std::size_t begin = 0;            ///< of the tag
  std::size_t data = 0, size = 0;  ///< of type 2: what is within
  std::size_t end = 0;
};

/// Fields of a message one after the other (protobuf's encoding). No recursion: the caller walks into what it knows.
class Walker {
 public:
  Walker(const io::Bytes& bytes, std::size_t begin, std::size_t end, std::size_t& fields, const std::string& where)
      : bytes_(bytes), at_(begin), end_(end), fields_(fields), where_(where) {}

  bool next(Field& field) {
    if (at_ == end_) return false;
    if (++fields_ > kMaxFields) fail(fmt::format("more than {} entries", kMaxFields));
    field.begin = at_;
    const std::uint64_t tag = varint();
    field.number = static_cast<int>(std::min<std::uint64_t>(tag >> 3, 1 << 29));
    field.type = static_cast<int>(tag & 7);
    if (field.number == 0) fail("a field without a number");
    std::uint64_t size = 0;
    switch (field.type) {
      case 0: varint(); break;
      case 1: size = 8; break;
      case 2: size = varint(); break;
      case 5: size = 4; break;
      default: fail(fmt::format("a field of wire type {}", field.type));
    }
    if (size > end_ - at_) fail(fmt::format("a field of {} bytes, where {} are left", size, end_ - at_));
    field.data = at_;
    field.size = static_cast<std::size_t>(size);
    at_ += field.size;
    field.end = at_;
    return true;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error(Exit::kInput, where_, fmt::format("is no ONNX model: {} at byte {}", what, at_)); }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) fail("it ends within a number");
      const auto byte = std::to_integer<std::uint64_t>(bytes_.data[at_++]);
      value |= shift < 64 ? (byte & 127) << shift : 0;
      if (byte < 128) return value;
    }
    fail("a number of more than ten bytes");
  }

  const io::Bytes& bytes_;
  std::size_t at_, end_;
  std::size_t& fields_;
  const std::string& where_;
};

class Parser {
 public:
  Parser(const io::Bytes& bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Parsed run() {
    std::string model;
    Walker walker(bytes_, 0, bytes_.size, fields_, where_);
    bool graph = false;
    for (Field field; walker.next(field);) {
      if (field.type == 2 && field.number == pb::ModelProto::kGraphFieldNumber) {
        if (graph) throw Error(Exit::kInput, where_, "is no ONNX model: two graphs");
        graph = true;
        put(model, field.number, take_graph(field));
      } else if (field.number < pb::ModelProto::kTrainingInfoFieldNumber) {  // training and functions come behind it
        copy(model, field);
      }
    }
    if (!graph) throw Error(Exit::kInput, where_, "is no ONNX model: no graph in it");
    if (!parsed_.proto.ParseFromString(model)) throw Error(Exit::kInput, where_, "is no ONNX model: protobuf cannot read it");
    return std::move(parsed_);
  }

 private:
  void copy(std::string& to, const Field& field) {
    text_ += field.end - field.begin;
    if (text_ > kMaxText)
      throw Error(Exit::kInput, where_, fmt::format("more than {} MB beside the tensors' raw bytes", kMaxText >> 20), "write its tensors as raw_data");
    to.append(reinterpret_cast<const char*>(bytes_.data + field.begin), field.end - field.begin);
  }

  static void put(std::string& to, int number, const std::string& message) {
    for (std::uint64_t value : {static_cast<std::uint64_t>(number << 3 | 2), static_cast<std::uint64_t>(message.size())}) {
      for (; value >= 128; value >>= 7) to += static_cast<char>(value | 128);
      to += static_cast<char>(value);
    }
    to += message;
  }

  std::string take_graph(const Field& graph) {
    using G = pb::GraphProto;
    std::string out;
    Walker walker(bytes_, graph.data, graph.data + graph.size, fields_, where_);
    for (Field field; walker.next(field);) {
      if (field.type != 2) continue;
      if (field.number == G::kInitializerFieldNumber) put(out, field.number, take_tensor(field));
      else if (field.number == G::kNodeFieldNumber) put(out, field.number, take_node(field));
      else if (field.number == G::kNameFieldNumber) copy(out, field);
      else if (field.number == G::kInputFieldNumber || field.number == G::kOutputFieldNumber) copy(out, field);
    }
    return out;
  }

  std::string take_tensor(const Field& tensor) {
    std::string out;
    Parsed::Raw raw;
    Walker walker(bytes_, tensor.data, tensor.data + tensor.size, fields_, where_);
    for (Field field; walker.next(field);) {
      if (field.type == 2 && field.number == pb::TensorProto::kRawDataFieldNumber) {
        raw = {true, field.data, field.size};
        continue;
      }
      // A byte of such a list may become eight.
      if (field.number == pb::TensorProto::kInt64DataFieldNumber || field.number == pb::TensorProto::kInt32DataFieldNumber) text_ += 3 * field.size;
      copy(out, field);
    }
    parsed_.raw.push_back(raw);
    return out;
  }

  std::string take_node(const Field& node) {
    std::string out;
    Walker walker(bytes_, node.data, node.data + node.size, fields_, where_);
    for (Field field; walker.next(field);) {
      if (field.type == 2 && field.number == pb::NodeProto::kAttributeFieldNumber) put(out, field.number, take_attribute(field));
      else if (field.number != pb::NodeProto::kDocStringFieldNumber) copy(out, field);
    }
    return out;
  }

  /// Without graphs and lists of tensors: no op that is read has them.
  std::string take_attribute(const Field& attribute) {
    using A = pb::AttributeProto;
    std::string out;
    Walker walker(bytes_, attribute.data, attribute.data + attribute.size, fields_, where_);
    for (Field field; walker.next(field);)
      for (const int kept : {A::kNameFieldNumber, A::kTypeFieldNumber, A::kFFieldNumber, A::kIFieldNumber, A::kSFieldNumber, A::kTFieldNumber,
                             A::kFloatsFieldNumber, A::kIntsFieldNumber, A::kStringsFieldNumber})
        if (field.number == kept) copy(out, field);
    return out;
  }

  const io::Bytes& bytes_;
  const std::string& where_;
  std::size_t fields_ = 0, text_ = 0;
  Parsed parsed_;
};

}  // namespace

Parsed parse_model(const io::Bytes& bytes, const std::string& where) { return Parser(bytes, where).run(); }

}  // namespace ds::onnx
