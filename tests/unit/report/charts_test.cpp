#include "base/report/charts.h"

#include <doctest/doctest.h>

#include <cmath>

#include "xml.h"

using namespace ds::report;
using report_test::contains;
using report_test::count;
using report_test::problem_of;

namespace {

Model model(const std::string& name, double top1, double bytes, double p50) {
  Model m;
  m.name = name;
  m.score = Score{"test", top1, NAN, NAN};
  m.tensor_bytes = bytes;
  if (p50 > 0) m.latency = Latency{p50, NAN, 1, 1};
  return m;
}

}  // namespace

TEST_CASE("charts: a line runs from corner to corner of its frame") {
  LineChart chart;
  chart.title = "Loss";
  chart.x_label = "step";
  // x from 0 to 10 lies on 52..326, y from 0 to 1 on 188..14.
  const std::string svg = line_chart({{"a", 0, false, {{0, 0}, {10, 1}}}}, chart);
  CHECK(contains(svg, R"(<polyline points="52,188 326,14" class="curve k0"/>)"));
  CHECK(contains(svg, R"(<text x="189" y="226" class="label" text-anchor="middle">step</text>)"));
  CHECK(contains(svg, "a, step 10: 1"));
  CHECK(count(svg, "<circle") == 2);
  CHECK(count(svg, "class=\"grid\"") == 5);  // 0.2 to 1.0; 0 is the axis
  CHECK(problem_of(svg) == "");
}

TEST_CASE("charts: shares end at 1, and are shown in percent") {
  LineChart chart;
  chart.percent = true;
  const std::string svg = line_chart({{"a", 1, true, {{1, 0.5}, {2, 1}}}}, chart);
  CHECK(contains(svg, ">100</text>"));
  CHECK_FALSE(contains(svg, ">110</text>"));
  CHECK(contains(svg, "faint k1"));
  CHECK(contains(svg, "50.00 %"));
}

TEST_CASE("charts: what is not finite is left out, long lines are thinned, and nothing gives nothing") {
  CHECK(line_chart({}, {}) == "");
  CHECK(line_chart({{"a", 0, false, {{1, NAN}, {NAN, 2}, {2, INFINITY}}}}, {}) == "");
  const std::string one = line_chart({{"a", 0, false, {{0, 0.5}}}}, {});
  CHECK(count(one, "<circle") == 1);
  CHECK_FALSE(contains(one, "<polyline"));
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < 5000; ++i) points.emplace_back(i, i % 2 ? NAN : 1.0 / (i + 1));
  const std::string svg = line_chart({{"a", 0, false, points}}, {});
  const std::size_t start = svg.find("points=\"") + 8;
  CHECK(count(svg.substr(start, svg.find('"', start) - start), ",") == 240);
  CHECK_FALSE(contains(svg, "nan"));
  CHECK(count(svg, "<circle") == 1);  // the last one alone
}

TEST_CASE("charts: accuracy against latency, areas as bytes") {
  // x: ln(13.5) / ln(20.25) of 56..1010; y: 0.8 at 344, 0.9 at 30; radii as the roots of the bytes.
  const std::vector<Model> models = {model("slow", 0.9, 1000, 1e-3), model("fast", 0.8, 250, 1e-4)};
  const std::string svg = scatter(models, false);
  CHECK(contains(svg, R"(<circle cx="881.4" cy="30" r="26" class="bubble k0">)"));
  CHECK(contains(svg, R"(cy="344" r="13" class="bubble k1">)"));
  CHECK(contains(svg, "median latency, batch 1"));
  CHECK(contains(svg, "slow: 90.00 % (test), 1.00 kB, 1.00 ms"));
  CHECK(contains(svg, "500 \u00b5s"));
  CHECK(problem_of(svg) == "");
  const std::string small = scatter(models, true);
  CHECK(contains(small, R"(viewBox="0 0 360 330")"));
  CHECK(contains(small, R"(r="18" class="bubble k0">)"));
}

TEST_CASE("charts: where a model has no latency, sizes are compared; one model is no comparison") {
  std::vector<Model> models = {model("a", 0.9, 1000, 1e-3), model("b", 0.8, 500, 0)};
  CHECK(contains(scatter(models, false), "bytes of tensors"));
  models[1].score.reset();
  CHECK(scatter(models, false) == "");
  CHECK(scatter({}, false) == "");
}

TEST_CASE("charts: dominated models are dashed, and tell why") {
  std::vector<Model> models = {model("a", 0.9, 1000, 1e-3), model("b", 0.9, 500, 1e-4)};
  mark_dominated(models);
  CHECK(models[0].dominated);
  CHECK_FALSE(models[1].dominated);
  const std::string svg = scatter(models, false);
  CHECK(count(svg, "class=\"bubble dominated k0\"") == 1);
  CHECK(contains(svg, "dominated: another one is no worse"));
}

TEST_CASE("charts: labels of models at one place do not lie on each other") {
  std::vector<Model> models;
  for (int i = 0; i < 3; ++i) models.push_back(model("model" + std::to_string(i), 0.9 + 0.0001 * i, 1000, 1e-3 * (1 + 0.001 * i)));
  models.push_back(model("other", 0.5, 1000, 1e-2));
  const std::string svg = scatter(models, false);
  std::vector<std::pair<double, double>> places;  // "model0" takes 43.2 x 15
  for (std::size_t at = svg.find("class=\"name\""); at != std::string::npos; at = svg.find("class=\"name\"", at + 1)) {
    const std::size_t start = svg.rfind("<text", at);
    places.emplace_back(std::stod(svg.substr(start + 9)), std::stod(svg.substr(svg.find("y=\"", start) + 3)));
  }
  REQUIRE(places.size() == 4);
  for (std::size_t a = 0; a < places.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      CHECK((std::abs(places[a].first - places[b].first) >= 43 || std::abs(places[a].second - places[b].second) >= 14.9));
}

TEST_CASE("charts: marks of the axis leave each other room") {
  std::vector<Model> models = {model("a", 0.9, 1000, 1e-5), model("b", 0.8, 500, 9e-3)};
  const std::string svg = scatter(models, true);
  double before = -100;
  std::size_t texts = 0;
  for (std::size_t at = svg.find("y=\"298\""); at != std::string::npos; at = svg.find("y=\"298\"", at + 1)) {
    const std::size_t start = svg.rfind("x=\"", at) + 3;
    const double x = std::stod(svg.substr(start));
    CHECK(x - before > 30);
    before = x;
    ++texts;
  }
  CHECK(texts >= 2);
}

TEST_CASE("charts: confusion with counts, and the accuracy of each class in line with its row") {
  const Confusion confusion{"val", {{9, 1}, {0, 5}}};
  const std::string svg = confusion_chart(confusion, {"cat", "<dog>"}, "net");
  CHECK(problem_of(svg) == "");
  CHECK(contains(svg, "cat taken for &lt;dog&gt;: 1"));
  CHECK(contains(svg, "cat taken for cat: 9"));
  CHECK(count(svg, "class=\"right\"") == 2);
  CHECK(count(svg, "class=\"wrong\"") == 1);
  CHECK(count(svg, "class=\"rail\"") == 1);
  const std::string bars = class_bars(confusion, {"cat", "<dog>"}, "net");
  CHECK(contains(bars, "cat: 9 of 10 right"));
  CHECK(contains(bars, ">90.0</text>"));
  CHECK(contains(bars, "width=\"108\""));  // 0.9 of 120
  CHECK(contains(bars, ">100.0</text>"));
  const auto height = [](const std::string& text) { return text.substr(text.find(" height=\""), 14); };
  CHECK(height(svg) == height(bars));
}

TEST_CASE("charts: classes without samples, without names, and with one class") {
  const std::string bars = class_bars({"val", {{0, 0}, {0, 3}}}, {}, "net");
  CHECK(contains(bars, "0: 0 of 0 right"));
  CHECK(contains(bars, ">-</text>"));
  CHECK(problem_of(confusion_chart({"val", {{7}}}, {"only"}, "net")) == "");
  CHECK(problem_of(confusion_chart({"val", {{0}}}, {}, "net")) == "");
}

TEST_CASE("charts: many classes are a map and a list of the worst") {
  Confusion confusion{"val", std::vector<std::vector<std::int64_t>>(40, std::vector<std::int64_t>(40, 0))};
  for (std::size_t i = 0; i < 40; ++i) confusion.counts[i][i] = static_cast<std::int64_t>(10 + i);
  confusion.counts[7] = std::vector<std::int64_t>(40, 0);
  confusion.counts[7][8] = 4;
  const std::string svg = confusion_chart(confusion, {}, "net");
  CHECK(contains(svg, "Confusion of 40 classes: net"));
  CHECK(count(svg, "<path") >= 2);
  CHECK_FALSE(contains(svg, "class=\"count\""));
  const std::string bars = class_bars(confusion, {}, "net");
  CHECK(count(bars, "class=\"rail\"") == 20);
  CHECK(bars.find("7: 0 of 4 right") < bars.find("0: 10 of 10 right"));
}

TEST_CASE("charts: an interval lies on the scale that it shares") {
  const Axis axis{0.9, 1.0, false, {}};
  const std::string svg = interval({"val", 0.95, 0.92, 0.98}, axis, 0);
  CHECK(contains(svg, R"(<line x1="30" y1="9" x2="102" y2="9" class="span k0"/>)"));
  CHECK(contains(svg, R"(cx="66")"));
  CHECK_FALSE(contains(interval({"val", 0.95, NAN, NAN}, axis, 0), "span"));
}

TEST_CASE("charts: times have the letter of paper") {
  CHECK(time_text(402e-6) == "402 \u00b5s");
  CHECK(time_text(0.0015) == "1.50 ms");
}
