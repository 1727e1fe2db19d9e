#include "base/io/safetensors.h"

#include "formats.h"

using namespace io_test;
namespace io = ds::io;

namespace {

/// A file with this header and `data` bytes behind it.
std::string file_of(const std::string& header, std::size_t data) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  return bytes + header + std::string(data, '\1');
}

std::string refusal(const std::string& bytes) {
  std::string message;
  CHECK(code_of([&] { io::parse_safetensors(in_memory(bytes), "f"); }, &message) == Exit::kInput);
  return message;
}

void refused(const std::string& header, std::size_t data, const std::string& part) {
  CAPTURE(header.substr(0, 200));
  const std::string message = refusal(file_of(header, data));
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("safetensors: the reference implementation's file, in place") {
  const io::TensorFile file = io::read_tensors(golden("dtypes.safetensors"));
  check_dtypes(file);
  CHECK(file.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  // 8 + 704 bytes of header; "f64" is the second tensor, after 48 bytes of "i64": all lie in one mapping
  CHECK(file.tensors.at("f64").data - file.tensors.at("i64").data == 48);
}

TEST_CASE("safetensors: what is written is the reference implementation's file to the byte") {
  const Folder folder;
  for (const char* name : {"dtypes.safetensors", "cnn.safetensors"}) {
    io::write_tensors(folder / name, io::read_tensors(golden(name)), false);
    CHECK(slurp(folder / name) == slurp(golden(name)));
  }
}

TEST_CASE("safetensors: names and metadata of any text") {
  const Folder folder;
  io::TensorFile file;
  file.tensors["a \"b\" / \\ \u00fc \u6f22"] = array_of<float>(DType::kF32, {2}, {1, 2});
  file.tensors["z"] = array_of<std::uint8_t>(DType::kU8, {3}, {1, 2, 3});
  file.metadata = {{"ds.graph", "{\"nodes\":[]}\n"}, {"\u00fc", ""}};
  io::write_tensors(folder / "a.safetensors", file, false);
  const io::TensorFile back = io::read_tensors(folder / "a.safetensors");
  same_tensors(back.tensors, file.tensors);
  CHECK(back.metadata == file.metadata);
  CHECK(code_of([&] { io::write_tensors(folder / "a.safetensors", file, false); }) == Exit::kUsage);
  CHECK(folder.files().size() == 1);
}

TEST_CASE("safetensors: a header that is not padded gives copies at aligned addresses") {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )";
  REQUIRE(header.size() % 4 != 0);
  std::string bytes = file_of(header, 0) + std::string("\0\0\x80\x3f", 4);
  const io::TensorFile file = io::parse_safetensors(in_memory(bytes), "f");
  CHECK(reinterpret_cast<std::uintptr_t>(file.tensors.at("a").data) % 4 == 0);
  CHECK(file.tensors.at("a").as<float>()[0] == 1.f);
}

TEST_CASE("safetensors: no place for 4 bits and for a tensor called __metadata__") {
  const Folder folder;
  io::TensorFile file;
  file.tensors["a"] = array_of<std::uint8_t>(DType::kI4, {2}, {0x12});
  CHECK(code_of([&] { io::write_tensors(folder / "a.safetensors", file, false); }) == Exit::kUsage);
  file.tensors = {{"__metadata__", array_of<std::uint8_t>(DType::kU8, {1}, {1})}};
  CHECK(code_of([&] { io::write_tensors(folder / "a.safetensors", file, false); }) == Exit::kUsage);
  CHECK(folder.files().empty());
}

TEST_CASE("safetensors: lengths that lie") {
  CHECK(refusal("").find("0 bytes") != std::string::npos);
  CHECK(refusal("1234567").find("7 bytes") != std::string::npos);
  CHECK(refusal(std::string(8, '\0')).find("does not begin with '{'") != std::string::npos);
  CHECK(refusal(std::string("\0\0\0\0\0\0\0\x80", 8) + "{}").find("header of 9223372036854775808 bytes") != std::string::npos);
  CHECK(refusal(std::string("\1\xe1\xf5\5\0\0\0\0", 8) + "{}").find("header of 100000001 bytes") != std::string::npos);
  CHECK(refusal(std::string("\3\0\0\0\0\0\0\0", 8) + "{}").find("truncated") != std::string::npos);
  CHECK(refusal(file_of("[]", 0)).find("does not begin with '{'") != std::string::npos);
}

TEST_CASE("safetensors: headers that are not what they should be") {
  const auto tensor = [](const std::string& rest) { return R"({"a":{"dtype":"U8",)" + rest + "}}"; };
  refused("{", 0, "not JSON");
  refused("{} x", 0, "not JSON");
  refused("{\"\xff\":{}}", 0, "not JSON in UTF-8");
  refused(R"({"a":1})", 0, "1 in the header at 'a'");
  refused(R"({"a":[]})", 0, "a list in the header at 'a'");
  refused(R"({"a":{}})", 0, "has not all of");
  refused(tensor(R"("shape":[1])"), 1, "has not all of");
  refused(tensor(R"("shape":[1],"data_offsets":[0])"), 1, "has not all of");
  refused(tensor(R"("shape":[1],"data_offsets":[0,1,1])"), 1, "more than 2 numbers in 'data_offsets'");
  refused(tensor(R"("shape":[1],"data_offsets":[0,1],"x":1)"), 1, "unknown key 'x'");
  refused(tensor(R"("shape":[1],"shape":[1],"data_offsets":[0,1])"), 1, "'shape' is there twice");
  refused(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1])"), 1, "'dtype' is there twice");
  refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "'a' is there twice");
  refused(R"({"__metadata__":{"a":"1","a":"2"}})", 0, "'a' is there twice");
  refused(R"({"__metadata__":{"a":1}})", 0, "1 in the header at 'a'");
  refused(R"({"__metadata__":{"a":{}}})", 0, "an object in the header at 'a'");
  refused(R"({"__metadata__":null})", 0, "null in the header");
  refused(R"({"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}})", 1, "unknown dtype 'F7'");
  refused(R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})", 1, "a list in the header at 'dtype'");
  refused(tensor(R"("shape":[[1]],"data_offsets":[0,1])"), 1, "a list in the header at 'shape'");
  refused(tensor(R"("shape":[-1],"data_offsets":[0,1])"), 1, "-1 in the header at 'shape'");
  refused(tensor(R"("shape":[1.5],"data_offsets":[0,1])"), 1, "1.5 in the header at 'shape'");
  refused(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "without a name");
  refused(R"({"a\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "not UTF-8 text");
}

TEST_CASE("safetensors: shapes and places that do not fit") {
  const auto tensor = [](const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  refused(tensor("[2]", "[0,4]"), 4, "4 bytes, its shape [2] makes 8");
  refused(tensor("[0]", "[0,0]"), 0, "has no elements");
  refused(tensor("[9223372036854775807,9223372036854775807]", "[0,4]"), 4, "larger than any file");
  refused(tensor("[4294967296,4294967296]", "[0,0]"), 0, "larger than any file");
  refused(tensor("[18446744073709551615]", "[0,4]"), 4, "a dim of 18446744073709551615");
  refused(tensor("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "more than 8 numbers in 'shape'");
  refused(tensor("[1]", "[4,0]"), 4, "bytes 4 to 0");
  refused(tensor("[1]", "[0,5]"), 4, "bytes 0 to 5, the file has 4");
  refused(tensor("[1]", "[18446744073709551612,18446744073709551615]"), 4, "the file has 4");
  refused(tensor("[1]", "[4,8]"), 8, "leave a hole");
  refused(tensor("[1]", "[0,4]"), 5, "1 bytes after the last tensor");
  refused("{}", 3, "3 bytes after the last tensor");
  const auto two = [](const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + offsets + "}}";
  };
  refused(two("[0,4]"), 4, "tensors overlap");
  refused(two("[2,6]"), 6, "tensors overlap");
  refused(two("[8,12]"), 12, "leave a hole");
  CHECK(io::parse_safetensors(in_memory(file_of(two("[4,8]"), 8)), "f").tensors.size() == 2);
  CHECK(io::parse_safetensors(in_memory(file_of("{}", 0)), "f").tensors.empty());
}

TEST_CASE("safetensors: bombs of nesting and of entries end at once") {
  refused("{\"a\":" + std::string(1 << 20, '['), 0, "a list in the header at 'a'");
  std::string objects;
  for (int i = 0; i < 1 << 18; ++i) objects += "{\"a\":";
  refused(objects, 0, "tensor 'a': unknown key 'a'");
  std::string shapes;
  for (int i = 0; i < 1 << 18; ++i) shapes += "{\"shape\":";
  refused("{\"a\":" + shapes, 0, "an object in the header at 'shape'");
  refused("{\"a\":{\"shape\":[" + std::string(1 << 20, '['), 0, "a list in the header at 'shape'");
}

TEST_CASE("safetensors: no turned bit and no cut makes the reader fail otherwise than by refusing") {
  const std::string good = slurp(golden("dtypes.safetensors"));
  CHECK(first_crash(good, [](const io::Bytes& bytes) { io::parse_safetensors(bytes, "f"); }) == -1);
}
