// Data sets of rows in a CSV file.
#include <cmath>

#include "engine/data/dataset.h"
#include "files.h"

using namespace data_test;
using namespace ds::data;

namespace {

/// Row i: b = i, a = 2 i - 5, class i mod 3, with a column of one value.
std::string table(int rows) {
  std::string text = "b,kind,constant,a\n";
  const char* names[] = {"oak", "ash", "elm"};
  for (int i = 0; i < rows; ++i) text += std::to_string(i) + "," + names[i % 3] + ",7," + std::to_string(2 * i - 5) + "\n";
  return text;
}

struct Table : Folder {
  explicit Table(const std::string& text) { write("t.csv", text); }
  Dataset set(const std::string& target = "kind") const { return open("csv:" + (*this / "t.csv") + "?target=" + target); }
  std::string said(const std::string& options = "?target=kind") const {
    std::string text = failure([&] { open("csv:" + (*this / "t.csv") + options); });
    for (std::size_t at = text.find(path()); at != std::string::npos; at = text.find(path())) text.replace(at, path().size(), "D");
    return text;
  }
};

}  // namespace

TEST_CASE("csv: columns by name, classes by name, and each row in a split by what it holds") {
  const Table file(table(300));
  const Dataset set = file.set();
  CHECK(set.labels == std::vector<std::string>{"ash", "elm", "oak"});
  CHECK(set.preprocessing["kind"] == "table");
  CHECK(set.preprocessing["columns"] == Json({"a", "b", "constant"}));
  CHECK(set.preprocessing["shape"] == Json({3, 1, 1}));
  CHECK(set.train.size() + set.val.size() + set.test.size() == 300);
  double sum = 0, square = 0;
  for (const Split* split : {&set.train, &set.val, &set.test}) {
    CHECK(split->size() > 10);
    for (std::int64_t i = 0; i < split->size(); ++i) {
      const auto* row = split->images.const_data_ptr<float>() + 3 * i;
      CHECK(row[0] == 2 * row[1] - 5);
      CHECK(row[2] == 7);
      const std::string name = set.labels[std::size_t(split->labels.const_data_ptr<std::int64_t>()[i])];
      CHECK(name == (std::vector<std::string>{"oak", "ash", "elm"})[std::size_t(row[1]) % 3]);
      if (split == &set.train) sum += row[1], square += double(row[1]) * row[1];
    }
  }
  const double n = double(set.train.size()), mean = sum / n;
  CHECK(set.preprocessing["mean"][1].get<double>() == doctest::Approx(mean));
  CHECK(set.preprocessing["std"][1].get<double>() == doctest::Approx(std::sqrt(square / n - mean * mean)));
  CHECK(set.preprocessing["std"][2] == 1);
  const at::Tensor x = preprocess(set.train.images, set.preprocessing);
  CHECK(x.select(1, 0).mean().item<double>() == doctest::Approx(0).epsilon(1e-5));
  CHECK(x.select(1, 2).abs().max().item<double>() == 0);
}

TEST_CASE("csv: more rows and another order leave every row in its split, and equal rows stay together") {
  const Table few(table(100));
  const Dataset before = few.set();
  std::string text = table(100);
  const std::size_t body = text.find('\n') + 1;
  const Table twice(text + text.substr(body));
  const Dataset after = twice.set();
  CHECK(after.train.size() == 2 * before.train.size());
  CHECK(after.val.size() == 2 * before.val.size());
  CHECK(after.val.images.narrow(0, 0, before.val.size()).equal(before.val.images));
}

TEST_CASE("csv: numbers as tables have them, classes that are numbers in their order") {
  std::string text = "x,y\r\n";
  for (int i = 0; i < 60; ++i) text += "\" +0" + std::to_string(i) + ".50\"," + std::to_string(i % 12) + "\r\n";
  const Table file(text + "1e-3,11\n");
  const Dataset set = file.set("y");
  CHECK(set.labels == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"});
  CHECK(set.train.images.max().item<float>() <= 59.5f);
  CHECK(absolute_spec("csv:" + (file / "t.csv") + "?target=y") == "csv:" + (file / "t.csv") + "?target=y");
}

TEST_CASE("csv: bad rows are named together, ten of them") {
  const Table file(table(6) + "1,oak,7\n2,oak,7,x\n3,,7,4\n4,oak,,4\n5,oak,nan,1\n6,oak,1e99,1\n");
  CHECK(file.said() ==
        "3|D/t.csv:8: 3 fields, expected 4 as in the first line\nD/t.csv:9: column 'a' has 'x', expected a finite number\nD/t.csv:10: has no class\n"
        "D/t.csv:11: column 'constant' has '', expected a finite number\nD/t.csv:12: column 'constant' has 'nan', expected a finite number\n"
        "D/t.csv:13: column 'constant' has '1e99', expected a finite number");
  std::string many = table(6);
  for (int i = 0; i < 25; ++i) many += "x\n";
  CHECK(Table(many).said().ends_with("D/t.csv:17: 1 fields, expected 4 as in the first line\nD/t.csv: 15 more rows are bad"));
}

TEST_CASE("csv: what is no such data set") {
  const Table file(table(30));
  CHECK(failure([] { open("csv:"); }) == "2|data: 'csv' without a file; give csv:FILE?target=NAME");
  CHECK(file.said("") == "2|data: 'csv' without a target; give csv:D/t.csv?target=NAME, the column of the class");
  CHECK(file.said("?target=kinds") == "2|data: csv: D/t.csv has no column 'kinds' (did you mean 'kind'?); its first line names b, kind, constant, a");
  CHECK(file.said("?goal=kind").starts_with("2|data: csv: unknown key 'goal'"));
  CHECK(file.said("?target=constant").find("expected a finite number") != std::string::npos);  // the classes as a feature
  CHECK(Table("").said() == "3|D/t.csv: is empty, expected a line of names and rows below it");
  CHECK(Table("kind\na\nb\n").said() == "3|D/t.csv:1: has one column, expected at least one beside the target; columns are separated by commas");
  CHECK(Table("x,kind,x\n").said() == "3|D/t.csv:1: names 'x' twice");
  CHECK(Table("x,kind\n1,a\n2,a\n").said() == "3|D/t.csv: column 'kind' has 1 classes in 2 rows, expected 2 or more");
  std::string real = "x,kind\n";
  for (int i = 0; i < 50; ++i) real += "1," + std::to_string(i) + ".25\n";
  CHECK(Table(real).said() ==
        "3|D/t.csv: column 'kind' has 50 classes in 50 rows, expected one of a few in each row; give task=regression to tell a number");
  CHECK(failure([] { open("csv:/none.csv?target=x"); }) == "3|/none.csv: no such file");
}
