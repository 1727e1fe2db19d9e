// A load maps the file and copies nothing; files of every format that there ever was load.
#include <doctest/doctest.h>

#include <sstream>

#include "sample.h"

using namespace io_test;
namespace io = ds::io;

namespace {

struct Range {
  std::uintptr_t begin = 0, end = 0;
  std::string access;
};

/// Where the process has this file in its memory.
std::vector<Range> mappings(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  std::vector<Range> found;
  for (std::string line; std::getline(maps, line);) {
    if (line.size() < path.size() || line.substr(line.size() - path.size()) != path) continue;
    Range range;
    char dash;
    std::istringstream(line) >> std::hex >> range.begin >> dash >> range.end >> range.access;
    found.push_back(range);
  }
  return found;
}

}  // namespace

TEST_CASE("io: every tensor of a loaded checkpoint lies in the file's private mapping, at a multiple of 64 bytes") {
  const Folder folder;
  Checkpoint saved = sample();
  io::save(saved, folder / "a.h5");
  {
    const Checkpoint loaded = io::load(folder / "a.h5");
    const std::vector<Range> ranges = mappings(folder / "a.h5");
    REQUIRE(ranges.size() >= 1);
    for (const auto* list : {&loaded.tensors, &loaded.state_tensors})
      for (const auto& [name, array] : *list) {
        CAPTURE(name);
        const auto at = reinterpret_cast<std::uintptr_t>(array.data);
        CHECK(at % 64 == 0);
        int inside = 0;
        for (const Range& range : ranges) inside += at >= range.begin && at + array.bytes() <= range.end && range.access.back() == 'p';
        CHECK(inside == 1);
      }
  }
  CHECK(mappings(folder / "a.h5").empty());  // and goes with the last tensor
}

TEST_CASE("io: a file beyond the cap is refused before it is read") {
  const Folder folder;
  Checkpoint saved = sample();
  io::save(saved, folder / "a.h5");
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(folder / "a.h5"));
  CHECK_NOTHROW(io::load(folder / "a.h5", {.max_bytes = size}));
  try {
    io::load(folder / "a.h5", {.max_bytes = size - 1});
    FAIL("no error");
  } catch (const ds::Error& e) {
    CHECK((e.code() == Exit::kInput));
    CHECK(std::string(e.what()).find(std::to_string(size)) != std::string::npos);
  }
}

TEST_CASE("io: a file of format 1 loads for ever") {
  // tests/golden/checkpoint/v1.h5 is sample(), written when the format was new.
  const Checkpoint old = io::load(DS_SOURCE_DIR "/tests/golden/checkpoint/v1.h5"), now = sample();
  CHECK(old.digest == "f33775005da68bc81e59afd538bae143d164bcfb33dfc0c511b038bf8c36f97b");
  CHECK(io::verify_file(DS_SOURCE_DIR "/tests/golden/checkpoint/v1.h5") == old.digest);
  CHECK(old.graph == now.graph);
  CHECK(old.provenance == now.provenance);
  CHECK(old.history == now.history);
  REQUIRE(old.tensors.size() == now.tensors.size());
  for (const auto& [name, array] : now.tensors) {
    CAPTURE(name);
    const Array& stored = old.tensors.at(name);
    CHECK(stored.shape == array.shape);
    CHECK((stored.dtype == array.dtype));
    CHECK(std::memcmp(stored.data, array.data, array.bytes()) == 0);
  }
  CHECK(old.state_tensors.size() == now.state_tensors.size());
}
