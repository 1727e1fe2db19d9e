#include "base/report/run_page.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/core/error.h"
#include "xml.h"

using namespace ds::report;

namespace {

struct Log {
  std::string path;
  Log() {
    char name[] = "/tmp/ds-history-XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    path = name;
  }
  ~Log() { std::remove(path.c_str()); }
  void add(const std::string& text) const { std::ofstream(path, std::ios::app) << text; }
};

std::string step(int n, double loss) {
  return "{\"kind\":\"step\",\"step\":" + std::to_string(n) + ",\"epoch\":1,\"loss\":" + std::to_string(loss) + ",\"lr\":0.1}\n";
}

}  // namespace

TEST_CASE("a history grows with its file, by whole lines") {
  const Log log;
  RunHistory history;
  log.add(step(10, 2) + step(20, 1) + "{\"kind\":\"step\",\"st");
  history.read(log.path);
  REQUIRE(history.steps().at("loss").points.size() == 2);
  CHECK(history.steps().at("loss").points[1] == std::pair{20.0, 1.0});
  CHECK(!history.steps().contains("epoch"));
  log.add("ep\":30,\"loss\":0.5}\nno json\n{\"kind\":\"epoch\",\"epoch\":1,\"step\":30,\"val_loss\":0.75}\n{\"kind\":\"alarm\",\"step\":30,\"alarm\":\"loss\"}\n");
  history.read(log.path);
  CHECK(history.steps().at("loss").points.size() == 3);
  CHECK(history.steps().at("lr").points.size() == 2);
  CHECK(history.epochs().size() == 1);
  CHECK(history.alarms().size() == 1);
  std::ofstream(log.path) << step(10, 3);  // begun anew
  history.read(log.path);
  CHECK(history.steps().at("loss").points == std::vector{std::pair{10.0, 3.0}});
  CHECK(history.epochs().empty());
  CHECK_THROWS_AS(history.read("/nonexistent/metrics.jsonl"), ds::Error);
}

TEST_CASE("long curves are thinned evenly") {
  const Log log;
  std::string text;
  for (int i = 1; i <= 5000; ++i) text += step(i, i);
  log.add(text);
  RunHistory history;
  history.read(log.path);
  const auto& curve = history.steps().at("loss");
  CHECK(curve.stride == 16);
  CHECK(curve.points.size() == 313);  // 1, 17, ... 4993
  for (std::size_t i = 0; i < curve.points.size(); ++i) CHECK(curve.points[i].first == 1 + 16.0 * static_cast<double>(i));
}

TEST_CASE("the page of a run is well-formed and shows what there is") {
  const Log log;
  log.add(step(10, 2) + step(20, 1) +
          "{\"kind\":\"epoch\",\"epoch\":1,\"step\":20,\"train_loss\":1.5,\"val_loss\":1.25,\"train_top1\":0.5,\"val_top1\":0.75,\"val_f1\":0.625}\n"
          "{\"kind\":\"alarm\",\"step\":20,\"alarm\":\"loss\",\"text\":\"it rose <b>\"}\n");
  RunHistory history;
  RunFacts facts{.name = "run <1>", .model = "cnn", .data = "digits", .state = "running", .epoch = 1, .epochs = 3, .step = 20, .steps = 60, .config = "a: 1\n"};
  const std::string empty = run_page(facts, history);
  CHECK(report_test::problem_of(empty) == "");
  CHECK(empty.find("<svg") == std::string::npos);
  history.read(log.path);
  const std::string page = run_page(facts, history);
  CHECK(report_test::problem_of(page) == "");
  for (const char* part : {"run &lt;1&gt;", "cnn on digits", "1 / 3", "20 / 60", "it rose &lt;b&gt;", ">0.625<", ">val_f1<", "<figcaption>f1 ", "<figcaption>Loss ",
                           "<figcaption>Learning rate ", "a: 1"})
    CHECK_MESSAGE(page.find(part) != std::string::npos, part);
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("src=") == std::string::npos);
}
