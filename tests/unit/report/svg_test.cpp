#include "base/report/svg.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ds::report;

TEST_CASE("svg: text is escaped, and what is no text is replaced") {
  CHECK(escape("<b a=\"1\" c='2'>&amp;</b>") == "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
  CHECK(escape("z\u00fcrich \u4e2d \U0001F600") == "z\u00fcrich \u4e2d \U0001F600");
  CHECK(escape("a\x01"
               "b\x7f") == "a\uFFFDb\uFFFD");
  CHECK(escape("a\tb\nc") == "a\tb\nc");
  CHECK(clean("a\xff"
              "b") == "a\uFFFDb");
  CHECK(clean("\xc3") == "\uFFFD");                                // cut short
  CHECK(clean("\xc0\xaf") == "\uFFFD\uFFFD");                      // an overlong slash
  CHECK(clean("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");            // a surrogate
  CHECK(clean("\xf4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond Unicode
  CHECK(clean("\xef\xbf\xbe") == "\uFFFD");                        // U+FFFE, no character of XML
}

TEST_CASE("svg: texts are cut by characters") {
  CHECK(characters("\u00e4\u00f6\u00fc") == 3);
  CHECK(shortened("\u00e4\u00f6\u00fc", 3) == "\u00e4\u00f6\u00fc");
  CHECK(shortened("\u00e4\u00f6\u00fcx", 3) == "\u00e4\u00f6\u2026");
  CHECK(shortened("ab", 1) == "\u2026");
}

TEST_CASE("svg: coordinates are short and finite") {
  CHECK(coordinate(1) == "1");
  CHECK(coordinate(0.25) == "0.2");
  CHECK(coordinate(12.3456, 2) == "12.35");
  CHECK(coordinate(100) == "100");
  CHECK(coordinate(-0.01) == "0");
  CHECK(coordinate(NAN) == "0");
  CHECK(coordinate(INFINITY) == "0");
}

TEST_CASE("svg: linear axes have round ticks and hold the data") {
  const Axis unit = linear_axis(0, 1, 5);
  REQUIRE(unit.ticks.size() == 6);
  CHECK(unit.ticks[1] == doctest::Approx(0.2));
  CHECK(unit.low == 0);
  CHECK(unit.high == doctest::Approx(1));
  CHECK(unit.at(0.25) == doctest::Approx(0.25));
  const Axis percent = linear_axis(0.961, 0.9905, 6);  // 0.0049 a step: 0.005
  CHECK(percent.low == doctest::Approx(0.96));
  CHECK(percent.high == doctest::Approx(0.995));
  CHECK(percent.ticks.size() == 8);
  const Axis steps = linear_axis(0, 1100, 6);
  CHECK(steps.ticks[1] == 200);
  CHECK(steps.high == 1200);
  CHECK(linear_axis(3, -1).low == -1);
}

TEST_CASE("svg: a range without extent, or without sense, still gives an axis") {
  for (const auto& [low, high] :
       std::vector<std::pair<double, double>>{{0, 0}, {1, 1}, {-5, -5}, {NAN, NAN}, {NAN, 2}, {0, INFINITY}, {1e300, 1e300}}) {
    const Axis axis = linear_axis(low, high);
    CAPTURE(low);
    CHECK(axis.low < axis.high);
    CHECK(axis.ticks.size() >= 2);
    CHECK(axis.ticks.size() < 20);
    CHECK(std::isfinite(axis.low));
    CHECK(std::isfinite(axis.high));
  }
}

TEST_CASE("svg: logarithmic axes") {
  const Axis axis = logarithmic_axis(1e-4, 1e-2);
  CHECK(axis.ticks.size() == 7);  // 1 2 5 10 20 50 100, in 1e-4
  CHECK(axis.ticks[2] == doctest::Approx(5e-4));
  CHECK(axis.at(1e-4) == doctest::Approx(0));
  CHECK(axis.at(1e-3) == doctest::Approx(0.5));
  CHECK(axis.at(1e-2) == doctest::Approx(1));
  CHECK(axis.at(0) == 0);
  CHECK(logarithmic_axis(1, 1e6).ticks.size() == 7);  // powers of ten alone
  const Axis narrow = logarithmic_axis(2.1, 4.3);     // neither 2 nor 5 is in it
  CHECK(narrow.ticks.size() >= 2);
  for (const double tick : narrow.ticks) CHECK((tick >= 2.1 && tick <= 4.3));
}

TEST_CASE("svg: texts of ticks have the decimals of the step") {
  CHECK(tick_text(0.02, 0.02) == "0.02");
  CHECK(tick_text(98.5, 0.5) == "98.5");
  CHECK(tick_text(150, 50) == "150");
  CHECK(tick_text(-1e-12, 0.5) == "0.0");
  CHECK(tick_text(0, 50000) == "0");
  CHECK(tick_text(150000, 50000) == "150 k");
  CHECK(tick_text(4e6, 2e6) == "4 M");
  CHECK(tick_text(0.0025, 0.0005) == "0.0025");
}

TEST_CASE("svg: elements") {
  Svg svg(100, 50, "a < b");
  svg.line(0, 1.25, 2, 3, "axis");
  svg.rectangle(1, 2, 3, -4, "bar", "5 & 6", 2, 0.5);
  svg.text(1, 2, "<x>", "tick", "middle", -90);
  svg.polyline({{0, 0}, {1.5, 2}}, "curve");
  CHECK(svg.str() == R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" width="100" height="50" role="img" aria-label="a &lt; b">)"
                     R"(<title>a &lt; b</title><line x1="0" y1="1.2" x2="2" y2="3" class="axis"/>)"
                     R"(<rect x="1" y="2" width="3" height="0" rx="2" class="bar" fill-opacity="0.5"><title>5 &amp; 6</title></rect>)"
                     R"x(<text x="1" y="2" class="tick" text-anchor="middle" transform="rotate(-90 1 2)">&lt;x&gt;</text>)x"
                     R"(<polyline points="0,0 1.5,2" class="curve"/></svg>)");
  CHECK(Svg(1, 1, "").str().find("aria-hidden=\"true\"") != std::string::npos);
}

TEST_CASE("svg: four shapes of marks") {
  const char* wanted[] = {"<circle", "<rect", "<path", "<path"};
  std::string before;
  for (int shape = 0; shape < 4; ++shape) {
    Svg svg(10, 10, "");
    svg.marker(shape + 4, 5, 5, 2, "");  // they come again
    CHECK(svg.str().find(wanted[shape]) != std::string::npos);
    CHECK(svg.str() != before);
    before = svg.str();
  }
}
