#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

#include "base/core/error.h"
#include "base/core/log.h"
#include "base/io/files.h"
#include "engine/telemetry/http.h"
#include "engine/telemetry/mlflow.h"
#include "engine/telemetry/outbox.h"

using namespace ds;

namespace {

std::string url(int port) { return "http://127.0.0.1:" + std::to_string(port); }

/// A port that nobody listens on.
int free_port() {
  const telemetry::Server server("127.0.0.1", 0, "/x", "text/plain", [] { return std::string(); }, "test");
  return server.port();
}

struct Quiet {
  Quiet() { core::set_log(core::Level::kQuiet, core::ProgressMode::kNone, false); }
  ~Quiet() { core::set_log(core::Level::kInfo, core::ProgressMode::kNone, false); }
};

}  // namespace

TEST_CASE("a page is served on its path alone, as it is at the time") {
  std::atomic<int> calls = 0;
  const telemetry::Server server("127.0.0.1", 0, "/metrics", "text/plain", [&] { return "n " + std::to_string(++calls) + "\n"; }, "test");
  REQUIRE(server.port() > 0);
  telemetry::Client client(io::endpoint(url(server.port()), "test"), 5);
  for (const char* expected : {"n 1\n", "n 2\n"}) {
    const telemetry::Response response = client.send({.method = "GET", .path = "/metrics"});
    CHECK(response.status == 200);
    CHECK(response.body == expected);
    CHECK(response.problem == "");
  }
  for (const telemetry::Request& request : {telemetry::Request{.method = "GET", .path = "/"}, telemetry::Request{.method = "POST", .path = "/metrics"}}) {
    const telemetry::Response response = client.send(request);
    CHECK(response.status == 404);
    CHECK(response.problem == "answers 404");
  }
  CHECK(calls == 2);
}

TEST_CASE("a port that is taken is told, with what names it") {
  const telemetry::Server first("127.0.0.1", 0, "/metrics", "text/plain", [] { return std::string(); }, "test");
  CHECK_THROWS_WITH_AS(telemetry::Server("127.0.0.1", first.port(), "/metrics", "text/plain", [] { return std::string(); }, "watch.metrics_port"),
                       doctest::Contains(("watch.metrics_port: 127.0.0.1:" + std::to_string(first.port())).c_str()), Error);
}

TEST_CASE("nobody there is a problem, not an exception") {
  telemetry::Client client(io::endpoint(url(free_port()), "test"), 1);
  const telemetry::Response response = client.send({.path = "/x"});
  CHECK(response.status == 0);
  CHECK(response.problem == "no connection");
}

TEST_CASE("credentials are those of RFC 7617") {
  CHECK(telemetry::basic_credentials("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST_CASE("an outbox runs tasks in order, the newest of a name, and never blocks who adds") {
  const Quiet quiet;
  std::promise<void> open;
  const std::shared_future<void> gate = open.get_future().share();
  std::promise<void> entered;
  std::string done;
  telemetry::Outbox outbox("test", 2);
  CHECK(outbox.add([&] {
    entered.set_value();
    gate.wait();
    done += "a";
    return std::string();
  }));
  entered.get_future().wait();
  CHECK(outbox.add([&] { return done += "b", std::string(); }, "state"));
  CHECK(outbox.add([&] { return done += "c", std::string("fails"); }));
  CHECK(outbox.add([&] { return done += "d", std::string(); }, "state"));  // in place of b
  CHECK(!outbox.add([&] { return done += "e", std::string(); }));          // two wait
  CHECK(!outbox.drain(0.01));
  open.set_value();
  CHECK(outbox.drain(10));
  CHECK(done == "adc");
  CHECK(outbox.failures() == 1);
  CHECK(outbox.add([]() -> std::string { throw Error(Exit::kFailure, "x", "y"); }));
  CHECK(outbox.drain(10));
  CHECK(outbox.failures() == 2);
}

TEST_CASE("what an MLflow server that is not there would get is kept, once, in order") {
  const Quiet quiet;
  char name[] = "/tmp/ds-mlflow-XXXXXX";
  const std::string folder = mkdtemp(name), spool = folder + "/mlflow.jsonl";
  const std::string server = url(free_port());
  telemetry::MlflowRun run{.server = io::endpoint(server, "test"), .experiment = "e", .name = "r", .id = {}, .spool = spool};
  {
    telemetry::Mlflow mlflow(run, {{"lr", 0.1}});
    mlflow.log({{"train/loss", 0.5, 10, 1000}, {"train/bad", std::nan(""), 10, 1000}});
    mlflow.end("FINISHED");
  }
  {
    run.resumed = true;  // in the same run, since it has no id yet
    telemetry::Mlflow mlflow(run, {{"lr", 0.1}});
    mlflow.log({{"train/loss", 0.25, 20, 2000}});
  }
  const std::string text = io::read_file(spool);
  std::vector<telemetry::Json> lines;
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(telemetry::Json::parse(text.substr(begin, end - begin)));
  REQUIRE(lines.size() == 5);
  CHECK(lines[0]["kind"] == "run");
  CHECK(lines[0]["server"] == server);
  CHECK(lines[0]["experiment"] == "e");
  CHECK(lines[0]["params"]["lr"] == 0.1);
  CHECK(lines[0]["run_id"] == "");
  CHECK(lines[1]["points"].dump() == R"([["train/loss",0.5,10,1000],["train/bad",null,10,1000]])");
  CHECK(lines[2]["status"] == "FINISHED");
  CHECK(lines[3]["points"].dump() == R"([["train/loss",0.25,20,2000]])");
  CHECK(lines[4]["status"] == "FAILED");
  CHECK_THROWS_WITH_AS(telemetry::replay_mlflow(spool, ""), doctest::Contains("no connection"), Error);
  CHECK(io::read_file(spool) == text);
  io::write_file(spool, "no entry\n");
  CHECK_THROWS_WITH_AS(telemetry::replay_mlflow(spool, ""), doctest::Contains((spool + ":1").c_str()), Error);
  std::filesystem::remove_all(folder);
}
