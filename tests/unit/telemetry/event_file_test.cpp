#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "base/io/files.h"
#include "engine/telemetry/event_file.h"

using namespace ds;
namespace fs = std::filesystem;

namespace {

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/ds-events-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
};

std::string bytes(std::initializer_list<int> list) {
  std::string out;
  for (const int byte : list) out.push_back(static_cast<char>(byte));
  return out;
}

template <class T>
T at(const std::string& bytes, std::size_t where) {
  T value;
  REQUIRE(where + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + where, sizeof value);
  return value;
}

/// The messages of a file, each checksum checked.
std::vector<std::string> messages(const std::string& bytes) {
  const auto masked = [](std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; };
  std::vector<std::string> all;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto length = at<std::uint64_t>(bytes, i);
    CHECK(at<std::uint32_t>(bytes, i + 8) == masked(telemetry::crc32c(bytes.data() + i, 8)));
    REQUIRE(i + 16 + length <= bytes.size());
    all.push_back(bytes.substr(i + 12, length));
    CHECK(at<std::uint32_t>(bytes, i + 12 + length) == masked(telemetry::crc32c(all.back().data(), length)));
    i += 16 + length;
  }
  return all;
}

}  // namespace

TEST_CASE("crc32c gives the values of RFC 3720, appendix B.4") {
  const std::string zeros(32, '\0'), ones(32, '\xff');
  CHECK(telemetry::crc32c(zeros.data(), 32) == 0x8A9136AA);
  CHECK(telemetry::crc32c(ones.data(), 32) == 0x62A8AB43);
  CHECK(telemetry::crc32c("123456789", 9) == 0xE3069283);
  CHECK(telemetry::crc32c("", 0) == 0);
}

TEST_CASE("an event file begins with its version and has a summary a call") {
  const Folder folder;
  telemetry::EventFile file(folder.path, 0);
  file.scalars(300, {{"train/loss", 0.5}, {"a", -2}});
  const std::vector<std::string> all = messages(io::read_file(file.path()));
  REQUIRE(all.size() == 2);
  // wall_time, step 0, file_version
  CHECK(all[0][0] == '\x09');
  CHECK(all[0].substr(9) == bytes({0x10, 0, 0x1a, 13}) + "brain.Event:2");
  // step 300 = 0xac 0x02; summary of 29 bytes: a value of 17 with its tag and the float 0.5, one of 8
  CHECK(all[1].substr(9) == bytes({0x10, 0xac, 0x02, 0x2a, 29, 0x0a, 17, 0x0a, 10}) + "train/loss" + bytes({0x15, 0, 0, 0, 0x3f, 0x0a, 8, 0x0a, 1}) + "a" +
                                bytes({0x15, 0, 0, 0, 0xc0}));
}

TEST_CASE("a run that goes on makes later steps of earlier files void; one that begins removes them") {
  const Folder folder;
  const std::string first = telemetry::EventFile(folder.path, 0).path();
  const telemetry::EventFile second(folder.path, 40);
  CHECK(second.path() != first);
  CHECK(io::exists(first));
  const std::vector<std::string> all = messages(io::read_file(second.path()));
  REQUIRE(all.size() == 2);
  CHECK(all[1].substr(9) == bytes({0x10, 41, 0x3a, 2, 8, 1}));  // step 41, session_log {status: START}
  const telemetry::EventFile third(folder.path, 0);
  CHECK(!io::exists(second.path()));
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
  CHECK(messages(io::read_file(third.path())).size() == 1);
}
