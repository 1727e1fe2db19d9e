#include <doctest/doctest.h>

#include <algorithm>

#include "base/core/error.h"
#include "base/report/watched.h"
#include "engine/telemetry/exporter.h"

using namespace ds;

namespace {

bool has_line(const std::string& text, const std::string& line) { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; }

const std::string kLabels = R"(job="j",model="cnn",run="a \"b\"")";

}  // namespace

TEST_CASE("the exposition has help, type and labels of what was set, and nothing else") {
  telemetry::Exporter exporter("j", "cnn", "a \"b\"");
  CHECK(exporter.text() == "");
  exporter.set("ds_train_loss", 2.5);
  exporter.set("ds_train_loss", 0.5);
  exporter.add("ds_train_samples_total", 64);
  exporter.add("ds_train_samples_total", 36);
  exporter.set("ds_epoch_metric", 0.25, "val_top1");
  exporter.add("ds_alarms_total", 1, "loss");
  const std::string text = exporter.text();
  CHECK(has_line(text, "# TYPE ds_train_loss gauge"));
  CHECK(has_line(text, std::string("# HELP ds_train_loss ") + report::watched("ds_train_loss").help));
  CHECK(has_line(text, "ds_train_loss{" + kLabels + "} 0.5"));
  CHECK(has_line(text, "# TYPE ds_train_samples_total counter"));
  CHECK(has_line(text, "ds_train_samples_total{" + kLabels + "} 100"));
  CHECK(has_line(text, R"(ds_epoch_metric{job="j",metric="val_top1",model="cnn",run="a \"b\""} 0.25)"));
  CHECK(has_line(text, R"(ds_alarms_total{job="j",kind="loss",model="cnn",run="a \"b\""} 1)"));
  CHECK(text.find("ds_train_gradient_norm") == std::string::npos);
}

TEST_CASE("a histogram counts what is at most each bound") {
  telemetry::Exporter exporter("j", "m", "r");
  for (const double seconds : {0.0005, 0.001, 0.003, 0.15, 1000.0}) exporter.observe("ds_step_duration_seconds", seconds);
  const std::string text = exporter.text();
  const auto bucket = [](const char* bound, int count) {
    return std::string(R"(ds_step_duration_seconds_bucket{job="j",model="m",run="r",le=")") + bound + "\"} " + std::to_string(count);
  };
  CHECK(has_line(text, "# TYPE ds_step_duration_seconds histogram"));
  CHECK(has_line(text, bucket("0.001", 2)));
  CHECK(has_line(text, bucket("0.005", 3)));
  CHECK(has_line(text, bucket("0.1", 3)));
  CHECK(has_line(text, bucket("0.2", 4)));
  CHECK(has_line(text, bucket("+Inf", 5)));
  CHECK(has_line(text, R"(ds_step_duration_seconds_count{job="j",model="m",run="r"} 5)"));
}

TEST_CASE("a name that is not in the table, and a type that is another, are refused") {
  telemetry::Exporter exporter("j", "m", "r");
  CHECK_THROWS_AS(exporter.set("ds_nonsense", 1), Error);
  CHECK_THROWS_AS(exporter.set("ds_train_samples_total", 1), Error);
  CHECK_THROWS_AS(exporter.add("ds_train_loss", 1), Error);
  CHECK_THROWS_AS(exporter.observe("ds_train_loss", 1), Error);
}

TEST_CASE("memory of tensors and of the process is told") {
  telemetry::Exporter exporter("j", "m", "r");
  exporter.refresh();
  const std::string text = exporter.text();
  const std::string series = "\nds_resident_memory_bytes{job=\"j\",model=\"m\",run=\"r\"} ";
  const std::size_t at = text.find(series);
  REQUIRE(at != std::string::npos);
  CHECK(std::stod(text.substr(at + series.size())) > 1e6);
  CHECK(text.find("ds_memory_live_bytes{") != std::string::npos);
}

TEST_CASE("a push gateway's path has values in base64 where they hold what a path cannot") {
  CHECK(telemetry::Exporter("ds-train", "cnn", "run.1").push_path() == "/metrics/job/ds-train/model/cnn/run/run.1");
  // RFC 4648, section 5: the alphabet for URLs; an empty value is "=".
  CHECK(telemetry::Exporter("a/b", "\xff\xfe\xfd", "").push_path() == "/metrics/job@base64/YS9i/model@base64/__79/run@base64/=");
  CHECK(telemetry::Exporter("a b c d", "x", "y").push_path() == "/metrics/job@base64/YSBiIGMgZA==/model/x/run/y");
}
