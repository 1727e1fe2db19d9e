#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "base/core/error.h"
#include "base/io/files.h"
#include "engine/telemetry/run_log.h"

using namespace ds;
using telemetry::Json;

namespace {

struct File {
  std::string folder, path;
  File() {
    char name[] = "/tmp/ds-log-XXXXXX";
    folder = mkdtemp(name);
    path = folder + "/metrics.jsonl";
  }
  ~File() { std::filesystem::remove_all(folder); }
  std::string text() const { return io::read_file(path); }
};

const char* const kText =
    "{\"kind\":\"step\",\"step\":10}\n"
    "{\"epoch\":1,\"kind\":\"epoch\",\"step\":15}\n"
    "{\"kind\":\"alarm\",\"step\":18}\n"
    "{\"kind\":\"step\",\"step\":20}\n"
    "{\"epoch\":2,\"kind\":\"epoch\",\"step\":30}\n"
    "{\"kind\":\"step\",\"ste";

}  // namespace

TEST_CASE("lines are appended whole") {
  const File file;
  telemetry::RunLog log(file.path, 0, 0);
  log.line({{"kind", "step"}, {"step", 1}, {"text", "\xff"}});
  CHECK(file.text() == "{\"kind\":\"step\",\"step\":1,\"text\":\"\xef\xbf\xbd\"}\n");
  log.line({{"kind", "step"}, {"step", 2}});
  CHECK(file.text().ends_with("}\n{\"kind\":\"step\",\"step\":2}\n"));
}

TEST_CASE("a run that goes on loses the lines of steps and epochs that come again") {
  const File file;
  const std::string text = kText;
  const auto kept = [&](std::int64_t steps, std::int64_t epochs) {
    io::write_file(file.path, text);
    telemetry::RunLog log(file.path, steps, epochs);
    return file.text();
  };
  const std::string whole = text.substr(0, text.rfind('\n') + 1);
  CHECK(kept(40, 2) == whole);
  CHECK(kept(30, 2) == whole);
  // The last batch of epoch 2 is done but not its validation: the row of the epoch comes again.
  CHECK(kept(30, 1) == text.substr(0, text.find("{\"epoch\":2")));
  CHECK(kept(19, 1) == text.substr(0, text.find("{\"kind\":\"step\",\"step\":20")));
  CHECK(kept(17, 1) == text.substr(0, text.find("{\"kind\":\"alarm")));
  CHECK(kept(0, 0) == "");
}

TEST_CASE("a log that cannot be written is told with its path") {
  CHECK_THROWS_WITH_AS(telemetry::RunLog("/nonexistent/metrics.jsonl", 0, 0), doctest::Contains("/nonexistent/metrics.jsonl"), Error);
}
