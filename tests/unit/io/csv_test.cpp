// Comma-separated values.
#include <doctest/doctest.h>

#include "base/core/error.h"
#include "base/io/csv.h"

using Row = std::vector<std::string>;

namespace {

std::vector<Row> rows(const std::string& text) {
  ds::io::CsvReader reader(text, "t.csv");
  std::vector<Row> all;
  for (Row row; reader.next(row);) all.push_back(row);
  return all;
}

std::string failure(const std::string& text) {
  try {
    rows(text);
  } catch (const ds::Error& error) {
    return std::to_string(int(error.code())) + "|" + error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("csv: fields, quotes and ends of lines") {
  CHECK(rows("") == std::vector<Row>{});
  CHECK(rows("\n\r\n\n") == std::vector<Row>{});
  CHECK(rows("a,b\n1,2\n") == std::vector<Row>{{"a", "b"}, {"1", "2"}});
  CHECK(rows("a,b\r\n1,2") == std::vector<Row>{{"a", "b"}, {"1", "2"}});
  CHECK(rows("\xef\xbb\xbfx\n") == std::vector<Row>{{"x"}});
  CHECK(rows("a,,\n,\n") == std::vector<Row>{{"a", "", ""}, {"", ""}});
  CHECK(rows("\"a, \"\"b\"\"\",\"\",c d\n") == std::vector<Row>{{"a, \"b\"", "", "c d"}});
  CHECK(rows("\"two\nlines\",x\r\n\"\"\n") == std::vector<Row>{{"two\nlines", "x"}, {""}});
  CHECK(rows("a,") == std::vector<Row>{{"a", ""}});
}

TEST_CASE("csv: lines are counted over quotes and blanks, and faults are told by them") {
  const std::string text = "h\n\n\"two\nlines\"\nlast";
  ds::io::CsvReader reader(text, "t.csv");
  Row row;
  std::vector<std::int64_t> lines;
  while (reader.next(row)) lines.push_back(reader.line());
  CHECK(lines == std::vector<std::int64_t>{1, 3, 5});
  CHECK(failure("a\n\"b") == "3|t.csv:2: has a quote that is not closed");
  CHECK(failure("a\nx,\"b\"c\n") == "3|t.csv:2: has something behind a closing quote, expected a comma or the end of the line");
  CHECK(failure("5\" pipe,1\n") == "3|t.csv:1: has a quote inside a field that does not begin with one");
}
