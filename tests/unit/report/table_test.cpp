#include "base/report/table.h"

#include <doctest/doctest.h>

using namespace ds::report;

TEST_CASE("table: columns are as wide as their widest cell, in characters, not bytes") {
  const Table table{{{"model", false}, {"top-1"}}, {{"na\u00efve", "9.5"}, {"b", "100.0"}}};
  CHECK(table.text() ==
        "model  top-1\n"
        "-----  -----\n"
        "na\u00efve    9.5\n"
        "b      100.0\n");
}

TEST_CASE("table: a name cannot break a line or a cell") {
  const Table table{{{"a|b", false}, {"n"}}, {{"x\ny", "1"}, {"p|q", "2"}}};
  CHECK(table.text() ==
        "a|b  n\n"
        "---  -\n"
        "x y  1\n"
        "p|q  2\n");
  CHECK(table.markdown() ==
        "| a\\|b | n |\n"
        "| --- | ---: |\n"
        "| x y | 1 |\n"
        "| p\\|q | 2 |\n");
  CHECK(table.csv() ==
        "a|b,n\n"
        "\"x\ny\",1\n"
        "p|q,2\n");
}

TEST_CASE("table: objects as CSV have numbers in full, and nothing where a key is missing") {
  const auto rows = nlohmann::json::parse(R"([{"name": "a,\"b\"", "n": 123456789, "x": 0.1, "ok": true}, {"name": "c", "x": null}])");
  CHECK(csv({"name", "n", "x", "ok"}, rows) ==
        "name,n,x,ok\n"
        "\"a,\"\"b\"\"\",123456789,0.1,true\n"
        "c,,,\n");
}

TEST_CASE("table: figures have three significant digits and a unit") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(999.6) == "1.00 kB");
  CHECK(bytes_text(413352) == "413 kB");
  CHECK(bytes_text(26912) == "26.9 kB");
  CHECK(bytes_text(9996) == "10.0 kB");
  CHECK(bytes_text(99960) == "100 kB");
  CHECK(bytes_text(999499) == "999 kB");
  CHECK(bytes_text(999500) == "1.00 MB");
  CHECK(bytes_text(2e15) == "2000 TB");
  CHECK(count_text(678) == "678");
  CHECK(count_text(9258112) == "9.26 M");
  CHECK(seconds_text(35.312e-6) == "35.3 us");
  CHECK(seconds_text(0.0015286) == "1.53 ms");
  CHECK(seconds_text(0.99949) == "999 ms");
  CHECK(seconds_text(0.9996) == "1.00 s");
  CHECK(seconds_text(75.5) == "75.50 s");
}
