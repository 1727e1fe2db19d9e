#include "base/report/watched.h"

#include <doctest/doctest.h>

#include <regex>
#include <set>

#include "base/io/files.h"
#include "base/report/dashboard.h"
#include "base/report/run_page.h"

using namespace ds::report;

TEST_CASE("names of metrics follow Prometheus' rules") {
  std::set<std::string> names, keys, tags;
  for (const Watched& m : watched()) {
    const std::string name = m.name;
    INFO(name);
    CHECK(std::regex_match(name, std::regex("ds_[a-z][a-z0-9_]*")));
    CHECK(names.insert(name).second);
    CHECK(name.ends_with("_total") == (m.type == MetricType::kCounter));
    if (const std::string unit = m.unit; !unit.empty()) CHECK(std::regex_search(name, std::regex("_" + unit + "(_total)?$")));
    CHECK(std::string(m.help).size() > 10);
    CHECK(!std::string(m.help).ends_with('.'));
    if (*m.key) CHECK(keys.insert(m.key).second);
    if (*m.tag) CHECK(tags.insert(m.tag).second);
    CHECK((!*m.key || *m.tag));
    CHECK((m.shown == Shown::kQuantiles) == (m.type == MetricType::kHistogram));
    CHECK(&watched(name) == &m);
  }
  CHECK_THROWS(watched("ds_nothing"));
}

TEST_CASE("ds-watch(5) tells of every metric what the table does") {
  const std::string page = ds::io::read_file(DS_SOURCE_DIR "/man/ds-watch.5");
  for (const Watched& m : watched()) {
    INFO(m.name);
    const std::size_t at = page.find(".It Va " + std::string(m.name) + " Pq ");
    REQUIRE(at != std::string::npos);
    const std::string item = page.substr(at, page.find("\n.", at + 1) + 40 - at);
    CHECK(item.find(std::string("\n") + m.help) != std::string::npos);
    CHECK(item.find(m.type == MetricType::kGauge ? "Pq gauge" : m.type == MetricType::kCounter ? "Pq counter" : "Pq histogram") != std::string::npos);
    if (*m.tag) CHECK(page.find(".Ql " + std::string(m.tag) + "\n") != std::string::npos);
  }
}

TEST_CASE("figures of epochs have tags by their split") {
  CHECK(epoch_tag("val_top1") == "val/top1");
  CHECK(epoch_tag("test_loss") == "test/loss");
  CHECK(epoch_tag("train_loss") == "epoch/train_loss");
  CHECK(epoch_tag("lr") == "epoch/lr");
}

TEST_CASE("each metric is in a panel, and panels lie side by side") {
  const nlohmann::json board = dashboard();
  CHECK(board["schemaVersion"] == 38);
  std::set<std::pair<int, int>> cells;
  std::set<int> ids;
  std::string expressions;
  for (const nlohmann::json& panel : board["panels"]) {
    INFO(panel["title"].get<std::string>());
    CHECK(ids.insert(panel["id"].get<int>()).second);
    const nlohmann::json& at = panel["gridPos"];
    CHECK(at["x"].get<int>() + at["w"].get<int>() <= 24);
    for (int x = 0; x < at["w"].get<int>(); ++x)
      for (int y = 0; y < at["h"].get<int>(); ++y) CHECK(cells.emplace(at["x"].get<int>() + x, at["y"].get<int>() + y).second);
    REQUIRE(!panel["targets"].empty());
    std::set<std::string> refs;
    for (const nlohmann::json& target : panel["targets"]) {
      CHECK(refs.insert(target["refId"]).second);
      CHECK(target["datasource"]["uid"] == "${datasource}");
      expressions += target["expr"].get<std::string>() + "\n";
    }
  }
  for (const Watched& m : watched()) {
    INFO(m.name);
    CHECK(std::regex_search(expressions, std::regex("\\b" + std::string(m.name) + "(_bucket)?\\{job=~\"\\$job\",model=~\"\\$model\",run=~\"\\$run\"\\}")));
  }
  const nlohmann::json& variables = board["templating"]["list"];
  REQUIRE(variables.size() == 4);
  CHECK(variables[0]["type"] == "datasource");
  CHECK(variables[3]["definition"] == "label_values(ds_train_steps_total, run)");
  CHECK(variables[3]["current"]["value"][0] == "$__all");
}

TEST_CASE("queries of counters are rates, of histograms quantiles") {
  const std::string selector = R"({job=~"$job",model=~"$model",run=~"$run"})";
  CHECK(queries(watched("ds_train_loss"))[0].first == "ds_train_loss" + selector);
  CHECK(queries(watched("ds_train_samples_total"))[0].first == "rate(ds_train_samples_total" + selector + "[$__rate_interval])");
  const auto durations = queries(watched("ds_step_duration_seconds"));
  REQUIRE(durations.size() == 2);
  CHECK(durations[1].first == "histogram_quantile(0.99, sum by (le, job, model, run) (rate(ds_step_duration_seconds_bucket" + selector +
                                  "[$__rate_interval])))");
  CHECK(durations[1].second == "p99 {{run}}");
}
