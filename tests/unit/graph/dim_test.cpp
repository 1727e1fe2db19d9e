#include "base/graph/dim.h"

#include <doctest/doctest.h>

#include "base/core/error.h"

using ds::Error;
using ds::graph::Bindings;
using ds::graph::Dim;

TEST_CASE("graph: integers are known, symbols are bound at run time") {
  CHECK(Dim(64).is_known());
  CHECK(Dim(64).value() == 64);
  CHECK(Dim(64).text() == "64");
  const Dim n = Dim::symbol("N");
  CHECK_FALSE(n.is_known());
  CHECK(n.text() == "N");
  CHECK(n.evaluate({{"N", 7}}) == 7);
  CHECK_THROWS_AS(n.value(), Error);
  CHECK_THROWS_WITH_AS(n.evaluate({}), doctest::Contains("'N' is not bound"), Error);
  CHECK(n.symbols() == std::set<std::string>{"N"});
  CHECK(Dim::parse("floor((2*H-1)/W)+N*3").symbols() == std::set<std::string>{"H", "N", "W"});
  CHECK(Dim(7).symbols().empty());
}

TEST_CASE("graph: sums and products of sizes are simplified") {
  const Dim n = Dim::symbol("N"), h = Dim::symbol("H"), w = Dim::symbol("W");
  CHECK((n + n).text() == "2*N");
  CHECK((n - n) == Dim(0));
  CHECK((n * Dim(0)) == Dim(0));
  CHECK((h * w) == (w * h));
  CHECK(((h + Dim(1)) * (h - Dim(1))).text() == "H*H-1");
  CHECK((Dim(3) - h).text() == "-H+3");
  CHECK((n * Dim(4) + Dim(2)).text() == "4*N+2");
}

TEST_CASE("graph: floors of quotients take one form") {
  const Dim h = Dim::symbol("H"), w = Dim::symbol("W"), n = Dim::symbol("N");
  CHECK(floor_div(Dim(7), 2) == Dim(3));
  CHECK(floor_div(Dim(-7), 2) == Dim(-4));
  CHECK(floor_div(h * Dim(4), 2) == h * Dim(2));
  CHECK(floor_div(h * Dim(4) + Dim(3), 2) == h * Dim(2) + Dim(1));
  CHECK(floor_div(h - Dim(1), 2) + Dim(1) == floor_div(h + Dim(1), 2));
  CHECK(floor_div(h + Dim(1), 2).text() == "floor((H+1)/2)");
  CHECK(floor_div(h, 2).text() == "floor(H/2)");
  CHECK(floor_div(floor_div(h, 2), 3) == floor_div(h, 6));
  CHECK(floor_div(h * Dim(2) + Dim(2), 4) == floor_div(h + Dim(1), 2));
  CHECK(floor_div(n * h * w, h * w) == n);
  CHECK(floor_div(n * h * w * Dim(6), h * Dim(2)) == n * w * Dim(3));
  CHECK(floor_div(h, w).evaluate({{"H", 7}, {"W", 2}}) == 3);
  CHECK_THROWS_AS(floor_div(h, 0), Error);
}

TEST_CASE("graph: simplification keeps the value of every size") {
  const Dim h = Dim::symbol("H");
  for (int kernel = 1; kernel <= 5; ++kernel) {
    for (int stride = 1; stride <= 4; ++stride) {
      Dim d = h;
      for (int layer = 0; layer < 3; ++layer) d = floor_div(d + Dim(2 - kernel), stride) + Dim(1);
      for (std::int64_t size = 20; size < 120; ++size) {
        std::int64_t expected = size;
        for (int layer = 0; layer < 3; ++layer) {
          const std::int64_t x = expected + 2 - kernel;
          expected = (x >= 0 ? x / stride : -((-x + stride - 1) / stride)) + 1;
        }
        REQUIRE(d.evaluate({{"H", size}}) == expected);
      }
    }
  }
}

TEST_CASE("graph: a size reads back from its text") {
  const Dim h = Dim::symbol("H"), n = Dim::symbol("N"), w = Dim::symbol("W");
  for (const Dim& d : {Dim(5), Dim(-5), n, n * h * Dim(3), floor_div(h + Dim(2), 3) * floor_div(w, 2) - Dim(7), floor_div(h, w + Dim(1)),
                       floor_div(h * w, n * n), floor_div(Dim(3) - h, 4)})
    CHECK(Dim::parse(d.text()) == d);
  CHECK(Dim::parse(" floor((H - 1) / 2) + 1 ") == floor_div(h + Dim(1), 2));
  CHECK(Dim::parse("2*(N+1)*3").text() == "6*N+6");
}

TEST_CASE("graph: malformed sizes are refused") {
  for (const char* text :
       {"", "N+", "2N", "floor(H)", "floor(H/2", "N//2", "(N", "N)", "H/2", "é", "99999999999999999999", "floor(H/0)", "9223372036854775807+1"}) {
    INFO(text);
    CHECK_THROWS_AS(Dim::parse(text), Error);
  }
  std::string deep(100, '(');
  deep.append("N").append(100, ')');
  CHECK_THROWS_AS(Dim::parse(deep), Error);
  CHECK_THROWS_AS(Dim::symbol("floor"), Error);
  CHECK_THROWS_AS(Dim::symbol("2N"), Error);
  CHECK_THROWS_AS(Dim::parse("(A+B+C+D)*(E+F+G+H)*(I+J+K+L)*(M+N+O+P)*(Q+R+S+T)"), Error);
}

TEST_CASE("graph: sizes that leave 64 bits are refused") {
  const Dim big = std::int64_t{1} << 62;
  CHECK_THROWS_AS(big * Dim(4), Error);
  CHECK_THROWS_AS((Dim::symbol("N") * big * Dim(4)), Error);
  CHECK_THROWS_AS((Dim::symbol("N") * Dim::symbol("N")).evaluate({{"N", std::int64_t{1} << 40}}), Error);
}
