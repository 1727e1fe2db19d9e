#include "base/io/numpy.h"

#include "base/io/zip.h"
#include "formats.h"

using namespace io_test;
namespace io = ds::io;

namespace {

std::string npy(const std::string& header, const std::string& data, char major = 1) {
  std::string size = {static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  if (major > 1) size += std::string(2, '\0');
  return std::string("\x93NUMPY") + major + '\0' + size + header + data;
}

void refused(const std::string& bytes, const std::string& part) {
  CAPTURE(part);
  std::string message;
  CHECK(code_of([&] { io::parse_npy(in_memory(bytes), "a.npy"); }, &message) == Exit::kInput);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

void zip_refused(const std::string& bytes, const std::string& part) {
  CAPTURE(part);
  std::string message;
  CHECK(code_of([&] { io::parse_npz(in_memory(bytes), "a.npz"); }, &message) == Exit::kInput);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

std::string replaced(std::string text, const std::string& from, const std::string& to, int times = 2) {
  std::size_t at = 0;
  for (int i = 0; i < times; ++i, at += to.size()) {
    at = text.find(from, at);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  }
  return text;
}

const std::string kU8 = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }";

/// An archive of one array `a` as ours.
std::string small_npz() {
  const Folder folder;
  io::TensorFile file;
  file.tensors["a"] = array_of<std::uint8_t>(DType::kU8, {2}, {1, 2});
  io::write_tensors(folder / "a.npz", file, false);
  return slurp(folder / "a.npz");
}

}  // namespace

TEST_CASE("numpy: archives of the reference implementation, stored and deflated") {
  check_dtypes(io::read_tensors(golden("dtypes.npz")), false);
  check_dtypes(io::read_tensors(golden("dtypes_deflated.npz")), false);
}

TEST_CASE("numpy: Fortran order and big-endian numbers come out in ours") {
  const io::TensorFile fortran = io::read_tensors(golden("fortran.npy"));
  REQUIRE(fortran.tensors.count("fortran") == 1);
  const Array& a = fortran.tensors.at("fortran");
  CHECK(a.shape == std::vector<std::int64_t>{2, 3, 4});
  for (int i = 0; i < 24; ++i) CHECK(a.as<float>()[i] == float(i));
  const Array big = io::read_tensors(golden("big_endian.npy")).tensors.at("big_endian");
  CHECK(big.dtype == DType::kI32);
  for (int i = 0; i < 6; ++i) CHECK(big.as<std::int32_t>()[i] == i);
  const std::string bytes = slurp(golden("big_endian.npy"));
  const io::Bytes mapped = in_memory(bytes);
  io::parse_npy(mapped, "a.npy");
  CHECK(std::memcmp(mapped.data, bytes.data(), bytes.size()) == 0);  // what was handed in is as it was
}

TEST_CASE("numpy: what is written is read, bfloat16 and metadata too, in place") {
  const Folder folder;
  io::TensorFile file = io::read_tensors(golden("dtypes.safetensors"));
  file.metadata = {{"ds.graph", "{\"n\u00fc\":1}"}, {"b", ""}};
  io::write_tensors(folder / "a.npz", file, false);
  const io::TensorFile back = io::read_tensors(folder / "a.npz");
  same_tensors(back.tensors, file.tensors);
  CHECK(back.metadata == file.metadata);
  for (const auto& [name, array] : back.tensors) CHECK(reinterpret_cast<std::uintptr_t>(array.data) % 64 == 0);
  const io::Bytes archive = io::map_file(folder / "a.npz");
  for (const io::ZipEntry& entry : io::zip_entries(archive, "a")) CHECK(entry.offset % 64 == 0);
  io::TensorFile one;
  one.tensors["x"] = file.tensors["i16"];
  io::write_tensors(folder / "x.npy", one, false);
  same_tensors(io::read_tensors(folder / "x.npy").tensors, one.tensors);
}

TEST_CASE("numpy: what has no place is refused before anything is written") {
  const Folder folder;
  io::TensorFile file;
  const auto refused_as = [&](const char* name) { CHECK(code_of([&] { io::write_tensors(folder / name, file, false); }) == Exit::kUsage); };
  refused_as("none.npy");
  file.tensors["a"] = array_of<std::uint8_t>(DType::kI4, {2}, {0x12});
  refused_as("a.npz");
  refused_as("a.npy");
  file.tensors = {{"a/../b", array_of<std::uint8_t>(DType::kU8, {1}, {1})}};
  refused_as("a.npz");
  file.tensors = {{"__ds__", array_of<std::uint8_t>(DType::kU8, {1}, {1})}};
  refused_as("a.npz");
  file.tensors = {{"a", array_of<std::uint16_t>(DType::kBF16, {1}, {1})}};
  refused_as("a.npy");
  CHECK(folder.files().empty());
}

TEST_CASE("numpy: headers that are not what they should be") {
  std::string message;
  CHECK(code_of([] { io::read_tensors(golden("objects.npy")); }, &message) == Exit::kInput);
  CHECK(message.find("an array of Python objects") != std::string::npos);
  CHECK(io::parse_npy(in_memory(npy(kU8, "ab")), "x/y.npy").tensors.count("y") == 1);
  CHECK(io::parse_npy(in_memory(npy(kU8, "ab", 2)), "y.npy").tensors.at("y").as<char>()[1] == 'b');
  refused("", "no .npy signature");
  refused("\x93NUMPY\1", "no .npy signature");
  refused(npy(kU8, "ab", 4), "version 4.0");
  refused(npy(kU8, "a"), "1 bytes, its shape [2] makes 2");
  refused(npy(kU8, "abc"), "3 bytes, its shape [2] makes 2");
  refused(npy(kU8, "").substr(0, 40), "a header of 57 bytes, the file has 30");
  const auto header = [](const std::string& descr, const std::string& order, const std::string& shape) {
    return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  };
  refused(npy(header("'|O'", "False", "(1,)"), "a"), "Python objects");
  refused(npy(header("'<u2'", "False", "(1,)"), "ab"), "unknown dtype 'u2'");
  refused(npy(header("'<c8'", "False", "(1,)"), "12345678"), "unknown dtype '<c8'");
  refused(npy(header("'<U3'", "False", "(1,)"), "a"), "unknown dtype '<U3'");
  refused(npy(header("[('a', '<f4')]", "False", "(1,)"), "abcd"), "an array of records");
  refused(npy(header("'|u1'", "0", "(1,)"), "a"), "malformed");
  refused(npy(header("'|u1'", "False", "[1]"), "a"), "malformed");
  refused(npy(header("'|u1'", "False", "(-1,)"), "a"), "malformed");
  refused(npy(header("'|u1'", "False", "(0,)"), ""), "has no elements");
  refused(npy(header("'|u1'", "False", "(1,1,1,1,1,1,1,1,1)"), "a"), "rank over 8");
  refused(npy(header("'<f8'", "False", "(9223372036854775807, 2)"), "a"), "larger than any file");
  refused(npy(header("'<f8'", "False", "(99999999999999999999,)"), "a"), "larger than any file");
  refused(npy(header("'|u1'", "False", "(1,)") + "x", "a"), "malformed");
  refused(npy("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", "a"), "malformed");
  refused(npy("{'descr': '|u1', 'shape': (1,)}", "a"), "malformed");
  refused(npy("{" + std::string(5000, '('), "a"), "malformed");
}

TEST_CASE("zip: names that climb, encryption, unknown methods and wrong sums") {
  const std::string good = small_npz();
  REQUIRE(io::parse_npz(in_memory(good), "a.npz").tensors.size() == 1);
  zip_refused("", "no end of a ZIP archive");
  zip_refused("PK\3\4", "no end of a ZIP archive");
  zip_refused(good.substr(0, good.size() - 1), "no end of a ZIP archive");
  zip_refused("x" + good, "does not end where");
  zip_refused(replaced(good, "a.npy", "/.npy"), "names a place outside");
  zip_refused(replaced(good, "a.npy", "../py"), "names a place outside");
  zip_refused(replaced(good, "a.npy", "a\\npy"), "names a place outside");
  zip_refused(replaced(good, "a.npy", "a\xffnpy"), "a name that is no text");
  zip_refused(replaced(good, "a.npy", "a.txt"), "is no array");
  zip_refused(replaced(good, "a.npy", "b.npy", 1), "is not what the ZIP archive's directory says");
  const std::size_t central = good.find("PK\1\2"), data = good.find("\x93NUMPY");
  const auto poked = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return bytes;
  };
  zip_refused(poked(central + 8, 1), "is encrypted");
  zip_refused(poked(central + 10, 12), "packed by method 12");
  zip_refused(poked(data + 129, 'x'), "CRC-32");
  zip_refused(poked(central + 24, 9), "is stored, but");
  zip_refused(poked(central + 42, 1), "is not what the ZIP archive's directory says");
}

TEST_CASE("zip: bombs by ratio, by claims and by entries that overlap") {
  const std::string deflated = slurp(golden("dtypes_deflated.npz"));
  const std::size_t central = deflated.find("PK\1\2");
  std::string claims = deflated;
  for (std::size_t i = 0; i < 4; ++i) claims[central + 24 + i] = '\x7f';  // 2 GB from some hundred bytes
  zip_refused(claims, "claims to unpack");
  const std::string good = small_npz();
  const std::size_t record = good.find("PK\1\2"), end = good.find("PK\5\6");
  std::string twice = good.substr(0, end) + good.substr(record, end - record) + good.substr(end);
  const std::size_t last = twice.find("PK\5\6");
  twice[last + 8] = twice[last + 10] = 2;
  twice[last + 12] = static_cast<char>(2 * (end - record));
  zip_refused(twice, "is there twice");
}

TEST_CASE("numpy: no turned bit and no cut makes the reader fail otherwise than by refusing") {
  const auto read = [](const io::Bytes& bytes) { io::parse_npz(bytes, "f"); };
  CHECK(first_crash(slurp(golden("dtypes_deflated.npz")), read) == -1);
  CHECK(first_crash(slurp(golden("dtypes.npz")), read) == -1);
  CHECK(first_crash(slurp(golden("fortran.npy")), [](const io::Bytes& bytes) { io::parse_npy(bytes, "f"); }) == -1);
}
